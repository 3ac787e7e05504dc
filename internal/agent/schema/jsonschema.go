package schema

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// maxWritten bounds the values of schemas once references are written out: a schema
// that holds another twice, which holds another twice, grows without end.
const maxWritten = 20_000

var kinds = map[string]bool{"string": true, "number": true, "integer": true, "boolean": true, "array": true, "object": true}

// schema reads the schema of an input: references written out, allOf merged, and
// only what JSON schema knows. The result is the caller's own, nil when there is
// none. open holds the schemas around it.
func (w *walk) schema(v any, at string, open []*object) *object {
	from, at := w.follow(v, at)
	if from == nil {
		return nil
	}
	if cyclic(open, from) {
		w.add(at, "holds itself; a model cannot be shown a recursive schema")
		return nil
	}
	if len(open) >= MaxNesting {
		w.add(at, "is nested more than %d levels deep", MaxNesting)
		return nil
	}
	if w.spend(1); w.full {
		return nil
	}
	open = append(open, from)
	s := newObject()
	for _, key := range from.keys {
		w.keyword(s, from, key, at, open)
	}
	unasked(s, from)
	if list, ok := from.get("allOf"); ok {
		for i, branch := range w.branches(list, at+".allOf", open) {
			w.merge(s, branch, at+".allOf.["+index(i)+"]")
		}
	}
	w.bounds(s, from, at)
	w.one(s, at)
	return s
}

// unasked takes the properties that only answers have from those that are required.
func unasked(s, from *object) {
	list, _ := s.vals["required"].([]any)
	o, _ := from.vals["properties"].(*object)
	if list == nil || o == nil {
		return
	}
	list = slices.DeleteFunc(list, func(v any) bool { name, _ := v.(string); return readOnly(o.vals[name]) })
	if s.set("required", list); len(list) == 0 {
		s.drop("required")
	}
}

// spend counts values against maxWritten.
func (w *walk) spend(n int) {
	if w.values += n; w.values > maxWritten && !w.full {
		w.full = true
		w.add("", "the schemas hold more than %d values when references are written out", maxWritten)
	}
}

// keyword copies one keyword of a schema. What only describes the API, or is
// unknown, is left out.
func (w *walk) keyword(s, from *object, key, at string, open []*object) {
	v, here := from.vals[key], at+"."+clip(key)
	switch key {
	case "type":
		w.kind(s, v, here)
	case "description", "title", "format", "pattern":
		if _, ok := v.(string); !ok {
			w.add(here, "is not of type `string`")
			return
		}
		s.set(key, v)
	case "enum":
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			w.add(here, "is not a list of values")
			return
		}
		w.spend(weight(v))
		s.set(key, v)
	case "const", "default":
		w.spend(weight(v))
		s.set(key, v)
	case "required":
		if list := w.names(v, here); len(list) > 0 {
			s.set(key, list)
		}
	case "properties":
		o, ok := v.(*object)
		if !ok {
			w.add(here, "is not of type `object`")
			return
		}
		out := newObject()
		for _, name := range o.keys {
			if p := w.schema(o.vals[name], here+"."+clip(name), open); p != nil && !readOnly(o.vals[name]) {
				out.set(name, p)
			}
		}
		s.set(key, out)
	case "items", "not":
		if p := w.schema(v, here, open); p != nil {
			s.set(key, p)
		}
	case "additionalProperties":
		if _, ok := v.(bool); ok {
			s.set(key, v)
		} else if p := w.schema(v, here, open); p != nil {
			s.set(key, p)
		}
	case "oneOf", "anyOf":
		var list []any
		for _, b := range w.branches(v, here, open) {
			list = append(list, b)
		}
		if len(list) > 0 {
			s.set(key, list)
		}
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minimum", "maximum", "multipleOf":
		if _, ok := v.(json.Number); !ok {
			w.add(here, "is not of type `number`")
			return
		}
		s.set(key, v)
	case "uniqueItems":
		if _, ok := v.(bool); !ok {
			w.add(here, "is not of type `boolean`")
			return
		}
		s.set(key, v)
	}
}

// bounds writes the exclusive bounds of OpenAPI 3.0, which are flags, as JSON schema
// has them, numbers.
func (w *walk) bounds(s, from *object, at string) {
	for _, name := range []string{"Minimum", "Maximum"} {
		v, ok := from.get("exclusive" + name)
		if !ok {
			continue
		}
		plain := strings.ToLower(name)
		switch v := v.(type) {
		case json.Number:
			s.set("exclusive"+name, v)
		case bool:
			if n, ok := s.get(plain); ok && v {
				s.set("exclusive"+name, n)
				s.drop(plain)
			}
		default:
			w.add(at+".exclusive"+name, "is not of type `boolean`")
		}
	}
}

// kind reads a type. In a list of types, as 3.1 has them, null says that a value may
// be left out, which a model may do anyway.
func (w *walk) kind(s *object, v any, at string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []any
	for _, v := range list {
		t, ok := v.(string)
		switch {
		case !ok:
			w.add(at, "is not of type `string`")
			return
		case t == "null":
		case !kinds[t]:
			w.add(at, "is %s, not one of %s", quoted(t), known(kinds))
			return
		default:
			out = append(out, t)
		}
	}
	switch len(out) {
	case 0:
		s.set("type", "null")
	case 1:
		s.set("type", out[0])
	default:
		s.set("type", out)
	}
}

func (w *walk) names(v any, at string) []any {
	list, ok := v.([]any)
	if !ok {
		w.add(at, "is not of type `array`")
		return nil
	}
	var out []any
	for _, v := range list {
		if _, ok := v.(string); !ok {
			w.add(at, "is not a list of names")
			return nil
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
		w.spend(1)
		if w.full {
			return nil
		}
	}
	return out
}

func (w *walk) branches(v any, at string, open []*object) []*object {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		w.add(at, "is not a list of schemas")
		return nil
	}
	var out []*object
	for i, v := range list {
		if b := w.schema(v, at+".["+index(i)+"]", open); b != nil {
			out = append(out, b)
		}
	}
	return out
}

// one drops the choice of null, and a choice of one.
func (w *walk) one(s *object, at string) {
	for _, key := range []string{"oneOf", "anyOf"} {
		list, ok := s.vals[key].([]any)
		if !ok {
			continue
		}
		list = slices.DeleteFunc(list, func(v any) bool { b, _ := v.(*object); return b != nil && b.vals["type"] == "null" })
		s.set(key, list)
		switch len(list) {
		case 0:
			s.drop(key)
		case 1:
			s.drop(key)
			b, _ := list[0].(*object)
			w.merge(s, b, at)
		}
	}
}

// merge adds what another schema demands to a schema. Of two descriptions the first
// stays; two demands that cannot be one stay two.
func (w *walk) merge(s, b *object, at string) {
	for _, key := range b.keys {
		v := b.vals[key]
		have, ok := s.get(key)
		switch {
		case !ok:
			s.set(key, v)
		case key == "description", key == "title", key == "default", reflect.DeepEqual(have, v):
		case key == "properties":
			w.mergeProperties(have, v, at)
		case key == "required":
			first, _ := have.([]any)
			second, _ := v.([]any)
			out := slices.Clone(first)
			for _, name := range second {
				if !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
			s.set(key, out)
		case key == "type" && have == "number" && v == "integer":
			s.set(key, v)
		case key == "type" && have == "integer" && v == "number":
		case key == "type":
			w.add(at+".type", "does not fit the other type, %s", written(have))
		case key == "allOf":
			first, _ := have.([]any)
			second, _ := v.([]any)
			s.set(key, append(slices.Clone(first), second...))
		default:
			rest, _ := s.vals["allOf"].([]any)
			also := newObject()
			also.set(key, v)
			s.set("allOf", append(slices.Clone(rest), also))
		}
	}
}

func (w *walk) mergeProperties(have, more any, at string) {
	to, _ := have.(*object)
	from, _ := more.(*object)
	if to == nil || from == nil {
		return
	}
	for _, name := range from.keys {
		first, _ := to.vals[name].(*object)
		second, _ := from.vals[name].(*object)
		if first == nil || second == nil {
			to.set(name, from.vals[name])
			continue
		}
		w.merge(first, second, at+".properties."+clip(name))
	}
}

func written(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "of another kind"
	}
	return clip(string(b))
}

// weight counts the values of a value.
func weight(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += weight(e)
		}
	case *object:
		for _, e := range v.vals {
			n += weight(e)
		}
	}
	return n
}

// readOnly says that a property is only in answers.
func readOnly(v any) bool {
	o, _ := v.(*object)
	if o == nil {
		return false
	}
	only, _ := o.vals["readOnly"].(bool)
	return only
}

// kindOf is the type that a schema gives a value, "" when it gives none. A value of
// several types is a string to a Lambda function.
func kindOf(s *object) string {
	switch t := s.vals["type"].(type) {
	case string:
		if t == "null" {
			return ""
		}
		return t
	case []any:
		return "string"
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		list, _ := s.vals[key].([]any)
		same := ""
		for _, v := range list {
			b, _ := v.(*object)
			if b == nil {
				continue
			}
			k := kindOf(b)
			if same == "" {
				same = k
			}
			if k != same {
				return "string"
			}
		}
		if same != "" {
			return same
		}
	}
	switch {
	case s.vals["properties"] != nil, s.vals["additionalProperties"] != nil:
		return "object"
	case s.vals["items"] != nil:
		return "array"
	case s.vals["enum"] != nil, s.vals["const"] != nil, s.vals["pattern"] != nil, s.vals["format"] != nil:
		return "string"
	case s.vals["oneOf"] != nil, s.vals["anyOf"] != nil:
		return "string"
	}
	return ""
}
