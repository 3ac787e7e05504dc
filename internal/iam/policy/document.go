package policy

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a JSON value that remembers where it stood and in which order.
type node struct {
	kind    nodeKind
	text    string // of strings, numbers and booleans
	list    []node
	members []member
	offset  int
	end     int // of objects and lists: behind the last byte
}

type member struct {
	key    string
	offset int
	value  node
}

type nodeKind uint8

const (
	isNull nodeKind = iota
	isString
	isNumber
	isBool
	isList
	isObject
)

// maxDepth is more than any statement needs: document, Statement, statement,
// Condition, operator, key, values.
const maxDepth = 10

// reader reads one document. encoding/json takes duplicate members, and we must
// not: a reader of the document and the server would disagree about it.
type reader struct {
	d    *json.Decoder
	text string
}

func readDocument(text string) (node, error) {
	if len(text) > maxDocument {
		return node{}, &SyntaxError{Message: "The policy document is longer than 131072 bytes.", Size: true}
	}
	if strings.TrimSpace(text) == "" {
		return node{}, &SyntaxError{Message: "Syntax errors in policy. The document is empty."}
	}
	if !utf8.ValidString(text) {
		return node{}, &SyntaxError{Message: "Syntax errors in policy. The document is not UTF-8."}
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	r := reader{d, text}
	n, err := r.value("", 0)
	if err != nil {
		return node{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, r.fail("", "Syntax errors in policy. Something follows the document.")
	}
	if n.kind == isString && strings.HasPrefix(strings.TrimSpace(n.text), "{") {
		return node{}, &SyntaxError{Message: "Syntax errors in policy. The document is JSON within a JSON string: it was encoded twice."}
	}
	if n.kind != isObject {
		return node{}, &SyntaxError{Message: "Syntax errors in policy. The document is not a JSON object."}
	}
	return n, nil
}

func (r reader) fail(path, message string) error {
	return &SyntaxError{Message: message, Path: path, Offset: int(r.d.InputOffset())}
}

func (r reader) syntax(path string, err error) error {
	text := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		text = "the document ends too early"
		if strings.HasPrefix(r.text, "%7B") {
			text = "the document is percent-encoded"
		}
	}
	return r.fail(path, "Syntax errors in policy. This is no JSON: "+text+".")
}

func (r reader) value(path string, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, r.fail(path, "Syntax errors in policy. The document is nested too deeply.")
	}
	t, err := r.d.Token()
	if err != nil {
		return node{}, r.syntax(path, err)
	}
	n := node{offset: int(r.d.InputOffset())}
	switch t := t.(type) {
	case json.Delim:
		n.offset--
		if t == '[' {
			n.kind = isList
			return n, r.elements(&n, path, depth)
		}
		n.kind = isObject
		return n, r.object(&n, path, depth)
	case string:
		n.kind, n.text = isString, t
	case json.Number:
		n.kind, n.text = isNumber, t.String()
	case bool:
		n.kind, n.text = isBool, "false"
		if t {
			n.text = "true"
		}
	case nil:
		n.kind = isNull
	}
	return n, nil
}

func (r reader) elements(n *node, path string, depth int) error {
	for r.d.More() {
		v, err := r.value(at(path, len(n.list)), depth+1)
		if err != nil {
			return err
		}
		n.list = append(n.list, v)
	}
	if _, err := r.d.Token(); err != nil {
		return r.syntax(path, err)
	}
	n.end = int(r.d.InputOffset())
	return nil
}

func (r reader) object(n *node, path string, depth int) error {
	seen := map[string]bool{}
	for r.d.More() {
		t, err := r.d.Token()
		if err != nil {
			return r.syntax(path, err)
		}
		key, ok := t.(string)
		if !ok {
			return r.fail(path, "Syntax errors in policy. A member has no name.")
		}
		offset := int(r.d.InputOffset())
		if seen[key] {
			return r.fail(below(path, key), "Syntax errors in policy. The member stands here twice.")
		}
		seen[key] = true
		v, err := r.value(below(path, key), depth+1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{key, offset, v})
	}
	if _, err := r.d.Token(); err != nil {
		return r.syntax(path, err)
	}
	n.end = int(r.d.InputOffset())
	return nil
}

func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (n node) fail(path, message string) error {
	return &SyntaxError{Message: message, Path: path, Offset: n.offset}
}

// weight counts the characters that are no white space, which is what IAM's
// limits count.
func weight(text string) int {
	n := 0
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			n++
		}
	}
	return n
}

// Size counts a document as IAM's quotas do: characters without white space.
func Size(document string) int { return weight(document) }
