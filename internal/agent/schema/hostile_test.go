package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Each of these fills a document of the greatest size, or grows beyond it, and is
// answered without much work.
func TestHostileDocumentsAreRefused(t *testing.T) {
	full := func(s string) string { return strings.Repeat(s, MaxDocument/len(s)) }
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	steps := ""
	for i := range 400 {
		steps += strings.Repeat(" ", i) + "k:\n"
	}
	grown := `"S30":{"type":"string"}`
	for i := range 30 {
		grown += fmt.Sprintf(`,"S%d":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/S%d"},"b":{"$ref":"#/components/schemas/S%d"}}}`, i, i+1, i+1)
	}
	for name, c := range map[string]struct{ doc, want string }{
		"too large":           {strings.Repeat(" ", MaxDocument+1), "longer than"},
		"deep json lists":     {`{"a":` + full("[")[:MaxDocument-9], "nested more than"},
		"deep json objects":   {full(`{"a":`), "nested more than"},
		"deep yaml lists":     {full("["), "nested more than"},
		"deep yaml mappings":  {"a: " + full("{a: ")[:MaxDocument-9], "nested more than"},
		"deep yaml entries":   {full("- "), "nested more than"},
		"deep yaml keys":      {full("? "), "nested more than"},
		"deep yaml steps":     {steps, "nested more than"},
		"anchors":             {full("&a "), ""},
		"tags":                {full("!a "), ""},
		"colons":              {full("a: "), ""},
		"colons in flow":      {"[" + full("a: ")[:MaxDocument-9], "comma is missing"},
		"quotes":              {full(`"a" `), ""},
		"comments":            {full("# a\n"), ""},
		"long lines of a key": {full("a: b\n"), ""},
		"long keys":           {strings.Repeat("k", MaxDocument/2) + ":\n" + strings.Repeat(" - b\n", MaxDocument/12), "keys of the document are too long"},
		"aliases":             {laughs, "values"},
		"alias in its anchor": {"a: &a [*a]\n", "nested more than"},
		"growing references":  {operation("/x", "post", body(`{"properties":{"a":{"$ref":"#/components/schemas/S0"}}}`), components(grown)), "when references are written out"},
		"many json values":    {`{"a":[` + strings.Repeat("1,", maxValues) + "1]}", "values"},
		"literal":             {"a: |\n" + strings.Repeat("  x\n", MaxDocument/4-10), ""},
		"plain over lines":    {"a: b\n" + strings.Repeat("  x\n", MaxDocument/4-10), ""},
		"unclosed quote":      {"a: \"" + strings.Repeat("x\n", MaxDocument/2-10), ""},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := OpenAPI("g", []byte(c.doc))
			took := time.Since(start)
			if apierr.KindOf(err) != apierr.Validation || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v", err)
			}
			if took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			t.Logf("%s", took)
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var w strings.Builder
	w.WriteString(`{"openapi":"3.0.0","paths":{`)
	for i := range 5000 {
		fmt.Fprintf(&w, `"p%d%s":7,`, i, strings.Repeat("x", i%300))
	}
	w.WriteString(`"q":7}}`)
	_, err := OpenAPI("g\n", []byte(w.String()))
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || len(e.Message) > 100_000 || !strings.Contains(e.Message, ", and more]") || strings.ContainsAny(e.Message, "\n") {
		t.Errorf("got %d bytes: %.200s", len(e.Message), e.Message)
	}
}

func FuzzOpenAPI(f *testing.F) {
	f.Add(insurance(f))
	for _, s := range []string{
		`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{"200":{"content":{"a/b":{"schema":{"items":{}}}}}}}}}}`,
		operation("/x/{id}", "post", `,"parameters":[{"name":"id","in":"path","description":"d","schema":{"oneOf":[{"type":"string"},{"type":"null"}]}}]`+body(`{"$ref":"#/components/schemas/A"}`),
			components(`"A":{"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":1,"exclusiveMinimum":true}}},{"required":["a"]}]}`)),
		"openapi: 3.0.0\nx: &a {b: [*a, !!str 1, |\n  x\n]}\npaths: {<<: *a}\n",
		"? a\n: - b\n  - ? c\n", "&a &b !c *d", "%YAML 1.2\n---\na: b\n...\n", "a: >-\n  x\n  y\n", "[a: b, ? c : d]", "- - - [{", "'", "\"\\x", "*a : b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := OpenAPI("g", doc)
		if err != nil {
			if k := apierr.KindOf(err); k != apierr.Validation && k != apierr.ServiceQuotaExceeded || got != nil {
				t.Fatalf("got %v, %v", got, err)
			}
			return
		}
		if len(got) == 0 || len(got) > MaxOperations {
			t.Fatalf("%d actions", len(got))
		}
		for i := range got {
			a := &got[i]
			if a.Path == "" || a.Verb == "" || a.Description == "" || (len(a.Body) == 0) != (a.MediaType == "") {
				t.Fatalf("got %+v", a)
			}
			for _, p := range append(a.Parameters, a.Body...) {
				if !kinds[p.Type] || p.Schema != nil && !json.Valid(p.Schema) {
					t.Fatalf("got %+v", p)
				}
			}
		}
		again, err := OpenAPI("g", doc)
		if err != nil {
			t.Fatal(err)
		}
		one, _ := json.Marshal(got)
		two, _ := json.Marshal(again)
		if !bytes.Equal(one, two) {
			t.Fatalf("%s\n%s", one, two)
		}
	})
}

func BenchmarkInsurance(b *testing.B) {
	doc := insurance(b)
	v, err := readYAML(doc, &problems{})
	if err != nil {
		b.Fatal(err)
	}
	same, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	for name, doc := range map[string][]byte{"yaml": doc, "json": same} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := OpenAPI("claims", doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
