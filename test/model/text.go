package model

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// hand holds strings for patterns that are matched by hand-written code.
var hand = []string{"s3://outcrop-bucket/folder/object.json", "index-1"}

// text returns a string that satisfies the pattern (which may be nil) and has lo to
// hi code points; ok is false when none was found.
func text(p *api.Pattern, lo, hi int) (s string, ok bool) {
	if lo > hi {
		return "", false
	}
	if p == nil {
		return strings.Repeat("a", max(lo, min(hi, 1))), true
	}
	fits := func(s string) bool {
		n := utf8.RuneCountInString(s)
		return n >= lo && n <= hi && p.MatchString(s)
	}
	if p.Match != nil {
		for _, s := range hand {
			if n := utf8.RuneCountInString(s); n < lo {
				s += strings.Repeat("a", lo-n)
			}
			if fits(s) {
				return s, true
			}
		}
		return "", false
	}
	re, err := syntax.Parse(p.Expr, syntax.Perl)
	if err != nil {
		return "", false
	}
	// Repeats between nothing and the whole length; alternatives at random, but the
	// same ones in every run.
	for try := range 400 {
		g := walker{rnd: rand.New(rand.NewPCG(1, uint64(try))), extra: try % 8, limit: hi + 8}
		if lo > 8 && try%2 == 1 {
			g.extra = lo
			if try%4 == 3 {
				g.extra = lo / (1 + try%7)
			}
		}
		g.walk(re)
		s := g.b.String()
		if n := utf8.RuneCountInString(s); n > hi && n-hi < n/2 {
			s = string([]rune(s)[:hi])
		}
		if fits(s) {
			return s, true
		}
	}
	return "", false
}

// walker writes one string of the language of a regular expression.
type walker struct {
	b     strings.Builder
	rnd   *rand.Rand
	extra int // repeats beyond the least
	limit int // stop repeating beyond this length
}

func (g *walker) walk(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			g.b.WriteRune(r)
		}
	case syntax.OpCharClass:
		g.b.WriteRune(pick(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		g.b.WriteByte('a')
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			g.walk(sub)
		}
	case syntax.OpAlternate:
		g.walk(re.Sub[g.rnd.IntN(len(re.Sub))])
	case syntax.OpQuest:
		g.repeat(re.Sub[0], g.rnd.IntN(2))
	case syntax.OpStar:
		g.repeat(re.Sub[0], g.extra)
	case syntax.OpPlus:
		g.repeat(re.Sub[0], max(1, g.extra))
	case syntax.OpRepeat:
		n := re.Min + g.extra
		if re.Max >= 0 {
			n = min(n, re.Max)
		}
		g.repeat(re.Sub[0], n)
	}
}

func (g *walker) repeat(re *syntax.Regexp, n int) {
	for i := 0; i < n && g.b.Len() < 4*g.limit; i++ {
		g.walk(re)
	}
}

// pick chooses a plain character of a class.
func pick(ranges []rune) rune {
	for _, want := range []rune{'a', 'A', '1', '0', '-', '_', ' '} {
		for i := 0; i < len(ranges); i += 2 {
			if want >= ranges[i] && want <= ranges[i+1] {
				return want
			}
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i+1] >= '!' {
			return max(ranges[i], '!')
		}
	}
	return ranges[0]
}

// mismatch returns a string of lo to hi code points that breaks only the pattern.
func mismatch(p *api.Pattern, lo, hi int) (string, bool) {
	var seeds []string
	if s, ok := text(p, lo, hi); ok {
		seeds = append(seeds, s)
	}
	seeds = append(seeds, strings.Repeat("a", max(lo, min(hi, 1))), strings.Repeat("!", max(lo, min(hi, 3))))
	for _, seed := range seeds {
		for _, odd := range []string{"!", "#", " ", "é", "한", "\n", "\x01", "{"} {
			for _, s := range []string{odd + drop(seed), seed + odd, odd, odd + seed, strings.Repeat(odd, max(lo, 1))} {
				if n := utf8.RuneCountInString(s); s != "" && n >= lo && n <= hi && !p.MatchString(s) {
					return s, true
				}
			}
		}
	}
	return "", false
}

// drop cuts the first character.
func drop(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[n:]
}
