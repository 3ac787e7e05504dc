package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

func TestManyDocumentsAreWrittenAtOnce(t *testing.T) {
	dir := t.TempDir()
	x := create(t, open(t, Config{Dir: dir}), define(2))
	one := func(id string, at float32) vector.Whole {
		return vector.Whole{Document: vector.Document{ID: id, Version: "v"}, Chunks: []vector.Chunk{{ID: id, Text: id, Vector: []float32{1, at}}}}
	}
	before, err := x.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.ReplaceAll(t.Context(), one("a", 1), one("b", 2), one("a", 3)); err != nil {
		t.Fatal(err)
	}
	s, err := x.Stats(t.Context())
	if err != nil || s.Documents != 2 || s.Sequence != before.Sequence+1 {
		t.Errorf("%+v, %v", s, err)
	}
	if got, err := x.Get(t.Context(), []string{"a"}, true); err != nil || len(got) != 1 || got[0].Vector[1] != 3 {
		t.Error(got, err)
	}
	// A chunk id of another document refuses them all.
	clash := vector.Whole{Document: vector.Document{ID: "d"}, Chunks: []vector.Chunk{{ID: "b", Text: "t", Vector: []float32{1, 1}}}}
	if err := x.ReplaceAll(t.Context(), one("c", 1), clash); !errors.Is(err, vector.ErrInvalid) {
		t.Error(err)
	}
	if got, err := x.Documents(t.Context(), "", "", 10); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
	// And so does a hook between two of them.
	y := create(t, open(t, Config{Dir: t.TempDir(), Hook: func() func(string) error {
		n := 0
		return func(point string) error {
			if point == HookRemoved {
				n++
			}
			if n == 2 {
				return errors.New("cut")
			}
			return nil
		}
	}()}), define(2))
	if err := y.ReplaceAll(t.Context(), one("a", 1), one("b", 2)); err == nil {
		t.Error("no error")
	}
	if got, err := y.Documents(t.Context(), "", "", 10); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestNotTurnsAFilterRound(t *testing.T) {
	x := create(t, open(t, Config{}), define(2))
	r := rand.New(rand.NewPCG(3, 5))
	var all []vector.Chunk
	for i := range 203 { // no multiple of 64
		c := vector.Chunk{ID: fmt.Sprintf("c%03d", i), Text: "t", Vector: []float32{1, float32(i)}}
		if r.IntN(3) > 0 {
			c.Metadata = vector.Metadata{"n": vector.NumberValue(float64(r.IntN(5))), "l": vector.ListValue([]string{"a", "b", "c"}[r.IntN(3)], "x")}
		}
		all = append(all, c)
	}
	if err := x.Replace(t.Context(), vector.Document{ID: "d"}, all); err != nil {
		t.Fatal(err)
	}
	not := func(f vector.Filter) vector.Filter { return vector.Filter{Op: vector.Not, Of: []vector.Filter{f}} }
	n := vector.Filter{Op: vector.GreaterThan, Key: "n", Values: []vector.Value{vector.NumberValue(2)}}
	l := vector.Filter{Op: vector.ListContains, Key: "l", Values: []vector.Value{vector.StringValue("a")}}
	for _, f := range []vector.Filter{
		not(n), not(l), not(not(n)), {Op: vector.AndAll, Of: []vector.Filter{not(l), n}}, not(vector.Filter{Op: vector.OrAll, Of: []vector.Filter{n, not(l)}}),
		not(vector.Filter{Op: vector.Equals, Key: "nowhere", Values: []vector.Value{vector.BoolValue(true)}}),
	} {
		hits, err := x.Search(t.Context(), vector.Query{Vector: []float32{1, 1}, K: 1000, Filter: &f})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, h := range hits {
			got = append(got, h.Chunk.ID)
		}
		for i := range all {
			if f.Match(all[i].Metadata) {
				want = append(want, all[i].ID)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%+v: %d hits, want %d", f, len(got), len(want))
		}
	}
	for _, f := range []vector.Filter{{Op: vector.Not}, {Op: vector.Not, Of: []vector.Filter{n, l}}, {Op: vector.Not, Key: "n", Of: []vector.Filter{n}}} {
		if err := f.Check(); !errors.Is(err, vector.ErrInvalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if _, err := not(n).MarshalJSON(); err == nil {
		t.Error("not has a JSON")
	}
	var f vector.Filter
	if err := f.UnmarshalJSON([]byte(`{"not":{"key":"a","value":1}}`)); !errors.Is(err, vector.ErrInvalid) {
		t.Error(err)
	}
	few := vector.Capabilities{Operators: []vector.Op{vector.GreaterThan}}
	if err := few.CheckFilter(new(not(n))); !errors.Is(err, vector.ErrUnsupported) {
		t.Error(err)
	}
}
