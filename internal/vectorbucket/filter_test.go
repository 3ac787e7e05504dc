package vectorbucket

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// plain reads a filter as the documentation describes it, straight over the JSON.
func plain(filter any, meta map[string]any) bool {
	for key, cond := range filter.(map[string]any) {
		switch key {
		case "$and":
			for _, f := range cond.([]any) {
				if !plain(f, meta) {
					return false
				}
			}
			continue
		case "$or":
			if !slices.ContainsFunc(cond.([]any), func(f any) bool { return plain(f, meta) }) {
				return false
			}
			continue
		}
		ops, ok := cond.(map[string]any)
		if !ok {
			ops = map[string]any{"$eq": cond}
		}
		have, there := meta[key]
		equal := func(want any) bool {
			if list, ok := have.([]any); ok {
				return slices.Contains(list, want)
			}
			return there && have == want
		}
		for op, want := range ops {
			var yes bool
			n, number := have.(float64)
			switch op {
			case "$eq":
				yes = equal(want)
			case "$ne":
				yes = !equal(want)
			case "$in":
				yes = slices.ContainsFunc(want.([]any), equal)
			case "$nin":
				yes = !slices.ContainsFunc(want.([]any), equal)
			case "$exists":
				yes = there == want.(bool)
			case "$gt":
				yes = number && n > want.(float64)
			case "$gte":
				yes = number && n >= want.(float64)
			case "$lt":
				yes = number && n < want.(float64)
			case "$lte":
				yes = number && n <= want.(float64)
			}
			if !yes {
				return false
			}
		}
	}
	return true
}

// drawer makes metadata and filters that often meet.
type drawer struct{ *rand.Rand }

func pick[T any](d drawer, of ...T) T { return of[d.IntN(len(of))] }

func (d drawer) primitive() any {
	return pick[any](d, "a", "a", "1", "true", 1.0, 1.0, 2.5, 0.0, true, false, "\"é")
}

func (d drawer) value() any {
	if d.IntN(3) > 0 {
		return d.primitive()
	}
	list := []any{}
	for range d.IntN(4) {
		list = append(list, d.primitive())
	}
	if d.IntN(2) == 0 { // of strings alone
		list = slices.DeleteFunc(list, func(x any) bool { _, ok := x.(string); return !ok })
	}
	return list
}

func (d drawer) key() string { return pick(d, "p", "q", "r") }

func (d drawer) metadata() map[string]any {
	m := map[string]any{}
	for range d.IntN(7) {
		m[d.key()] = d.value()
	}
	return m
}

func (d drawer) condition() any {
	if d.IntN(4) == 0 {
		return d.primitive()
	}
	ops := map[string]any{}
	for range 1 + d.IntN(5)/4 {
		switch op := pick(d, "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists"); op {
		case "$in", "$nin":
			list := []any{}
			for range 1 + d.IntN(3) {
				list = append(list, d.primitive())
			}
			ops[op] = list
		case "$exists":
			ops[op] = d.IntN(2) == 0
		case "$eq", "$ne":
			ops[op] = d.primitive()
		default:
			ops[op] = pick(d, -1.0, 0.0, 1.0, 2.5)
		}
	}
	return ops
}

func (d drawer) filter(depth int) map[string]any {
	f := map[string]any{}
	for range 1 + d.IntN(3)/2 {
		if depth < 3 && d.IntN(3) == 0 {
			var of []any
			for range 1 + d.IntN(3) {
				of = append(of, d.filter(depth+1))
			}
			f[pick(d, "$and", "$or")] = of
			continue
		}
		f[d.key()] = d.condition()
	}
	return f
}

func TestFiltersMeanWhatThePlainReadingSays(t *testing.T) {
	d := drawer{rand.New(rand.NewPCG(7, 11))}
	b := &indexBody{Dimension: 1, Metric: vector.Euclidean}
	matched := map[bool]int{}
	operators := map[string][2]int{}
	for range 12_000 {
		meta, filter := d.metadata(), any(d.filter(0))
		rawMeta, _ := json.Marshal(meta)
		rawFilter, _ := json.Marshal(filter)
		c, err := b.record(&Vector{Key: "k", Data: []float32{1}, Metadata: rawMeta})
		if err != nil {
			t.Fatalf("%s: %v", rawMeta, err)
		}
		f, err := b.parseFilter(rawFilter)
		if err != nil {
			t.Fatalf("%s: %v", rawFilter, err)
		}
		want := plain(filter, meta)
		if got := f.Match(c.Metadata); got != want {
			t.Fatalf("%s of %s: %t, want %t", rawFilter, rawMeta, got, want)
		}
		matched[want]++
		for _, op := range []string{"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$and", "$or"} {
			if strings.Contains(string(rawFilter), `"`+op+`"`) {
				n := operators[op]
				n[btoi(want)]++
				operators[op] = n
			}
		}
	}
	for op, n := range operators {
		if n[0] < 150 || n[1] < 150 {
			t.Errorf("%s was drawn %d times without and %d times with a match", op, n[0], n[1])
		}
	}
	if len(operators) != 11 || matched[true] < 1500 {
		t.Error(len(operators), matched)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestBadFilters(t *testing.T) {
	b := &indexBody{NonFilterable: []string{"text"}}
	deep := strings.Repeat(`{"$and":[`, 20) + `{"a":1}` + strings.Repeat(`]}`, 20)
	for _, f := range []string{
		`[]`, `7`, `"x"`, `{`, `{"a":{}}`, `{"a":null}`, `{"a":[1]}`, `{"a":{"$eq":[1]}}`, `{"a":{"$eq":null}}`, `{"a":{"$eq":{}}}`, `{"a":{"b":1}}`,
		`{"a":{"$gt":"1"}}`, `{"a":{"$lt":true}}`, `{"a":{"$in":[]}}`, `{"a":{"$in":"x"}}`, `{"a":{"$nin":[[1]]}}`, `{"a":{"$exists":1}}`, `{"a":{"$exists":null}}`,
		`{"$and":[]}`, `{"$or":{}}`, `{"$and":[{}]}`, `{"$or":[1]}`, `{"$not":[{"a":1}]}`, `{"a":{"$regex":"x"}}`, `{"text":"x"}`, `{"$or":[{"a":1},{"text":{"$exists":true}}]}`, `{"":1}`,
		`{"a":1e999}`, deep, `{"\u0001a":1}`,
		`{"$or":[` + strings.TrimSuffix(strings.Repeat(`{"a":1},`, 1001), ",") + `]}`,
		`{"a":{"$in":[` + strings.TrimSuffix(strings.Repeat(`1,`, 1001), ",") + `]}}`,
	} {
		if _, err := b.parseFilter(json.RawMessage(f)); apierr.KindOf(err) != apierr.Validation {
			t.Errorf("%.80s: %v", f, err)
		}
	}
	for _, f := range []string{``, `{}`, ` null `} {
		if got, err := b.parseFilter(json.RawMessage(f)); got != nil || err != nil {
			t.Errorf("%q: %v, %v", f, got, err)
		}
	}
}

// What strangers send never panics, and what is accepted passes the check of the store.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`{"a":{"$gte":1,"$lt":2}}`, `{"$or":[{"a":"x"},{"b":{"$nin":[1,true,"y"]}}]}`, `{"a":{"$exists":false}}`, `{"a":[1]}`} {
		f.Add([]byte(s), []byte(`{"a":[1,"x"],"b":true}`))
	}
	b := &indexBody{Dimension: 1, Metric: vector.Euclidean, NonFilterable: []string{"text"}}
	f.Fuzz(func(t *testing.T, filter, meta []byte) {
		got, err := b.parseFilter(filter)
		if err != nil && apierr.KindOf(err) != apierr.Validation {
			t.Fatal(err)
		}
		c, bad := b.record(&Vector{Key: "k", Data: []float32{1}, Metadata: meta})
		if bad != nil && apierr.KindOf(bad) != apierr.Validation {
			t.Fatal(bad)
		}
		if err == nil && got != nil {
			if err := got.Check(); err != nil {
				t.Fatal(err)
			}
			if bad == nil {
				var f, m any
				if json.Unmarshal(filter, &f) == nil && json.Unmarshal(meta, &m) == nil {
					members, _ := m.(map[string]any)
					delete(members, "text")
					if want := plain(f, members); got.Match(c.Metadata) != want {
						t.Fatalf("%s of %s: want %t", filter, meta, want)
					}
				}
			}
		}
	})
}
