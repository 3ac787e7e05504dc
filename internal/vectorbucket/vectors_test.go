package vectorbucket_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

func TestVectorsComeBackAsTheyWere(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	h.index(func(x *vectorbucket.NewIndex) { x.NonFilterable = []string{"text"} })
	a := vec("a", `{"s":"x","n":1.50,"b":true,"l":["p","q"],"m":[1,"p",true],"e":[],"text":"`+strings.Repeat("t", 5000)+`"}`, 0.1, -3e30, 7)
	b := vec("키/é", "", 1e-30, 2, 3)
	h.put(a, b, vec("c", "{}", 1, 1, 1))
	got, err := h.Get(ctx, admin, refX, []string{"키/é", "nowhere", "a"}, true, true)
	if diff := gocmp.Diff([]vectorbucket.Vector{b, a}, got); err != nil || diff != "" {
		t.Error(diff, err)
	}
	got, err = h.Get(ctx, admin, refX, []string{"a"}, false, false)
	if diff := gocmp.Diff([]vectorbucket.Vector{{Key: "a"}}, got); err != nil || diff != "" {
		t.Error(diff, err)
	}
	// A second put replaces, the last of two with one key stays.
	h.put(vec("a", `{"v":1}`, 1, 0, 0), vec("a", `{"v":2}`, 0, 1, 0))
	got, err = h.Get(ctx, admin, refX, []string{"a"}, true, true)
	if diff := gocmp.Diff([]vectorbucket.Vector{vec("a", `{"v":2}`, 0, 1, 0)}, got); err != nil || diff != "" {
		t.Error(diff, err)
	}
	h.check(h.Delete(ctx, admin, refX, []string{"a", "nowhere"}))
	list, _, err := h.List(ctx, admin, refX, vectorbucket.ListVectors{})
	if keysOf(list) != "c 키/é" {
		t.Error(list, err)
	}
}

func TestBadVectorsAreRefusedWhole(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	h.index(func(x *vectorbucket.NewIndex) { x.NonFilterable = []string{"text"} })
	inf := float32(math.Inf(1))
	many := map[string]int{}
	for i := range 51 {
		many[numbered(i)] = i
	}
	tooMany, _ := json.Marshal(many)
	for what, c := range map[string]struct {
		v    vectorbucket.Vector
		text string
	}{
		"too short":                        {vec("k", "", 1, 2), "Invalid record for key 'k': vector must have length 3, but has length 2"},
		"not finite":                       {vec("k", "", 1, 2, inf), ""},
		"zero":                             {vec("k", "", 0, 0, 0), ""},
		"no key":                           {vec("", "", 1, 2, 3), ""},
		"a long key":                       {vec(strings.Repeat("k", 1025), "", 1, 2, 3), ""},
		"a list":                           {vec("k", `[1]`, 1, 2, 3), ""},
		"null in it":                       {vec("k", `{"a":null}`, 1, 2, 3), ""},
		"an object":                        {vec("k", `{"a":{"b":1}}`, 1, 2, 3), ""},
		"a list within":                    {vec("k", `{"a":[[1]]}`, 1, 2, 3), ""},
		"an object, not to be filtered by": {vec("k", `{"text":{"b":1}}`, 1, 2, 3), ""},
		"too great a number":               {vec("k", `{"a":1e999}`, 1, 2, 3), ""},
		"an empty name":                    {vec("k", `{"":1}`, 1, 2, 3), ""},
		"too many keys":                    {vec("k", string(tooMany), 1, 2, 3), ""},
		"too much to filter by":            {vec("k", `{"a":"`+strings.Repeat("a", 2100)+`"}`, 1, 2, 3), "Invalid record for key 'k': Filterable metadata must have at most 2048 bytes"},
		"too much":                         {vec("k", `{"text":"`+strings.Repeat("a", 41000)+`"}`, 1, 2, 3), ""},
		"a NUL":                            {vec("k", `{"a":"\u0000"}`, 1, 2, 3), ""},
	} {
		want(t, what, h.Put(ctx, admin, refX, []vectorbucket.Vector{vec("good", "", 1, 0, 0), c.v}), apierr.Validation, c.text)
	}
	if list, _, err := h.List(ctx, admin, refX, vectorbucket.ListVectors{}); err != nil || len(list) != 0 {
		t.Errorf("something was written: %v, %v", list, err)
	}
	for what, q := range map[string]vectorbucket.Question{
		"no vector":      {TopK: 1},
		"too short":      {TopK: 1, Vector: []float32{1}},
		"zero":           {TopK: 1, Vector: []float32{0, 0, 0}},
		"not finite":     {TopK: 1, Vector: []float32{inf, 0, 0}},
		"none wanted":    {TopK: 0, Vector: []float32{1, 0, 0}},
		"too many":       {TopK: 101, Vector: []float32{1, 0, 0}},
		"a filter":       {TopK: 1, Vector: []float32{1, 0, 0}, Filter: []byte(`{"a":{"$near":1}}`)},
		"a key's filter": {TopK: 1, Vector: []float32{1, 0, 0}, Filter: []byte(`{"text":"x"}`)},
	} {
		_, _, err := h.Query(ctx, admin, refX, q)
		want(t, what, err, apierr.Validation, "")
	}
}

func TestQueriesFindTheNearest(t *testing.T) {
	for _, m := range []vector.Metric{vector.Cosine, vector.Euclidean} {
		t.Run(string(m), func(t *testing.T) {
			h, ctx := open(t, t.TempDir(), nil), t.Context()
			h.index(func(x *vectorbucket.NewIndex) { x.Dimension, x.Metric = 16, m })
			r := rand.New(rand.NewPCG(1, 2))
			draw := func() []float32 {
				v := make([]float32, 16)
				for i := range v {
					v[i] = float32(r.NormFloat64() * 3)
				}
				return v
			}
			var all []vectorbucket.Vector
			for i := range 300 {
				all = append(all, vec(numbered(i), fmt.Sprintf(`{"even":%t}`, i%2 == 0), draw()...))
			}
			h.put(all...)
			for range 10 {
				q := draw()
				type near struct {
					key string
					d   float64
				}
				var exact []near
				for i, v := range all {
					if i%2 == 0 {
						exact = append(exact, near{v.Key, plainDistance(m, q, v.Data)})
					}
				}
				slices.SortFunc(exact, func(a, b near) int { return cmp.Compare(a.d, b.d) })
				got, metric, err := h.Query(ctx, h.admin(), refX, vectorbucket.Question{Vector: q, TopK: 10, Filter: []byte(`{"even":true}`), Metadata: true, Distance: true})
				h.check(err)
				if metric != m || len(got) != 10 {
					t.Fatal(metric, len(got))
				}
				for i, v := range got {
					if v.Key != exact[i].key || math.Abs(*v.Distance-exact[i].d) > 1e-9 || string(v.Metadata) != `{"even":true}` {
						t.Fatalf("place %d: %s at %v %s, want %s at %v", i, v.Key, *v.Distance, v.Metadata, exact[i].key, exact[i].d)
					}
				}
			}
			self, _, err := h.Query(ctx, h.admin(), refX, vectorbucket.Question{Vector: all[7].Data, TopK: 1})
			if err != nil || self[0].Key != all[7].Key || self[0].Distance != nil || self[0].Metadata != nil {
				t.Error(self, err)
			}
		})
	}
}

func plainDistance(m vector.Metric, a, b []float32) float64 {
	var ab, aa, bb, dd float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
		dd += (x - y) * (x - y)
	}
	if m == vector.Euclidean {
		return math.Sqrt(dd)
	}
	return 1 - ab/(math.Sqrt(aa)*math.Sqrt(bb))
}

// fill puts vectors of programs and documents of a knowledge base into the index, and
// answers all keys.
func fill(t *testing.T, h *house) []string {
	t.Helper()
	var keys []string
	for i := range 20 {
		h.put(vec(numbered(i), `{"n":1}`, 1, float32(i), 0))
		keys = append(keys, numbered(i))
	}
	x, err := h.Open(t.Context(), h.admin(), refX)
	h.check(err)
	defer x.Close()
	for d := range 3 {
		var chunks []vector.Chunk
		id := fmt.Sprintf("k001%d/doc", d) // between the others
		chunks = append(chunks, vector.Chunk{ID: id + "-parent", Text: "parent"})
		for c := range 4 {
			key := fmt.Sprintf("%s-%d", id, c)
			chunks = append(chunks, vector.Chunk{ID: key, Ordinal: c + 1, Text: "text " + key, Vector: []float32{1, 1, float32(c)}, Parent: id + "-parent",
				Metadata: vector.Metadata{"year": vector.NumberValue(2024), "x-amz-bedrock-kb-source-uri": vector.StringValue("s3://files/" + id)},
				Source:   json.RawMessage(`{"page":3}`)})
			keys = append(keys, key)
		}
		h.check(x.Replace(t.Context(), vector.Document{ID: id, Version: "v1"}, chunks))
	}
	h.check(x.Replace(t.Context(), vector.Document{ID: "kempty"}, nil))
	slices.Sort(keys)
	return keys
}

func TestListsHoldEachVectorOnce(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	h.index(nil)
	keys := fill(t, h)
	for _, segments := range []int{0, 1, 3, 16} {
		for _, limit := range []int{0, 1, 2, 3, 7, 1000} {
			var got []string
			for s := range max(segments, 1) {
				in := vectorbucket.ListVectors{Limit: limit, Segments: segments, Segment: s, Data: limit == 3, Metadata: limit == 3}
				for {
					page, next, err := h.List(ctx, admin, refX, in)
					h.check(err)
					if limit > 0 && len(page) > limit {
						t.Errorf("a page of %d", len(page))
					}
					for _, v := range page {
						got = append(got, v.Key)
						if (v.Data != nil) != in.Data || (v.Metadata != nil) != in.Metadata {
							t.Errorf("%+v", v)
						}
					}
					if in.Token = next; next == "" {
						break
					}
				}
			}
			if slices.Sort(got); !slices.Equal(got, keys) {
				t.Errorf("%d segments by %d: %v", segments, limit, got)
			}
		}
	}
	_, _, err := h.List(ctx, admin, refX, vectorbucket.ListVectors{Segments: 2, Segment: 2})
	want(t, "a segment", err, apierr.Validation, "")
	_, _, err = h.List(ctx, admin, refX, vectorbucket.ListVectors{Token: "?"})
	want(t, "a token", err, apierr.Validation, "Invalid next token")
	// Large vectors end a page before its limit does.
	h.index(func(x *vectorbucket.NewIndex) { x.Name, x.Dimension = "wide", 4096 })
	wide := vectorbucket.Ref{Bucket: "bbb", Index: "wide"}
	var vectors []vectorbucket.Vector
	for i := range 80 {
		v := make([]float32, 4096)
		v[i] = 1
		vectors = append(vectors, vec(numbered(i), "", v...))
	}
	h.check(h.Put(ctx, admin, wide, vectors))
	page, next, err := h.List(ctx, admin, wide, vectorbucket.ListVectors{Data: true})
	if err != nil || next == "" || len(page) < 60 || len(page) > 70 {
		t.Error(len(page), next, err)
	}
	rest, next, err := h.List(ctx, admin, wide, vectorbucket.ListVectors{Data: true, Token: next})
	if err != nil || next != "" || len(page)+len(rest) != 80 {
		t.Error(len(rest), next, err)
	}
}

func TestChunksOfAKnowledgeBaseAreVectors(t *testing.T) {
	h, ctx := open(t, t.TempDir(), nil), t.Context()
	admin := h.admin()
	h.index(func(x *vectorbucket.NewIndex) {
		x.NonFilterable = []string{vectorbucket.TextKey, vectorbucket.MetadataKey}
	})
	fill(t, h)
	got, err := h.Get(ctx, admin, refX, []string{"k0010/doc-2", "k0010/doc-parent"}, true, true)
	h.check(err)
	if len(got) != 1 || !slices.Equal(got[0].Data, []float32{1, 1, 2}) {
		t.Fatalf("%+v", got)
	}
	var m map[string]any
	h.check(json.Unmarshal(got[0].Metadata, &m))
	if diff := gocmp.Diff(map[string]any{
		"year": 2024.0, "x-amz-bedrock-kb-source-uri": "s3://files/k0010/doc", "AMAZON_BEDROCK_TEXT": "text k0010/doc-2",
		"AMAZON_BEDROCK_METADATA": `{"page":3,"source":"s3://files/k0010/doc"}`,
	}, m); diff != "" {
		t.Error(diff)
	}
	found, _, err := h.Query(ctx, admin, refX, vectorbucket.Question{Vector: []float32{1, 1, 3}, TopK: 2, Filter: []byte(`{"year":{"$gt":2000}}`), Metadata: true})
	if err != nil || !strings.HasSuffix(found[0].Key, "/doc-3") || !strings.Contains(string(found[0].Metadata), "AMAZON_BEDROCK_TEXT") {
		t.Errorf("%+v, %v", found, err)
	}
	// Its keys belong to it; one can be deleted.
	want(t, "put over a chunk", h.Put(ctx, admin, refX, []vectorbucket.Vector{vec("k0010/doc-2", "", 1, 0, 0)}), apierr.Validation, "")
	h.check(h.Delete(ctx, admin, refX, []string{"k0010/doc-2", "k0003"}))
	x, err := h.Open(ctx, admin, refX)
	h.check(err)
	defer x.Close()
	chunks, err := x.Chunks(ctx, "k0010/doc")
	if err != nil || len(chunks) != 4 {
		t.Errorf("%d chunks, %v", len(chunks), err)
	}
	if docs, err := x.Documents(ctx, "k0010/doc", "", 5); err != nil || len(docs) != 1 || docs[0].Version != "v1" {
		t.Error(docs, err)
	}
	hits, err := x.Search(ctx, vector.Query{Vector: []float32{1, 1, 2}, K: 100, Filter: &vector.Filter{Op: vector.Equals, Key: "year", Values: []vector.Value{vector.NumberValue(2024)}}})
	if err != nil || len(hits) != 11 {
		t.Error(len(hits), err)
	}
	// What AWS's store lacks is refused.
	lacks := []vector.Query{
		{Vector: []float32{1, 1, 2}, K: 1, Mode: vector.Hybrid, Text: "x"},
		{Vector: []float32{1, 1, 2}, K: 1, Filter: &vector.Filter{Op: vector.StartsWith, Key: "a", Values: []vector.Value{vector.StringValue("x")}}},
		{Vector: []float32{1, 1, 2}, K: 1, Filter: &vector.Filter{Op: vector.Equals, Key: vectorbucket.TextKey, Values: []vector.Value{vector.StringValue("x")}}},
	}
	for _, q := range lacks {
		if _, err := x.Search(ctx, q); err == nil {
			t.Errorf("%+v is not refused", q)
		}
	}
	// What a program wrote in Bedrock's form is a chunk to the knowledge base.
	h.put(vec("theirs", `{"AMAZON_BEDROCK_TEXT":"hello","AMAZON_BEDROCK_METADATA":"{\"source\":\"s3://f/g\"}","mixed":[1,"a"],"y":1}`, 0, 0, 1))
	own, err := x.Get(ctx, []string{"theirs"}, false)
	if diff := gocmp.Diff([]vector.Chunk{{ID: "theirs", Document: "theirs", Text: "hello", Source: json.RawMessage(`{"source":"s3://f/g"}`), Metadata: vector.Metadata{"y": vector.NumberValue(1)}}},
		own, gocmp.Comparer(vector.Value.Equal)); err != nil || diff != "" {
		t.Error(diff, err)
	}
	// A handle on an index that is gone says so.
	h.check(h.DeleteIndex(ctx, admin, refX))
	if _, err := x.Search(ctx, vector.Query{Vector: []float32{1, 1, 2}, K: 1}); apierr.KindOf(err) != vectorbucket.NotFound {
		t.Error(err)
	}
	h.index(nil)
	if err := x.Replace(ctx, vector.Document{ID: "d"}, nil); apierr.KindOf(err) != vectorbucket.NotFound {
		t.Error("written to an index of the same name:", err)
	}
}

func BenchmarkQuery(b *testing.B) {
	h := open(b, b.TempDir(), nil)
	h.index(func(x *vectorbucket.NewIndex) { x.Dimension = 256 })
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() []float32 {
		v := make([]float32, 256)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	for base := range 10 {
		var vectors []vectorbucket.Vector
		for i := range 500 {
			vectors = append(vectors, vec(numbered(base*500+i), `{"genre":"drama","year":2020}`, draw()...))
		}
		h.put(vectors...)
	}
	q := vectorbucket.Question{Vector: draw(), TopK: 10, Filter: []byte(`{"year":{"$gte":2000}}`), Metadata: true, Distance: true}
	for b.Loop() {
		if _, _, err := h.Query(b.Context(), h.admin(), refX, q); err != nil {
			b.Fatal(err)
		}
	}
}
