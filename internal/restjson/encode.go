package restjson

import (
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// encoder appends JSON to buf. A broken invariant of the value sets err; the walk
// then goes on, for it ends anyway.
type encoder struct {
	buf    []byte
	err    error
	redact bool // hide what is sensitive, for logs
	epoch  bool // timestamps are seconds since 1970, as awsJson has them
}

func (e *encoder) bug(n *node, format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("BUG: %s: %s", n.shape.Name, fmt.Sprintf(format, args...))
	}
}

// value appends the value of n at p.
func (e *encoder) value(n *node, p unsafe.Pointer) {
	if e.redact && n.private() {
		e.buf = append(e.buf, `"***"`...)
		return
	}
	switch n.kind {
	case api.Structure, api.Union:
		e.object(n, p, n.inBody)
	case api.List:
		e.list(n, p)
	case api.Map:
		e.mapping(n, p)
	case api.String:
		e.buf = appendString(e.buf, *(*string)(p))
	case api.Integer:
		e.buf = strconv.AppendInt(e.buf, int64(*(*int)(p)), 10)
	case api.Long:
		e.buf = strconv.AppendInt(e.buf, *(*int64)(p), 10)
	case api.Float, api.Double:
		e.buf = appendFloat(e.buf, *(*float64)(p))
	case api.Boolean:
		e.buf = strconv.AppendBool(e.buf, *(*bool)(p))
	case api.Timestamp:
		if e.epoch {
			e.buf = appendEpoch(e.buf, *(*time.Time)(p))
			return
		}
		e.buf = append(appendTime(append(e.buf, '"'), *(*time.Time)(p)), '"')
	case api.Blob:
		b := *(*[]byte)(p)
		if e.redact {
			e.buf = strconv.AppendInt(append(e.buf, '"'), int64(len(b)), 10)
			e.buf = append(e.buf, ` bytes"`...)
			return
		}
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
		e.buf = append(e.buf, '"')
	case api.Document:
		doc := *(*[]byte)(p)
		s := scanner{data: doc}
		if !utf8.Valid(doc) || !s.skip() || !s.end() {
			e.bug(n, "document is not JSON")
			return
		}
		e.buf = append(e.buf, doc...)
	}
}

// private reports whether a value of n stays out of logs; Redact says what does.
func (n *node) private() bool {
	switch sh := n.shape; {
	case sh.Sensitive, n.kind == api.Document:
		return true
	case n.kind == api.String:
		return sh.Enum == nil && sh.Pattern == nil && (!sh.HasMax || sh.Max > 256) || sh.HasMax && sh.Max > 4096
	}
	return false
}

// object appends the fields of the set that hold something.
func (e *encoder) object(n *node, p unsafe.Pointer, set uint64) {
	e.buf = append(e.buf, '{')
	start, count := len(e.buf), 0
	for i := range n.fields {
		if set&(1<<i) == 0 {
			continue
		}
		f := &n.fields[i]
		at := unsafe.Add(p, f.off)
		absent := f.absent(at)
		if absent && !f.m.Required {
			continue
		}
		if len(e.buf) > start {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, f.key...)
		count++
		switch {
		case absent:
			e.nothing(n, f)
		case f.ptr:
			e.value(f.n, *(*unsafe.Pointer)(at))
		default:
			e.value(f.n, at)
		}
	}
	if n.kind == api.Union && count != 1 {
		e.bug(n, "union has %d members set, not one", count)
	}
	e.buf = append(e.buf, '}')
}

// nothing stands for a required member that the operation left nil.
func (e *encoder) nothing(n *node, f *field) {
	switch f.n.kind {
	case api.List:
		e.buf = append(e.buf, '[', ']')
	case api.Map, api.Document:
		e.buf = append(e.buf, '{', '}')
	case api.Blob, api.String:
		e.buf = append(e.buf, '"', '"')
	default:
		e.bug(n, "required member %s is nil", f.m.Name)
	}
}

func (e *encoder) list(n *node, p unsafe.Pointer) {
	s := (*slice)(p)
	e.buf = append(e.buf, '[')
	for i := range s.len {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.value(n.elem, unsafe.Add(s.data, uintptr(i)*n.elem.size))
	}
	e.buf = append(e.buf, ']')
}

// mapping appends a map in the order of its keys, so that equal answers are equal bytes.
func (e *encoder) mapping(n *node, p unsafe.Pointer) {
	e.buf = append(e.buf, '{')
	if n.strMap && !e.redact {
		m := *(*map[string]string)(p)
		for i, k := range slices.Sorted(maps.Keys(m)) {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.buf = append(appendString(e.buf, k), ':')
			e.buf = appendString(e.buf, m[k])
		}
		e.buf = append(e.buf, '}')
		return
	}
	m := reflect.NewAt(n.typ, p).Elem()
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	v := reflect.New(n.elem.typ)
	for i, k := range keys {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if e.redact && n.key.private() {
			e.buf = append(e.buf, `"***":`...)
		} else {
			e.buf = append(appendString(e.buf, k.String()), ':')
		}
		v.Elem().Set(m.MapIndex(k))
		e.value(n.elem, v.UnsafePointer())
	}
	e.buf = append(e.buf, '}')
}

const hexDigits = "0123456789abcdef"

// plainByte marks the bytes that stand for themselves in a JSON string.
var plainByte = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string. Only what JSON demands is escaped:
// '<', '>', '&' and U+2028 stay as they are. Invalid UTF-8 becomes U+FFFD.
func appendString(buf []byte, s string) []byte {
	buf = append(buf, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				buf = append(buf, s[start:i]...)
				buf = append(buf, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		buf = append(buf, s[start:i]...)
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\n':
			buf = append(buf, '\\', 'n')
		case '\r':
			buf = append(buf, '\\', 'r')
		case '\t':
			buf = append(buf, '\\', 't')
		case '\b':
			buf = append(buf, '\\', 'b')
		case '\f':
			buf = append(buf, '\\', 'f')
		default:
			buf = append(buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	buf = append(buf, s[start:]...)
	return append(buf, '"')
}
