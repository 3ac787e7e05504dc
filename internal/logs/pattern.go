package logs

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Pattern is a compiled filter pattern, of one of three kinds:
//
//	ERROR "two words" -debug ?a ?b %reg.ex%   terms; all of them, none with -, one of those with ?
//	{ $.status >= 500 && $.path = "/v1/*" }   JSON
//	[ip, user, ..., status = 5*, size]        fields between blanks, "…" and […] being one
//
// Matching knows case. Terms are found anywhere in the message.
type Pattern struct {
	text  string
	match func(message string) (map[string]string, bool)
}

// Match reports whether a message matches, and what the pattern takes out of it:
// the selected members of JSON ($.a.b), the named fields ($name).
func (p *Pattern) Match(message string) (map[string]string, bool) { return p.match(message) }

// Compile reads a pattern; the empty one matches everything.
func Compile(text string) (*Pattern, error) {
	p := &Pattern{text: text}
	t := strings.TrimSpace(text)
	var err error
	switch {
	case t == "":
		p.match = func(string) (map[string]string, bool) { return nil, true }
	case t[0] == '{':
		p.match, err = compileJSON(t)
	case t[0] == '[':
		p.match, err = compileFields(t)
	default:
		p.match, err = compileTerms(t)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func badPattern() error { return apierr.New(InvalidParameter, "Invalid filter pattern") }

// compileTerms reads the unstructured kind.
func compileTerms(t string) (func(string) (map[string]string, bool), error) {
	type term struct {
		text string
		re   *regexp.Regexp
	}
	var all, none, some []term
	for t != "" {
		list := &all
		switch t[0] {
		case '-':
			list, t = &none, t[1:]
		case '?':
			list, t = &some, t[1:]
		}
		var x term
		switch {
		case strings.HasPrefix(t, `"`):
			s, rest, ok := quoted(t)
			if !ok {
				return nil, badPattern()
			}
			x.text, t = s, rest
		case strings.HasPrefix(t, "%"):
			re, rest, ok := expression(t)
			if !ok {
				return nil, badPattern()
			}
			x.re, t = re, rest
		default:
			end := strings.IndexAny(t, " \t\n")
			if end < 0 {
				end = len(t)
			}
			x.text, t = t[:end], t[end:]
		}
		if x.text == "" && x.re == nil {
			return nil, badPattern()
		}
		*list = append(*list, x)
		t = strings.TrimLeft(t, " \t\n")
	}
	in := func(message string) func(term) bool {
		return func(x term) bool {
			if x.re != nil {
				return x.re.MatchString(message)
			}
			return strings.Contains(message, x.text)
		}
	}
	return func(message string) (map[string]string, bool) {
		has := in(message)
		for _, x := range all {
			if !has(x) {
				return nil, false
			}
		}
		if slices.ContainsFunc(none, has) {
			return nil, false
		}
		// Beside terms that must be there, those that may be there decide nothing.
		return nil, len(some) == 0 || len(all) > 0 || slices.ContainsFunc(some, has)
	}, nil
}

// quoted reads "…" with backslash escapes off the beginning of t.
func quoted(t string) (s, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(t); i++ {
		switch t[i] {
		case '\\':
			if i++; i == len(t) {
				return "", "", false
			}
			b.WriteByte(t[i])
		case '"':
			return b.String(), t[i+1:], true
		default:
			b.WriteByte(t[i])
		}
	}
	return "", "", false
}

// expression reads %…% off the beginning of t.
func expression(t string) (*regexp.Regexp, string, bool) {
	end := strings.IndexByte(t[1:], '%')
	if end <= 0 {
		return nil, "", false
	}
	re, err := regexp.Compile(t[1 : end+1])
	return re, t[end+2:], err == nil
}

// value is a JSON value, or a field of a message as a string; nil is one that is
// not there.
type value any

// test is a compiled condition over the values that look answers by name.
type test func(look func(name string) (value, bool)) bool

// parser reads conditions.
type parser struct {
	t     string
	name  func(p *parser) (string, bool) // reads the left side of a comparison
	names []string
	depth int
}

func (p *parser) blank() { p.t = strings.TrimLeft(p.t, " \t\n\r") }

func (p *parser) take(s string) bool {
	p.blank()
	rest, ok := strings.CutPrefix(p.t, s)
	if ok {
		p.t = rest
	}
	return ok
}

// maxDepth of brackets in a pattern.
const maxDepth = 50

func (p *parser) or() (test, bool) {
	if p.depth++; p.depth > maxDepth {
		return nil, false
	}
	defer func() { p.depth-- }()
	a, ok := p.and()
	for ok && p.take("||") {
		l := a
		var r test
		if r, ok = p.and(); ok {
			a = func(look func(string) (value, bool)) bool { return l(look) || r(look) }
		}
	}
	return a, ok
}

func (p *parser) and() (test, bool) {
	a, ok := p.one()
	for ok && p.take("&&") {
		l := a
		var r test
		if r, ok = p.one(); ok {
			a = func(look func(string) (value, bool)) bool { return l(look) && r(look) }
		}
	}
	return a, ok
}

func (p *parser) one() (test, bool) {
	if p.take("(") {
		t, ok := p.or()
		return t, ok && p.take(")")
	}
	p.blank()
	name, ok := p.name(p)
	if !ok {
		return nil, false
	}
	if !slices.Contains(p.names, name) {
		p.names = append(p.names, name)
	}
	return p.comparison(name)
}

// comparisons in the order in which they have to be tried.
var comparisons = []string{"!=", "<=", ">=", "=", "<", ">"}

func (p *parser) comparison(name string) (test, bool) {
	for _, op := range comparisons {
		if p.take(op) {
			m, ok := p.operand(op)
			return func(look func(string) (value, bool)) bool {
				v, there := look(name)
				return there && m(v)
			}, ok
		}
	}
	for _, w := range []struct {
		words []string
		f     func(v value, there bool) bool
	}{
		{[]string{"IS", "NULL"}, func(v value, there bool) bool { return there && v == nil }},
		{[]string{"IS", "TRUE"}, func(v value, there bool) bool { return there && v == true }},
		{[]string{"IS", "FALSE"}, func(v value, there bool) bool { return there && v == false }},
		{[]string{"NOT", "EXISTS"}, func(_ value, there bool) bool { return !there }},
	} {
		before := p.t
		if p.take(w.words[0]) && p.take(w.words[1]) {
			return func(look func(string) (value, bool)) bool { return w.f(look(name)) }, true
		}
		p.t = before
	}
	return nil, false
}

// operand reads the right side: a number, a text with *, or an expression.
func (p *parser) operand(op string) (func(value) bool, bool) {
	p.blank()
	switch {
	case p.t == "":
		return nil, false
	case p.t[0] == '%':
		re, rest, ok := expression(p.t)
		p.t = rest
		return sense(op, func(v value) bool { s, ok := scalar(v); return ok && re.MatchString(s) }), ok && (op == "=" || op == "!=")
	case p.t[0] == '"':
		s, rest, ok := quoted(p.t)
		p.t = rest
		return sense(op, func(v value) bool { t, ok := v.(string); return ok && wild(s, t) }), ok && (op == "=" || op == "!=")
	}
	end := strings.IndexAny(p.t, " \t\n\r,)]}&|")
	if end < 0 {
		end = len(p.t)
	}
	word := p.t[:end]
	p.t = p.t[end:]
	if word == "" {
		return nil, false
	}
	if n, err := number(word); err == nil {
		return func(v value) bool {
			f, ok := numeric(v)
			switch op {
			case "=":
				return ok && f == n
			case "!=":
				return !ok || f != n
			case "<":
				return ok && f < n
			case "<=":
				return ok && f <= n
			case ">":
				return ok && f > n
			}
			return ok && f >= n
		}, true
	}
	return sense(op, func(v value) bool { s, ok := scalar(v); return ok && wild(word, s) }), op == "=" || op == "!="
}

func sense(op string, equal func(value) bool) func(value) bool {
	if op == "!=" {
		return func(v value) bool { return !equal(v) }
	}
	return equal
}

func number(s string) (float64, error) { return json.Number(s).Float64() }

func numeric(v value) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := number(v)
		return f, err == nil
	}
	return 0, false
}

func scalar(v value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// wild compares with * for any text.
func wild(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(s, first) || !strings.HasSuffix(s[len(first):], last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
