package restjson

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
)

var decoders = sync.Pool{New: func() any { return new(decoder) }}

func newDecoder() *decoder { return decoders.Get().(*decoder) }

// release gives the decoder back. Paths and violations are cleared: they point to
// what strangers sent.
func (d *decoder) release() {
	clear(d.path[:cap(d.path)])
	path, scratch := d.path[:0], d.scratch[:0]
	if cap(scratch) > 64<<10 {
		scratch = nil
	}
	*d = decoder{scanner: scanner{scratch: scratch}, checker: checker{path: path}}
	decoders.Put(d)
}

// DecodeRequest returns the input of an operation, a pointer to its Go struct,
// filled from a request and checked against every constraint of the model.
//
// labels are the labels of the path in the order of op.Segments, still percent-
// encoded; a greedy label holds its slashes. rawQuery is the query without '?'.
// An operation whose body is a blob keeps body itself, not a copy: the caller must
// not reuse it then. The body of an event-stream request is not read.
//
// The error is an *apierr.Error: SerializationException where the text cannot be
// read as the model's types (the input is nil then), else one ValidationException
// that names every broken constraint in the order of the model, with Detail.Fields.
// With a ValidationException the input is returned as far as it was read, so that
// the caller can be refused for want of permission first; it must not be called.
func DecodeRequest(svc *api.Service, op *api.Operation, labels []string, rawQuery string, header http.Header, body []byte) (any, error) {
	in := op.NewInput()
	if op.Input == api.NoShape {
		return in, nil
	}
	n, p, err := root(svc, op.Input, in)
	if err != nil {
		return nil, err
	}
	d := newDecoder()
	defer d.release()
	seen, ok := d.request(n, p, op, labels, rawQuery, header, body)
	if ok {
		d.complete(n, seen)
	}
	if d.err != nil {
		return nil, d.err
	}
	return in, d.fault()
}

// request fills the input from all parts and returns which members were given.
func (d *decoder) request(n *node, p unsafe.Pointer, op *api.Operation, labels []string, rawQuery string, header http.Header, body []byte) (seen uint64, ok bool) {
	next := 0
	for i := range op.Segments {
		seg := &op.Segments[i]
		if seg.Label == "" {
			continue
		}
		if next >= len(labels) {
			d.fail("BUG: path of %s has %d labels", op.Name, len(labels))
			return 0, false
		}
		if !d.label(n, p, seg.Member, labels[next]) {
			return 0, false
		}
		seen |= 1 << seg.Member
		next++
	}
	if rawQuery != "" && !d.query(n, p, rawQuery, &seen) {
		return 0, false
	}
	for i := range n.fields {
		f := &n.fields[i]
		if f.header == "" {
			continue
		}
		v := strings.TrimSpace(header.Get(f.header))
		if v == "" {
			continue
		}
		if !d.given(f, i, unsafe.Add(p, f.off), v) {
			return 0, false
		}
		seen |= 1 << i
	}
	switch {
	case op.EventsIn != api.NoShape, n.inBody == 0:
		return seen, true
	case n.shape.Payload > 0:
		return d.payload(n, p, n.shape.Payload-1, body, seen)
	case len(body) == 0:
		return seen, true
	}
	inBody, ok := d.decodeJSON(n, p, body)
	return seen | inBody, ok
}

// payload fills the member that is the whole body.
func (d *decoder) payload(n *node, p unsafe.Pointer, i int, body []byte, seen uint64) (uint64, bool) {
	if len(body) == 0 {
		return seen, true
	}
	f := &n.fields[i]
	d.push(f.step(i))
	p = unsafe.Add(p, f.off)
	switch f.n.kind {
	case api.Blob:
		*(*[]byte)(p) = body
		if b := f.n.checkSize(len(body)); b != 0 {
			d.report(f.n, p, b)
		}
	case api.Structure, api.Union:
		p2 := f.n.alloc()
		*(*unsafe.Pointer)(p) = p2
		inner, ok := d.decodeJSON(f.n, p2, body)
		if !ok {
			return 0, false
		}
		d.complete(f.n, inner)
	default:
		panic("BUG: payload of kind " + strconv.Itoa(int(f.n.kind)))
	}
	d.pop()
	return seen | 1<<i, true
}

// label fills a member from the path.
func (d *decoder) label(n *node, p unsafe.Pointer, i int, raw string) bool {
	f := &n.fields[i]
	v, ok := unescape(raw, false)
	if !ok {
		return d.fail("Invalid percent-encoding in the path at '%s'", f.m.Name)
	}
	before := len(d.violations)
	if !d.given(f, i, unsafe.Add(p, f.off), v) {
		return false
	}
	if v == "" && len(d.violations) == before {
		d.push(f.step(i))
		d.add(2, "Value ''", "Member must have length greater than or equal to 1")
		d.pop()
	}
	return true
}

// query fills members from the query. Unknown names are ignored; the last of equal
// names counts, except for lists, which take them all.
func (d *decoder) query(n *node, p unsafe.Pointer, raw string, seen *uint64) bool {
	var lists uint64
	var inner map[int]broken
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(part, "=")
		key, ok := unescape(key, true)
		if !ok {
			continue
		}
		i := n.findQuery(key)
		if i < 0 {
			continue
		}
		f := &n.fields[i]
		value, ok = unescape(value, true)
		if !ok {
			return d.fail("Invalid percent-encoding in the query at '%s'", f.m.Name)
		}
		at := unsafe.Add(p, f.off)
		if f.n.kind != api.List {
			if *seen&(1<<i) != 0 {
				d.push(f.step(i))
				d.drop()
				d.pop()
			}
			if !d.given(f, i, at, value) {
				return false
			}
			*seen |= 1 << i
			continue
		}
		v := reflect.NewAt(f.n.typ, at).Elem()
		s := (*slice)(at)
		if s.len == s.cap {
			v.Grow(1)
		}
		s.len++
		d.push(f.step(i))
		b, ok := d.plain(f.n.elem, unsafe.Add(s.data, uintptr(s.len-1)*f.n.elem.size), value)
		if !ok {
			return false
		}
		d.pop()
		if b != 0 && inner == nil {
			inner = map[int]broken{}
		}
		if b != 0 {
			inner[i] |= b
		}
		*seen |= 1 << i
		lists |= 1 << i
	}
	for i := range n.fields {
		if lists&(1<<i) == 0 {
			continue
		}
		f := &n.fields[i]
		at := unsafe.Add(p, f.off)
		d.push(f.step(i))
		if b := f.n.checkSize((*slice)(at).len); b != 0 {
			d.report(f.n, at, b)
		}
		if inner[i] != 0 {
			d.reportInner(f.n, at, f.n.elem, "Member")
		}
		d.pop()
	}
	return true
}

func (n *node) findQuery(name string) int {
	for i := range n.fields {
		if m := n.fields[i].m; m.In == api.Query && m.Wire == name {
			return i
		}
	}
	return -1
}

// given fills a field from text and reports what it breaks.
func (d *decoder) given(f *field, i int, p unsafe.Pointer, value string) bool {
	if f.ptr {
		p2 := f.n.alloc()
		*(*unsafe.Pointer)(p) = p2
		p = p2
	}
	d.push(f.step(i))
	b, ok := d.plain(f.n, p, value)
	if !ok {
		return false
	}
	if b != 0 {
		d.report(f.n, p, b)
	}
	d.pop()
	return true
}

// plain reads a scalar from the text of a label, query or header.
func (d *decoder) plain(n *node, p unsafe.Pointer, value string) (broken, bool) {
	if !utf8.ValidString(value) {
		return 0, d.fail("Value%s is not valid UTF-8", d.at())
	}
	switch n.kind {
	case api.String:
		*(*string)(p) = value
		return n.checkString(value), true
	case api.Boolean:
		switch value {
		case "true":
			*(*bool)(p) = true
			return 0, true
		case "false":
			*(*bool)(p) = false
			return 0, true
		}
		return 0, d.cannot(n, "STRING_VALUE")
	case api.Integer, api.Long:
		if v, ok := parseInt([]byte(value), true, n.kind); ok {
			return n.setInt(p, v), true
		}
		return 0, d.cannot(n, "STRING_VALUE")
	case api.Float, api.Double:
		v, ok := wordFloat(value)
		if !ok {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil || strings.ContainsAny(value, "xXpP_iInN") {
				return 0, d.cannot(n, "STRING_VALUE")
			}
			v = f
		}
		*(*float64)(p) = v
		return n.checkNumber(v), true
	case api.Timestamp:
		return 0, d.timestamp(p, value)
	default:
		panic("BUG: " + n.shape.Name + " cannot travel outside of a body")
	}
}

// unescape resolves percent-encoding once. In a query '+' is a space.
func unescape(s string, query bool) (string, bool) {
	if !strings.Contains(s, "%") && !(query && strings.Contains(s, "+")) {
		return s, true
	}
	buf := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			buf = append(buf, byte(v))
			i += 2
		case c == '+' && query:
			buf = append(buf, ' ')
		default:
			buf = append(buf, c)
		}
	}
	return string(buf), true
}
