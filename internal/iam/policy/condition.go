package policy

import (
	"bytes"
	"encoding/base64"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"
)

// base is an operator without prefix and suffix, and without its negation.
type base uint8

const (
	stringEquals base = iota + 1
	stringEqualsFold
	stringLike
	numericEquals
	numericLess
	numericLessEquals
	numericGreater
	numericGreaterEquals
	dateEquals
	dateLess
	dateLessEquals
	dateGreater
	dateGreaterEquals
	boolean
	binaryEquals
	ipAddress
	arnLike
	null
)

type operator struct {
	base     base
	negated  bool
	set      set
	ifExists bool
}

type set uint8

const (
	single set = iota
	forAny
	forAll
)

// operators are all that the language has, without prefix and suffix.
var operators = map[string]operator{
	"StringEquals": {base: stringEquals}, "StringNotEquals": {base: stringEquals, negated: true},
	"StringEqualsIgnoreCase": {base: stringEqualsFold}, "StringNotEqualsIgnoreCase": {base: stringEqualsFold, negated: true},
	"StringLike": {base: stringLike}, "StringNotLike": {base: stringLike, negated: true},
	"NumericEquals": {base: numericEquals}, "NumericNotEquals": {base: numericEquals, negated: true},
	"NumericLessThan": {base: numericLess}, "NumericLessThanEquals": {base: numericLessEquals},
	"NumericGreaterThan": {base: numericGreater}, "NumericGreaterThanEquals": {base: numericGreaterEquals},
	"DateEquals": {base: dateEquals}, "DateNotEquals": {base: dateEquals, negated: true},
	"DateLessThan": {base: dateLess}, "DateLessThanEquals": {base: dateLessEquals},
	"DateGreaterThan": {base: dateGreater}, "DateGreaterThanEquals": {base: dateGreaterEquals},
	"Bool": {base: boolean}, "BinaryEquals": {base: binaryEquals},
	"IpAddress": {base: ipAddress}, "NotIpAddress": {base: ipAddress, negated: true},
	"ArnEquals": {base: arnLike}, "ArnNotEquals": {base: arnLike, negated: true},
	"ArnLike": {base: arnLike}, "ArnNotLike": {base: arnLike, negated: true},
	"Null": {base: null},
}

// Operators lists the condition operators without prefixes and suffix, sorted.
func Operators() []string {
	out := make([]string, 0, len(operators))
	for name := range operators {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func parseOperator(name string) (operator, bool) {
	var s set
	if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		name, s = rest, forAny
	} else if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		name, s = rest, forAll
	}
	name, exists := strings.CutSuffix(name, "IfExists")
	o, ok := operators[name]
	if !ok || o.base == null && (exists || s != single) {
		return operator{}, false // Null asks for existence itself
	}
	o.set, o.ifExists = s, exists
	return o, true
}

// condition is a compiled Condition. Only the list of its operator's type is
// filled.
type condition struct {
	operator
	key     string // lower case; one text for all that are equal, so that comparing is cheap
	texts   []glob
	arns    []arnGlob
	numbers []float64
	dates   []int64 // nanoseconds
	bools   []bool  // of Bool and Null
	binary  [][]byte
	nets    []netip.Prefix
}

func compileCondition(c Condition, r rules) (condition, string) {
	o, _ := parseOperator(c.Operator)
	out := condition{operator: o, key: unique.Make(strings.ToLower(c.Key)).Value()}
	for _, v := range c.Values {
		switch o.base {
		case stringEquals, stringEqualsFold:
			out.texts = append(out.texts, newGlob(v, r&^wildcards))
		case stringLike:
			out.texts = append(out.texts, newGlob(v, r|wildcards))
		case arnLike:
			// A value with too few parts matches no ARN, as with AWS.
			if g, ok := newARNGlob(v, r|wildcards, false); ok {
				out.arns = append(out.arns, g)
			}
		case numericEquals, numericLess, numericLessEquals, numericGreater, numericGreaterEquals:
			n, ok := parseNumber(v)
			if !ok {
				return out, "The value " + strconv.Quote(v) + " is not a number."
			}
			out.numbers = append(out.numbers, n)
		case dateEquals, dateLess, dateLessEquals, dateGreater, dateGreaterEquals:
			t, ok := parseDate(v)
			if !ok {
				return out, "The value " + strconv.Quote(v) + " is not a date."
			}
			out.dates = append(out.dates, t)
		case boolean, null:
			b, ok := parseBool(v)
			if !ok {
				return out, "The value " + strconv.Quote(v) + " is neither true nor false."
			}
			out.bools = append(out.bools, b)
		case binaryEquals:
			b, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return out, "The value " + strconv.Quote(v) + " is not base64."
			}
			out.binary = append(out.binary, b)
		case ipAddress:
			n, ok := parseNet(v)
			if !ok {
				return out, "The value " + strconv.Quote(v) + " is not an address or a range of addresses."
			}
			out.nets = append(out.nets, n)
		}
	}
	return out, ""
}

func parseNumber(s string) (float64, bool) {
	if s == "" || strings.ContainsAny(s, "xXpP_iIn") { // what ParseFloat takes and JSON does not
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

var dateForms = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02", "2006-01", "20060102T150405Z",
}

// parseDate reads a W3C date or seconds since 1970.
func parseDate(s string) (int64, bool) {
	for _, f := range dateForms {
		if t, err := time.Parse(f, s); err == nil {
			if y := t.Year(); y < 1678 || y > 2261 {
				return 0, false
			}
			return t.UnixNano(), true
		}
	}
	if len(s) == 4 { // a year alone, which is no time in 1970
		if t, err := time.Parse("2006", s); err == nil {
			return t.UnixNano(), t.Year() >= 1678 && t.Year() <= 2261
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	const limit = math.MaxInt64 / int64(time.Second)
	if err != nil || n > limit || n < -limit {
		return 0, false
	}
	return n * int64(time.Second), true
}

func parseBool(s string) (value, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

func parseNet(s string) (netip.Prefix, bool) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, false
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// holds reports whether the condition is true for the request.
func (c *condition) holds(e *evaluator) bool {
	values := e.lookup(c.key)
	if c.base == null {
		return slices.Contains(c.bools, len(values) == 0)
	}
	if len(values) == 0 {
		switch {
		case c.ifExists, c.set == forAll:
			return true
		case c.set == forAny:
			return false
		}
		return c.negated
	}
	switch c.set {
	case single:
		// Several values need a set operator; without one nothing is true of them.
		return len(values) == 1 && c.test(values[0], e)
	case forAny:
		for _, v := range values {
			if c.test(v, e) {
				return true
			}
		}
		return false
	case forAll:
	}
	for _, v := range values {
		if !c.test(v, e) {
			return false
		}
	}
	return true
}

// test asks for one value of the request. A variable without value makes the
// negated operators false too: nothing is known about what is compared.
func (c *condition) test(v string, e *evaluator) bool {
	ok, resolved := c.equal(v, e)
	if c.negated {
		return !ok && resolved
	}
	return ok
}

func (c *condition) equal(v string, e *evaluator) (ok, resolved bool) {
	resolved = true
	switch c.base {
	case stringEquals, stringLike:
		for i := range c.texts {
			m, r := c.texts[i].match(v, e)
			if m {
				return true, true
			}
			resolved = resolved && r
		}
	case stringEqualsFold:
		for i := range c.texts {
			s, r := c.texts[i].literal(e)
			if r && strings.EqualFold(s, v) {
				return true, true
			}
			resolved = resolved && r
		}
	case arnLike:
		parts, isARN := cutARN(v)
		if !isARN {
			return false, true
		}
		for i := range c.arns {
			m, r := c.arns[i].match(&parts, e)
			if m {
				return true, true
			}
			resolved = resolved && r
		}
	case numericEquals, numericLess, numericLessEquals, numericGreater, numericGreaterEquals:
		n, isNumber := parseNumber(v)
		return isNumber && slices.ContainsFunc(c.numbers, func(w float64) bool { return compare(c.base-numericEquals, n, w) }), isNumber
	case dateEquals, dateLess, dateLessEquals, dateGreater, dateGreaterEquals:
		t, isDate := parseDate(v)
		return isDate && slices.ContainsFunc(c.dates, func(w int64) bool { return compare(c.base-dateEquals, t, w) }), isDate
	case boolean:
		b, isBool := parseBool(v)
		return isBool && slices.Contains(c.bools, b), true
	case binaryEquals:
		b, err := base64.StdEncoding.DecodeString(v)
		return err == nil && slices.ContainsFunc(c.binary, func(w []byte) bool { return bytes.Equal(b, w) }), true
	case ipAddress:
		a, err := netip.ParseAddr(v)
		if err != nil {
			return false, false
		}
		a = a.Unmap().WithZone("")
		return slices.ContainsFunc(c.nets, func(n netip.Prefix) bool { return n.Contains(a) }), true
	case null:
	}
	return false, resolved
}

// compare applies the comparison at the same place of the numeric and the date
// operators.
func compare[T int64 | float64](which base, a, b T) bool {
	switch which {
	case 0:
		return a == b
	case 1:
		return a < b
	case 2:
		return a <= b
	case 3:
		return a > b
	default:
		return a >= b
	}
}
