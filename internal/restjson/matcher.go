package restjson

import (
	"hash/maphash"
	"regexp/syntax"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// matcher checks a pattern faster than the regular expression alone: patterns of
// the form [class]{m,n} are a loop over a table, and strings that matched lately
// (model ids, agent ids, tool names come again with every request) are remembered.
type matcher struct {
	pattern *api.Pattern
	any     bool // matches every string
	class   *class
	seen    [64]atomic.Pointer[string]
}

// class is the pattern [set]{min,max}; max -1 is no limit.
type class struct {
	ascii    [128]bool
	ranges   []rune // pairs, for the rest
	min, max int
}

var seed = maphash.MakeSeed()

// rememberMax bounds the length of remembered strings: 64 of 256 bytes are at
// most 16 kB per pattern.
const rememberMax = 256

func newMatcher(p *api.Pattern) *matcher {
	m := &matcher{pattern: p}
	if p.Match != nil {
		return m
	}
	if m.class = classOf(p.Expr); m.class != nil && m.class.all() {
		m.any, m.class = true, nil
	}
	return m
}

// classOf recognises a single repeated character class, nil for anything else.
func classOf(expr string) *class {
	expr = strings.TrimPrefix(expr, "^")
	if strings.HasSuffix(expr, "$") && !strings.HasSuffix(expr, `\$`) {
		expr = expr[:len(expr)-1]
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	c := &class{min: 1, max: 1}
	switch re.Op {
	case syntax.OpStar:
		c.min, c.max, re = 0, -1, re.Sub[0]
	case syntax.OpPlus:
		c.min, c.max, re = 1, -1, re.Sub[0]
	case syntax.OpRepeat:
		c.min, c.max, re = re.Min, re.Max, re.Sub[0]
	case syntax.OpQuest:
		c.min, c.max, re = 0, 1, re.Sub[0]
	default: // once; below is told whether it is a class at all
	}
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	switch re.Op {
	case syntax.OpCharClass:
		c.ranges = re.Rune
	case syntax.OpAnyChar:
		c.ranges = []rune{0, unicode.MaxRune}
	case syntax.OpAnyCharNotNL:
		c.ranges = []rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	case syntax.OpLiteral:
		if len(re.Rune) != 1 || re.Flags&syntax.FoldCase != 0 {
			return nil
		}
		c.ranges = []rune{re.Rune[0], re.Rune[0]}
	default:
		return nil
	}
	for r := range rune(len(c.ascii)) {
		c.ascii[r] = inRanges(c.ranges, r)
	}
	return c
}

func inRanges(ranges []rune, r rune) bool {
	for i := 0; i < len(ranges); i += 2 {
		if r >= ranges[i] && r <= ranges[i+1] {
			return true
		}
	}
	return false
}

func (c *class) all() bool {
	return c.min == 0 && c.max == -1 && len(c.ranges) == 2 && c.ranges[0] == 0 && c.ranges[1] == unicode.MaxRune
}

func (c *class) matchString(s string) bool {
	n := 0
	for _, r := range s {
		if r < 128 {
			if !c.ascii[r] {
				return false
			}
		} else if !inRanges(c.ranges, r) {
			return false
		}
		n++
	}
	return n >= c.min && (c.max < 0 || n <= c.max)
}

func (m *matcher) matchString(s string) bool {
	if m.any {
		return true
	}
	if m.class != nil {
		return m.class.matchString(s)
	}
	if len(s) > rememberMax {
		return m.pattern.MatchString(s)
	}
	slot := &m.seen[maphash.String(seed, s)%uint64(len(m.seen))]
	if p := slot.Load(); p != nil && *p == s {
		return true
	}
	if !m.pattern.MatchString(s) {
		return false
	}
	kept := strings.Clone(s)
	slot.Store(&kept)
	return true
}
