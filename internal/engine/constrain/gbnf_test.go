package constrain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// gbnf is a small reader of the grammars that llama.cpp takes, so that tests can
// ask which texts a grammar allows without an engine. It refuses what llama.cpp
// refuses: undefined rules, left recursion, repetitions of 2000 and more.
type gbnf struct {
	rules map[string]*expr
	src   string
	pos   int
}

type expr struct {
	op     byte // 's' sequence, '|' alternatives, '"' literal, '[' class, 'r' rule, '*' repetition
	sub    []*expr
	text   []rune // literal
	ranges []rune
	not    bool
	name   string
	lo, hi int
}

func readGBNF(src string) (g *gbnf, err error) {
	g = &gbnf{rules: map[string]*expr{}}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v near %.60q", r, g.src[min(g.pos, len(g.src)):])
		}
	}()
	for _, line := range strings.Split(strings.TrimSpace(src), "\n") {
		name, body, ok := strings.Cut(line, " ::= ")
		if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return nil, fmt.Errorf("bad rule %q", line)
		}
		g.src, g.pos = body, 0
		g.rules[name] = g.alternatives()
		if g.pos != len(g.src) {
			panic("rest")
		}
	}
	for name, e := range g.rules {
		if err := g.check(e); err != nil {
			return nil, fmt.Errorf("rule %s: %w", name, err)
		}
	}
	for name := range g.rules {
		if g.leftmost(g.rules[name], name, map[string]bool{}) {
			return nil, fmt.Errorf("rule %s is left-recursive", name)
		}
	}
	if g.rules["root"] == nil {
		return nil, fmt.Errorf("no root")
	}
	return g, nil
}

func (g *gbnf) check(e *expr) error {
	if e.op == 'r' && g.rules[e.name] == nil {
		return fmt.Errorf("undefined rule %s", e.name)
	}
	for _, s := range e.sub {
		if err := g.check(s); err != nil {
			return err
		}
	}
	return nil
}

func (g *gbnf) space() {
	for g.pos < len(g.src) && (g.src[g.pos] == ' ') {
		g.pos++
	}
}

func (g *gbnf) peek() byte {
	g.space()
	if g.pos >= len(g.src) {
		return 0
	}
	return g.src[g.pos]
}

func (g *gbnf) alternatives() *expr {
	e := &expr{op: '|', sub: []*expr{g.sequence()}}
	for g.peek() == '|' {
		g.pos++
		e.sub = append(e.sub, g.sequence())
	}
	return e
}

func (g *gbnf) sequence() *expr {
	e := &expr{op: 's'}
	for {
		var one *expr
		switch c := g.peek(); {
		case c == '"':
			g.pos++
			one = &expr{op: '"'}
			for g.src[g.pos] != '"' {
				one.text = append(one.text, g.char())
			}
			g.pos++
		case c == '[':
			g.pos++
			one = &expr{op: '['}
			if g.src[g.pos] == '^' {
				one.not = true
				g.pos++
			}
			for g.src[g.pos] != ']' {
				lo := g.char()
				hi := lo
				if g.src[g.pos] == '-' && g.src[g.pos+1] != ']' {
					g.pos++
					hi = g.char()
				}
				if hi < lo {
					panic("inverted range")
				}
				one.ranges = append(one.ranges, lo, hi)
			}
			g.pos++
		case c == '(':
			g.pos++
			one = g.alternatives()
			if g.peek() != ')' {
				panic("unclosed group")
			}
			g.pos++
		case c >= 'a' && c <= 'z':
			j := g.pos
			for j < len(g.src) && strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789-", g.src[j]) >= 0 {
				j++
			}
			one = &expr{op: 'r', name: g.src[g.pos:j]}
			g.pos = j
		default:
			return e
		}
		for {
			lo, hi := 0, -1
			switch g.peek() {
			case '*':
			case '+':
				lo = 1
			case '?':
				hi = 1
			case '{':
				end := strings.IndexByte(g.src[g.pos:], '}')
				a, b, comma := strings.Cut(g.src[g.pos+1:g.pos+end], ",")
				lo = number(a)
				hi = lo
				if comma {
					hi = -1
					if b != "" {
						hi = number(b)
					}
				}
				if max(lo, hi) >= 2000 || hi >= 0 && hi < lo {
					panic("bad repetition")
				}
				g.pos += end
			default:
				lo = -1
			}
			if lo < 0 {
				break
			}
			g.pos++
			one = &expr{op: '*', sub: []*expr{one}, lo: lo, hi: hi}
		}
		e.sub = append(e.sub, one)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func (g *gbnf) char() rune {
	if g.src[g.pos] != '\\' {
		r, n := utf8.DecodeRuneInString(g.src[g.pos:])
		g.pos += n
		return r
	}
	c := g.src[g.pos+1]
	g.pos += 2
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits > 0 {
		n, err := strconv.ParseUint(g.src[g.pos:g.pos+digits], 16, 32)
		if err != nil {
			panic(err)
		}
		g.pos += digits
		return rune(n)
	}
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case '"', '\\', '[', ']':
		return rune(c)
	}
	panic("unknown escape \\" + string(c))
}

// leftmost reports whether e can begin with the rule name.
func (g *gbnf) leftmost(e *expr, name string, seen map[string]bool) bool {
	switch e.op {
	case 'r':
		if e.name == name {
			return true
		}
		if seen[e.name] {
			return false
		}
		seen[e.name] = true
		return g.leftmost(g.rules[e.name], name, seen)
	case 's':
		for _, s := range e.sub {
			if g.leftmost(s, name, seen) {
				return true
			}
			if !g.empty(s, 0) {
				return false
			}
		}
		return false
	default:
		return slices.ContainsFunc(e.sub, func(s *expr) bool { return g.leftmost(s, name, seen) })
	}
}

func (g *gbnf) empty(e *expr, depth int) bool {
	if depth > 200 {
		return false
	}
	switch e.op {
	case 'r':
		return g.empty(g.rules[e.name], depth+1)
	case 's':
		return !slices.ContainsFunc(e.sub, func(s *expr) bool { return !g.empty(s, depth+1) })
	case '|':
		return slices.ContainsFunc(e.sub, func(s *expr) bool { return g.empty(s, depth+1) })
	case '*':
		return e.lo == 0 || g.empty(e.sub[0], depth+1)
	}
	return e.op == '"' && len(e.text) == 0
}

// allows reports whether the grammar derives exactly text.
func (g *gbnf) allows(text string) bool {
	in := []rune(text)
	type key struct {
		e   *expr
		pos int
	}
	memo := map[key][]int{}
	var ends func(e *expr, pos int) []int
	then := func(from []int, e *expr) []int {
		var out []int
		for _, p := range from {
			for _, q := range ends(e, p) {
				if !slices.Contains(out, q) {
					out = append(out, q)
				}
			}
		}
		return out
	}
	ends = func(e *expr, pos int) (out []int) {
		switch e.op {
		case '"':
			if len(in)-pos >= len(e.text) && slices.Equal(in[pos:pos+len(e.text)], e.text) {
				return []int{pos + len(e.text)}
			}
			return nil
		case '[':
			if pos >= len(in) {
				return nil
			}
			in1 := false
			for i := 0; i < len(e.ranges); i += 2 {
				in1 = in1 || e.ranges[i] <= in[pos] && in[pos] <= e.ranges[i+1]
			}
			if in1 != e.not {
				return []int{pos + 1}
			}
			return nil
		}
		k := key{e, pos}
		if m, ok := memo[k]; ok {
			return m
		}
		defer func() { memo[k] = out }()
		switch e.op {
		case 'r':
			return ends(g.rules[e.name], pos)
		case 's':
			at := []int{pos}
			for _, s := range e.sub {
				at = then(at, s)
			}
			return at
		case '|':
			for _, s := range e.sub {
				for _, q := range ends(s, pos) {
					if !slices.Contains(out, q) {
						out = append(out, q)
					}
				}
			}
			return out
		}
		at := []int{pos}
		if e.lo == 0 {
			out = append(out, pos)
		}
		for n := 1; len(at) > 0 && (e.hi < 0 || n <= e.hi) && n <= len(in)+1; n++ {
			at = then(at, e.sub[0])
			if n >= e.lo {
				fresh := false
				for _, q := range at {
					if !slices.Contains(out, q) {
						out = append(out, q)
						fresh = true
					}
				}
				if !fresh {
					break
				}
			}
		}
		return out
	}
	return slices.Contains(ends(g.rules["root"], 0), len(in))
}

func TestGBNFReader(t *testing.T) {
	g, err := readGBNF("root ::= \"a\"{1,2} ( b | [^x-z\\]] )*\nb ::= \"\\\"\" root?\n")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"a": true, "aa": true, "": false, "a\"aa": true, "ax": false, "a]": false, "abc": true} {
		if g.allows(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
	for _, bad := range []string{"root ::= root \"a\"", "root ::= x", "root ::= \"a\"{0,2000}", "root ::= \"\"? root", "root ::= [b-a]"} {
		if _, err := readGBNF(bad); err == nil {
			t.Errorf("%s: accepted", bad)
		}
	}
}
