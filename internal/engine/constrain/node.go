package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxNesting is how deep a schema text may nest before it is not read at all.
const maxNesting = 256

// A node is a JSON value that keeps the order of its members: the order in which
// a schema names its properties is the order in which the model must write them.
type node struct {
	keys    []string // of an object, in order
	members map[string]*node
	items   []*node
	scalar  any // string, json.Number, bool or nil
	kind    byte
}

// Kinds of node: the first byte of the JSON text, as far as one is needed.
const (
	isObject byte = '{'
	isArray  byte = '['
	isScalar byte = 's'
)

func parseNode(raw []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	n, err := readNode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return n, nil
}

func readNode(d *json.Decoder, depth int) (*node, error) {
	if depth > maxNesting {
		return nil, errors.New("nested too deep")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return &node{kind: isScalar, scalar: t}, nil
	}
	n := &node{kind: byte(delim)}
	if delim == '{' {
		n.members = map[string]*node{}
	}
	for d.More() {
		key := ""
		if delim == '{' {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ = k.(string)
		}
		v, err := readNode(d, depth+1)
		if err != nil {
			return nil, err
		}
		if delim == '{' {
			n.set(key, v)
		} else {
			n.items = append(n.items, v)
		}
	}
	_, err = d.Token()
	return n, err
}

// set adds or replaces a member; a replaced one keeps its place.
func (n *node) set(key string, v *node) {
	if _, ok := n.members[key]; !ok {
		n.keys = append(n.keys, key)
	}
	n.members[key] = v
}

// get returns a member, nil when n is no object or lacks it.
func (n *node) get(key string) *node {
	if n == nil || n.kind != isObject {
		return nil
	}
	return n.members[key]
}

// clone copies the top level of an object.
func (n *node) clone() *node {
	c := &node{kind: isObject, members: make(map[string]*node, len(n.keys))}
	for _, k := range n.keys {
		c.set(k, n.members[k])
	}
	return c
}

func (n *node) str() string {
	if n == nil || n.kind != isScalar {
		return ""
	}
	s, _ := n.scalar.(string)
	return s
}

// is reports whether n is the JSON value v, a bool.
func (n *node) is(v bool) bool {
	if n == nil || n.kind != isScalar {
		return false
	}
	b, ok := n.scalar.(bool)
	return ok && b == v
}

// integer returns the whole number that n holds.
func (n *node) integer() (int64, bool) {
	f, ok := n.number()
	if !ok || f != float64(int64(f)) || f > 1e15 || f < -1e15 {
		return 0, false
	}
	return int64(f), true
}

func (n *node) number() (float64, bool) {
	if n == nil || n.kind != isScalar {
		return 0, false
	}
	num, ok := n.scalar.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := num.Float64()
	return f, err == nil
}

// list returns the items of an array.
func (n *node) list() []*node {
	if n == nil || n.kind != isArray {
		return nil
	}
	return n.items
}

// strs returns the strings of an array.
func (n *node) strs() []string {
	var out []string
	for _, i := range n.list() {
		if s, ok := i.scalar.(string); ok && i.kind == isScalar {
			out = append(out, s)
		}
	}
	return out
}

// json writes n as compact JSON without escaping HTML.
func (n *node) json() string {
	var w bytes.Buffer
	n.write(&w)
	return w.String()
}

func (n *node) write(w *bytes.Buffer) {
	switch n.kind {
	case isObject:
		w.WriteByte('{')
		for i, k := range n.keys {
			if i > 0 {
				w.WriteString(", ")
			}
			w.WriteString(quote(k))
			w.WriteString(": ")
			n.members[k].write(w)
		}
		w.WriteByte('}')
	case isArray:
		w.WriteByte('[')
		for i, v := range n.items {
			if i > 0 {
				w.WriteString(", ")
			}
			v.write(w)
		}
		w.WriteByte(']')
	default:
		switch v := n.scalar.(type) {
		case string:
			w.WriteString(quote(v))
		case json.Number:
			w.WriteString(v.String())
		case bool:
			w.WriteString(strconv.FormatBool(v))
		default:
			w.WriteString("null")
		}
	}
}

// quote writes s as a JSON string without escaping HTML.
func quote(s string) string {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// pointer follows a JSON pointer (RFC 6901) such as "/$defs/Item".
func (n *node) pointer(p string) *node {
	if p == "" {
		return n
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, step := range strings.Split(strings.TrimPrefix(p, "/"), "/") {
		step = unescape.Replace(step)
		if n == nil {
			return nil
		}
		if n.kind == isArray {
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
			continue
		}
		n = n.get(step)
	}
	return n
}
