package constrain

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// corpus holds schemas as they come from JSON Schema, Pydantic, Bedrock function
// schemas and OpenAPI, with values that their grammar must and must not allow.
// Strings in no are left out where the grammar is looser on purpose.
var corpus = []struct {
	name, schema string
	yes, no      []string
}{
	{"string", `{"type":"string"}`, []string{`"a"`, `"é\n\u00e9"`, `""`}, []string{`1`, `"a`, "\"\n\""}},
	{"length", `{"type":"string","minLength":2,"maxLength":3}`, []string{`"ab"`, `"abc"`, `"\"\""`}, []string{`"a"`, `"abcd"`}},
	{"length open", `{"type":"string","minLength":3}`, []string{`"abc"`, `"abcdef"`}, []string{`"ab"`}},
	{"length absurd", `{"type":"string","maxLength":100000}`, []string{`"ab"`}, []string{`1`}},
	{"integer", `{"type":"integer"}`, []string{`0`, `-12`, `123456789`}, []string{`01`, `1.5`, `"1"`}},
	{"integer range", `{"type":"integer","minimum":7,"maximum":1234}`, []string{`7`, `10`, `99`, `100`, `999`, `1000`, `1234`}, []string{`6`, `0`, `1235`, `2000`, `-7`, `07`}},
	{"integer negative range", `{"type":"integer","minimum":-20,"maximum":-3}`, []string{`-3`, `-9`, `-20`}, []string{`-2`, `-21`, `3`, `0`}},
	{"integer across zero", `{"type":"integer","minimum":-5,"exclusiveMaximum":3}`, []string{`-5`, `0`, `2`}, []string{`-6`, `3`}},
	{"integer from", `{"type":"integer","exclusiveMinimum":0}`, []string{`1`, `10`, `4000000`}, []string{`0`, `-1`}},
	{"integer up to", `{"type":"integer","maximum":10}`, []string{`10`, `0`, `-999`}, []string{`11`}},
	{"integer below", `{"type":"integer","maximum":-10}`, []string{`-10`, `-11`, `-999`}, []string{`-9`, `0`, `5`}},
	{"exclusive openapi 3.0", `{"type":"integer","minimum":1,"exclusiveMinimum":true,"maximum":4}`, []string{`2`, `4`}, []string{`1`, `5`}},
	{"number", `{"type":"number"}`, []string{`1`, `-1.5`, `2e10`, `0.25`}, []string{`.5`, `1.`, `+1`}},
	{"number from zero", `{"type":"number","minimum":0}`, []string{`0.5`, `12`}, []string{`-1`}},
	{"boolean", `{"type":"boolean"}`, []string{`true`, `false`}, []string{`True`, `null`}},
	{"null", `{"type":"null"}`, []string{`null`}, []string{`0`}},
	{"enum", `{"enum":["a","b\"c",3,null,{"k":[1]}]}`, []string{`"a"`, `"b\"c"`, `3`, `null`, `{"k": [1]}`}, []string{`"c"`, `4`}},
	{"enum of a type", `{"type":"string","enum":["on","off",1]}`, []string{`"on"`}, []string{`1`}},
	{"const", `{"const":"x-ray"}`, []string{`"x-ray"`}, []string{`"x"`}},
	{"types", `{"type":["string","null","integer"]}`, []string{`"a"`, `null`, `4`}, []string{`true`}},
	{"nullable", `{"type":"string","nullable":true}`, []string{`"a"`, `null`}, []string{`4`}},
	{"object", `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a","b"]}`,
		[]string{`{"a":"x","b":1}`, `{"a": "x", "b": 1}`, "{\n  \"a\": \"x\",\n  \"b\": 1\n}"}, []string{`{"b":1,"a":"x"}`, `{"a":"x"}`, `{}`, `{"a":"x","b":1,"c":2}`, `{"a":"x","b":1,}`}},
	{"optional", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"integer"},"d":{"type":"integer"}},"required":["b"]}`,
		[]string{`{"b":1}`, `{"a":1,"b":1}`, `{"b":1,"d":1}`, `{"a":1,"b":1,"c":1,"d":1}`, `{"b":1,"c":2}`}, []string{`{}`, `{"a":1}`, `{,"b":1}`, `{"b":1,}`, `{"d":1,"b":1}`}},
	{"all optional", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}`,
		[]string{`{}`, `{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`}, []string{`{"a":1 "b":1}`, `{,}`}},
	{"nested", `{"type":"object","properties":{"o":{"type":"object","properties":{"i":{"type":"array","items":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}}},"required":["i"]}},"required":["o"]}`,
		[]string{`{"o":{"i":[]}}`, `{"o": {"i": [{"x": 1}, {"x": 2.5}]}}`}, []string{`{"o":{"i":[{}]}}`, `{"o":{}}`}},
	{"array bounds", `{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}`, []string{`[1,2]`, `[1, 2, 3]`}, []string{`[1]`, `[]`, `[1,2,3,4]`}},
	{"array from", `{"type":"array","items":{"type":"integer"},"minItems":1}`, []string{`[1]`, `[1,2,3,4]`}, []string{`[]`}},
	{"array up to", `{"type":"array","items":{"type":"integer"},"maxItems":1}`, []string{`[]`, `[1]`}, []string{`[1,2]`}},
	{"array untyped", `{"type":"array","maxItems":2}`, []string{`[]`, `["a",{}]`}, []string{`[1,2,3]`}},
	{"tuple", `{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}`, []string{`["a", 1]`}, []string{`[1,"a"]`, `["a"]`}},
	{"tuple draft 7", `{"items":[{"type":"string"},{"type":"boolean"}]}`, []string{`["a",true]`}, []string{`["a"]`}},
	{"free object", `{"type":"object"}`, []string{`{}`, `{"a":[1,{"b":null}]}`}, []string{`[]`}},
	{"map", `{"type":"object","additionalProperties":{"type":"integer"}}`, []string{`{}`, `{"x":1,"y":2}`}, []string{`{"x":"a"}`}},
	{"closed", `{"type":"object","additionalProperties":false}`, []string{`{}`}, []string{`{"a":1}`}},
	{"open beside names", `{"type":"object","properties":{"id":{"type":"integer"},"ids":{"type":"string"}},"required":["id"],"additionalProperties":{"type":"boolean"}}`,
		[]string{`{"id":1}`, `{"id":1,"ids":"a"}`, `{"id":1,"idx":true}`, `{"id":1,"i":true,"":false,"other":true}`}, []string{`{"id":1,"x":2}`, `{"id":1,"id":true}`, `{"x":true}`}},
	{"pattern keys", `{"type":"object","patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}`, []string{`{"x-a":"b"}`}, []string{`{"x-a":1}`}},
	{"required without property", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a","z"]}`, []string{`{"a":"b","z":[1]}`}, []string{`{"a":"b"}`}},
	{"anyOf", `{"anyOf":[{"type":"string"},{"type":"object","properties":{"k":{"type":"integer"}},"required":["k"]}]}`, []string{`"a"`, `{"k":1}`}, []string{`1`}},
	{"oneOf with base", `{"type":"object","properties":{"kind":{"type":"string"}},"required":["kind"],"oneOf":[{"properties":{"kind":{"const":"a"},"n":{"type":"integer"}},"required":["n"]},{"properties":{"kind":{"const":"b"}}}]}`,
		[]string{`{"kind":"a","n":1}`, `{"kind":"b"}`}, []string{`{"kind":"a"}`, `{"kind":"c"}`}},
	{"anyOf required", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`,
		[]string{`{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`}, []string{`{}`}},
	{"pydantic optional", `{"properties":{"limit":{"anyOf":[{"type":"integer"},{"type":"null"}],"default":null,"title":"Limit"}},"title":"Args","type":"object"}`, []string{`{}`, `{"limit":3}`, `{"limit":null}`}, []string{`{"limit":"3"}`}},
	{"allOf", `{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"integer"}},"required":["b"]}]}`, []string{`{"a":1,"b":2}`}, []string{`{"a":1}`, `{"b":2}`}},
	{"defs", `{"type":"object","properties":{"from":{"$ref":"#/$defs/P"},"to":{"$ref":"#/$defs/P"}},"required":["from","to"],"$defs":{"P":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}}}`,
		[]string{`{"from":{"x":1},"to":{"x":2}}`}, []string{`{"from":1,"to":{"x":2}}`}},
	{"recursive", `{"$ref":"#/$defs/T","$defs":{"T":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/T"}}},"required":["v"]}}}`,
		[]string{`{"v":1}`, `{"v":1,"kids":[{"v":2,"kids":[{"v":3}]}]}`}, []string{`{"v":1,"kids":[1]}`}},
	{"ref with siblings", `{"type":"object","properties":{"p":{"$ref":"#/definitions/P","required":["y"],"description":"d"}},"required":["p"],"definitions":{"P":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"integer"}},"required":["x"]}}}`,
		[]string{`{"p":{"x":1,"y":2}}`}, []string{`{"p":{"x":1}}`}},
	{"self alone", `{"$ref":"#"}`, []string{`1`, `{"a":1}`}, nil},
	{"mutual recursion", `{"anyOf":[{"$ref":"#/$defs/A"}],"$defs":{"A":{"anyOf":[{"type":"object","properties":{"x":{"$ref":"#/$defs/B"}},"required":["x"]},{"$ref":"#/$defs/B"}]},"B":{"anyOf":[{"$ref":"#/$defs/A"},{"type":"null"}]}}}`, []string{`null`, `{"x":null}`}, nil},
	{"allOf of itself", `{"allOf":[{"$ref":"#"},{"type":"object"}]}`, []string{`{}`}, []string{`1`}},
	{"broken ref", `{"$ref":"http://example.com/x.json"}`, []string{`1`}, nil},
	{"openapi component", `{"$ref":"#/components/schemas/Pet","components":{"schemas":{"Pet":{"type":"object","required":["name"],"properties":{"name":{"type":"string","example":"Rex"},"age":{"type":"integer","format":"int32","minimum":0}}}}}}`,
		[]string{`{"name":"Rex","age":3}`, `{"name":"Rex"}`}, []string{`{"name":"Rex","age":-3}`}},
	{"pattern anchored", `{"type":"string","pattern":"^[A-Z]{3}-\\d{2,4}$"}`, []string{`"ABC-12"`, `"ABC-1234"`}, []string{`"AB-12"`, `"ABC-1"`, `"xABC-12"`}},
	{"pattern free", `{"type":"string","pattern":"foo|ba+r"}`, []string{`"a foo b"`, `"baaar"`}, []string{`"fo"`}},
	{"pattern specials", `{"type":"string","pattern":"^(\\\\|\"|[^a-z])x?$"}`, []string{`"\\x"`, `"\""`, `"Q"`, `"\n"`, `"é"`}, []string{`"a"`}},
	{"pattern impossible", `{"type":"string","pattern":"^(?!x).*$"}`, []string{`"x"`}, []string{`1`}},
	{"pattern folded", `{"type":"string","pattern":"^(?i)ok$"}`, []string{`"OK"`, `"ok"`, `"Ok"`}, []string{`"no"`}},
	{"date", `{"type":"string","format":"date"}`, []string{`"2026-11-25"`}, []string{`"2026-13-25"`, `"yesterday"`}},
	{"date-time", `{"type":"string","format":"date-time"}`, []string{`"2026-11-25T10:00:00Z"`, `"2026-11-25T10:00:00.5+01:00"`}, []string{`"2026-11-25"`}},
	{"uuid", `{"type":"string","format":"uuid"}`, []string{`"123e4567-e89b-12d3-a456-426614174000"`}, []string{`"x"`}},
	{"email is text", `{"type":"string","format":"email"}`, []string{`"a@b.c"`}, []string{`1`}},
	{"true", `true`, []string{`1`, `{}`}, nil},
	{"false property", `{"type":"object","properties":{"a":false,"b":{"type":"integer"}}}`, []string{`{"b":1}`}, []string{`{"a":1}`}},
	{"not and if are loosened", `{"type":"integer","not":{"const":3},"if":{"minimum":2},"then":{"maximum":4}}`, []string{`3`, `9`}, []string{`"a"`}},
	{"python spellings", `{"type":"dict","properties":{"n":{"type":"int"},"t":{"type":"str"},"f":{"type":"float"},"ok":{"type":"bool"},"l":{"type":"list"}},"required":["n","t","f","ok","l"]}`,
		[]string{`{"n":1,"t":"a","f":1.5,"ok":true,"l":[1]}`}, []string{`{"n":"1","t":"a","f":1.5,"ok":true,"l":[1]}`}},
	{"unknown type", `{"type":"file"}`, []string{`"x"`, `{}`}, nil},
	{"boolean required", `{"type":"object","properties":{"city":{"type":"string","required":true}},"required":["city"]}`, []string{`{"city":"x"}`}, []string{`{}`}},
	{"unicode names", `{"type":"object","properties":{"도시":{"type":"string"},"a\"b":{"type":"integer"},"<x>":{"type":"integer"}},"required":["도시","a\"b","<x>"]}`, []string{`{"도시":"서울","a\"b":1,"<x>":2}`}, []string{`{"city":"x"}`}},
	{"contradiction", `{"allOf":[{"type":"string"},{"type":"integer"}]}`, []string{`"a"`}, nil},
	{"many", manyProps(60), []string{`{}`, `{"p0":1}`, `{"p3":1,"p59":2}`}, []string{`{"p59":1,"p3":2}`}},
}

// manyProps is an object of n optional properties: a grammar that lists their
// combinations would be larger than memory.
func manyProps(n int) string {
	props := map[string]any{}
	for i := range n {
		props["p"+string(rune('0'+i/10))+string(rune('0'+i%10))] = map[string]any{"type": "integer"}
	}
	raw, _ := json.Marshal(map[string]any{"type": "object", "properties": props})
	s := string(raw)
	for i := range 10 { // p0 … p9 without the zero
		s = strings.Replace(s, `"p0`+string(rune('0'+i))+`"`, `"p`+string(rune('0'+i))+`"`, 1)
	}
	return s
}

func TestSchemaGrammars(t *testing.T) {
	for _, c := range corpus {
		t.Run(c.name, func(t *testing.T) {
			src, err := Grammar(&engine.Request{ResultSchema: json.RawMessage(c.schema)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			g, err := readGBNF(src)
			if err != nil {
				t.Fatalf("%v\n%s", err, src)
			}
			for _, v := range c.yes {
				if !json.Valid([]byte(v)) {
					t.Errorf("%s is no JSON", v)
				}
				if !g.allows(v) {
					t.Errorf("%s is not allowed by\n%s", v, src)
				}
			}
			for _, v := range c.no {
				if g.allows(v) {
					t.Errorf("%s is allowed by\n%s", v, src)
				}
			}
		})
	}
}

func TestSchemaSizeIsBounded(t *testing.T) {
	deep := strings.Repeat(`{"type":"object","properties":{"a":`, 200) + `{"type":"string"}` + strings.Repeat(`}}`, 200)
	wide := manyProps(99)
	fan := `{"$ref":"#/$defs/n9","$defs":{"n0":{"type":"string"}`
	for i := 1; i < 10; i++ {
		d, p := string(rune('0'+i)), string(rune('0'+i-1))
		fan += `,"n` + d + `":{"allOf":[{"$ref":"#/$defs/n` + p + `"},{"properties":{"x":{"$ref":"#/$defs/n` + p + `"},"y":{"$ref":"#/$defs/n` + p + `"}}}]}`
	}
	fan += `}}`
	for name, s := range map[string]string{"deep": deep, "wide": wide, "fan": fan, "broken": `{"type":`, "list": `[1]`} {
		src, err := Grammar(&engine.Request{ResultSchema: json.RawMessage(s)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readGBNF(src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(src) > 2*maxBytes {
			t.Errorf("%s: %d bytes", name, len(src))
		}
	}
}

// A schema that names itself again and again must not cost its reader hours: what
// is merged is bounded, however it is nested.
func TestSchemaWorkIsBounded(t *testing.T) {
	itself := strings.TrimSuffix(strings.Repeat(`{"$ref":"#"},`, 64), ",")
	values := make([]string, 20_000)
	for i := range values {
		values[i] = `"` + strings.Repeat("x", 8) + strconv.Itoa(i) + `"`
	}
	enum := `{"enum":[` + strings.Join(values, ",") + `]}`
	for name, s := range map[string]string{
		"parts that are the whole":    `{"type":"object","allOf":[` + itself + `]}`,
		"members that are the whole":  `{"type":"object","properties":{"a":{"allOf":[` + itself + `]}},"allOf":[` + itself + `]}`,
		"lists that double":           `{"type":"object","required":["a","b"],"allOf":[` + itself + `]}`,
		"values that both must allow": `{"type":"object","properties":{"a":{"allOf":[` + enum + `,` + enum + `]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				b := newBuilder()
				if expr := b.schema(json.RawMessage(s), true); expr == "" {
					t.Error("no expression")
				}
			}()
			select {
			case <-done:
			case <-time.After(20 * time.Second): // a fraction of a second when it is bounded
				t.Fatal("the schema is still being read")
			}
		})
	}
}

func FuzzSchema(f *testing.F) {
	for _, c := range corpus {
		f.Add([]byte(c.schema), true)
	}
	f.Fuzz(func(t *testing.T, schema []byte, tool bool) {
		req := &engine.Request{ResultSchema: schema}
		if tool {
			req = &engine.Request{Tools: []engine.Tool{{Name: "t", Schema: schema}}}
		}
		src, err := Grammar(req, Options{})
		if err != nil {
			t.Skip()
		}
		if _, err := readGBNF(src); err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
	})
}
