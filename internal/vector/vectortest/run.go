package vectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Place is where an adapter keeps its indexes; each call opens another store on it,
// as a restart or a second process would. The store is closed by the caller.
type Place func(t *testing.T) vector.Store

// Run runs the suite. place prepares a new and empty place that can hold d.
func Run(t *testing.T, place func(t *testing.T, d vector.Definition) Place) {
	for _, c := range []struct {
		name string
		dim  int
		m    vector.Metric
		f    func(*suite)
	}{
		{"an index is made, opened and dropped", 3, vector.Cosine, (*suite).life},
		{"what was written is read", 3, vector.Cosine, (*suite).roundTrip},
		{"documents are replaced and deleted whole", 3, vector.Cosine, (*suite).replace},
		{"documents are listed by prefix", 3, vector.Cosine, (*suite).list},
		{"broken arguments are refused", 3, vector.Cosine, (*suite).refusals},
		{"a search by cosine ranks as a plain scan", 40, vector.Cosine, (*suite).ranks},
		{"a search by distance ranks as a plain scan", 40, vector.Euclidean, (*suite).ranks},
		{"filters mean what Match means", 8, vector.Cosine, (*suite).filters},
		{"the filter comes before the best are chosen", 8, vector.Cosine, (*suite).filterFirst},
		{"what a store lacks is refused", 3, vector.Cosine, (*suite).lacks},
		{"openers see each other's writes", 3, vector.Cosine, (*suite).openers},
		{"no search sees half a document", 3, vector.Cosine, (*suite).halves},
		{"words find what vectors do not", 8, vector.Cosine, (*suite).words},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := vector.Definition{
				Name:      vector.Name{Account: "123456789012", Region: "us-east-1", ID: "KB00000001"},
				Dimension: c.dim, Metric: c.m, Model: "sha256-of-a-model",
			}
			s := &suite{T: t, def: d, place: place(t, d)}
			s.store = s.open()
			s.caps = s.store.Capabilities()
			c.f(s)
		})
	}
}

type suite struct {
	*testing.T
	def   vector.Definition
	place Place
	store vector.Store
	caps  vector.Capabilities
}

func (s *suite) open() vector.Store {
	st := s.place(s.T)
	s.Cleanup(func() {
		if err := st.Close(); err != nil {
			s.Errorf("close the store: %v", err)
		}
	})
	return st
}

// index makes the index of the subtest, open until it ends.
func (s *suite) index(st vector.Store) vector.Index {
	s.Helper()
	x, err := st.Create(s.Context(), s.def)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = x.Close() })
	return x
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) put(x vector.Index, doc string, chunks ...vector.Chunk) {
	s.Helper()
	s.must(x.Replace(s.Context(), vector.Document{ID: doc, Version: "v1"}, chunks))
}

func (s *suite) search(x vector.Index, q vector.Query) []vector.Hit {
	s.Helper()
	hits, err := x.Search(s.Context(), q)
	if err != nil {
		s.Fatal(err)
	}
	for i, h := range hits {
		if h.Score < 0 || h.Score > 1 || math.IsNaN(h.Score) || i > 0 && h.Score > hits[i-1].Score {
			s.Fatalf("hit %d scores %v", i, h.Score)
		}
		if h.Chunk.ID == "" || h.Chunk.Document == "" {
			s.Fatalf("hit %d is nobody's: %+v", i, h.Chunk)
		}
	}
	return hits
}

func ids(hits []vector.Hit) []string {
	var out []string
	for _, h := range hits {
		out = append(out, h.Chunk.ID)
	}
	return out
}

func (s *suite) want(what string, got, want []string) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (s *suite) life() {
	if _, err := s.store.Open(s.Context(), vector.Name{Account: "1", Region: "r", ID: "none"}); !errors.Is(err, vector.ErrNotFound) {
		s.Errorf("open what is not there: %v", err)
	}
	for _, n := range []vector.Name{{}, {Account: "..", Region: "r", ID: "x"}, {Account: "a", Region: "r/s", ID: "x"}} {
		if _, err := s.store.Open(s.Context(), n); !errors.Is(err, vector.ErrInvalid) {
			s.Errorf("open %q: %v", n, err)
		}
		if err := s.store.Drop(s.Context(), n); !errors.Is(err, vector.ErrInvalid) {
			s.Errorf("drop %q: %v", n, err)
		}
	}
	x := s.index(s.store)
	if diff := cmp.Diff(s.def, x.Definition()); diff != "" {
		s.Error(diff)
	}
	if hits := s.search(x, vector.Query{Vector: []float32{1, 0, 0}, K: 5}); len(hits) != 0 {
		s.Errorf("an empty index finds %v", hits)
	}
	s.put(x, "d", vector.Chunk{ID: "c", Text: "t", Vector: []float32{1, 0, 0}})
	s.index(s.store) // again, equal
	other := s.def
	other.Dimension = 4
	if _, err := s.store.Create(s.Context(), other); !errors.Is(err, vector.ErrMismatch) {
		s.Errorf("create with another dimension: %v", err)
	}
	s.must(x.Close())
	s.must(x.Close())
	if _, err := x.Search(s.Context(), vector.Query{Vector: []float32{1, 0, 0}, K: 5}); !errors.Is(err, vector.ErrClosed) {
		s.Errorf("search a closed handle: %v", err)
	}
	again, err := s.store.Open(s.Context(), s.def.Name)
	s.must(err)
	s.want("after opening again", ids(s.search(again, vector.Query{Vector: []float32{1, 0, 0}, K: 5})), []string{"c"})
	s.must(s.store.Drop(s.Context(), s.def.Name))
	s.must(s.store.Drop(s.Context(), s.def.Name))
	if hits, err := again.Search(s.Context(), vector.Query{Vector: []float32{1, 0, 0}, K: 5}); err == nil && len(hits) > 0 {
		s.Error("a dropped index is searched")
	}
}

// sample is a document with everything in it: two children and their parent.
func sample() []vector.Chunk {
	return []vector.Chunk{
		{
			ID: "child-1", Document: "s3://b/ü", Ordinal: 1, Parent: "parent", Text: "first half: 첫째", Vector: []float32{0.1, -2.5, 3e-3},
			Metadata: vector.Metadata{
				"s": vector.StringValue("x"), "n": vector.NumberValue(-1.5), "t": vector.BoolValue(true), "f": vector.BoolValue(false),
				"l": vector.ListValue("a", "b"), "e": vector.ListValue(), "ключ": vector.StringValue(""),
			},
			Source: json.RawMessage(`{"page":3,"span":[1,2]}`),
		},
		{ID: "child-2", Document: "s3://b/ü", Ordinal: 2, Parent: "parent", Text: "second half", Vector: []float32{0, 1, 0}},
		{ID: "parent", Document: "s3://b/ü", Ordinal: 0, Text: "first half: 첫째 second half"},
	}
}

func (s *suite) roundTrip() {
	x := s.index(s.store)
	s.must(x.Replace(s.Context(), vector.Document{ID: "s3://b/ü", Version: "etag"}, sample()))
	check := func(x vector.Index) {
		s.Helper()
		want := sample()
		got, err := x.Get(s.Context(), []string{"parent", "nobody", "child-1", "child-2"}, true)
		s.must(err)
		if diff := cmp.Diff([]vector.Chunk{want[2], want[0], want[1]}, got, equal); diff != "" {
			s.Errorf("Get (-want +got):\n%s", diff)
		}
		for i := range want {
			want[i].Vector = nil
		}
		got, err = x.Chunks(s.Context(), "s3://b/ü")
		s.must(err)
		if diff := cmp.Diff([]vector.Chunk{want[2], want[0], want[1]}, got, equal); diff != "" {
			s.Errorf("Chunks (-want +got):\n%s", diff)
		}
		hits := s.search(x, vector.Query{Vector: []float32{0.1, -2.5, 3e-3}, K: 10})
		s.want("the parent has no vector and is not found", ids(hits), []string{"child-1", "child-2"})
		if diff := cmp.Diff(want[0], hits[0].Chunk, equal); diff != "" {
			s.Errorf("hit (-want +got):\n%s", diff)
		}
		if math.Abs(hits[0].Similarity-1) > 1e-4 || math.Abs(hits[0].Score-1) > 1e-4 {
			s.Errorf("itself has similarity %v, score %v", hits[0].Similarity, hits[0].Score)
		}
		docs, err := x.Documents(s.Context(), "", "", 10)
		s.must(err)
		if diff := cmp.Diff([]vector.Document{{ID: "s3://b/ü", Version: "etag", Chunks: 3}}, docs); diff != "" {
			s.Error(diff)
		}
		stats, err := x.Stats(s.Context())
		s.must(err)
		if stats.Documents != 1 || stats.Chunks != 3 || stats.Vectors != 2 {
			s.Errorf("stats %+v", stats)
		}
	}
	check(x)
	check(s.index(s.open()))
	if got, err := x.Get(s.Context(), nil, false); err != nil || len(got) != 0 {
		s.Errorf("nothing asked for: %v, %v", got, err)
	}
	if got, err := x.Chunks(s.Context(), "nobody"); err != nil || len(got) != 0 {
		s.Errorf("chunks of nobody: %v, %v", got, err)
	}
}

// equal compares chunks: values by Equal, sources as JSON.
var equal = cmp.Options{
	cmp.Comparer(func(a, b vector.Value) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b json.RawMessage) bool {
		var x, y any
		if len(a) == 0 || len(b) == 0 {
			return len(a) == len(b)
		}
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
	}),
	cmp.Comparer(func(a, b vector.Metadata) bool {
		if len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !v.Equal(w) {
				return false
			}
		}
		return true
	}),
}

func (s *suite) replace() {
	x := s.index(s.store)
	east, north := []float32{1, 0, 0}, []float32{0, 1, 0}
	chunk := func(id string, v []float32) vector.Chunk { return vector.Chunk{ID: id, Text: id, Vector: v} }
	all := func() []string {
		s.Helper()
		return ids(s.search(x, vector.Query{Vector: []float32{1, 0.5, 0}, K: 100}))
	}
	s.put(x, "a", chunk("a1", east), chunk("a2", north))
	s.put(x, "b", chunk("b1", east))
	s.want("two documents", all(), []string{"a1", "b1", "a2"})
	s.put(x, "a", chunk("a1", north), chunk("a3", []float32{1, 0.5, 0}))
	s.want("a is another one", all(), []string{"a3", "b1", "a1"})
	err := x.Replace(s.Context(), vector.Document{ID: "a"}, []vector.Chunk{chunk("b1", north)})
	if !errors.Is(err, vector.ErrInvalid) {
		s.Errorf("a chunk id of another document: %v", err)
	}
	s.want("a refused write changes nothing", all(), []string{"a3", "b1", "a1"})
	s.must(x.Delete(s.Context(), "b", "nobody"))
	s.want("b is gone", all(), []string{"a3", "a1"})
	s.must(x.Delete(s.Context()))
	got, err := x.Get(s.Context(), []string{"a2", "b1", "a1"}, false)
	s.must(err)
	if len(got) != 1 || got[0].ID != "a1" {
		s.Errorf("got %v", got)
	}
	s.put(x, "a")
	s.want("a is empty", all(), nil)
	docs, err := x.Documents(s.Context(), "", "", 10)
	s.must(err)
	if s.caps.EmptyDocuments != (len(docs) == 1) {
		s.Errorf("an empty document is listed as %v", docs)
	}
	s.put(x, "c", chunk("b1", east))
	s.want("an id is free again", all(), []string{"b1"})
	stats, err := x.Stats(s.Context())
	s.must(err)
	if stats.Chunks != 1 || stats.Vectors != 1 {
		s.Errorf("stats %+v", stats)
	}
}

func (s *suite) list() {
	x := s.index(s.store)
	for i, doc := range []string{"s1/a", "s1/b", "s1/c", "s1", "s2/a", "S1/a", "s1/ü"} {
		s.put(x, doc, vector.Chunk{ID: ID("c", i), Text: "t", Vector: []float32{1, 0, 0}})
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"", "", 100, []string{"S1/a", "s1", "s1/a", "s1/b", "s1/c", "s1/ü", "s2/a"}},
		{"s1/", "", 100, []string{"s1/a", "s1/b", "s1/c", "s1/ü"}},
		{"s1/", "", 2, []string{"s1/a", "s1/b"}},
		{"s1/", "s1/b", 2, []string{"s1/c", "s1/ü"}},
		{"", "s1/ü", 2, []string{"s2/a"}},
		{"s3", "", 2, nil},
		{"s1/", "s2", 2, nil},
	} {
		docs, err := x.Documents(s.Context(), c.prefix, c.after, c.limit)
		s.must(err)
		var got []string
		for _, d := range docs {
			got = append(got, d.ID)
		}
		s.want(fmt.Sprintf("%q after %q", c.prefix, c.after), got, c.want)
	}
}

func (s *suite) refusals() {
	x := s.index(s.store)
	good := []float32{1, 0, 0}
	s.put(x, "good", vector.Chunk{ID: "good", Text: "t", Vector: good})
	nan := float32(math.NaN())
	long := strings.Repeat("x", 1025)
	for name, c := range map[string]struct {
		doc    string
		chunks []vector.Chunk
	}{
		"no document id":      {"", nil},
		"long document id":    {long, nil},
		"no chunk id":         {"d", []vector.Chunk{{Vector: good}}},
		"id twice":            {"d", []vector.Chunk{{ID: "x", Vector: good}, {ID: "x", Vector: good}}},
		"dimension":           {"d", []vector.Chunk{{ID: "x", Vector: good[:2]}}},
		"not a number":        {"d", []vector.Chunk{{ID: "x", Vector: []float32{1, nan, 0}}}},
		"infinite":            {"d", []vector.Chunk{{ID: "x", Vector: []float32{1, float32(math.Inf(1)), 0}}}},
		"no direction":        {"d", []vector.Chunk{{ID: "x", Vector: []float32{0, 0, 0}}}},
		"another document":    {"d", []vector.Chunk{{ID: "x", Document: "e", Vector: good}}},
		"source is no JSON":   {"d", []vector.Chunk{{ID: "x", Source: json.RawMessage(`{`), Vector: good}}},
		"attribute of no key": {"d", []vector.Chunk{{ID: "x", Metadata: vector.Metadata{"": vector.BoolValue(true)}, Vector: good}}},
		"attribute of none":   {"d", []vector.Chunk{{ID: "x", Metadata: vector.Metadata{"k": {}}, Vector: good}}},
		"attribute infinite":  {"d", []vector.Chunk{{ID: "x", Metadata: vector.Metadata{"k": vector.NumberValue(math.Inf(-1))}, Vector: good}}},
	} {
		if err := x.Replace(s.Context(), vector.Document{ID: c.doc}, c.chunks); !errors.Is(err, vector.ErrInvalid) {
			s.Errorf("%s: %v", name, err)
		}
	}
	yes := []vector.Value{vector.BoolValue(true)}
	for name, q := range map[string]vector.Query{
		"nothing wanted":     {Vector: good},
		"too much wanted":    {Vector: good, K: vector.MaxResults + 1},
		"dimension":          {Vector: good[:2], K: 1},
		"no vector":          {K: 1},
		"not a number":       {Vector: []float32{nan, 1, 1}, K: 1},
		"mode":               {Vector: good, K: 1, Mode: "MAGIC"},
		"unknown operator":   {Vector: good, K: 1, Filter: &vector.Filter{Op: "like", Key: "k", Values: yes}},
		"no key":             {Vector: good, K: 1, Filter: &vector.Filter{Op: vector.Equals, Values: yes}},
		"truth is no number": {Vector: good, K: 1, Filter: &vector.Filter{Op: vector.LessThan, Key: "k", Values: yes}},
		"a group of one":     {Vector: good, K: 1, Filter: &vector.Filter{Op: vector.AndAll, Of: []vector.Filter{{Op: vector.Equals, Key: "k", Values: yes}}}},
		"weight":             {Vector: good, K: 1, Fusion: vector.Fusion{WordsWeight: 1.5}},
	} {
		if _, err := x.Search(s.Context(), q); !errors.Is(err, vector.ErrInvalid) {
			s.Errorf("%s: %v", name, err)
		}
	}
	if _, err := x.Search(s.Context(), vector.Query{Vector: good, K: 1, Model: "another"}); !errors.Is(err, vector.ErrModel) {
		s.Errorf("embedded by another model: %v", err)
	}
	s.want("all refused, nothing changed", ids(s.search(x, vector.Query{Vector: good, K: 9, Model: s.def.Model})), []string{"good"})
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := x.Search(ctx, vector.Query{Vector: good, K: 1}); err == nil {
		s.Error("a cancelled search answers")
	}
}

func (s *suite) lacks() {
	x := s.index(s.store)
	good := []float32{1, 0, 0}
	for _, op := range vector.Operators() {
		if s.caps.Operators == nil || slices.Contains(s.caps.Operators, op) {
			continue
		}
		f := vector.Filter{Op: op, Key: "k", Values: []vector.Value{vector.StringValue("x")}}
		deep := vector.Filter{Op: vector.OrAll, Of: []vector.Filter{{Op: vector.Equals, Key: "k", Values: f.Values}, f}}
		for _, f := range []*vector.Filter{&f, &deep} {
			_, err := x.Search(s.Context(), vector.Query{Vector: good, K: 1, Filter: f})
			if e, ok := errors.AsType[*vector.UnsupportedError](err); !ok || !strings.Contains(e.Error(), string(op)) || !errors.Is(err, vector.ErrUnsupported) {
				s.Errorf("%s: %v", op, err)
			}
		}
	}
	if _, err := x.Search(s.Context(), vector.Query{Vector: good, K: 1, Text: "x", Mode: vector.Hybrid}); errors.Is(err, vector.ErrUnsupported) == s.caps.Hybrid || s.caps.Hybrid && err != nil {
		s.Errorf("hybrid: %v", err)
	}
}
