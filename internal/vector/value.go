package vector

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// Kind is the type of a Value.
type Kind uint8

// The types an attribute can have. None is the zero Value and no attribute.
const (
	None Kind = iota
	String
	Number
	Bool
	List // of strings
)

// Value is a typed attribute: a string, a number, a boolean or a list of strings.
// In JSON it is itself.
type Value struct {
	kind Kind
	num  float64 // 1 is true
	str  string
	list []string
}

// StringValue makes a string.
func StringValue(s string) Value { return Value{kind: String, str: s} }

// NumberValue makes a number; numbers are doubles, so 2024 equals 2024.0.
func NumberValue(n float64) Value { return Value{kind: Number, num: n} }

// BoolValue makes a boolean, which equals no number and no string.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// ListValue makes a list of strings; it keeps s.
func ListValue(s ...string) Value { return Value{kind: List, list: s} }

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// Str is the string of a String, else empty.
func (v Value) Str() string { return v.str }

// Num is the number of a Number, else 0.
func (v Value) Num() float64 {
	if v.kind != Number {
		return 0
	}
	return v.num
}

// Bool is the truth of a Bool, else false.
func (v Value) Bool() bool { return v.kind == Bool && v.num == 1 }

// Strings are the members of a List, not to be changed; else nil.
func (v Value) Strings() []string { return v.list }

// Equal compares types first: no string equals a number. Lists are equal when their
// members are, in order.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.num == w.num && v.str == w.str && slices.Equal(v.list, w.list)
}

// Any is the value as encoding/json would decode it: string, float64, bool, []any.
func (v Value) Any() any {
	switch v.kind {
	case String:
		return v.str
	case Number:
		return v.num
	case Bool:
		return v.num == 1
	case List:
		out := make([]any, len(v.list))
		for i, s := range v.list {
			out[i] = s
		}
		return out
	default:
		return nil
	}
}

// ValueOf turns what encoding/json decodes (json.Number included), or a []string,
// into a Value. Anything else, a list with a member that is no string among it, is
// ErrInvalid.
func ValueOf(x any) (Value, error) {
	switch x := x.(type) {
	case string:
		return StringValue(x), nil
	case bool:
		return BoolValue(x), nil
	case float64:
		return finite(x)
	case int:
		return NumberValue(float64(x)), nil
	case json.Number:
		n, err := x.Float64()
		if err != nil {
			return Value{}, Invalid("the number %s", x)
		}
		return finite(n)
	case []string:
		return ListValue(x...), nil
	case []any:
		list := make([]string, len(x))
		for i, m := range x {
			s, ok := m.(string)
			if !ok {
				return Value{}, Invalid("a list with a member that is not a string")
			}
			list[i] = s
		}
		return ListValue(list...), nil
	default:
		return Value{}, Invalid("a value that is no string, number, boolean or list of strings")
	}
}

func finite(n float64) (Value, error) {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return Value{}, Invalid("a number that is not finite")
	}
	return NumberValue(n), nil
}

// MarshalJSON writes the bare value.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.kind == List && v.list == nil {
		return []byte("[]"), nil
	}
	return marshal(v.Any())
}

// UnmarshalJSON reads a bare value.
func (v *Value) UnmarshalJSON(b []byte) error {
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	got, err := ValueOf(x)
	*v = got
	return err
}

// marshal is json.Marshal without the escapes for HTML.
func marshal(x any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Metadata are the attributes of a chunk, by key.
type Metadata map[string]Value

func (m Metadata) check() error {
	for k, v := range m {
		switch {
		case k == "" || len(k) > 1024:
			return Invalid("an attribute with a key of %d bytes", len(k))
		case v.kind == None:
			return Invalid("the attribute %q has no value", k)
		case v.kind == Number && (math.IsNaN(v.num) || math.IsInf(v.num, 0)):
			return Invalid("the attribute %q is no finite number", k)
		case strings.ContainsRune(k, 0) || strings.ContainsRune(v.str, 0) || slices.ContainsFunc(v.list, func(s string) bool { return strings.ContainsRune(s, 0) }):
			return Invalid("the attribute %q holds a NUL character", k) // PostgreSQL's text cannot
		}
	}
	return nil
}
