package restjson

import (
	"bytes"
	"encoding/base64"
	"math/bits"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// decoder fills Go values from JSON and checks them on the way.
type decoder struct {
	scanner
	checker
}

// tokenName is the word of AWS's texts for the JSON value that begins with c.
func tokenName(c byte) string {
	switch c {
	case '"':
		return "STRING_VALUE"
	case 't':
		return "TRUE_VALUE"
	case 'f':
		return "FALSE_VALUE"
	case '{':
		return "START_OBJECT"
	case '[':
		return "START_ARRAY"
	}
	return "NUMBER_VALUE"
}

var kindName = map[api.Kind]string{
	api.String: "a String", api.Integer: "an Integer", api.Long: "a Long", api.Float: "a Float", api.Double: "a Double",
	api.Boolean: "a Boolean", api.Blob: "a Blob", api.Timestamp: "a Timestamp",
	api.Structure: "a structure", api.Union: "a union", api.List: "a list", api.Map: "a map",
}

// at names the present path, for messages.
func (d *decoder) at() string {
	if w := d.where(); w != "" {
		return " at '" + w + "'"
	}
	return ""
}

// wrong fails because a value of another type stands where n is expected.
func (d *decoder) wrong(n *node) bool {
	c := d.peek()
	switch {
	case c == 0 || !strings.ContainsRune(`"{[tf-0123456789`, rune(c)):
		return d.syntax()
	case c == '{' && n.text:
		return d.fail("Start of structure or map found where not expected%s", d.at())
	case c == '[' && n.kind != api.List:
		return d.fail("Start of list found where not expected%s", d.at())
	}
	return d.cannot(n, tokenName(c))
}

func (d *decoder) cannot(n *node, token string) bool {
	return d.fail("%s can not be converted to %s%s", token, kindName[n.kind], d.at())
}

// value decodes the next JSON value, which is not null, into the value of n at p.
func (d *decoder) value(n *node, p unsafe.Pointer) bool {
	switch n.kind {
	case api.Structure, api.Union:
		return d.object(n, p)
	case api.List:
		return d.list(n, p)
	case api.Map:
		return d.mapping(n, p)
	case api.Document:
		d.peek()
		start := d.i
		if !d.skip() {
			return false
		}
		*(*[]byte)(p) = bytes.Clone(d.data[start:d.i])
		return true
	default:
		b, ok := d.scalar(n, p)
		if b != 0 {
			d.report(n, p, b)
		}
		return ok
	}
}

// object decodes a structure or union.
func (d *decoder) object(n *node, p unsafe.Pointer) bool {
	seen, ok := d.members(n, p)
	if !ok {
		return false
	}
	d.complete(n, seen)
	return true
}

// complete checks that what is required was seen, and that a union has one member.
func (d *decoder) complete(n *node, seen uint64) {
	if n.kind == api.Union {
		if bits.OnesCount64(seen) != 1 {
			names := make([]string, len(n.fields))
			for i := range n.fields {
				names[i] = n.fields[i].m.Name
			}
			d.add(0, "Value", "Member must have exactly one of the following members set: ["+strings.Join(names, ", ")+"]")
		}
		return
	}
	for missing := n.required &^ seen; missing != 0; missing &= missing - 1 {
		f := &n.fields[bits.TrailingZeros64(missing)]
		d.push(f.step(bits.TrailingZeros64(missing)))
		d.missing()
		d.pop()
	}
}

func (f *field) step(index int) step { return step{n: f.n, index: index, m: f.m} }

// members decodes the JSON object and returns which fields it set. Unknown names
// are skipped, null is absence, the last of equal names counts.
func (d *decoder) members(n *node, p unsafe.Pointer) (seen uint64, ok bool) {
	if d.peek() != '{' {
		return 0, d.wrong(n)
	}
	if !d.enter() {
		return 0, false
	}
	if d.empty('}') {
		return 0, true
	}
	next := 0 // most clients keep the order of the model
	for {
		name, ok := d.name()
		if !ok {
			return 0, false
		}
		var i int
		if next < len(n.fields) && n.fields[next].m.Wire == string(name) && n.fields[next].m.In == api.Body {
			i = next
		} else {
			i = n.find(name)
		}
		if i < 0 {
			if !d.skip() {
				return 0, false
			}
		} else {
			next = i + 1
			f, bit := &n.fields[i], uint64(1)<<i
			d.push(f.step(i))
			if seen&bit != 0 {
				d.drop()
				reflect.NewAt(n.typ, p).Elem().Field(i).SetZero()
				seen &^= bit
			}
			if d.peek() == 'n' {
				ok = d.word("null")
			} else {
				ok = d.field(f, unsafe.Add(p, f.off))
				seen |= bit
			}
			if !ok {
				return 0, false
			}
			d.pop()
		}
		if !d.more('}') {
			return seen, d.err == nil
		}
	}
}

// field decodes into a field, through a new pointer where the field is one.
func (d *decoder) field(f *field, p unsafe.Pointer) bool {
	if !f.ptr {
		return d.value(f.n, p)
	}
	p2 := f.n.alloc()
	*(*unsafe.Pointer)(p) = p2
	return d.value(f.n, p2)
}

// alloc returns a new zero value of n.
func (n *node) alloc() unsafe.Pointer {
	return reflect.New(n.typ).UnsafePointer()
}

var emptyBase [1]uint64 // what an empty, non-nil slice points to

func (d *decoder) list(n *node, p unsafe.Pointer) bool {
	if d.peek() != '[' {
		return d.wrong(n)
	}
	if !d.enter() {
		return false
	}
	s := (*slice)(p)
	*s = slice{data: unsafe.Pointer(&emptyBase)}
	var inner broken
	if !d.empty(']') {
		v := reflect.NewAt(n.typ, p).Elem()
		*s = slice{}
		for i := 0; ; i++ {
			if i == s.cap {
				v.Grow(1)
			}
			s.len = i + 1
			b, ok := d.element(n.elem, unsafe.Add(s.data, uintptr(i)*n.elem.size), step{n: n.elem, index: i})
			if !ok {
				return false
			}
			inner |= b
			if !d.more(']') {
				break
			}
		}
		if d.err != nil {
			return false
		}
	}
	if b := n.checkSize(s.len); b != 0 {
		d.report(n, p, b)
	}
	if inner != 0 {
		d.reportInner(n, p, n.elem, "Member")
	}
	return true
}

// element decodes one element of a list or value of a map. What a scalar breaks is
// returned, for it is named at the container.
func (d *decoder) element(n *node, p unsafe.Pointer, at step) (broken, bool) {
	d.push(at)
	var b broken
	var ok bool
	switch {
	case d.peek() == 'n':
		ok = d.word("null")
		d.missing()
	case n.text:
		b, ok = d.scalar(n, p)
	default:
		ok = d.value(n, p)
	}
	if ok {
		d.pop()
	}
	return b, ok
}

func (d *decoder) mapping(n *node, p unsafe.Pointer) bool {
	if d.peek() != '{' {
		return d.wrong(n)
	}
	if !d.enter() {
		return false
	}
	m := reflect.NewAt(n.typ, p).Elem()
	m.Set(reflect.MakeMap(n.typ))
	var keys, values broken
	if !d.empty('}') {
		v := reflect.New(n.elem.typ)
		at := map[string]int(nil)
		for i := 0; ; i++ {
			name, ok := d.name()
			if !ok {
				return false
			}
			key, index := string(name), i
			keys |= n.key.checkString(key)
			if !n.elem.text {
				// A repeated key takes the place of the first, and its violations.
				if at == nil {
					at = map[string]int{}
				}
				if first, again := at[key]; again {
					index = first
					d.push(step{n: n.elem, index: index, key: key})
					d.drop()
					d.pop()
				}
				at[key] = index
			}
			v.Elem().SetZero()
			b, ok := d.element(n.elem, v.UnsafePointer(), step{n: n.elem, index: index, key: key})
			if !ok {
				return false
			}
			values |= b
			if n.strMap {
				(*(*map[string]string)(p))[key] = *(*string)(v.UnsafePointer())
			} else {
				m.SetMapIndex(reflect.ValueOf(key).Convert(n.typ.Key()), v.Elem())
			}
			if !d.more('}') {
				break
			}
		}
		if d.err != nil {
			return false
		}
	}
	if b := n.checkSize(m.Len()); b != 0 {
		d.report(n, p, b)
	}
	if values != 0 {
		d.reportInner(n, p, n.elem, "Map value")
	}
	if keys != 0 {
		d.reportInner(n, p, n.key, "Map keys")
	}
	return true
}

// scalar decodes a value without parts and returns which constraints it breaks.
func (d *decoder) scalar(n *node, p unsafe.Pointer) (broken, bool) {
	c := d.peek()
	switch n.kind {
	case api.String:
		if c != '"' {
			return 0, d.wrong(n)
		}
		b, ok := d.string()
		if !ok {
			return 0, false
		}
		if n.enum != nil {
			if v, ok := n.enum[string(b)]; ok {
				*(*string)(p) = v // no copy
				return 0, true
			}
		}
		s := string(b)
		*(*string)(p) = s
		return n.checkString(s), true

	case api.Boolean:
		switch c {
		case 't':
			*(*bool)(p) = true
			return 0, d.word("true")
		case 'f':
			*(*bool)(p) = false
			return 0, d.word("false")
		}
		return 0, d.wrong(n)

	case api.Integer, api.Long:
		if c != '-' && (c < '0' || c > '9') {
			return 0, d.wrong(n)
		}
		text, integer, ok := d.number()
		if !ok {
			return 0, false
		}
		v, ok := parseInt(text, integer, n.kind)
		if !ok {
			return 0, d.cannot(n, "NUMBER_VALUE "+short(text))
		}
		return n.setInt(p, v), true

	case api.Float, api.Double:
		var v float64
		switch {
		case c == '"':
			b, ok := d.string()
			if !ok {
				return 0, false
			}
			if v, ok = wordFloat(string(b)); !ok {
				return 0, d.cannot(n, "STRING_VALUE")
			}
		case c == '-' || c >= '0' && c <= '9':
			text, _, ok := d.number()
			if !ok {
				return 0, false
			}
			f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
			if err != nil {
				return 0, d.cannot(n, "NUMBER_VALUE "+short(text))
			}
			v = f
		default:
			return 0, d.wrong(n)
		}
		*(*float64)(p) = v
		return n.checkNumber(v), true

	case api.Blob:
		if c != '"' {
			return 0, d.wrong(n)
		}
		b, ok := d.string()
		if !ok {
			return 0, false
		}
		out := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
		k, err := base64.StdEncoding.Decode(out, b)
		if err != nil {
			return 0, d.fail("Invalid base64 encoded string%s", d.at())
		}
		*(*[]byte)(p) = out[:k:k]
		return n.checkSize(k), true

	case api.Timestamp:
		switch {
		case c == '"':
			b, ok := d.string()
			if !ok {
				return 0, false
			}
			return 0, d.timestamp(p, string(b))
		case c == '-' || c >= '0' && c <= '9':
			text, _, ok := d.number()
			if !ok {
				return 0, false
			}
			return 0, d.timestamp(p, string(text))
		}
		return 0, d.wrong(n)

	default:
		panic("BUG: scalar of kind " + strconv.Itoa(int(n.kind)))
	}
}

// short cuts a number for a message.
func short(text []byte) string {
	if len(text) > 40 {
		return string(text[:40]) + "..."
	}
	return string(text)
}

// setInt stores v and checks its range.
func (n *node) setInt(p unsafe.Pointer, v int64) broken {
	if n.kind == api.Integer {
		*(*int)(p) = int(v)
	} else {
		*(*int64)(p) = v
	}
	if !n.checks {
		return 0
	}
	return n.checkNumber(float64(v))
}

// parseInt reads an integer of 32 bits (Integer) or 64 (Long). Some languages
// write whole numbers as 8.0 or 8e0; a fraction is refused.
func parseInt(text []byte, integer bool, kind api.Kind) (int64, bool) {
	size := 64
	if kind == api.Integer {
		size = 32
	}
	s := unsafe.String(unsafe.SliceData(text), len(text))
	if integer {
		v, err := strconv.ParseInt(s, 10, size)
		return v, err == nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int64(f)) || f >= 1<<53 || f <= -1<<53 {
		return 0, false
	}
	v := int64(f)
	if size == 32 && int64(int32(v)) != v {
		return 0, false
	}
	return v, true
}

// decodeJSON decodes body into the structure of n at p.
func (d *decoder) decodeJSON(n *node, p unsafe.Pointer, body []byte) (seen uint64, ok bool) {
	if !utf8.Valid(body) {
		return 0, d.fail("The request body is not valid UTF-8")
	}
	d.data, d.i, d.depth = body, 0, 0
	if seen, ok = d.members(n, p); !ok {
		return 0, false
	}
	return seen, d.end()
}

// result returns the failure, or else the violations as one error.
func (d *decoder) result() error {
	if d.err != nil {
		return d.err
	}
	return d.fault()
}
