package policy

import (
	"strings"
	"unicode/utf8"
)

// glob is a compiled text: literals, wildcards and variables. The zero value
// matches the empty text.
type glob struct {
	shape  shape
	text   string // of exact and prefix
	tokens []token
}

type shape uint8

const (
	exact   shape = iota // text
	prefix               // text*
	all                  // *
	general              // tokens
)

type token struct {
	kind     tokenKind
	text     string // literal, or key of the variable in lower case
	fallback string
	has      bool // a fallback was given
}

type tokenKind uint8

const (
	literal tokenKind = iota
	star
	question
	variable
)

// rules say what is special in a text.
type rules uint8

const (
	wildcards rules = 1 << iota
	variables
)

func newGlob(text string, r rules) glob {
	var ts []token
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			ts = append(ts, token{kind: literal, text: lit.String()})
			lit.Reset()
		}
	}
	hasVariable := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*' && r&wildcards != 0:
			flush()
			if len(ts) == 0 || ts[len(ts)-1].kind != star {
				ts = append(ts, token{kind: star})
			}
		case c == '?' && r&wildcards != 0:
			flush()
			ts = append(ts, token{kind: question})
		case c == '$' && r&variables != 0 && strings.HasPrefix(text[i:], "${"):
			v, n := readVariable(text[i:])
			switch {
			case n == 0:
				lit.WriteByte(c)
			case v.kind == literal:
				lit.WriteString(v.text)
				i += n - 1
			default:
				flush()
				ts = append(ts, v)
				hasVariable = true
				i += n - 1
			}
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	switch {
	case len(ts) == 0:
		return glob{}
	case len(ts) == 1 && ts[0].kind == literal:
		return glob{text: ts[0].text}
	case len(ts) == 1 && ts[0].kind == star:
		return glob{shape: all}
	case len(ts) == 2 && ts[0].kind == literal && ts[1].kind == star && !hasVariable:
		return glob{shape: prefix, text: ts[0].text}
	}
	return glob{shape: general, tokens: ts}
}

// readVariable reads ${key}, ${key, 'default'} or one of the escapes ${*}, ${?},
// ${$} at the head of s and returns its length, 0 when it is neither.
func readVariable(s string) (token, int) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return token{}, 0
	}
	inner := s[2:end]
	switch inner {
	case "*", "?", "$":
		return token{kind: literal, text: inner}, end + 1
	}
	key, rest, has := strings.Cut(inner, ",")
	t := token{kind: variable, text: strings.ToLower(strings.TrimSpace(key))}
	if t.text == "" || strings.ContainsAny(t.text, "${'") {
		return token{}, 0
	}
	if !has {
		return t, end + 1
	}
	// The default may hold a brace: it ends at the quote before the brace.
	open := strings.IndexByte(rest, '\'')
	if open < 0 || strings.TrimSpace(rest[:open]) != "" {
		return token{}, 0
	}
	from := strings.IndexByte(s, '\'') + 1
	stop := strings.IndexByte(s[from:], '\'')
	if stop < 0 {
		return token{}, 0
	}
	t.fallback, t.has = s[from:from+stop], true
	tail := s[from+stop+1:]
	closing := strings.IndexByte(tail, '}')
	if closing < 0 || strings.TrimSpace(tail[:closing]) != "" {
		return token{}, 0
	}
	return t, from + stop + 1 + closing + 1
}

// match reports whether s matches, and whether all variables had a value; an
// unresolved text matches nothing. Without an evaluator no variable has one.
func (g *glob) match(s string, r *evaluator) (ok, resolved bool) {
	switch g.shape {
	case exact:
		return s == g.text, true
	case prefix:
		return strings.HasPrefix(s, g.text), true
	case all:
		return true, true
	case general:
	}
	tokens := g.tokens
	if g.hasVariables() {
		var buf [16]token
		ts, ok := resolve(append(buf[:0], tokens...), r)
		if !ok {
			return false, false
		}
		return matchTokens(ts, s), true
	}
	return matchTokens(tokens, s), true
}

func (g *glob) hasVariables() bool {
	for i := range g.tokens {
		if g.tokens[i].kind == variable {
			return true
		}
	}
	return false
}

// resolve makes literals of the variables, in place. What a variable holds is
// never a wildcard.
func resolve(ts []token, r *evaluator) ([]token, bool) {
	for i := range ts {
		if ts[i].kind != variable {
			continue
		}
		v, ok := "", false
		if r != nil {
			v, ok = r.value(ts[i].text)
		}
		if !ok {
			if v, ok = ts[i].fallback, ts[i].has; !ok {
				return nil, false
			}
		}
		ts[i] = token{kind: literal, text: v}
	}
	return ts, true
}

// literal returns the text of a glob without wildcards.
func (g *glob) literal(r *evaluator) (string, bool) {
	if g.shape == exact {
		return g.text, true
	}
	var buf [16]token
	ts, ok := resolve(append(buf[:0], g.tokens...), r)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for _, t := range ts {
		b.WriteString(t.text)
	}
	return b.String(), true
}

// matchTokens matches greedily and goes back to the last star only, which is
// enough and keeps the time within len(tokens)·len(s).
func matchTokens(ts []token, s string) bool {
	t, i := 0, 0
	star1, at := -1, 0
	for {
		if t < len(ts) {
			switch ts[t].kind {
			case star:
				star1, at = t, i
				t++
				continue
			case question:
				if i < len(s) {
					_, n := utf8.DecodeRuneInString(s[i:])
					i += n
					t++
					continue
				}
			case literal, variable:
				if strings.HasPrefix(s[i:], ts[t].text) {
					i += len(ts[t].text)
					t++
					continue
				}
			}
		} else if i == len(s) {
			return true
		}
		if star1 < 0 || at >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
		t, i = star1+1, at
	}
}

// isAll reports whether a text is nothing but stars.
func isAll(s string) bool { return s != "" && strings.Trim(s, "*") == "" }

// splitARN cuts at the first five colons that stand outside of variables.
func splitARN(s string) []string {
	parts := make([]string, 0, 6)
	depth, from := 0, 0
	for i := 0; i < len(s) && len(parts) < 5; i++ {
		switch {
		case s[i] == '{' && i > 0 && s[i-1] == '$':
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// arnGlob matches an ARN part by part: a wildcard does not reach over a colon of
// the first five.
type arnGlob struct {
	all       bool // "*" of a resource element, which matches what is no ARN too
	variables bool
	parts     [6]glob
}

// newARNGlob compiles an ARN. In a resource element variables stand behind the
// fifth colon only, and missing parts are wildcards; in conditions neither.
func newARNGlob(text string, r rules, resource bool) (arnGlob, bool) {
	if isAll(text) {
		return arnGlob{all: resource, parts: [6]glob{{shape: all}, {shape: all}, {shape: all}, {shape: all}, {shape: all}, {shape: all}}}, true
	}
	parts := splitARN(text)
	var a arnGlob
	if len(parts) < 6 {
		if !resource {
			return arnGlob{}, false
		}
		for i := len(parts); i < 6; i++ {
			a.parts[i] = glob{shape: all}
		}
	}
	for i, p := range parts {
		rr := r
		if resource && i < 5 {
			rr &^= variables
		}
		a.parts[i] = newGlob(p, rr)
		a.variables = a.variables || a.parts[i].hasVariables()
	}
	return a, true
}

func (a *arnGlob) match(parts *[6]string, r *evaluator) (ok, resolved bool) {
	ok = true
	// The last part first: it tells names apart.
	for i := 5; i >= 0; i-- {
		g := &a.parts[i]
		if g.shape == all {
			continue
		}
		m := g.shape == exact && parts[i] == g.text
		if g.shape != exact {
			if m, resolved = g.match(parts[i], r); !resolved {
				return false, false
			}
		}
		if !m {
			// A text that cannot be resolved is another thing than one that does not
			// match, so the other parts are still looked at.
			if ok = false; !a.variables {
				break
			}
		}
	}
	return ok, true
}

// cutARN cuts an ARN of a request.
func cutARN(s string) (parts [6]string, ok bool) {
	for i := range 5 {
		if parts[i], s, ok = strings.Cut(s, ":"); !ok {
			return parts, false
		}
	}
	parts[5] = s
	return parts, true
}
