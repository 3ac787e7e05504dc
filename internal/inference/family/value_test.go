package family

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// rebuild turns a tree back into what encoding/json would have read.
func rebuild(v *Value) any {
	switch v.Kind {
	case Object:
		m := map[string]any{}
		for _, n := range v.Names() {
			m[n] = rebuild(v.Get(n))
		}
		return m
	case Array:
		l := []any{}
		for i := range v.Items() {
			l = append(l, rebuild(&v.Items()[i]))
		}
		return l
	case String:
		return v.Text()
	case Integer, Number:
		return v.Float()
	case Boolean:
		return v.Bool()
	}
	return nil
}

func FuzzTreeReadsWhatEncodingJSONReads(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5,-0,1e3,"x\"y\\",null,true,false,{}],"b":{"":"\u00e9\ud83d\ude00"},"a":3}`,
		` [ ] `, `"\\"`, `{"a" : "b" , "c":[ {} , [] ]}`, `1E400`, `"\/"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want any
		if !utf8.Valid(text) || json.Unmarshal(text, &want) != nil {
			return // Parse lets neither through
		}
		v := Tree(text)
		if diff := cmp.Diff(want, rebuild(&v)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	})
}

func FuzzAppendStringIsJSON(f *testing.F) {
	f.Add("a\"b\\c\n\t\x00\x7f é 漢字 😀 \xff \u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(AppendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); len(s) > 0 && strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestParseRefusesWhatIsNoObject(t *testing.T) {
	for _, body := range []string{"", "{", "[]", "1", `"x"`, "null", "{}{}", "{\"a\":\"\xff\"}", strings.Repeat("[", 20000)} {
		_, err := Parse([]byte(body))
		if err == nil || !strings.Contains(err.Error(), "Malformed input request, please reformat your input and try again.") {
			t.Errorf("%.20q: %v", body, err)
		}
	}
}

func TestIntIsBounded(t *testing.T) {
	for text, want := range map[string]int{"3": 3, "3.0": 3, "3e2": 300, "-7": -7, "1e300": 1<<63 - 1, "-1e300": -1 << 63, "99999999999999999999": 1<<63 - 1} {
		v := Tree([]byte(text))
		if got := v.Int(); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func BenchmarkTree(b *testing.B) {
	body := []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,"messages":[{"role":"user","content":[{"type":"text","text":"Write a short story about two dogs and a very long river."}]}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}
