package restjson

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// maxViolations bounds how many broken constraints one answer names, maxValue how
// many characters of a wrong value it repeats.
const (
	maxViolations = 100
	maxValue      = 256
)

// A broken set holds the constraints of one shape that a value breaks.
type broken uint8

const (
	tooLong  broken = 1 << iota // or too large
	tooShort                    // or too small
	noMatch
	noEnum
)

// step is one part of the path from the input to a value.
type step struct {
	n     *node
	index int    // of the member, the list element or the map entry
	key   string // of a map entry
	m     *api.Member
}

// violation is one broken constraint, ready for the message.
type violation struct {
	order      []int // place in the model: indices of the steps, then the rank
	path       string
	value      string // "Value '…'", "Value null" or "Value"
	constraint string
}

// checker collects violations along a path.
type checker struct {
	path       []step
	violations []violation
}

func (c *checker) push(s step) { c.path = append(c.path, s) }
func (c *checker) pop()        { c.path = c.path[:len(c.path)-1] }

// where writes the path as AWS does: a.1.member.b. Names begin in lower case
// whatever the model says, as the bean properties of AWS's servers do: IAM's
// RoleName is roleName in its messages.
func (c *checker) where() string {
	var b strings.Builder
	for i, s := range c.path {
		if i > 0 {
			b.WriteByte('.')
		}
		switch {
		case s.m != nil:
			if c := s.m.Name[0]; c >= 'A' && c <= 'Z' {
				b.WriteByte(c + 'a' - 'A')
				b.WriteString(s.m.Name[1:])
				continue
			}
			b.WriteString(s.m.Name)
		case s.key != "":
			b.WriteString(s.key + ".member")
		default:
			b.WriteString(strconv.Itoa(s.index+1) + ".member")
		}
	}
	return b.String()
}

// sensitive reports whether a value at the present path must not be repeated.
func (c *checker) sensitive() bool {
	return slices.ContainsFunc(c.path, func(s step) bool { return s.n.shape.Sensitive })
}

// add notes a violation at the present path.
func (c *checker) add(rank int, value, constraint string) {
	if len(c.violations) >= maxViolations {
		return
	}
	order := make([]int, 0, len(c.path)+1)
	for _, s := range c.path {
		order = append(order, s.index)
	}
	c.violations = append(c.violations, violation{append(order, rank), c.where(), value, constraint})
}

// drop forgets what was noted below the present path: a repeated key replaces it.
func (c *checker) drop() {
	c.violations = slices.DeleteFunc(c.violations, func(v violation) bool {
		if len(v.order) <= len(c.path) {
			return false
		}
		for i, s := range c.path {
			if v.order[i] != s.index {
				return false
			}
		}
		return true
	})
}

// missing notes that the value at the present path is required and absent.
func (c *checker) missing() { c.add(0, "Value null", "Member must not be null") }

// report notes the broken constraints of the value of n at p, at the present path.
func (c *checker) report(n *node, p unsafe.Pointer, b broken) {
	if len(c.violations) >= maxViolations {
		return // quoting costs time that a stranger could make us spend
	}
	value := c.quote(n, p)
	for i, bit := range [...]broken{tooLong, tooShort, noMatch, noEnum} {
		if b&bit != 0 {
			c.add(1+i, value, n.constraint(bit))
		}
	}
}

// reportInner notes that elements, values or keys of the list or map n at p break
// their own constraints; AWS lists all of these at the container.
func (c *checker) reportInner(n *node, p unsafe.Pointer, inner *node, what string) {
	if len(c.violations) >= maxViolations {
		return
	}
	var all []string
	for _, bit := range [...]broken{tooLong, tooShort, noMatch, noEnum} {
		if t := inner.constraint(bit); t != "" {
			all = append(all, t)
		}
	}
	rank := 5
	if what == "Map keys" {
		rank = 6
	}
	c.add(rank, c.quote(n, p), what+" must satisfy constraint: ["+strings.Join(all, ", ")+"]")
}

// constraint returns the text of one constraint of n, "" when it has none.
func (n *node) constraint(bit broken) string {
	sh := n.shape
	var what string
	switch n.kind {
	case api.Integer, api.Long, api.Float, api.Double:
		what = "value"
	default:
		what = "length"
	}
	switch {
	case bit == tooLong && sh.HasMax:
		return "Member must have " + what + " less than or equal to " + number(sh.Max)
	case bit == tooShort && sh.HasMin:
		return "Member must have " + what + " greater than or equal to " + number(sh.Min)
	case bit == noMatch && sh.Pattern != nil:
		return "Member must satisfy regular expression pattern: " + sh.Pattern.Source
	case bit == noEnum && sh.Enum != nil:
		return "Member must satisfy enum value set: [" + strings.Join(sh.Enum, ", ") + "]"
	}
	return ""
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// quote returns the beginning of a violation's text. Sensitive values are not repeated.
func (c *checker) quote(n *node, p unsafe.Pointer) string {
	if c.sensitive() || n.hides() {
		return "Value"
	}
	s := n.java(p, 0)
	if len(s) > maxValue && utf8.RuneCountInString(s) > maxValue {
		i := 0
		for range maxValue {
			_, size := utf8.DecodeRuneInString(s[i:])
			i += size
		}
		s = s[:i] + "..."
	}
	return "Value '" + s + "'"
}

// hides reports whether a list or map holds sensitive elements.
func (n *node) hides() bool {
	// Lists and maps nest only through structures, which are not printed: the loop
	// is short, but a bound costs nothing.
	for depth := 0; n != nil && depth < 8; depth++ {
		if n.shape.Sensitive || n.key != nil && n.key.shape.Sensitive {
			return true
		}
		n = n.elem
	}
	return false
}

// java prints a value as AWS's servers do, which print Java objects.
func (n *node) java(p unsafe.Pointer, depth int) string {
	switch n.kind {
	case api.String:
		return *(*string)(p)
	case api.Integer:
		return strconv.Itoa(*(*int)(p))
	case api.Long:
		return strconv.FormatInt(*(*int64)(p), 10)
	case api.Float, api.Double:
		return string(appendFloat(nil, *(*float64)(p)))
	case api.Boolean:
		return strconv.FormatBool(*(*bool)(p))
	case api.Blob:
		n := strconv.Itoa((*slice)(p).len)
		return "java.nio.HeapByteBuffer[pos=0 lim=" + n + " cap=" + n + "]"
	case api.List:
		s := (*slice)(p)
		parts := make([]string, 0, min(s.len, 20))
		for i := range s.len {
			if i == 20 || depth > 3 {
				parts = append(parts, "...")
				break
			}
			parts = append(parts, n.elem.java(unsafe.Add(s.data, uintptr(i)*n.elem.size), depth+1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case api.Map:
		if !n.strMap {
			return "{...}"
		}
		m := *(*map[string]string)(p)
		parts := make([]string, 0, min(len(m), 20))
		for k, v := range m {
			parts = append(parts, k+"="+v)
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return n.shape.Name
	}
}

// checkString returns the constraints of n that s breaks. Lengths count Unicode
// code points, not bytes and not UTF-16 units.
func (n *node) checkString(s string) broken {
	if !n.checks {
		return 0
	}
	var b broken
	// Each code point is one to four bytes: most strings need no counting.
	if len(s) > n.maxLen || len(s) < 4*n.minLen {
		switch count := utf8.RuneCountInString(s); {
		case count > n.maxLen:
			b |= tooLong
		case count < n.minLen:
			b |= tooShort
		}
	}
	if n.match != nil && !n.match.matchString(s) {
		b |= noMatch
	}
	if n.enum != nil {
		if _, ok := n.enum[s]; !ok {
			b |= noEnum
		}
	}
	return b
}

// checkSize checks the length of a blob, list or map.
func (n *node) checkSize(size int) broken {
	switch {
	case size > n.maxLen:
		return tooLong
	case size < n.minLen:
		return tooShort
	}
	return 0
}

// checkNumber checks the range; NaN is outside of every range.
func (n *node) checkNumber(v float64) broken {
	var b broken
	if n.shape.HasMax && !(v <= n.shape.Max) {
		b |= tooLong
	}
	if n.shape.HasMin && !(v >= n.shape.Min) {
		b |= tooShort
	}
	return b
}

// fault turns the violations into one ValidationException, nil when there are none.
func (c *checker) fault() error {
	if len(c.violations) == 0 {
		return nil
	}
	slices.SortStableFunc(c.violations, func(a, b violation) int {
		return slices.Compare(a.order, b.order)
	})
	var text strings.Builder
	text.WriteString(strconv.Itoa(len(c.violations)))
	text.WriteString(" validation error")
	if len(c.violations) > 1 {
		text.WriteByte('s')
	}
	text.WriteString(" detected: ")
	fields := make([]apierr.Field, 0, len(c.violations))
	for i, v := range c.violations {
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(v.value + " at '" + v.path + "' failed to satisfy constraint: " + v.constraint)
		fields = append(fields, apierr.Field{Name: v.path, Message: v.constraint})
	}
	return &apierr.Error{Kind: apierr.Validation, Message: text.String(), Detail: apierr.Detail{Fields: fields}}
}
