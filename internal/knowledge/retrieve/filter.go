package retrieve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// maxKey is how many characters the key of a filter may have.
const maxKey = 100

// filterOf turns a filter of the wire into the store's. at is its place in the
// request. Nothing is passed over: an operator that were left out would find documents
// that nobody asked for.
func filterOf(f *api.RetrievalFilter, at string) (*vector.Filter, error) {
	out, err := convert(f, at, 1)
	if err != nil {
		return nil, err
	}
	if err := out.Check(); err != nil { // how many conditions there are, all together
		e := invalid(at, "cannot be used: %s", strings.TrimPrefix(err.Error(), vector.ErrInvalid.Error()+": "))
		e.Err = err
		return nil, e
	}
	return &out, nil
}

func convert(f *api.RetrievalFilter, at string, depth int) (vector.Filter, error) {
	if depth > vector.MaxFilterDepth {
		return vector.Filter{}, invalid(at, "is nested deeper than %d", vector.MaxFilterDepth)
	}
	leaves := [...]struct {
		op vector.Op
		of *api.FilterAttribute
	}{
		{vector.Equals, f.Equals}, {vector.NotEquals, f.NotEquals}, {vector.In, f.In}, {vector.NotIn, f.NotIn},
		{vector.LessThan, f.LessThan}, {vector.LessThanOrEquals, f.LessThanOrEquals},
		{vector.GreaterThan, f.GreaterThan}, {vector.GreaterThanOrEquals, f.GreaterThanOrEquals},
		{vector.StartsWith, f.StartsWith}, {vector.StringContains, f.StringContains}, {vector.ListContains, f.ListContains},
	}
	given := 0
	out := vector.Filter{}
	var attribute *api.FilterAttribute
	for _, l := range leaves {
		if l.of != nil {
			given++
			out.Op, attribute = l.op, l.of
		}
	}
	var members []api.RetrievalFilter
	if f.AndAll != nil {
		given++
		out.Op, members = vector.AndAll, f.AndAll
	}
	if f.OrAll != nil {
		given++
		out.Op, members = vector.OrAll, f.OrAll
	}
	switch {
	case given != 1:
		return out, invalid(at, "must have exactly one operator, and has %d", given)
	case attribute != nil:
		at += "." + string(out.Op)
		return out, condition(&out, attribute, at)
	}
	at += "." + string(out.Op)
	if len(members) < 2 {
		return out, invalid(at, "must have at least two members, and has %d", len(members))
	}
	out.Of = make([]vector.Filter, len(members))
	for i := range members {
		var err error
		if out.Of[i], err = convert(&members[i], at+"["+strconv.Itoa(i)+"]", depth+1); err != nil {
			return out, err
		}
	}
	return out, nil
}

// condition reads key and value of a leaf.
func condition(out *vector.Filter, a *api.FilterAttribute, at string) error {
	if n := utf8.RuneCountInString(a.Key); n < 1 || n > maxKey {
		return invalid(at+".key", "must have 1 to %d characters", maxKey)
	}
	out.Key = a.Key
	if len(a.Value) == 0 {
		return invalid(at+".value", "is required")
	}
	v, err := valueOf(a.Value)
	if err != nil {
		return invalid(at+".value", "must be %s", wanted(out.Op))
	}
	list, isList := v.([]any)
	many := out.Op == vector.In || out.Op == vector.NotIn
	if isList != many {
		return invalid(at+".value", "must be %s", wanted(out.Op))
	}
	if !isList {
		list = []any{v}
	}
	out.Values = make([]vector.Value, len(list))
	for i, x := range list {
		place := at + ".value"
		if many {
			place += "[" + strconv.Itoa(i) + "]"
		}
		if out.Values[i], err = vector.ValueOf(x); err != nil || !takes(out.Op, out.Values[i].Kind()) {
			e := invalid(place, "must be %s", wanted(single(out.Op)))
			e.Err = err
			return e
		}
	}
	return nil
}

// valueOf reads one JSON value and nothing after it.
func valueOf(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

func takes(op vector.Op, k vector.Kind) bool {
	switch op {
	case vector.Equals, vector.NotEquals, vector.In, vector.NotIn:
		return k == vector.String || k == vector.Number || k == vector.Bool
	case vector.StartsWith, vector.StringContains, vector.ListContains:
		return k == vector.String
	default:
		return k == vector.Number
	}
}

// single is the operator of one member of a list.
func single(op vector.Op) vector.Op {
	if op == vector.In || op == vector.NotIn {
		return vector.Equals
	}
	return op
}

// wanted says what value an operator takes.
func wanted(op vector.Op) string {
	switch op {
	case vector.Equals, vector.NotEquals:
		return "a string, a number or a Boolean"
	case vector.In, vector.NotIn:
		return "a list of strings, numbers or Booleans"
	case vector.StartsWith, vector.StringContains, vector.ListContains:
		return "a string"
	default:
		return "a number"
	}
}
