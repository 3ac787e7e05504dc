package retrieve_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// The naive evaluator: what the filters of the service mean, over attributes as
// encoding/json decodes them. It shares nothing with the code under test.
func naive(f *api.RetrievalFilter, m map[string]any) bool {
	read := func(a *api.FilterAttribute) any {
		var v any
		if err := json.Unmarshal(a.Value, &v); err != nil {
			panic(err)
		}
		return v
	}
	equal := func(a *api.FilterAttribute, want any) bool {
		have, ok := m[a.Key]
		if !ok {
			return false
		}
		if _, list := have.([]any); list {
			return false
		}
		return have == want
	}
	number := func(a *api.FilterAttribute, holds func(x, y float64) bool) bool {
		x, ok := m[a.Key].(float64)
		return ok && holds(x, read(a).(float64))
	}
	among := func(a *api.FilterAttribute) bool {
		for _, v := range read(a).([]any) {
			if equal(a, v) {
				return true
			}
		}
		return false
	}
	switch {
	case f.AndAll != nil:
		for i := range f.AndAll {
			if !naive(&f.AndAll[i], m) {
				return false
			}
		}
		return true
	case f.OrAll != nil:
		for i := range f.OrAll {
			if naive(&f.OrAll[i], m) {
				return true
			}
		}
		return false
	case f.Equals != nil:
		return equal(f.Equals, read(f.Equals))
	case f.NotEquals != nil:
		return !equal(f.NotEquals, read(f.NotEquals))
	case f.In != nil:
		return among(f.In)
	case f.NotIn != nil:
		return !among(f.NotIn)
	case f.LessThan != nil:
		return number(f.LessThan, func(x, y float64) bool { return x < y })
	case f.LessThanOrEquals != nil:
		return number(f.LessThanOrEquals, func(x, y float64) bool { return x <= y })
	case f.GreaterThan != nil:
		return number(f.GreaterThan, func(x, y float64) bool { return x > y })
	case f.GreaterThanOrEquals != nil:
		return number(f.GreaterThanOrEquals, func(x, y float64) bool { return x >= y })
	case f.StartsWith != nil:
		s, ok := m[f.StartsWith.Key].(string)
		return ok && strings.HasPrefix(s, read(f.StartsWith).(string))
	case f.StringContains != nil:
		part := read(f.StringContains).(string)
		switch x := m[f.StringContains.Key].(type) {
		case string:
			return strings.Contains(x, part)
		case []any:
			for _, s := range x {
				if strings.Contains(s.(string), part) {
					return true
				}
			}
		}
		return false
	case f.ListContains != nil:
		x, _ := m[f.ListContains.Key].([]any)
		return slices.Contains(x, read(f.ListContains))
	}
	panic("no operator")
}

var (
	keys  = []string{"genre", "year", "author", "draft", "tags", "größe", "nobody"}
	words = []string{"", "cat", "Cat", "category", "2024", "true", "고양이", `a"b\`, "entertainment"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func scalar(r *rand.Rand) any {
	switch r.IntN(4) {
	case 0:
		return r.IntN(2) == 0
	case 1, 2:
		return pick(r, []any{float64(2018), float64(2024), 2024.5, float64(-1), float64(0)})
	default:
		return pick(r, words)
	}
}

func attributes(r *rand.Rand) map[string]any {
	m := map[string]any{}
	for _, k := range keys[:len(keys)-1] {
		switch r.IntN(6) {
		case 0: // missing
		case 1:
			list := make([]any, r.IntN(3))
			for i := range list {
				list[i] = pick(r, words)
			}
			m[k] = list
		case 2:
			m[k] = float64(2015 + r.IntN(12))
		default:
			m[k] = scalar(r)
		}
	}
	return m
}

func must(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// drawFilter draws a filter of the wire. used counts operators.
func drawFilter(r *rand.Rand, depth int, used map[string]int) api.RetrievalFilter {
	n := 13
	if depth == 0 {
		n = 11
	}
	a := &api.FilterAttribute{Key: pick(r, keys)}
	var f api.RetrievalFilter
	var op string
	switch r.IntN(n) {
	case 0:
		op, a.Value, f.Equals = "equals", must(scalar(r)), a
	case 1:
		op, a.Value, f.NotEquals = "notEquals", must(scalar(r)), a
	case 2, 3:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = scalar(r)
		}
		a.Value = must(list)
		if r.IntN(2) == 0 {
			op, f.In = "in", a
		} else {
			op, f.NotIn = "notIn", a
		}
	case 4:
		op, a.Value, f.LessThan = "lessThan", must(2015+r.IntN(12)), a
	case 5:
		op, a.Value, f.LessThanOrEquals = "lessThanOrEquals", must(2015+r.IntN(12)), a
	case 6:
		op, a.Value, f.GreaterThan = "greaterThan", must(2015+r.IntN(12)), a
	case 7:
		op, a.Value, f.GreaterThanOrEquals = "greaterThanOrEquals", must(2015+r.IntN(12)), a
	case 8:
		op, a.Value, f.StartsWith = "startsWith", must(pick(r, []string{"", "c", "cat", "고양", `a"`, "20"})), a
	case 9:
		op, a.Value, f.StringContains = "stringContains", must(pick(r, []string{"", "at", "go", "양이", `b\`, "24"})), a
	case 10:
		op, a.Value, f.ListContains = "listContains", must(pick(r, words)), a
	default:
		list := make([]api.RetrievalFilter, 2+r.IntN(4))
		for i := range list {
			list[i] = drawFilter(r, depth-1, used)
		}
		if r.IntN(2) == 0 {
			op, f.AndAll = "andAll", list
		} else {
			op, f.OrAll = "orAll", list
		}
	}
	used[op]++
	return f
}

func seed(t testing.TB) *rand.Rand {
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d", n)
	return rand.New(rand.NewPCG(n, 1))
}

// library is 10,000 passages, each with attributes of its own and of mixed types, in
// documents of 1 to 100: to a filter each is a document, and the index meets columns
// of every length.
func library(t testing.TB, h *house, r *rand.Rand) (ids []string, all map[string]map[string]any) {
	const passages = 10_000
	all = make(map[string]map[string]any, passages)
	var batch []vector.Chunk
	full := 1
	for i := range passages {
		id := fmt.Sprintf("d%05d", i)
		m := attributes(r)
		all[id] = m
		ids = append(ids, id)
		meta := vector.Metadata{}
		for k, v := range m {
			value, err := vector.ValueOf(v)
			if err != nil {
				t.Fatal(err)
			}
			meta[k] = value
		}
		c := chunk(id, fmt.Sprintf("passage %d of series %d", i, i%97), meta)
		c.Ordinal = len(batch)
		if batch = append(batch, c); len(batch) < full && i+1 < passages {
			continue
		}
		if err := h.index.Replace(t.Context(), vector.Document{ID: id, Version: "1"}, batch); err != nil {
			t.Fatal(err)
		}
		batch, full = nil, 1+r.IntN(100)
	}
	return ids, all
}

// Random nestings of all thirteen operators, as JSON through the gateway's reader and
// the real index, against the naive evaluator over 10,000 passages.
func TestFiltersAgreeWithANaiveEvaluator(t *testing.T) {
	r := seed(t)
	h := newHouse(t)
	ids, all := library(t, h, r)
	used := map[string]int{}
	var none, few, many int
	for n := range 250 {
		f := drawFilter(r, n%4, used)
		if n%3 == 0 { // few match
			f = api.RetrievalFilter{AndAll: []api.RetrievalFilter{f, {Equals: &api.FilterAttribute{Key: "year", Value: must(2015 + r.IntN(12))}}, drawFilter(r, 0, used)}}
		}
		in := &api.RetrieveInput{RetrievalQuery: &api.KnowledgeBaseQuery{Text: new(fmt.Sprintf("passage %d of series %d", r.IntN(10_000), r.IntN(97)))},
			RetrievalConfiguration: &api.KnowledgeBaseRetrievalConfiguration{VectorSearchConfiguration: &api.KnowledgeBaseVectorSearchConfiguration{Filter: &f, NumberOfResults: new(100)}}}
		if n%2 == 0 {
			in.RetrievalConfiguration.VectorSearchConfiguration.OverrideSearchType = api.SearchTypeSemantic
		}
		body, err := restjson.AppendBody(nil, &api.Service, operation("Retrieve").Input, in)
		if err != nil {
			t.Fatal(err)
		}
		read, err := h.request(string(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		matching := map[string]bool{}
		for _, id := range ids {
			if naive(&f, all[id]) {
				matching[id] = true
			}
		}
		got, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: *read.RetrievalQuery.Text, Config: read.RetrievalConfiguration})
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if want := min(100, len(matching)); len(got) != want {
			t.Fatalf("%s: %d results, want %d of %d that match", body, len(got), want, len(matching))
		}
		for _, x := range got {
			if !matching[x.ID] {
				t.Fatalf("%s: found %v", body, all[x.ID])
			}
			delete(matching, x.ID)
		}
		// None that was left out is nearer than the last one found.
		if in.RetrievalConfiguration.VectorSearchConfiguration.OverrideSearchType != "" && len(got) > 0 {
			q := embed(*read.RetrievalQuery.Text)
			last := got[len(got)-1].Score
			for id := range matching {
				var i int
				fmt.Sscanf(id, "d%d", &i)
				var dot float64
				for k, y := range embed(fmt.Sprintf("passage %d of series %d", i, i%97)) {
					dot += float64(q[k]) * float64(y)
				}
				if s := (1 + dot) / 2; s > last+1e-3 {
					t.Fatalf("%s: %s scores %v and was left out behind %v", body, id, s, last)
				}
			}
		}
		switch len(matching) + len(got) {
		case 0:
			none++
		default:
			if len(matching) == 0 {
				few++
			} else {
				many++
			}
		}
	}
	t.Logf("%d filters match nothing, %d up to 100 passages, %d more; operators %v", none, few, many, used)
	if len(used) != 13 || many < 50 {
		t.Errorf("the filters prove little: %v", used)
	}
}

// The table of the guide: documents, each operator, the two logical ones, its third form.
func TestFiltersOfTheGuide(t *testing.T) {
	h := newHouse(t)
	put := func(id string, m vector.Metadata) { h.put(chunk(id, "passage "+id, m)) }
	s, n, b := vector.StringValue, vector.NumberValue, vector.BoolValue
	put("a", vector.Metadata{"genre": s("entertainment"), "year": n(2024), "author": s("Choi"), "draft": b(true)})
	put("b", vector.Metadata{"genre": s("entertainment"), "year": n(2018), "author": s("Kim"), "draft": s("true")})
	put("c", vector.Metadata{"genre": s("cooking"), "year": n(2001), "author": s("Carter")})
	put("d", vector.Metadata{"genre": s("sports"), "year": s("2024"), "author": s("carl"), "tags": vector.ListValue("ball", "team")})
	put("e", nil)
	for _, c := range []struct{ filter, want string }{
		{`{"equals":{"key":"genre","value":"entertainment"}}`, "ab"},
		{`{"equals":{"key":"year","value":2024.0}}`, "a"},
		{`{"equals":{"key":"draft","value":true}}`, "a"},
		{`{"equals":{"key":"draft","value":"true"}}`, "b"},
		{`{"notEquals":{"key":"genre","value":"entertainment"}}`, "cde"},
		{`{"greaterThan":{"key":"year","value":2018}}`, "a"},
		{`{"greaterThanOrEquals":{"key":"year","value":2018}}`, "ab"},
		{`{"lessThan":{"key":"year","value":2018}}`, "c"},
		{`{"lessThanOrEquals":{"key":"year","value":2018}}`, "bc"},
		{`{"in":{"key":"genre","value":["cooking","sports"]}}`, "cd"},
		{`{"notIn":{"key":"genre","value":["cooking","sports"]}}`, "abe"},
		{`{"startsWith":{"key":"author","value":"C"}}`, "ac"},
		{`{"stringContains":{"key":"author","value":"ar"}}`, "cd"},
		{`{"listContains":{"key":"tags","value":"team"}}`, "d"},
		{`{"equals":{"key":"genre","value":""}}`, ""},
		{`{"andAll":[{"equals":{"key":"genre","value":"entertainment"}},{"greaterThan":{"key":"year","value":2018}}]}`, "a"},
		{`{"orAll":[{"equals":{"key":"genre","value":"sports"}},{"lessThan":{"key":"year","value":2010}}]}`, "cd"},
		{`{"orAll":[{"andAll":[{"equals":{"key":"genre","value":"entertainment"}},{"greaterThan":{"key":"year","value":2018}}]},` +
			`{"andAll":[{"in":{"key":"genre","value":["cooking","sports"]}},{"startsWith":{"key":"author","value":"C"}}]}]}`, "ac"},
	} {
		var got []string
		for _, text := range h.texts(`{"retrievalQuery":{"text":"passage"}` + vectorConfig(`"numberOfResults":100,"filter":`+c.filter) + `}`) {
			got = append(got, strings.TrimPrefix(text, "passage "))
		}
		slices.Sort(got)
		if strings.Join(got, "") != c.want {
			t.Errorf("%s: found %v, want %q", c.filter, got, c.want)
		}
	}
}

// n that match are answered although many others are nearer.
func TestFilterDecidesBeforeTheBestAreChosen(t *testing.T) {
	h := newHouse(t)
	for i := range 400 {
		h.put(chunk(fmt.Sprintf("near%03d", i), "the very question", vector.Metadata{"kind": vector.StringValue("near")}))
	}
	for i := range 3 {
		h.put(chunk(fmt.Sprintf("far%d", i), fmt.Sprintf("something else entirely %d", i), vector.Metadata{"kind": vector.StringValue("far")}))
	}
	got := h.texts(`{"retrievalQuery":{"text":"the very question"}` + vectorConfig(`"numberOfResults":3,"filter":{"equals":{"key":"kind","value":"far"}}`) + `}`)
	if len(got) != 3 {
		t.Errorf("%d results, want 3: %v", len(got), got)
	}
}

func TestErrorsOfFilters(t *testing.T) {
	deep := `{"equals":{"key":"a","value":1}}`
	for range 16 {
		deep = `{"andAll":[` + deep + `,{"equals":{"key":"a","value":1}}]}`
	}
	wide := `{"orAll":[` + strings.TrimSuffix(strings.Repeat(`{"equals":{"key":"a","value":1}},`, 1001), ",") + `]}`
	for _, c := range []struct {
		filter string
		words  []string
	}{
		{`{}`, nil},
		{`{"equals":{"key":"a","value":1},"in":{"key":"a","value":["x"]}}`, nil},
		{`{"greaterThanOrEqualTo":{"key":"a","value":1}}`, nil},
		{`{"andAll":[{"equals":{"key":"a","value":1}}]}`, []string{"andAll"}},
		{`{"orAll":[]}`, []string{"orAll"}},
		{`{"equals":{"key":"","value":1}}`, []string{"key"}},
		{`{"equals":{"key":"` + strings.Repeat("k", 101) + `","value":1}}`, []string{"key"}},
		{`{"equals":{"key":"a"}}`, []string{"value"}},
		{`{"equals":{"key":"a","value":null}}`, []string{"value"}},
		{`{"equals":{"key":"a","value":["x"]}}`, []string{"filter.equals.value", "a string, a number or a Boolean"}},
		{`{"equals":{"key":"a","value":{"x":1}}}`, []string{"filter.equals.value"}},
		{`{"equals":{"key":"a","value":1e400}}`, []string{"filter.equals.value"}},
		{`{"in":{"key":"a","value":"x"}}`, []string{"filter.in.value", "a list"}},
		{`{"notIn":{"key":"a","value":["x",["y"]]}}`, []string{"filter.notIn.value[1]", "a string"}},
		{`{"greaterThan":{"key":"a","value":"2018"}}`, []string{"filter.greaterThan.value", "a number"}},
		{`{"lessThan":{"key":"a","value":true}}`, []string{"a number"}},
		{`{"lessThanOrEquals":{"key":"a","value":"x"}}`, []string{"a number"}},
		{`{"greaterThanOrEquals":{"key":"a","value":[1]}}`, []string{"a number"}},
		{`{"startsWith":{"key":"a","value":1}}`, []string{"filter.startsWith.value", "a string"}},
		{`{"stringContains":{"key":"a","value":["x"]}}`, []string{"a string"}},
		{`{"listContains":{"key":"a","value":1}}`, []string{"a string"}},
		{`{"andAll":[{"equals":{"key":"a","value":1}},{"orAll":[{"equals":{"key":"b","value":2}},{"lessThan":{"key":"c","value":"3"}}]}]}`,
			[]string{"retrievalConfiguration.vectorSearchConfiguration.filter.andAll[1].orAll[1].lessThan.value"}},
		{deep, []string{"nested deeper than 16"}},
		{wide, []string{"too many conditions"}},
	} {
		h := newHouse(t)
		_, err := h.retrieve(`{"retrievalQuery":{"text":"x"}` + vectorConfig(`"filter":`+c.filter) + `}`)
		if err == nil {
			t.Errorf("%.100s: no error", c.filter)
			continue
		}
		if k := apierr.KindOf(err); k != apierr.Validation && k != apierr.Serialization {
			t.Errorf("%.100s: %v", c.filter, err)
			continue
		}
		if len(h.asked) > 0 && h.asked[len(h.asked)-1] != "active" {
			t.Errorf("%.100s: refused after %v", c.filter, h.asked)
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%.100s: %q does not say %q", c.filter, err, w)
			}
		}
	}
	// What the gateway's reader would not let through.
	h := newHouse(t)
	one := api.RetrievalFilter{Equals: &api.FilterAttribute{Key: "a", Value: must(1)}}
	for name, f := range map[string]api.RetrievalFilter{
		"no operator":     {},
		"two operators":   {Equals: one.Equals, NotEquals: one.Equals},
		"group and leaf":  {Equals: one.Equals, AndAll: []api.RetrievalFilter{one, one}},
		"two groups":      {OrAll: []api.RetrievalFilter{one, one}, AndAll: []api.RetrievalFilter{one, one}},
		"one member":      {AndAll: []api.RetrievalFilter{one}},
		"no member":       {OrAll: []api.RetrievalFilter{}},
		"no value":        {Equals: &api.FilterAttribute{Key: "a"}},
		"two values":      {Equals: &api.FilterAttribute{Key: "a", Value: json.RawMessage(`1 2`)}},
		"no JSON":         {Equals: &api.FilterAttribute{Key: "a", Value: json.RawMessage(`{`)}},
		"no key":          {Equals: &api.FilterAttribute{Value: must(1)}},
		"a broken member": {AndAll: []api.RetrievalFilter{one, {}}},
	} {
		c := config("")
		c.VectorSearchConfiguration.Filter = &f
		_, err := h.room.Search(h.ctx(), h.base, retrieve.Question{Text: "x", Config: c})
		if apierr.KindOf(err) != apierr.Validation || !strings.Contains(err.Error(), "filter") ||
			strings.HasSuffix(name, "member") && name[0] != 'a' && !strings.Contains(err.Error(), "All must have at least two members") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a filter of the wire holds, it is refused or means what the naive
// evaluator says.
func FuzzFilters(f *testing.F) {
	f.Add(`{"equals":{"key":"year","value":2024}}`)
	f.Add(`{"andAll":[{"in":{"key":"tags","value":["cat",1,true]}},{"orAll":[{"lessThan":{"key":"year","value":2020}},{"stringContains":{"key":"genre","value":"at"}}]}]}`)
	f.Add(`{"notIn":{"key":"draft","value":[]}}`)
	f.Add(`{"equals":{"key":"a","value":1e999}}`)
	r := rand.New(rand.NewPCG(7, 7))
	var all []map[string]any
	for range 50 {
		all = append(all, attributes(r))
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := new(api.RetrieveInput)
		body := `{"retrievalQuery":{"text":"x"}` + vectorConfig(`"filter":`+text) + `}`
		// After a broken constraint the input is filled as far as it was read, and must
		// be refused here too or mean what it says.
		if err := restjson.DecodeBody(&api.Service, operation("Retrieve").Input, in, []byte(body)); apierr.KindOf(err) == apierr.Serialization {
			return
		}
		if in.RetrievalConfiguration == nil || in.RetrievalConfiguration.VectorSearchConfiguration == nil || in.RetrievalConfiguration.VectorSearchConfiguration.Filter == nil {
			return
		}
		got, err := retrieve.FilterOf(in.RetrievalConfiguration.VectorSearchConfiguration.Filter)
		if err != nil {
			if apierr.KindOf(err) != apierr.Validation {
				t.Fatal(err)
			}
			return
		}
		for _, m := range all {
			meta := vector.Metadata{}
			for k, v := range m {
				meta[k], _ = vector.ValueOf(v)
			}
			if want := naive(in.RetrievalConfiguration.VectorSearchConfiguration.Filter, m); got.Match(meta) != want {
				t.Fatalf("%s on %v: %v, want %v", text, m, !want, want)
			}
		}
	})
}
