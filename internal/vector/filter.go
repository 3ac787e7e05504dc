package vector

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// Op is an operator of a filter, named as the API's RetrievalFilter names it.
type Op string

// The 13 operators.
const (
	AndAll              Op = "andAll"
	OrAll               Op = "orAll"
	Equals              Op = "equals"
	NotEquals           Op = "notEquals"
	In                  Op = "in"
	NotIn               Op = "notIn"
	LessThan            Op = "lessThan"
	LessThanOrEquals    Op = "lessThanOrEquals"
	GreaterThan         Op = "greaterThan"
	GreaterThanOrEquals Op = "greaterThanOrEquals"
	StartsWith          Op = "startsWith"
	StringContains      Op = "stringContains"
	ListContains        Op = "listContains"
)

// Not turns one filter round. It is no operator of the API and has no JSON: what
// translates the filters of another service builds it, for a store whose
// Capabilities.Operators are nil.
const Not Op = "not"

// Operators lists all of them.
func Operators() []Op {
	return []Op{AndAll, OrAll, Equals, NotEquals, In, NotIn, LessThan, LessThanOrEquals, GreaterThan, GreaterThanOrEquals, StartsWith, StringContains, ListContains}
}

// Filter is a tree of conditions on attributes. Match is its meaning; stores that
// evaluate it otherwise must agree with Match.
//
//	equals, notEquals      one string, number or boolean
//	in, notIn              any count of strings, numbers, booleans
//	lessThan …             one number
//	startsWith             one string
//	stringContains         one string, within a string or within a member of a list
//	listContains           one string that is a member of a list
//	andAll, orAll          two or more filters, nested up to MaxFilterDepth
//	not                    one filter; see Not
//
// Types are never converted: an attribute of another type than the value does not
// match. notEquals and notIn are the opposite of equals and in, so they also match
// chunks without the attribute. Strings compare byte by byte.
type Filter struct {
	Op  Op
	Key string
	// Values has one value, or the list of in and notIn.
	Values []Value
	// Of are the members of andAll and orAll.
	Of []Filter
}

// Bounds of a filter, wide enough for the API's own, narrow enough that no filter
// exhausts the stack or a database's statement.
const (
	MaxFilterDepth  = 16
	MaxFilterNodes  = 1000
	maxFilterValues = 10_000
)

// Check answers ErrInvalid for a filter that breaks the rules above.
func (f *Filter) Check() error {
	nodes, values := 0, 0
	return f.check(1, &nodes, &values)
}

func (f *Filter) check(depth int, nodes, values *int) error {
	*nodes++
	*values += len(f.Values)
	switch {
	case depth > MaxFilterDepth:
		return Invalid("a filter nested deeper than %d", MaxFilterDepth)
	case *nodes > MaxFilterNodes || *values > maxFilterValues:
		return Invalid("a filter with too many conditions")
	}
	if f.Op == AndAll || f.Op == OrAll || f.Op == Not {
		switch {
		case f.Op == Not && (len(f.Of) != 1 || f.Key != "" || f.Values != nil):
			return Invalid("%s needs one filter", f.Op)
		case f.Op != Not && len(f.Of) < 2:
			return Invalid("%s needs at least two filters", f.Op)
		}
		for i := range f.Of {
			if err := f.Of[i].check(depth+1, nodes, values); err != nil {
				return err
			}
		}
		return nil
	}
	if !slices.Contains(Operators(), f.Op) {
		return Invalid("the filter operator %q", f.Op)
	}
	if f.Key == "" {
		return Invalid("%s needs a key", f.Op)
	}
	if f.Op != In && f.Op != NotIn && len(f.Values) != 1 {
		return Invalid("%s needs one value", f.Op)
	}
	for _, v := range f.Values {
		if !f.Op.takes(v.kind) {
			return Invalid("%s does not take such a value for the key %q", f.Op, f.Key)
		}
	}
	return nil
}

func (o Op) takes(k Kind) bool {
	switch o {
	case Equals, NotEquals, In, NotIn:
		return k == String || k == Number || k == Bool
	case LessThan, LessThanOrEquals, GreaterThan, GreaterThanOrEquals:
		return k == Number
	case StartsWith, StringContains, ListContains:
		return k == String
	default:
		return false
	}
}

// Match says whether attributes fulfil the filter, which must be a checked one.
func (f *Filter) Match(m Metadata) bool {
	switch f.Op {
	case AndAll:
		for i := range f.Of {
			if !f.Of[i].Match(m) {
				return false
			}
		}
		return true
	case OrAll:
		for i := range f.Of {
			if f.Of[i].Match(m) {
				return true
			}
		}
		return false
	case Not:
		return !f.Of[0].Match(m)
	default:
		return f.MatchValue(m[f.Key])
	}
}

// MatchValue says whether the value of the leaf's key fulfils the leaf; the zero
// Value stands for a missing attribute.
func (f *Filter) MatchValue(v Value) bool {
	switch f.Op {
	case Equals, In:
		return slices.ContainsFunc(f.Values, v.Equal)
	case NotEquals, NotIn:
		return !slices.ContainsFunc(f.Values, v.Equal)
	case LessThan:
		return v.kind == Number && v.num < f.Values[0].num
	case LessThanOrEquals:
		return v.kind == Number && v.num <= f.Values[0].num
	case GreaterThan:
		return v.kind == Number && v.num > f.Values[0].num
	case GreaterThanOrEquals:
		return v.kind == Number && v.num >= f.Values[0].num
	case StartsWith:
		return v.kind == String && strings.HasPrefix(v.str, f.Values[0].str)
	case StringContains:
		part := f.Values[0].str
		return v.kind == String && strings.Contains(v.str, part) ||
			v.kind == List && slices.ContainsFunc(v.list, func(s string) bool { return strings.Contains(s, part) })
	case ListContains:
		return v.kind == List && slices.Contains(v.list, f.Values[0].str)
	default:
		return false
	}
}

// operators yields the operator of every node.
func (f *Filter) operators() iter.Seq[Op] {
	return func(yield func(Op) bool) { f.walk(yield) }
}

func (f *Filter) walk(yield func(Op) bool) bool {
	if !yield(f.Op) {
		return false
	}
	for i := range f.Of {
		if !f.Of[i].walk(yield) {
			return false
		}
	}
	return true
}

// leaf is the JSON of a condition on one key.
type leaf struct {
	Key   *string          `json:"key"`
	Value *json.RawMessage `json:"value"`
}

// MarshalJSON writes the API's form: one member, named after the operator.
func (f Filter) MarshalJSON() ([]byte, error) {
	if f.Op == AndAll || f.Op == OrAll {
		return marshal(map[Op][]Filter{f.Op: f.Of})
	}
	type out struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	if f.Op == In || f.Op == NotIn {
		list := f.Values
		if list == nil {
			list = []Value{}
		}
		return marshal(map[Op]out{f.Op: {f.Key, list}})
	}
	if len(f.Values) != 1 { // Not has none
		return nil, Invalid("%s needs one value", f.Op)
	}
	return marshal(map[Op]out{f.Op: {f.Key, f.Values[0]}})
}

// UnmarshalJSON reads the API's form strictly: exactly one operator in each object,
// no unknown member. What it accepts passes Check.
func (f *Filter) UnmarshalJSON(b []byte) error {
	got, err := parse(b, 1)
	if err != nil {
		return err
	}
	if err := got.Check(); err != nil {
		return err
	}
	*f = got
	return nil
}

func parse(b []byte, depth int) (Filter, error) {
	if depth > MaxFilterDepth {
		return Filter{}, Invalid("a filter nested deeper than %d", MaxFilterDepth)
	}
	var union map[Op]json.RawMessage
	if err := json.Unmarshal(b, &union); err != nil {
		return Filter{}, Invalid("a filter that is no object")
	}
	if len(union) != 1 {
		return Filter{}, Invalid("a filter with %d operators instead of one", len(union))
	}
	for op, raw := range union {
		if op == AndAll || op == OrAll {
			return parseGroup(op, raw, depth)
		}
		return parseLeaf(op, raw)
	}
	panic("BUG: the union had one member")
}

func parseGroup(op Op, raw json.RawMessage, depth int) (Filter, error) {
	var members []json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || len(members) > MaxFilterNodes {
		return Filter{}, Invalid("%s needs a list of filters", op)
	}
	f := Filter{Op: op, Of: make([]Filter, len(members))}
	for i, m := range members {
		var err error
		if f.Of[i], err = parse(m, depth+1); err != nil {
			return Filter{}, err
		}
	}
	return f, nil
}

func parseLeaf(op Op, raw json.RawMessage) (Filter, error) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	var l leaf
	if err := d.Decode(&l); err != nil || l.Key == nil || l.Value == nil || !utf8.ValidString(*l.Key) {
		return Filter{}, Invalid("%q needs a key and a value", op)
	}
	f := Filter{Op: op, Key: *l.Key}
	if op == In || op == NotIn {
		if err := json.Unmarshal(*l.Value, &f.Values); err != nil {
			return Filter{}, Invalid("%s needs a list of values", op)
		}
		return f, nil
	}
	var v Value
	if err := json.Unmarshal(*l.Value, &v); err != nil {
		return Filter{}, Invalid("%s does not take such a value", op)
	}
	f.Values = []Value{v}
	return f, nil
}
