package logs

import (
	"maps"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

func TestPatterns(t *testing.T) {
	const apache = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	for _, c := range []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"ERROR", "[ERROR] boom", true},
		{"ERROR", "[error] boom", false},
		{"ERROR boom", "boom after ERROR", true},
		{"ERROR boom", "ERROR alone", false},
		{`"ERROR boom"`, "ERROR boom", true},
		{`"ERROR boom"`, "boom ERROR", false},
		{`"say \"hi\""`, `they say "hi"`, true},
		{"ERROR -boom", "ERROR fine", true},
		{"ERROR -boom", "ERROR boom", false},
		{"-boom", "all well", true},
		{"?ERROR ?WARN", "WARN x", true},
		{"?ERROR ?WARN", "INFO x", false},
		{"?ERROR INFO", "INFO x", true},
		{"%AUTHORIZED.*[0-9]+%", "UNAUTHORIZED 12", true},
		{"%AUTHORIZED.*[0-9]+%", "UNAUTHORIZED x", false},

		{`{ $.type = "Update*" }`, `{"type":"UpdateTrail"}`, true},
		{`{ $.type = "Update*" }`, `{"type":"Delete"}`, false},
		{`{ $.type = "Update*" }`, `not JSON, "type":"Update"`, false},
		{`{ $.type = "Update*" }`, `["type"]`, false},
		{`{ $.ip != 123.123.* }`, `{"ip":"10.0.0.1"}`, true},
		{`{ $.ip != 123.123.* }`, `{"ip":"123.123.1.1"}`, false},
		{`{ $.ip != 1 }`, `{}`, false},
		{`{ $.n >= 1e2 }`, `{"n":100}`, true},
		{`{ $.n >= 1e2 }`, `{"n":99.5}`, false},
		{`{ $.n < -1 }`, `{"n":-2}`, true},
		{`{ $.n = 4 }`, `{"n":"4"}`, true},
		{`{ $.a.b[1].c = x }`, `{"a":{"b":[{},{"c":"x"}]}}`, true},
		{`{ $.a.b[2].c = x }`, `{"a":{"b":[{},{"c":"x"}]}}`, false},
		{`{ $.["a b"] = x }`, `{}`, false},
		{`{ $["a b"] = x }`, `{"a b":"x"}`, true},
		{`{ $.a IS NULL }`, `{"a":null}`, true},
		{`{ $.a IS NULL }`, `{}`, false},
		{`{ $.a NOT EXISTS }`, `{}`, true},
		{`{ $.a IS TRUE }`, `{"a":true}`, true},
		{`{ $.a IS FALSE }`, `{"a":true}`, false},
		{`{ $.a = 1 && $.b = 2 || $.c = 3 }`, `{"c":3}`, true},
		{`{ $.a = 1 && ($.b = 2 || $.c = 3) }`, `{"c":3}`, false},
		{`{ $.a = %^x[0-9]$% }`, `{"a":"x1"}`, true},
		{`{$.a=1}`, `{"a":1}`, true},

		{"[ip, id, user, at, request, status, size]", apache, true},
		{"[ip, id, user, at, request, status]", apache, false},
		{"[..., status=4*, size]", apache, true},
		{"[..., status=5*, size]", apache, false},
		{"[ip, ..., size > 1000]", apache, true},
		{"[ip, ..., size > 2000]", apache, false},
		{`[ip, id, user, at, request = "GET*", status = 4* || status = 5*, size]`, apache, true},
		{"[ip = 10.*, ...]", apache, false},
	} {
		p, err := Compile(c.pattern)
		if c.pattern == `{ $.["a b"] = x }` {
			if err == nil {
				t.Errorf("%s was read", c.pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if _, got := p.Match(c.message); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.message, got)
		}
	}
}

func TestPatternsTakeValuesOut(t *testing.T) {
	for _, c := range []struct {
		pattern, message string
		want             map[string]string
	}{
		{`{ $.a.b = 1 && $.c = "*" }`, `{"a":{"b":1},"c":"x"}`, map[string]string{"$.a.b": "1", "$.c": "x"}},
		{"[a, b = 2, ...]", "1 2 3 4", map[string]string{"$a": "1", "$b": "2"}},
		{"[..., z]", "1 2 3 4", map[string]string{"$z": "4"}},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Match(c.message); !ok || !maps.Equal(got, c.want) {
			t.Errorf("%s on %s: %v %v", c.pattern, c.message, got, ok)
		}
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	for _, p := range []string{
		"{", "{}", "{ $.a }", "{ $.a = }", "{ $.a = 1", "{ $.a = 1 } x", "{ a = 1 }", "{ $ = 1 }", "{ $.a < x }", `{ $.a = "x }`, "{ $.a[ = 1 }", "{ $.a = %(% }",
		"[", "[]", "[a", "[a,]", "[a = ]", "[..., ...]", `"open`, "-", "?", "%%", "%(%", strings.Repeat("{(", 100),
		"{" + strings.Repeat("(", 100) + "$.a=1" + strings.Repeat(")", 100) + "}",
	} {
		if _, err := Compile(p); apierr.KindOf(err) != InvalidParameter {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{`ERROR -x ?y "z" %r%`, `{ $.a.b[0]["c"] != "x*" && ($.n >= 1 || $.b NOT EXISTS) }`, "[a, ..., b = 4*, c > 1]", "[", `{$["`, `{$[]`} {
		f.Add(p, `{"a":{"b":[{"c":"x"}]}}`)
		f.Add(p, `1 [2 3] "4 5`)
	}
	f.Fuzz(func(_ *testing.T, pattern, message string) {
		if p, err := Compile(pattern); err == nil {
			p.Match(message)
		}
	})
}
