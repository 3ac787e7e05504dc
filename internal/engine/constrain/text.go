package constrain

import (
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// formats holds the string formats that are worth a grammar, quotes excluded.
var formats = map[string]string{
	"date":      `[0-9]{4} "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )`,
	"time":      `( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9]{1,9} )? ( "Z" | [-+] ( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] )`,
	"uuid":      `[0-9a-fA-F]{8} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{12}`,
	"date-time": `date "T" time`,
}

// text handles pattern, format, minLength and maxLength of a string. One of them
// is honoured, in this order; the length counts characters as written.
func (c *compiler) text(n *node) string {
	if p := n.get("pattern").str(); p != "" {
		if e, ok := pattern(p); ok {
			return c.b.fresh(`"\"" ` + e + ` "\""`)
		}
	}
	if f := n.get("format").str(); formats[f] != "" {
		c.b.add("date", formats["date"])
		c.b.add("time", formats["time"])
		return c.b.add("format-"+f, `"\"" `+formats[f]+` "\""`)
	}
	lo, okLo := n.get("minLength").integer()
	hi, okHi := n.get("maxLength").integer()
	if okHi && (hi > maxRepeat || hi < lo) || hi < 0 {
		okHi = false
	}
	lo = min(max(lo, 0), maxRepeat)
	switch {
	case okHi:
		return c.b.fresh(`"\"" ` + repeat("char", lo, hi) + ` "\""`)
	case okLo && lo > 0:
		return c.b.fresh(`"\"" ` + repeat("char", lo, -1) + ` "\""`)
	}
	return "string"
}

// pattern translates a regular expression into what a JSON string whose value
// matches it holds between its quotes; false when it uses what a grammar cannot
// say.
func pattern(p string) (string, bool) {
	if len(p) > 1000 {
		return "", false
	}
	re, err := syntax.Parse(p, syntax.Perl)
	if err != nil {
		return "", false
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	// A pattern without anchors may match anywhere in the value.
	before, after := true, true
	if len(parts) > 0 && anchor(parts[0].Op, syntax.OpBeginText, syntax.OpBeginLine) {
		before, parts = false, parts[1:]
	}
	if l := len(parts); l > 0 && anchor(parts[l-1].Op, syntax.OpEndText, syntax.OpEndLine) {
		after, parts = false, parts[:l-1]
	}
	var out []string
	if before {
		out = append(out, "char*")
	}
	cost := 0
	for _, s := range parts {
		e, ok := translate(s, 1, &cost)
		if !ok {
			return "", false
		}
		out = append(out, e)
	}
	if after {
		out = append(out, "char*")
	}
	if len(out) == 0 {
		return `""`, true
	}
	return strings.Join(out, " "), true
}

func anchor(op syntax.Op, any ...syntax.Op) bool { return slices.Contains(any, op) }

// translate writes one node of a regular expression. times is how often it may
// be repeated by what stands around it; cost adds up what the engine will expand.
func translate(re *syntax.Regexp, times int, cost *int) (string, bool) {
	if *cost += times; *cost > maxRepeat {
		return "", false
	}
	sub := func(times int) (string, bool) { return translate(re.Sub[0], times, cost) }
	switch re.Op {
	case syntax.OpEmptyMatch:
		return `""`, true
	case syntax.OpLiteral:
		var w strings.Builder
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && unicode.SimpleFold(r) != r {
				ranges := []rune{r, r}
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					ranges = append(ranges, f, f)
				}
				e, ok := runes(ranges)
				if !ok {
					return "", false
				}
				w.WriteString(e + " ")
				continue
			}
			q := quote(string(r))
			w.WriteString(literal(q[1:len(q)-1]) + " ")
		}
		return "( " + w.String() + ")", true
	case syntax.OpCharClass:
		return runes(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "char", true
	case syntax.OpCapture:
		return sub(times)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		e, ok := sub(times)
		return "( " + e + " )" + map[syntax.Op]string{syntax.OpStar: "*", syntax.OpPlus: "+", syntax.OpQuest: "?"}[re.Op], ok
	case syntax.OpRepeat:
		if re.Max > maxRepeat || re.Min > maxRepeat {
			return "", false
		}
		e, ok := sub(times * max(re.Min, re.Max, 1))
		return repeat("( "+e+" )", int64(re.Min), int64(re.Max)), ok
	case syntax.OpConcat, syntax.OpAlternate:
		var parts []string
		for _, s := range re.Sub {
			e, ok := translate(s, times, cost)
			if !ok {
				return "", false
			}
			parts = append(parts, e)
		}
		sep := " "
		if re.Op == syntax.OpAlternate {
			sep = " | "
		}
		return "( " + strings.Join(parts, sep) + " )", true
	default:
		return "", false // anchors inside, word boundaries, nothing at all
	}
}

// runes writes a set of characters, given as pairs, as they stand in a JSON
// string: quote, backslash and control characters are escaped there.
func runes(pairs []rune) (string, bool) {
	if len(pairs) == 0 || len(pairs) > 128 {
		return "", false
	}
	var set strings.Builder
	var alts []string
	for i := 0; i < len(pairs); i += 2 {
		lo, hi := pairs[i], pairs[i+1]
		for _, s := range []rune{'\t', '\n', '\r', '"', '\\'} {
			if lo <= s && s <= hi {
				q := quote(string(s))
				alts = append(alts, literal(q[1:len(q)-1]))
			}
		}
		// Take the special characters out of the range.
		for _, cut := range []struct{ from, to rune }{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}, {0x7f, 0x7f}} {
			if lo < cut.from && hi >= cut.from {
				writeRange(&set, lo, cut.from-1)
				lo = cut.to + 1
			} else if lo >= cut.from && lo <= cut.to {
				lo = cut.to + 1
			}
		}
		if lo <= hi {
			writeRange(&set, lo, hi)
		}
	}
	if set.Len() > 0 {
		alts = append(alts, "["+set.String()+"]")
	}
	if len(alts) == 0 {
		return "", false
	}
	return "( " + strings.Join(alts, " | ") + " )", true
}

func writeRange(w *strings.Builder, lo, hi rune) {
	w.WriteString(class(lo))
	if hi > lo {
		w.WriteString("-" + class(hi))
	}
}

// integer honours minimum and maximum, exclusive ones included.
func (c *compiler) integer(n *node) string {
	lo, okLo := bound(n, "minimum", "exclusiveMinimum", 1)
	hi, okHi := bound(n, "maximum", "exclusiveMaximum", -1)
	if okLo && okHi && lo > hi {
		okLo, okHi = false, false
	}
	const most = 1_000_000_000_000_000
	long := `[1-9] [0-9]{0,15}`
	var alts []string
	switch { // below zero
	case okLo && lo >= 0:
	case okHi && hi < 0 && okLo:
		alts = append(alts, `"-" `+digits(uint64(-hi), uint64(-lo)))
	case okHi && hi < 0:
		alts = append(alts, `"-" `+digits(uint64(-hi), most-1), `"-" [1-9] [0-9]{15}`)
	case okLo:
		alts = append(alts, `"-" `+digits(1, uint64(-lo)))
	default:
		alts = append(alts, `"-" `+long)
	}
	switch { // from zero
	case okHi && hi < 0:
	case okHi:
		alts = append(alts, digits(uint64(max(lo, 0)), uint64(hi)))
	case okLo && lo > 0:
		alts = append(alts, digits(uint64(lo), most-1), `[1-9] [0-9]{15}`)
	default:
		alts = append(alts, `"0"`, long)
	}
	if !okLo && !okHi {
		return "integer"
	}
	return c.b.fresh(strings.Join(alts, " | "))
}

// bound reads a limit of integers; step is what an exclusive one moves by.
// OpenAPI 3.0 says "exclusive" with a boolean beside the limit.
func bound(n *node, key, exclusive string, step int64) (int64, bool) {
	round := math.Ceil
	if step < 0 {
		round = math.Floor
	}
	v, ok := n.get(key).number()
	v = round(v)
	if ok && n.get(exclusive).is(true) && v == round(v) {
		v += float64(step)
	}
	if x, okX := n.get(exclusive).number(); okX {
		r := round(x)
		if r == x {
			r += float64(step)
		}
		if !ok || (step > 0 && r > v) || (step < 0 && r < v) {
			v, ok = r, true
		}
	}
	if math.Abs(v) >= 1e15 {
		return 0, false
	}
	return int64(v), ok
}

// digits writes the numbers from lo to hi without leading zeros.
func digits(lo, hi uint64) string {
	var alts []string
	power := uint64(1) // the smallest number with this many digits
	for d := 1; d <= 16; d++ {
		a, b := max(lo, power), min(hi, power*10-1)
		if d == 1 {
			a = lo
		}
		if a <= b {
			alts = append(alts, between(fmt.Sprint(a), fmt.Sprint(b)))
		}
		power *= 10
	}
	return "( " + strings.Join(alts, " | ") + " )"
}

// between writes the numbers from a to b, which have as many digits.
func between(a, b string) string {
	n := len(a)
	switch {
	case n == 0:
		return `""`
	case strings.Trim(a, "0") == "" && strings.Trim(b, "9") == "":
		return fmt.Sprintf("[0-9]{%d}", n)
	case n == 1:
		return "[" + a + "-" + b + "]"
	case a[0] == b[0]:
		return `"` + a[:1] + `" ` + between(a[1:], b[1:])
	}
	zeros, nines := strings.Repeat("0", n-1), strings.Repeat("9", n-1)
	from, to := a[0], b[0]
	var alts []string
	if a[1:] != zeros {
		alts = append(alts, `"`+a[:1]+`" `+between(a[1:], nines))
		from++
	}
	last := ""
	if b[1:] != nines {
		last = `"` + b[:1] + `" ` + between(zeros, b[1:])
		to--
	}
	if from <= to {
		alts = append(alts, fmt.Sprintf("[%c-%c] [0-9]{%d}", from, to, n-1))
	}
	if last != "" {
		alts = append(alts, last)
	}
	return "( " + strings.Join(alts, " | ") + " )"
}
