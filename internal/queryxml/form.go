package queryxml

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// Bounds of what a stranger may send besides the size of the body: real requests
// stay far below them.
const (
	maxParameters = 10000
	maxDepth      = 16
)

// Form is the parameters of one request.
type Form struct{ root *node }

// node is one part of the dotted names.
type node struct {
	value    string
	given    bool // a parameter ends here
	children map[string]*node
}

func (n *node) child(name string) *node {
	c := n.children[name]
	if c == nil {
		c = new(node)
		if n.children == nil {
			n.children = map[string]*node{}
		}
		n.children[name] = c
	}
	return c
}

// Parse reads the parameters of a query without '?' and of a body that is a form.
// The last of equal names counts, the body after the query. Its error is an
// *apierr.Error.
func Parse(rawQuery string, body []byte) (*Form, error) {
	f := &Form{root: new(node)}
	n := 0
	for _, text := range [...]string{rawQuery, string(body)} {
		for text != "" {
			var part string
			part, text, _ = strings.Cut(text, "&")
			if part == "" {
				continue
			}
			if n++; n > maxParameters {
				return nil, malformed("The request has more than %d parameters.", maxParameters)
			}
			if err := f.add(part); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

func malformed(format string, args ...any) error {
	return apierr.New(apierr.Serialization, format, args...)
}

func (f *Form) add(part string) error {
	key, value, _ := strings.Cut(part, "=")
	name, err := url.QueryUnescape(key)
	if err != nil || !utf8.ValidString(name) {
		return malformed("A parameter's name is not well encoded.")
	}
	if value, err = url.QueryUnescape(value); err != nil || !utf8.ValidString(value) {
		return malformed("The value of %s is not well encoded.", clip(name))
	}
	at := f.root
	depth := 0
	for step := range strings.SplitSeq(name, ".") {
		if depth++; depth > maxDepth {
			return malformed("The name %s has more than %d parts.", clip(name), maxDepth)
		}
		at = at.child(step)
	}
	at.value, at.given = value, true
	return nil
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "..."
	}
	return s
}

// Get returns a parameter without parts, such as Action or Version.
func (f *Form) Get(name string) string {
	if c := f.root.children[name]; c != nil {
		return c.value
	}
	return ""
}

// Decode fills the input of an operation, a pointer to its Go struct, and checks
// it. Parameters that the model does not know are ignored, as AWS does. Its
// errors are those of restjson.DecodeRequest: with a ValidationException the input
// is returned as far as it was read.
func (f *Form) Decode(svc *api.Service, op *api.Operation) (any, error) {
	w := writer{svc: svc}
	if !w.structure(f.root, op.Input) {
		return nil, w.err
	}
	in := op.NewInput()
	err := restjson.DecodeBody(svc, op.Input, in, w.buf)
	if err != nil && apierr.KindOf(err) != apierr.Validation {
		return nil, err
	}
	return in, err
}

// writer turns the tree into the JSON that restjson reads.
type writer struct {
	svc  *api.Service
	buf  []byte
	path []string
	err  error
}

func (w *writer) fail(format string, args ...any) bool {
	w.err = malformed(format, args...)
	return false
}

func (w *writer) where() string { return clip(strings.Join(w.path, ".")) }

func (w *writer) value(n *node, id api.ShapeID) bool {
	s := &w.svc.Shapes[id]
	switch s.Kind {
	case api.Structure, api.Union:
		return w.structure(n, id)
	case api.List:
		return w.list(n, s)
	case api.Map:
		return w.mapping(n, s)
	default:
	}
	if !n.given {
		return w.fail("Unexpected list or structure at %s.", w.where())
	}
	return w.scalar(n.value, s)
}

func (w *writer) structure(n *node, id api.ShapeID) bool {
	w.buf = append(w.buf, '{')
	first := true
	members := w.svc.Shapes[id].Members
	for i := range members {
		m := &members[i]
		c := n.children[m.Wire]
		if c == nil {
			continue
		}
		if !first {
			w.buf = append(w.buf, ',')
		}
		first = false
		w.buf = append(restjson.AppendString(w.buf, m.Wire), ':')
		if !w.at(m.Wire, c, m.Shape) {
			return false
		}
	}
	w.buf = append(w.buf, '}')
	return true
}

func (w *writer) at(name string, n *node, id api.ShapeID) bool {
	w.path = append(w.path, name)
	ok := w.value(n, id)
	w.path = w.path[:len(w.path)-1]
	return ok
}

func (w *writer) list(n *node, s *api.Shape) bool {
	entries, ok := w.entries(n, s, elemName(s))
	if !ok {
		return false
	}
	w.buf = append(w.buf, '[')
	for i, e := range entries {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		if !w.at(strconv.Itoa(i+1), e, s.Elem) {
			return false
		}
	}
	w.buf = append(w.buf, ']')
	return true
}

// elemName is the element around a list's elements.
func elemName(s *api.Shape) string {
	if s.ElemWire != "" {
		return s.ElemWire
	}
	return "member"
}

func mapNames(s *api.Shape) (key, value string) {
	key, value = "key", "value"
	if s.KeyWire != "" {
		key = s.KeyWire
	}
	if s.ElemWire != "" {
		value = s.ElemWire
	}
	return key, value
}

func (w *writer) mapping(n *node, s *api.Shape) bool {
	entries, ok := w.entries(n, s, "entry")
	if !ok {
		return false
	}
	keyName, valueName := mapNames(s)
	w.buf = append(w.buf, '{')
	for i, e := range entries {
		key, value := e.children[keyName], e.children[valueName]
		if key == nil || !key.given || value == nil {
			return w.fail("Entry %d of %s lacks its %s or %s.", i+1, w.where(), keyName, valueName)
		}
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(restjson.AppendString(w.buf, key.value), ':')
		if !w.at(key.value, value, s.Elem) {
			return false
		}
	}
	w.buf = append(w.buf, '}')
	return true
}

// entries are the numbered children of a list or map, in the order of their
// numbers; gaps are closed. "Name=" is an empty one.
func (w *writer) entries(n *node, s *api.Shape, around string) ([]*node, bool) {
	if !s.Flattened && n.children != nil {
		// SDKs put the element's name between list and number.
		if n = n.children[around]; n == nil {
			return nil, w.fail("Expected %s.%s.1 and so on.", w.where(), around)
		}
	}
	if len(n.children) == 0 {
		if n.value != "" {
			return nil, w.fail("Expected %s.%s.1 and so on, not a value.", w.where(), around)
		}
		return nil, true
	}
	numbers := make([]int, 0, len(n.children))
	for name := range n.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || strconv.Itoa(i) != name {
			return nil, w.fail("%s has no number at %s.", clip(name), w.where())
		}
		numbers = append(numbers, i)
	}
	return sorted(n, numbers), true
}

// scalar writes a value as JSON has it; its range and pattern are restjson's.
func (w *writer) scalar(v string, s *api.Shape) bool {
	switch s.Kind {
	case api.Boolean:
		switch {
		case strings.EqualFold(v, "true"):
			w.buf = append(w.buf, "true"...)
		case strings.EqualFold(v, "false"):
			w.buf = append(w.buf, "false"...)
		default:
			return w.fail("'%s' is not a boolean at %s.", clip(v), w.where())
		}
	case api.Integer, api.Long:
		i, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err != nil {
			return w.fail("'%s' is not an integer at %s.", clip(v), w.where())
		}
		w.buf = strconv.AppendInt(w.buf, i, 10)
	case api.Float, api.Double:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || strings.ContainsAny(v, "xXpP_iInN") {
			return w.fail("'%s' is not a number at %s.", clip(v), w.where())
		}
		w.buf = strconv.AppendFloat(w.buf, f, 'g', -1, 64)
	case api.Document:
		return w.fail("A document cannot stand in a form at %s.", w.where())
	default:
		w.buf = restjson.AppendString(w.buf, v)
	}
	return true
}

func sorted(n *node, numbers []int) []*node {
	slices.Sort(numbers)
	out := make([]*node, len(numbers))
	for i, k := range numbers {
		out[i] = n.children[strconv.Itoa(k)]
	}
	return out
}
