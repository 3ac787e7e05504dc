package restjson

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// node is the plan of one shape: everything the codec needs to know about it,
// with its Go type resolved.
//
// Values are reached by pointer and offset. The use of unsafe is confined to this
// scheme: a pointer handed to decode or encode always points to a live Go value of
// exactly node.typ (or, for a field with ptr set, to a *node.typ), which newNode
// has checked against the shape's kind.
type node struct {
	shape *api.Shape
	kind  api.Kind
	typ   reflect.Type
	size  uintptr

	// Structures and unions.
	fields   []field
	index    map[string]int // by wire name, when there are many
	inBody   uint64         // fields that travel in the JSON body
	required uint64

	// Lists and maps.
	elem, key *node
	strMap    bool // exactly map[string]string

	text   bool // a string, number, boolean, blob or timestamp
	checks bool // has constraints of its own
	minLen int
	maxLen int
	match  *matcher
	enum   map[string]string
}

// field is the plan of one member of a structure.
type field struct {
	m      *api.Member
	n      *node
	off    uintptr
	ptr    bool   // the Go field is a pointer to n.typ
	bare   bool   // a value without a pointer whose absence cannot be seen
	key    []byte // "name": as it stands in JSON
	header string // canonical header name
}

var (
	plans    sync.Map // *api.Shape → *node, complete ones only
	building sync.Mutex
)

// planOf returns the plan of a shape whose Go type is typ.
func planOf(svc *api.Service, id api.ShapeID, typ reflect.Type) *node {
	shape := &svc.Shapes[id]
	if n, ok := plans.Load(shape); ok {
		return n.(*node)
	}
	building.Lock()
	defer building.Unlock()
	b := builder{svc: svc, made: map[*api.Shape]*node{}}
	n := b.node(id, typ)
	// Published only when the whole graph is complete: shapes are recursive.
	for shape, n := range b.made {
		plans.LoadOrStore(shape, n)
	}
	return n
}

type builder struct {
	svc  *api.Service
	made map[*api.Shape]*node
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	strMapType = reflect.TypeFor[map[string]string]()
)

func (b *builder) node(id api.ShapeID, typ reflect.Type) *node {
	shape := &b.svc.Shapes[id]
	if n, ok := plans.Load(shape); ok {
		return n.(*node)
	}
	if n, ok := b.made[shape]; ok {
		return n
	}
	n := &node{shape: shape, kind: shape.Kind, typ: typ, size: typ.Size()}
	b.made[shape] = n
	want := map[api.Kind]reflect.Kind{
		api.Structure: reflect.Struct, api.Union: reflect.Struct, api.List: reflect.Slice, api.Map: reflect.Map,
		api.String: reflect.String, api.Integer: reflect.Int, api.Long: reflect.Int64, api.Float: reflect.Float64,
		api.Double: reflect.Float64, api.Boolean: reflect.Bool, api.Blob: reflect.Slice, api.Timestamp: reflect.Struct,
		api.Document: reflect.Slice,
	}[shape.Kind]
	if typ.Kind() != want {
		panic(fmt.Sprintf("BUG: shape %s.%s is a %v in Go", b.svc.Name, shape.Name, typ))
	}
	switch shape.Kind {
	case api.Structure, api.Union:
		b.structure(n)
	case api.List:
		n.elem = b.node(shape.Elem, typ.Elem())
	case api.Map:
		n.elem, n.key = b.node(shape.Elem, typ.Elem()), b.node(shape.Key, typ.Key())
		n.strMap = typ == strMapType
	case api.Timestamp:
		if typ != timeType {
			panic(fmt.Sprintf("BUG: timestamp %s is a %v in Go", shape.Name, typ))
		}
		n.text = true
	case api.Document:
	default:
		n.text = true
	}
	n.minLen, n.maxLen = 0, int(^uint(0)>>1)
	if shape.HasMin {
		n.minLen = int(min(shape.Min, 1<<53))
	}
	if shape.HasMax {
		n.maxLen = int(min(shape.Max, 1<<53))
	}
	if shape.Pattern != nil {
		n.match = newMatcher(shape.Pattern)
	}
	if len(shape.Enum) > 0 {
		n.enum = make(map[string]string, len(shape.Enum))
		for _, v := range shape.Enum {
			n.enum[v] = v
		}
	}
	n.checks = shape.HasMin || shape.HasMax || shape.Pattern != nil || shape.Enum != nil
	return n
}

func (b *builder) structure(n *node) {
	shape := n.shape
	if len(shape.Members) > 64 || len(shape.Members) != n.typ.NumField() {
		panic(fmt.Sprintf("BUG: structure %s has %d members and %d fields", shape.Name, len(shape.Members), n.typ.NumField()))
	}
	n.fields = make([]field, len(shape.Members))
	for i := range shape.Members {
		m, sf := &shape.Members[i], n.typ.Field(i)
		f := &n.fields[i]
		f.m, f.off = m, sf.Offset
		t := sf.Type
		if t.Kind() == reflect.Pointer {
			f.ptr, t = true, t.Elem()
		}
		f.n = b.node(m.Shape, t)
		switch f.n.kind {
		case api.Structure, api.Union:
			if !f.ptr {
				panic(fmt.Sprintf("BUG: %s.%s is a struct value", shape.Name, m.Name))
			}
		case api.List, api.Map, api.Blob, api.Document:
		default:
			f.bare = !f.ptr && f.n.enum == nil
		}
		f.key = append(strconv.AppendQuote(nil, m.Wire), ':')
		if m.In == api.Header {
			f.header = http.CanonicalHeaderKey(m.Wire)
		}
		bit := uint64(1) << i
		if m.In == api.Body {
			n.inBody |= bit
		}
		if m.Required {
			n.required |= bit
		}
	}
	if len(n.fields) > 8 {
		n.index = make(map[string]int, len(n.fields))
		for i := range n.fields {
			if n.fields[i].m.In == api.Body {
				n.index[n.fields[i].m.Wire] = i
			}
		}
	}
}

// find returns the index of the member that travels in the body under the name, or -1.
func (n *node) find(name []byte) int {
	if n.index != nil {
		if i, ok := n.index[string(name)]; ok {
			return i
		}
		return -1
	}
	for i := range n.fields {
		if m := n.fields[i].m; m.Wire == string(name) && m.In == api.Body {
			return i
		}
	}
	return -1
}

// slice is the layout of a Go slice.
type slice struct {
	data     unsafe.Pointer
	len, cap int
}

// absent reports whether the Go field at p holds nothing. Bare values always
// hold something.
func (f *field) absent(p unsafe.Pointer) bool {
	if f.ptr {
		return *(*unsafe.Pointer)(p) == nil
	}
	switch f.n.kind {
	case api.List, api.Blob, api.Document:
		return (*slice)(p).data == nil
	case api.Map:
		return *(*unsafe.Pointer)(p) == nil
	case api.String:
		return f.n.enum != nil && *(*string)(p) == ""
	default:
		return false
	}
}

// root returns the plan and the address of v, a pointer to the Go struct of the shape.
func root(svc *api.Service, id api.ShapeID, v any) (*node, unsafe.Pointer, error) {
	if id == api.NoShape || int(id) >= len(svc.Shapes) {
		return nil, nil, fmt.Errorf("BUG: %s has no shape %d", svc.Name, id)
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return nil, nil, fmt.Errorf("BUG: %s of %s must be a pointer to a struct, not %T", svc.Shapes[id].Name, svc.Name, v)
	}
	n := planOf(svc, id, rv.Type().Elem())
	if n.typ != rv.Type().Elem() {
		return nil, nil, fmt.Errorf("BUG: %s of %s is %v, not %T", n.shape.Name, svc.Name, n.typ, v)
	}
	return n, rv.UnsafePointer(), nil
}
