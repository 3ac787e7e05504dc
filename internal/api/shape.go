package api

import (
	"regexp"
	"sync"
)

// Kind is the type of a shape.
type Kind uint8

// The kinds of shape.
const (
	Structure Kind = iota
	Union
	List
	Map
	String
	Integer // Go int
	Long    // Go int64
	Float   // Go float64
	Double  // Go float64
	Boolean
	Blob
	Timestamp
	Document // any JSON value
)

// ShapeID indexes the Shapes table of a service.
type ShapeID uint16

// NoShape is the ShapeID of nothing.
const NoShape ShapeID = 0xffff

// Shape describes a type of the service model: its constraints, and how it
// stands in Go and on the wire.
//
// In Go a structure is a struct, a union a struct of which exactly one field is
// set. Field i of the struct is Members[i]. Field types:
//
//	string, boolean, integer, double …   value when required, else pointer
//	enum                                 named string, "" when absent
//	timestamp                            time.Time when required, else *time.Time
//	structure, union                     pointer (value inside lists and maps)
//	list, map                            nil when absent, empty when empty
//	blob, document                       []byte, json.RawMessage, nil when absent
//
// Members of a union are never required.
type Shape struct {
	Name      string
	Kind      Kind
	Members   []Member // of a structure or union
	Elem, Key ShapeID  // of a list (Elem) or map (Key, Elem)
	Enum      []string
	Pattern   *Pattern
	Min, Max  float64 // length, size or value; see HasMin, HasMax
	HasMin    bool
	HasMax    bool
	Sensitive bool // never logged
	// Names in the query protocol and in XML: of the elements of a list ("" is
	// member), of a map's keys and values ("" is key, value). The elements of a
	// flattened list or map stand without an element around them.
	ElemWire, KeyWire string
	Flattened         bool
	// Payload is one more than the index of the member that is the whole HTTP
	// body, 0 when the body is a JSON object of the members in Body.
	Payload int
	// Exceptions are the members of an event stream that are exceptions; they
	// have no Go field.
	Exceptions []Member
}

// Location says where in an HTTP message a member travels.
type Location uint8

// Where a member travels.
const (
	Body Location = iota
	Label
	Query
	Header
	StatusCode
)

// Member is a field of a structure or union.
type Member struct {
	Name     string // name in the service model, used in validation messages
	Wire     string // name in JSON, in the path template, the query or header
	Shape    ShapeID
	In       Location
	Required bool
	Token    bool // an idempotency token; SDKs fill it in
}

// Pattern is a regular expression that a whole string must match, or a matcher
// written by hand where Go's regexp cannot express the model's.
type Pattern struct {
	Source string // as in the service model, for messages
	Expr   string // what is compiled; differs from Source where the model is corrected
	Match  func(string) bool

	once sync.Once
	re   *regexp.Regexp
}

// MatchString reports whether s satisfies the pattern. The expression is
// compiled at first use.
func (p *Pattern) MatchString(s string) bool {
	if p.Match != nil {
		return p.Match(s)
	}
	p.once.Do(func() { p.re = regexp.MustCompile("^(?:" + p.Expr + ")$") })
	return p.re.MatchString(s)
}
