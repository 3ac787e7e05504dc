package vectorbucket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// parseFilter reads a filter of S3 Vectors (user guide, metadata filtering):
//
//	{"genre": "drama"}                             equals
//	{"year": {"$gte": 2019, "$lt": 2024}}          all of them
//	{"a": 1, "b": {"$in": ["x", 2]}}               all of them
//	{"$or": [{…}, {…}]}                            $and, $or, nested
//
// Values are strings, numbers and booleans, and are compared by type. A list is equal
// to each of its members. Less and greater are of numbers.
func (b *indexBody) parseFilter(raw json.RawMessage) (*vector.Filter, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" || string(raw) == "{}" {
		return nil, nil //nolint:nilnil // no filter is none
	}
	f, err := b.filter(raw, 1)
	if err != nil {
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, badFilter("%s", reason(err))
	}
	return &f, nil
}

func badFilter(format string, args ...any) *apierr.Error {
	return invalid("Invalid filter: %s", fmt.Sprintf(format, args...))
}

func (b *indexBody) filter(raw json.RawMessage, depth int) (vector.Filter, error) {
	if depth > vector.MaxFilterDepth {
		return vector.Filter{}, badFilter("it is nested too deep")
	}
	members, err := object(raw)
	if err != nil || len(members) == 0 {
		return vector.Filter{}, badFilter("a filter must be an object that is not empty")
	}
	var all []vector.Filter
	for _, key := range slices.Sorted(maps.Keys(members)) {
		var f vector.Filter
		var err error
		switch {
		case key == "$and" || key == "$or":
			f, err = b.group(key, members[key], depth)
		case strings.HasPrefix(key, "$"):
			err = badFilter("there is no operator %s here", key)
		case slices.Contains(b.NonFilterable, key):
			err = badFilter("the metadata key %q is not filterable", key)
		default:
			f, err = leaf(key, members[key])
		}
		if err != nil {
			return vector.Filter{}, err
		}
		all = append(all, f)
	}
	return join(vector.AndAll, all), nil
}

func (b *indexBody) group(op string, raw json.RawMessage, depth int) (vector.Filter, error) {
	var members []json.RawMessage
	if json.Unmarshal(raw, &members) != nil || len(members) == 0 {
		return vector.Filter{}, badFilter("%s must be a list of filters that is not empty", op)
	}
	if len(members) > vector.MaxFilterNodes {
		return vector.Filter{}, badFilter("%s has too many members", op)
	}
	of := make([]vector.Filter, len(members))
	for i, m := range members {
		var err error
		if of[i], err = b.filter(m, depth+1); err != nil {
			return vector.Filter{}, err
		}
	}
	if op == "$or" {
		return join(vector.OrAll, of), nil
	}
	return join(vector.AndAll, of), nil
}

func join(op vector.Op, of []vector.Filter) vector.Filter {
	if len(of) == 1 {
		return of[0]
	}
	return vector.Filter{Op: op, Of: of}
}

// leaf is the condition on one key: a value, or an object of operators.
func leaf(key string, raw json.RawMessage) (vector.Filter, error) {
	if err := checkKey(key); err != nil {
		return vector.Filter{}, badFilter("it %s", err)
	}
	operators, err := object(raw)
	if err != nil {
		v, err := primitive(key, "$eq", raw)
		return equals(key, v), err
	}
	if len(operators) == 0 {
		return vector.Filter{}, badFilter("the condition on %q is empty", key)
	}
	var all []vector.Filter
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		f, err := operator(key, op, operators[op])
		if err != nil {
			return vector.Filter{}, err
		}
		all = append(all, f)
	}
	return join(vector.AndAll, all), nil
}

var comparisons = map[string]vector.Op{
	"$gt": vector.GreaterThan, "$gte": vector.GreaterThanOrEquals, "$lt": vector.LessThan, "$lte": vector.LessThanOrEquals,
}

func operator(key, op string, raw json.RawMessage) (vector.Filter, error) {
	switch op {
	case "$eq", "$ne":
		v, err := primitive(key, op, raw)
		return turned(op == "$ne", equals(key, v)), err
	case "$in", "$nin":
		var members []json.RawMessage
		if json.Unmarshal(raw, &members) != nil || len(members) == 0 {
			return vector.Filter{}, badFilter("%s of %q needs a list that is not empty", op, key)
		}
		values := make([]vector.Value, len(members))
		for i, m := range members {
			var err error
			if values[i], err = primitive(key, op, m); err != nil {
				return vector.Filter{}, err
			}
		}
		return turned(op == "$nin", equals(key, values...)), nil
	case "$exists":
		var yes *bool
		if json.Unmarshal(raw, &yes) != nil || yes == nil {
			return vector.Filter{}, badFilter("$exists of %q needs a boolean", key)
		}
		return turned(!*yes, exists(key)), nil
	}
	c, ok := comparisons[op]
	if !ok {
		return vector.Filter{}, badFilter("there is no operator %s", op)
	}
	v, err := primitive(key, op, raw)
	if err == nil && v.Kind() != vector.Number {
		err = badFilter("%s of %q needs a number", op, key)
	}
	return vector.Filter{Op: c, Key: key, Values: []vector.Value{v}}, err
}

func primitive(key, op string, raw json.RawMessage) (vector.Value, error) {
	x, err := decode(raw)
	if _, list := x.([]any); err != nil || list {
		return vector.Value{}, badFilter("%s of %q needs a string, a number or a boolean", op, key)
	}
	return vector.ValueOf(x)
}

// equals matches what is one of the values, and lists with such a member.
func equals(key string, values ...vector.Value) vector.Filter {
	of := []vector.Filter{{Op: vector.In, Key: key, Values: values}}
	for _, v := range values {
		if v.Kind() == vector.String {
			of = append(of, vector.Filter{Op: vector.ListContains, Key: key, Values: []vector.Value{v}})
		}
		of = append(of, vector.Filter{Op: vector.ListContains, Key: elements + key, Values: []vector.Value{vector.StringValue(element(v.Any()))}})
	}
	return vector.Filter{Op: vector.OrAll, Of: of}
}

// exists matches each type of a value by a condition that all of the type fulfil.
func exists(key string) vector.Filter {
	empty := []vector.Value{vector.StringValue("")}
	return vector.Filter{Op: vector.OrAll, Of: []vector.Filter{
		{Op: vector.StringContains, Key: key, Values: empty}, // strings, lists of strings
		{Op: vector.GreaterThanOrEquals, Key: key, Values: []vector.Value{vector.NumberValue(-math.MaxFloat64)}},
		{Op: vector.In, Key: key, Values: []vector.Value{vector.BoolValue(true), vector.BoolValue(false)}},
		{Op: vector.StringContains, Key: elements + key, Values: empty}, // other lists
	}}
}

func turned(not bool, f vector.Filter) vector.Filter {
	if not {
		return vector.Filter{Op: vector.Not, Of: []vector.Filter{f}}
	}
	return f
}
