package queryxml

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// ContentType of answers.
const ContentType = "text/xml"

// Encode returns the success answer of an operation; out is a pointer to its
// output struct. The error is never the caller's fault.
func Encode(svc *api.Service, op *api.Operation, out any, requestID string) ([]byte, error) {
	e := encoder{svc: svc}
	e.open(op.Name+"Response", svc.XMLNamespace)
	if op.Result != "" {
		v := reflect.ValueOf(out)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			return nil, fmt.Errorf("BUG: the answer of %s is %T", op.Name, out)
		}
		e.open(op.Result, "")
		e.structure(v.Elem(), op.Output)
		e.close(op.Result)
	}
	e.open("ResponseMetadata", "")
	e.text("RequestId", requestID)
	e.close("ResponseMetadata")
	e.close(op.Name + "Response")
	if e.err != nil {
		return nil, fmt.Errorf("encode the answer of %s: %w", op.Name, e.err)
	}
	return []byte(e.b.String()), nil
}

// encoder writes XML.
type encoder struct {
	svc *api.Service
	b   strings.Builder
	err error
}

func (e *encoder) open(name, namespace string) {
	e.b.WriteString("<" + name)
	if namespace != "" {
		e.b.WriteString(` xmlns="`)
		e.escape(namespace)
		e.b.WriteByte('"')
	}
	e.b.WriteByte('>')
}

func (e *encoder) close(name string) { e.b.WriteString("</" + name + ">") }

// escape writes character data. What XML cannot hold, such as a zero byte,
// becomes U+FFFD.
func (e *encoder) escape(s string) { _ = xml.EscapeText(&e.b, []byte(s)) } // a Builder never fails

func (e *encoder) text(name, value string) {
	e.open(name, "")
	e.escape(value)
	e.close(name)
}

func (e *encoder) structure(v reflect.Value, id api.ShapeID) {
	s := &e.svc.Shapes[id]
	if v.Kind() != reflect.Struct || v.NumField() != len(s.Members) {
		e.err = fmt.Errorf("BUG: shape %s is %v in Go", s.Name, v.Type())
		return
	}
	for i := range s.Members {
		m, f := &s.Members[i], v.Field(i)
		shape := &e.svc.Shapes[m.Shape]
		switch f.Kind() {
		case reflect.Pointer:
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		case reflect.Slice, reflect.Map:
			if f.IsNil() && !m.Required {
				continue
			}
		case reflect.String:
			if f.Len() == 0 && len(shape.Enum) > 0 {
				continue
			}
		default: // a value, always there
		}
		if shape.Flattened {
			e.items(m.Wire, f, shape)
			continue
		}
		e.open(m.Wire, "")
		e.value(f, m.Shape)
		e.close(m.Wire)
	}
}

func (e *encoder) value(v reflect.Value, id api.ShapeID) {
	s := &e.svc.Shapes[id]
	switch s.Kind {
	case api.Structure, api.Union:
		e.structure(v, id)
	case api.List:
		e.items(elemName(s), v, s)
	case api.Map:
		e.items("entry", v, s)
	case api.String:
		e.escape(v.String())
	case api.Integer, api.Long:
		e.b.WriteString(strconv.FormatInt(v.Int(), 10))
	case api.Float, api.Double:
		e.b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case api.Boolean:
		e.b.WriteString(strconv.FormatBool(v.Bool()))
	case api.Timestamp:
		e.b.WriteString(v.Interface().(time.Time).UTC().Format(time.RFC3339)) // whole seconds, as STS and IAM
	case api.Blob:
		e.b.WriteString(base64.StdEncoding.EncodeToString(v.Bytes()))
	default:
		e.err = fmt.Errorf("BUG: shape %s cannot stand in XML", s.Name)
	}
}

// items writes each element of a list or entry of a map under the name.
func (e *encoder) items(name string, v reflect.Value, s *api.Shape) {
	if s.Kind == api.List {
		for i := range v.Len() {
			e.open(name, "")
			e.value(v.Index(i), s.Elem)
			e.close(name)
		}
		return
	}
	keyName, valueName := mapNames(s)
	byKey := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		byKey[k.String()] = v.MapIndex(k)
	}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		e.open(name, "")
		e.text(keyName, k)
		e.open(valueName, "")
		e.value(byKey[k], s.Elem)
		e.close(valueName)
		e.close(name)
	}
}
