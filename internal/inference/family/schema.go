package family

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Schema says what a JSON value must be. It is built once with the functions
// below and only read afterwards. Its violations have the texts of the checker
// that the real service uses (the Java library everit-json-schema).
type Schema struct {
	kind     Kind // Absent: any value
	kinds    []*Schema
	nullable bool
	fields   []Field
	open     bool
	items    *Schema
	min, max *float64
	above    bool // min itself is not allowed
	minLen   int
	maxLen   int // code points of a string, items of an array; -1 is no bound
	enum     []string
	pattern  *regexp.Regexp
	regex    string // the pattern as messages show it
}

// Field is a member of an object.
type Field struct {
	Name     string
	Required bool
	Schema   *Schema
}

// Required is a member that must be there.
func Required(name string, s *Schema) Field { return Field{name, true, s} }

// Optional is a member that may be left out.
func Optional(name string, s *Schema) Field { return Field{name, false, s} }

// AnObject wants an object with these members and no others. Missing ones are
// reported in this order.
func AnObject(fields ...Field) *Schema { return &Schema{kind: Object, fields: fields, maxLen: -1} }

// AnArray wants an array of such items.
func AnArray(items *Schema) *Schema { return &Schema{kind: Array, items: items, maxLen: -1} }

// AString wants a string.
func AString() *Schema { return &Schema{kind: String, maxLen: -1} }

// ABoolean wants true or false.
func ABoolean() *Schema { return &Schema{kind: Boolean, maxLen: -1} }

// ANumber wants a number from lowest to highest; an integer literal will do.
func ANumber(lowest, highest float64) *Schema {
	return (&Schema{kind: Number, maxLen: -1}).Between(lowest, highest)
}

// AnInteger wants a number without a fraction from lowest to highest.
func AnInteger(lowest, highest float64) *Schema {
	return (&Schema{kind: Integer, maxLen: -1}).Between(lowest, highest)
}

// Anything takes every value.
func Anything() *Schema { return &Schema{maxLen: -1} }

// Either takes a value of the kind of one of the schemas, which must differ in
// kind; a value of no such kind is reported against the first.
func Either(schemas ...*Schema) *Schema { return &Schema{kinds: schemas, maxLen: -1} }

// Between bounds a number on both sides; an infinite bound is none.
func (s *Schema) Between(lowest, highest float64) *Schema {
	s.min, s.max = nil, nil
	if !math.IsInf(lowest, 0) {
		s.min = &lowest
	}
	if !math.IsInf(highest, 0) {
		s.max = &highest
	}
	return s
}

// Above lets a number not be its lower bound itself.
func (s *Schema) Above() *Schema { s.above = true; return s }

// Size bounds the code points of a string or the items of an array; -1 as the
// most is no bound.
func (s *Schema) Size(least, most int) *Schema { s.minLen, s.maxLen = least, most; return s }

// OneOf wants the value, as text, to be one of these.
func (s *Schema) OneOf(values ...string) *Schema { s.enum = values; return s }

// Matching wants a string that has a match of the expression, which messages
// show as it is written.
func (s *Schema) Matching(expr string) *Schema {
	s.pattern, s.regex = regexp.MustCompile(expr), expr
	return s
}

// Open lets an object have members beyond those named.
func (s *Schema) Open() *Schema { s.open = true; return s }

// OrNull lets the value be null.
func (s *Schema) OrNull() *Schema { s.nullable = true; return s }

// Check returns nil, or one error that lists every violation.
func (s *Schema) Check(v *Value) error {
	if found := s.Violations(nil, "#", v); len(found) > 0 {
		return Malformed(found...)
	}
	return nil
}

// Malformed is the error for violations, each of the form "#/a/b: text".
func Malformed(violations ...string) *apierr.Error {
	return apierr.New(apierr.Validation, "Malformed input request: %s, please reformat your input and try again.",
		strings.Join(violations, ", "))
}

// AtMost returns the error for a whole number above a limit that depends on the
// model, nil when it is within.
func AtMost(at string, v *Value, most int) error {
	if v.IsNumber() && v.Float() > float64(most) {
		return Malformed(fmt.Sprintf("%s: %s is not less or equal to %d", at, v.Raw, most))
	}
	return nil
}

// Violations appends what is wrong with v, which stands at the pointer, to found.
func (s *Schema) Violations(found []string, at string, v *Value) []string {
	if s.nullable && v.Kind == Null {
		return found
	}
	if len(s.kinds) > 0 {
		for _, k := range s.kinds {
			if k.takes(v) {
				return k.Violations(found, at, v)
			}
		}
		return append(found, fmt.Sprintf("%s: expected type: %s, found: %s", at, s.kinds[0].kind, v.found()))
	}
	if !s.takes(v) {
		return append(found, fmt.Sprintf("%s: expected type: %s, found: %s", at, s.kind, v.found()))
	}
	if s.enum != nil {
		text := string(v.Raw)
		if v.Kind == String {
			text = v.Text()
		}
		if !slices.Contains(s.enum, text) {
			return append(found, fmt.Sprintf("%s: %s is not a valid enum value", at, text))
		}
	}
	switch s.kind {
	case Object:
		return s.object(found, at, v)
	case Array:
		if n := len(v.items); n < s.minLen {
			found = append(found, fmt.Sprintf("%s: expected minimum item count: %d, found: %d", at, s.minLen, n))
		} else if s.maxLen >= 0 && n > s.maxLen {
			found = append(found, fmt.Sprintf("%s: expected maximum item count: %d, found: %d", at, s.maxLen, n))
		}
		for i := range v.items {
			found = s.items.child(found, at, strconv.Itoa(i), &v.items[i])
		}
	case String:
		found = s.str(found, at, v)
	case Number, Integer:
		f := v.Float()
		if s.min != nil && (f < *s.min || s.above && f == *s.min) {
			word := "greater or equal to"
			if s.above {
				word = "greater than"
			}
			found = append(found, fmt.Sprintf("%s: %s is not %s %s", at, v.Raw, word, number(*s.min)))
		}
		if s.max != nil && f > *s.max {
			found = append(found, fmt.Sprintf("%s: %s is not less or equal to %s", at, v.Raw, number(*s.max)))
		}
	default: // nothing more to check
	}
	return found
}

func (s *Schema) takes(v *Value) bool {
	switch s.kind {
	case Absent:
		return true
	case Number:
		return v.IsNumber()
	default:
		return s.kind == v.Kind
	}
}

// child spares the pointer's text for values that have nothing wrong and nothing below.
func (s *Schema) child(found []string, at, name string, v *Value) []string {
	if s.kind == Absent && s.kinds == nil {
		return found
	}
	return s.Violations(found, at+"/"+name, v)
}

func (s *Schema) object(found []string, at string, v *Value) []string {
	for i := range s.fields {
		if f := &s.fields[i]; f.Required && !v.Has(f.Name) {
			found = append(found, fmt.Sprintf("%s: required key [%s] not found", at, f.Name))
		}
	}
	if !s.open {
		for i := range v.members {
			name := v.members[i].name
			if !slices.ContainsFunc(s.fields, func(f Field) bool { return f.Name == name }) {
				found = append(found, fmt.Sprintf("%s: extraneous key [%s] is not permitted", at, name))
			}
		}
	}
	for i := range s.fields {
		f := &s.fields[i]
		if m := v.Get(f.Name); m.Kind != Absent {
			found = f.Schema.child(found, at, f.Name, m)
		}
	}
	return found
}

func (s *Schema) str(found []string, at string, v *Value) []string {
	if s.minLen == 0 && s.maxLen < 0 && s.pattern == nil {
		return found
	}
	text := v.Text()
	n := utf8.RuneCountInString(text)
	if n < s.minLen {
		found = append(found, fmt.Sprintf("%s: expected minLength: %d, actual: %d", at, s.minLen, n))
	}
	if s.maxLen >= 0 && n > s.maxLen {
		found = append(found, fmt.Sprintf("%s: expected maxLength: %d, actual: %d", at, s.maxLen, n))
	}
	if s.pattern != nil && !s.pattern.MatchString(text) {
		found = append(found, fmt.Sprintf("%s: string [%s] does not match pattern %s", at, text, s.regex))
	}
	return found
}

// number prints a bound as Java does: whole numbers plain, others with a point.
func number(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	if a := math.Abs(f); a >= 1e-3 && a < 1e7 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}
