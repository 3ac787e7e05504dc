package model

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// plausible are strings as real requests hold them, tried before any is made up.
// The first two also serve the patterns that hand-written code matches.
var plausible = []string{
	"s3://outcrop-bucket/folder/object.json", "index-1",
	"anthropic.claude-3-haiku-20240307-v1:0",
	"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
	"arn:aws:bedrock:us-east-1:123456789012:guardrail/a1b2c3d4e5f6",
	"arn:aws:iam::123456789012:role/outcrop-service-role",
	"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
	"arn:aws:lambda:us-east-1:123456789012:function:weather",
	"arn:aws:s3:::outcrop-bucket",
	"arn:aws:secretsmanager:us-east-1:123456789012:secret:key-AbCdEf",
	"1234abcd-12ab-34cd-56ef-1234567890ab",
	"1234abcd-12ab-44cd-96ef-1234567890ab",
	"https://example.com", "us-east-1", "123456789012", "DRAFT", "TSTALIASID", "QWERTYUIOP", "a1b2c3d4e5f6", "1",
}

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
	for _, s := range plausible {
		if fits(s) {
			return s, true
		}
	}
	if p.Match != nil {
		for _, s := range plausible[:2] {
			if s += strings.Repeat("a", max(0, lo-len(s))); fits(s) {
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
