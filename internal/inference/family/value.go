package family

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Kind is the JSON type of a Value.
type Kind uint8

// The JSON types. Integer is a number without a fraction: 3, 3.0 and 3e0 alike.
const (
	Absent Kind = iota
	Null
	Boolean
	Integer
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"Null", "Null", "Boolean", "Integer", "Number", "String", "JSONArray", "JSONObject"}

func (k Kind) String() string { return kindNames[k] }

// found is how the checker names the type of a value that it did not want.
func (v *Value) found() string {
	if v.Kind == Number {
		return "Double"
	}
	return v.Kind.String()
}

// Value is a node of a JSON text. It points into the text, which must not change
// while the Value is used: big strings such as images are not copied.
type Value struct {
	Kind    Kind
	Raw     []byte // the JSON text of the value
	members []member
	items   []Value
}

type member struct {
	name  string
	value Value
}

// Parse reads a body, which must be one JSON object in UTF-8.
func Parse(body []byte) (Value, error) {
	if !json.Valid(body) || !utf8.Valid(body) {
		return Value{}, apierr.New(apierr.Validation, "Malformed input request, please reformat your input and try again.")
	}
	v := Tree(body)
	if v.Kind != Object {
		return Value{}, apierr.New(apierr.Validation, "Malformed input request, please reformat your input and try again.")
	}
	return v, nil
}

// Tree returns the tree of a text that is known to be valid JSON; an empty text
// is Absent.
func Tree(text []byte) Value {
	s := scanner{text: text}
	s.space()
	if s.pos == len(s.text) {
		return Value{}
	}
	return s.value()
}

// scanner walks JSON that json.Valid has accepted.
type scanner struct {
	text []byte
	pos  int
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value() Value {
	start := s.pos
	switch s.text[s.pos] {
	case '{':
		v := Value{Kind: Object}
		s.pos++
		s.space()
		for s.text[s.pos] != '}' {
			if s.text[s.pos] == ',' {
				s.pos++
				s.space()
			}
			name := s.str()
			s.space()
			s.pos++ // :
			s.space()
			child := s.value()
			s.space()
			v.set(text(name), child)
		}
		s.pos++
		v.Raw = s.text[start:s.pos]
		return v
	case '[':
		v := Value{Kind: Array}
		s.pos++
		s.space()
		for s.text[s.pos] != ']' {
			if s.text[s.pos] == ',' {
				s.pos++
				s.space()
			}
			v.items = append(v.items, s.value())
			s.space()
		}
		s.pos++
		v.Raw = s.text[start:s.pos]
		return v
	case '"':
		return Value{Kind: String, Raw: s.str()}
	case 't':
		s.pos += len("true")
		return Value{Kind: Boolean, Raw: s.text[start:s.pos]}
	case 'f':
		s.pos += len("false")
		return Value{Kind: Boolean, Raw: s.text[start:s.pos]}
	case 'n':
		s.pos += len("null")
		return Value{Kind: Null, Raw: s.text[start:s.pos]}
	}
	for s.pos < len(s.text) && bytes.IndexByte([]byte("+-.0123456789Ee"), s.text[s.pos]) >= 0 {
		s.pos++
	}
	v := Value{Kind: Integer, Raw: s.text[start:s.pos]}
	if bytes.ContainsAny(v.Raw, ".eE") {
		if f := v.Float(); f != math.Trunc(f) || math.IsInf(f, 0) {
			v.Kind = Number
		}
	}
	return v
}

// str returns the string at the position with its quotes.
func (s *scanner) str() []byte {
	start := s.pos
	s.pos++
	for {
		n := bytes.IndexByte(s.text[s.pos:], '"')
		s.pos += n + 1
		// The quote ends the string unless an odd number of backslashes precedes it.
		slashes := 0
		for s.text[s.pos-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return s.text[start:s.pos]
		}
	}
}

// set keeps the last of equal names, as most readers of JSON do.
func (v *Value) set(name string, child Value) {
	for i := range v.members {
		if v.members[i].name == name {
			v.members[i].value = child
			return
		}
	}
	v.members = append(v.members, member{name, child})
}

func text(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return string(inner)
	}
	return s
}

var absent Value

// Get returns the member of an object, an Absent value when there is none.
func (v *Value) Get(name string) *Value {
	for i := range v.members {
		if v.members[i].name == name {
			return &v.members[i].value
		}
	}
	return &absent
}

// Has reports whether an object has the member, null or not.
func (v *Value) Has(name string) bool { return v.Get(name).Kind != Absent }

// Names returns the names of an object's members in the order of the text.
func (v *Value) Names() []string {
	names := make([]string, len(v.members))
	for i := range v.members {
		names[i] = v.members[i].name
	}
	return names
}

// Items returns the items of an array.
func (v *Value) Items() []Value { return v.items }

// Text returns a string's value, "" for other kinds.
func (v *Value) Text() string {
	if v.Kind != String {
		return ""
	}
	return text(v.Raw)
}

// Texts returns the strings of an array, nil when it is empty.
func (v *Value) Texts() []string {
	var out []string
	for i := range v.items {
		out = append(out, v.items[i].Text())
	}
	return out
}

// Base64 decodes a string of standard base64; ok is false when it is not.
func (v *Value) Base64() (data []byte, ok bool) {
	if v.Kind != String {
		return nil, false
	}
	inner := v.Raw[1 : len(v.Raw)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		inner = []byte(v.Text())
	}
	data = make([]byte, base64.StdEncoding.DecodedLen(len(inner)))
	n, err := base64.StdEncoding.Decode(data, inner)
	return data[:n], err == nil
}

// Float returns a number's value, 0 for other kinds.
func (v *Value) Float() float64 {
	f, _ := strconv.ParseFloat(string(v.Raw), 64)
	return f
}

// Int returns a number's value without its fraction, bounded to what an int holds.
func (v *Value) Int() int {
	if n, err := strconv.ParseInt(string(v.Raw), 10, 64); err == nil {
		return int(n)
	}
	f := v.Float()
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int(f)
}

// Bool returns a boolean's value, false for other kinds.
func (v *Value) Bool() bool { return v.Kind == Boolean && v.Raw[0] == 't' }

// IsNumber reports whether v is a number of either kind.
func (v *Value) IsNumber() bool { return v.Kind == Integer || v.Kind == Number }

// FloatOr returns a pointer to the number, or to def when v is absent or null.
func (v *Value) FloatOr(def float64) *float64 {
	if v.IsNumber() {
		def = v.Float()
	}
	return &def
}

// IntOr returns the number, or def when v is absent or null.
func (v *Value) IntOr(def int) int {
	if v.IsNumber() {
		return v.Int()
	}
	return def
}
