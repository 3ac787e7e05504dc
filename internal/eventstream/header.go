package eventstream

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Type is the wire number of a header value's type.
type Type uint8

// The ten types of header values.
const (
	True Type = iota
	False
	Int8
	Int16
	Int32
	Int64
	Bytes
	String
	Timestamp
	UUID
)

// Names of the headers that say what a frame is.
const (
	HeaderMessageType   = ":message-type"   // event, exception or error
	HeaderEventType     = ":event-type"     // union member of an event
	HeaderExceptionType = ":exception-type" // union member of an exception
	HeaderContentType   = ":content-type"
	HeaderErrorCode     = ":error-code"      // of message type error
	HeaderErrorMessage  = ":error-message"   // of message type error
	HeaderDate          = ":date"            // timestamp of a signed frame
	HeaderSignature     = ":chunk-signature" // bytes of a signed frame
)

// Values of HeaderMessageType.
const (
	MessageEvent     = "event"
	MessageException = "exception"
	MessageError     = "error"
)

const (
	maxName  = 255       // a name's length is one byte, and never 0
	maxValue = 1<<15 - 1 // 32 KiB - 1, as the SDKs hold it, though the field could say 64 KiB
)

// Value is one typed header value. Build it with the functions below; the zero
// value is the boolean true, which is type 0 on the wire.
type Value struct {
	Type Type
	Int  int64  // Int8 … Int64; milliseconds since 1970 of a Timestamp
	Str  string // String
	Raw  []byte // Bytes; the 16 bytes of a UUID
}

// Header is one name with its value.
type Header struct {
	Name  string
	Value Value
}

// StringValue makes a value of type String, at most 32767 bytes.
func StringValue(s string) Value { return Value{Type: String, Str: s} }

// BytesValue makes a value of type Bytes, at most 32767. It keeps b.
func BytesValue(b []byte) Value { return Value{Type: Bytes, Raw: b} }

// BoolValue makes a value of type True or False.
func BoolValue(b bool) Value {
	if b {
		return Value{Type: True}
	}
	return Value{Type: False}
}

// TimeValue makes a value of type Timestamp, cut to milliseconds.
func TimeValue(t time.Time) Value { return Value{Type: Timestamp, Int: t.UnixMilli()} }

// Int8Value makes a value of type Int8.
func Int8Value(n int8) Value { return Value{Type: Int8, Int: int64(n)} }

// Int16Value makes a value of type Int16.
func Int16Value(n int16) Value { return Value{Type: Int16, Int: int64(n)} }

// Int32Value makes a value of type Int32.
func Int32Value(n int32) Value { return Value{Type: Int32, Int: int64(n)} }

// Int64Value makes a value of type Int64.
func Int64Value(n int64) Value { return Value{Type: Int64, Int: n} }

// UUIDValue makes a value of type UUID.
func UUIDValue(id [16]byte) Value { return Value{Type: UUID, Raw: id[:]} }

// Time returns the instant of a Timestamp in UTC.
func (v Value) Time() time.Time { return time.UnixMilli(v.Int).UTC() }

// appendHeader appends h in wire form; dst is returned unchanged with an error.
func appendHeader(dst []byte, h Header) ([]byte, error) {
	if len(h.Name) == 0 || len(h.Name) > maxName {
		return dst, fmt.Errorf("%w: header name of %d bytes, want 1 to %d", ErrLimit, len(h.Name), maxName)
	}
	v := h.Value
	switch v.Type {
	case String:
		if len(v.Str) > maxValue {
			return dst, fmt.Errorf("%w: value of header %s has %d bytes, at most %d", ErrLimit, h.Name, len(v.Str), maxValue)
		}
	case Bytes:
		if len(v.Raw) > maxValue {
			return dst, fmt.Errorf("%w: value of header %s has %d bytes, at most %d", ErrLimit, h.Name, len(v.Raw), maxValue)
		}
	case UUID:
		if len(v.Raw) != 16 {
			return dst, fmt.Errorf("%w: UUID header %s of %d bytes", ErrMalformed, h.Name, len(v.Raw))
		}
	case True, False, Int8, Int16, Int32, Int64, Timestamp:
	default:
		return dst, fmt.Errorf("%w: header %s has unknown type %d", ErrMalformed, h.Name, v.Type)
	}
	dst = append(dst, byte(len(h.Name)))
	dst = append(dst, h.Name...)
	dst = append(dst, byte(v.Type))
	switch v.Type {
	case Int8:
		dst = append(dst, byte(v.Int))
	case Int16:
		dst = binary.BigEndian.AppendUint16(dst, uint16(v.Int))
	case Int32:
		dst = binary.BigEndian.AppendUint32(dst, uint32(v.Int))
	case Int64, Timestamp:
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.Int))
	case String:
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Str)))
		dst = append(dst, v.Str...)
	case Bytes:
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Raw)))
		dst = append(dst, v.Raw...)
	case UUID:
		dst = append(dst, v.Raw...)
	case True, False:
	}
	return dst, nil
}

// appendStringHeader is appendHeader for names and values known to be short.
func appendStringHeader(dst []byte, name, value string) []byte {
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	dst = append(dst, byte(String))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

// parseHeaders appends the headers of b to dst. Byte values point into b.
func parseHeaders(dst []Header, b []byte) ([]Header, error) {
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+1 {
			return dst, fmt.Errorf("%w: header name of %d bytes in %d left", ErrMalformed, n, len(b))
		}
		h := Header{Name: text(b[1 : 1+n]), Value: Value{Type: Type(b[1+n])}}
		b = b[2+n:]
		size, ok := h.Value.Type.size(b)
		if !ok || len(b) < size {
			return dst, fmt.Errorf("%w: value of header %q (type %d) is cut short or of no known type", ErrMalformed, h.Name, h.Value.Type)
		}
		v := b[:size]
		b = b[size:]
		switch h.Value.Type {
		case Int8:
			h.Value.Int = int64(int8(v[0]))
		case Int16:
			h.Value.Int = int64(int16(binary.BigEndian.Uint16(v)))
		case Int32:
			h.Value.Int = int64(int32(binary.BigEndian.Uint32(v)))
		case Int64, Timestamp:
			h.Value.Int = int64(binary.BigEndian.Uint64(v))
		case String:
			h.Value.Str = text(v[2:])
		case Bytes:
			h.Value.Raw = v[2:]
		case UUID:
			h.Value.Raw = v
		case True, False:
		}
		if size > 2+maxValue {
			return dst, fmt.Errorf("%w: value of header %q has %d bytes, at most %d", ErrLimit, h.Name, size-2, maxValue)
		}
		dst = append(dst, h)
	}
	return dst, nil
}

// size tells how many bytes a value of the type takes at the head of b, length
// field included; false when b is too short to say or the type is unknown.
func (t Type) size(b []byte) (int, bool) {
	switch t {
	case True, False:
		return 0, true
	case Int8:
		return 1, true
	case Int16:
		return 2, true
	case Int32:
		return 4, true
	case Int64, Timestamp:
		return 8, true
	case UUID:
		return 16, true
	case Bytes, String:
		if len(b) < 2 {
			return 0, false
		}
		return 2 + int(binary.BigEndian.Uint16(b)), true
	}
	return 0, false
}

// text turns wire bytes into a string, without an allocation for the words
// that nearly every frame carries.
func text(b []byte) string {
	switch string(b) {
	case HeaderMessageType:
		return HeaderMessageType
	case HeaderEventType:
		return HeaderEventType
	case HeaderContentType:
		return HeaderContentType
	case HeaderDate:
		return HeaderDate
	case HeaderSignature:
		return HeaderSignature
	case MessageEvent:
		return MessageEvent
	case "chunk":
		return "chunk"
	case "application/json":
		return "application/json"
	}
	return string(b)
}
