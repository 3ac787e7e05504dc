package vector_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
)

func TestMatch(t *testing.T) {
	meta := vector.Metadata{
		"genre": vector.StringValue("entertainment"), "year": vector.NumberValue(2024), "draft": vector.BoolValue(true),
		"animals": vector.ListValue("dog", "cat"), "text": vector.StringValue("2024"), "none": vector.ListValue(),
	}
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`{"equals":{"key":"genre","value":"entertainment"}}`, true},
		{`{"equals":{"key":"genre","value":"Entertainment"}}`, false},
		{`{"equals":{"key":"year","value":2024.0}}`, true},
		{`{"equals":{"key":"year","value":"2024"}}`, false},
		{`{"equals":{"key":"text","value":2024}}`, false},
		{`{"equals":{"key":"draft","value":true}}`, true},
		{`{"equals":{"key":"draft","value":"true"}}`, false},
		{`{"equals":{"key":"draft","value":1}}`, false},
		{`{"equals":{"key":"animals","value":"dog"}}`, false},
		{`{"equals":{"key":"missing","value":""}}`, false},
		{`{"notEquals":{"key":"genre","value":"entertainment"}}`, false},
		{`{"notEquals":{"key":"year","value":"2024"}}`, true},
		{`{"notEquals":{"key":"missing","value":1}}`, true},
		{`{"in":{"key":"genre","value":["cooking","entertainment"]}}`, true},
		{`{"in":{"key":"genre","value":[]}}`, false},
		{`{"in":{"key":"year","value":["x",2024]}}`, true},
		{`{"notIn":{"key":"genre","value":["cooking"]}}`, true},
		{`{"notIn":{"key":"genre","value":["entertainment"]}}`, false},
		{`{"notIn":{"key":"missing","value":["x"]}}`, true},
		{`{"greaterThan":{"key":"year","value":2023.5}}`, true},
		{`{"greaterThan":{"key":"year","value":2024}}`, false},
		{`{"greaterThanOrEquals":{"key":"year","value":2024}}`, true},
		{`{"lessThan":{"key":"year","value":2024}}`, false},
		{`{"lessThanOrEquals":{"key":"year","value":2024}}`, true},
		{`{"lessThan":{"key":"text","value":9999}}`, false},
		{`{"lessThan":{"key":"draft","value":9999}}`, false},
		{`{"lessThan":{"key":"missing","value":9999}}`, false},
		{`{"startsWith":{"key":"genre","value":"enter"}}`, true},
		{`{"startsWith":{"key":"genre","value":""}}`, true},
		{`{"startsWith":{"key":"animals","value":"d"}}`, false},
		{`{"stringContains":{"key":"genre","value":"tain"}}`, true},
		{`{"stringContains":{"key":"animals","value":"at"}}`, true},
		{`{"stringContains":{"key":"none","value":""}}`, false},
		{`{"listContains":{"key":"animals","value":"cat"}}`, true},
		{`{"listContains":{"key":"animals","value":"at"}}`, false},
		{`{"listContains":{"key":"genre","value":"entertainment"}}`, false},
		{`{"andAll":[{"equals":{"key":"genre","value":"entertainment"}},{"greaterThan":{"key":"year","value":2018}}]}`, true},
		{`{"andAll":[{"equals":{"key":"genre","value":"x"}},{"greaterThan":{"key":"year","value":2018}}]}`, false},
		{`{"orAll":[{"andAll":[{"equals":{"key":"genre","value":"x"}},{"greaterThan":{"key":"year","value":2018}}]},{"startsWith":{"key":"text","value":"20"}}]}`, true},
	} {
		var f vector.Filter
		if err := json.Unmarshal([]byte(c.filter), &f); err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		if got := f.Match(meta); got != c.want {
			t.Errorf("%s matches: %v", c.filter, got)
		}
		text, err := json.Marshal(f)
		if err != nil || strings.ReplaceAll(c.filter, ".0", "") != string(text) {
			t.Errorf("%s is written as %s, %v", c.filter, text, err)
		}
	}
}

func TestFiltersThatAreNone(t *testing.T) {
	deep := strings.Repeat(`{"andAll":[{"equals":{"key":"k","value":1}},`, 20) + `{"equals":{"key":"k","value":1}}` + strings.Repeat("]}", 20)
	wide := `{"orAll":[` + strings.Repeat(`{"equals":{"key":"k","value":1}},`, 1000) + `{"equals":{"key":"k","value":1}}]}`
	for _, text := range []string{
		`{}`, `[]`, `null`, `1`, `{"equals":null}`, `{"equals":{"key":"k"}}`, `{"equals":{"value":1}}`, `{"equals":{"key":"","value":1}}`,
		`{"equals":{"key":"k","value":null}}`, `{"equals":{"key":"k","value":["a"]}}`, `{"equals":{"key":"k","value":{"a":1}}}`,
		`{"equals":{"key":"k","value":1,"more":2}}`, `{"equals":{"key":"a","value":1},"notEquals":{"key":"b","value":1}}`,
		`{"greaterThanOrEqualTo":{"key":"k","value":1}}`, `{"greaterThan":{"key":"k","value":"1"}}`, `{"greaterThan":{"key":"k","value":true}}`,
		`{"in":{"key":"k","value":"a"}}`, `{"in":{"key":"k","value":[["a"]]}}`, `{"in":{"key":"k","value":[null]}}`, `{"startsWith":{"key":"k","value":1}}`,
		`{"listContains":{"key":"k","value":["a"]}}`, `{"andAll":[{"equals":{"key":"k","value":1}}]}`, `{"andAll":{}}`, `{"andAll":[]}`,
		`{"equals":{"key":"k","value":1e999}}`, deep, wide,
	} {
		var f vector.Filter
		if err := json.Unmarshal([]byte(text), &f); !errors.Is(err, vector.ErrInvalid) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

func TestValuesInJSON(t *testing.T) {
	for _, text := range []string{`"x"`, `""`, `-1.5`, `true`, `false`, `["a","b"]`, `[]`, `"<&>"`} {
		var v vector.Value
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		out, err := v.MarshalJSON()
		if err != nil || string(out) != text {
			t.Errorf("%s is written as %s, %v", text, out, err)
		}
	}
	for _, x := range []any{nil, map[string]any{}, []any{1.0}, struct{}{}, json.Number("x")} {
		if v, err := vector.ValueOf(x); !errors.Is(err, vector.ErrInvalid) {
			t.Errorf("%v became %v, %v", x, v, err)
		}
	}
	if diff := cmp.Diff([]any{"a"}, vector.ListValue("a").Any()); diff != "" {
		t.Error(diff)
	}
}

// FuzzFilter: what parses passes Check, is evaluated without a panic, and survives
// being written and read.
func FuzzFilter(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		filter := vectortest.Filter(random, vector.Operators(), 3)
		text, err := json.Marshal(filter)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"equals":{"key":"k","value":1e400}}`))
	f.Add([]byte(`{"in":{"key":"\ud800","value":["\u0000"]}}`))
	metas := make([]vector.Metadata, 20)
	for i := range metas {
		metas[i] = vectortest.Attributes(random)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var a, b vector.Filter
		if json.Unmarshal(text, &a) != nil {
			return
		}
		if err := a.Check(); err != nil {
			t.Fatalf("parsed, but %v", err)
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &b); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		for _, m := range metas {
			if a.Match(m) != b.Match(m) {
				t.Fatalf("%s and %s differ on %v", text, out, m)
			}
		}
	})
}
