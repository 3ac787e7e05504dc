package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// The bounds of a document.
const (
	MaxDocument = 1 << 20 // bytes
	maxValues   = 100_000
	// MaxNesting is how deep values may lie in each other, and schemas once references
	// are written out.
	MaxNesting = 100
)

var (
	errText    = fmt.Errorf("the document is longer than %d bytes", MaxDocument)
	errValues  = fmt.Errorf("the document holds more than %d values", maxValues)
	errNesting = fmt.Errorf("the document is nested more than %d levels deep", MaxNesting)
)

// object is a mapping whose keys keep their order. Values are *object, []any, string,
// json.Number, bool and nil.
type object struct {
	keys []string
	vals map[string]any
}

func newObject() *object { return &object{vals: map[string]any{}} }

func (o *object) get(key string) (any, bool) {
	v, ok := o.vals[key]
	return v, ok
}

// set puts a value in the place of the key, a new one at the end.
func (o *object) set(key string, v any) {
	if _, ok := o.vals[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.vals[key] = v
}

func (o *object) drop(key string) {
	if _, ok := o.vals[key]; !ok {
		return
	}
	delete(o.vals, key)
	o.keys = slices.DeleteFunc(o.keys, func(k string) bool { return k == key })
}

// MarshalJSON implements json.Marshaler, in the order of the keys.
func (o *object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, key := range o.keys {
		if i > 0 {
			out = append(out, ',')
		}
		k, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(o.vals[key])
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, k...), ':'), v...)
	}
	return append(out, '}'), nil
}

// read makes a tree of a document, JSON or YAML. Keys that are there twice are
// problems.
func read(doc []byte, p *problems) (any, error) {
	if len(doc) > MaxDocument {
		return nil, errText
	}
	doc = bytes.TrimSpace(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf")))
	if len(doc) == 0 {
		return nil, errors.New("the document is empty")
	}
	if !utf8.Valid(doc) {
		return nil, errors.New("the document is not UTF-8 text")
	}
	if doc[0] != '{' {
		return readYAML(doc, p)
	}
	found := &problems{}
	v, err := readJSON(doc, found)
	if err == nil || errors.Is(err, errValues) || errors.Is(err, errNesting) {
		for _, text := range found.list {
			p.add("", "%s", text)
		}
		return v, err
	}
	if v, yamlErr := readYAML(doc, p); yamlErr == nil { // YAML may begin with a brace too
		return v, nil
	}
	return nil, err
}

type jsonReader struct {
	*json.Decoder
	p      *problems
	path   []string
	values int
}

func readJSON(doc []byte, p *problems) (any, error) {
	r := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(doc)), p: p}
	r.UseNumber()
	v, err := r.value()
	if err == nil {
		if _, more := r.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after the document")
		}
	}
	if err == nil || errors.Is(err, errValues) || errors.Is(err, errNesting) {
		return v, err
	}
	at := min(int(r.InputOffset()), len(doc))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err, at = errors.New("it ends too early"), len(doc)
	}
	return nil, fmt.Errorf("the JSON cannot be read at line %d: %w", 1+bytes.Count(doc[:at], []byte("\n")), err)
}

func (r *jsonReader) value() (any, error) {
	if r.values++; r.values > maxValues {
		return nil, errValues
	}
	t, err := r.Token()
	if err != nil {
		return nil, err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if len(r.path) >= MaxNesting {
		return nil, errNesting
	}
	r.path = append(r.path, "")
	var out any
	if open == '{' {
		out, err = r.object()
	} else {
		out, err = r.list()
	}
	if err != nil {
		return nil, err
	}
	r.path = r.path[:len(r.path)-1]
	_, err = r.Token() // what closes it
	return out, err
}

func (r *jsonReader) object() (any, error) {
	o := newObject()
	for r.More() {
		t, err := r.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string) // the decoder allows nothing else here
		r.path[len(r.path)-1] = key
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		if _, twice := o.get(key); twice {
			r.p.add(joined(r.path), "is repeated")
		}
		o.set(key, v)
	}
	return o, nil
}

func (r *jsonReader) list() (any, error) {
	list := []any{}
	for r.More() {
		r.path[len(r.path)-1] = index(len(list))
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
