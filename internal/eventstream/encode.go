package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Limits of one frame.
const (
	MaxHeaders = 128 << 10 // bytes of all headers together
	MaxPayload = 16 << 20  // bytes of payload
)

const (
	preludeLen = 12 // total, headers, checksum of both
	trailerLen = 4  // checksum of all before
	minFrame   = preludeLen + trailerLen
)

// Failures of encoding and decoding; all errors but those of the reader wrap
// one of them.
var (
	ErrLimit     = errors.New("event stream frame exceeds a limit")
	ErrMalformed = errors.New("malformed event stream frame")
	ErrChecksum  = errors.New("event stream checksum does not match")
)

// AppendMessage appends one frame to dst. With an error dst comes back as it
// was. It allocates only what dst lacks.
func AppendMessage(dst []byte, headers []Header, payload []byte) ([]byte, error) {
	start := len(dst)
	out := append(dst, make([]byte, preludeLen)...)
	var err error
	for _, h := range headers {
		if out, err = appendHeader(out, h); err != nil {
			return dst, err
		}
	}
	f := Frame{start: start, payload: len(out)}
	out = append(out, payload...)
	if out, err = f.Finish(out); err != nil {
		return dst, err
	}
	return out, nil
}

// AppendEvent appends an event frame: message type event, the member's name and
// the payload's content type.
func AppendEvent(dst []byte, eventType, contentType string, payload []byte) ([]byte, error) {
	out, f := BeginEvent(dst, eventType, contentType)
	out, err := f.Finish(append(out, payload...))
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendException appends an exception frame. The type is the union member's
// name in lowerCamelCase (throttlingException): with the shape's name boto3
// reports an error without code or message.
func AppendException(dst []byte, exceptionType, contentType string, payload []byte) ([]byte, error) {
	out := append(dst, make([]byte, preludeLen)...)
	out = appendStringHeader(out, HeaderExceptionType, exceptionType)
	out = appendStringHeader(out, HeaderContentType, contentType)
	out = appendStringHeader(out, HeaderMessageType, MessageException)
	f := Frame{start: len(dst), payload: len(out)}
	out, err := f.Finish(append(out, payload...))
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendError appends an error frame, for a failure that the stream's union
// does not name: code and message travel as headers, without payload. A message
// over the limit of a header is cut.
func AppendError(dst []byte, code, message string) ([]byte, error) {
	if len(message) > maxValue {
		message = message[:maxValue]
	}
	return AppendMessage(dst, []Header{
		{HeaderErrorCode, StringValue(code)},
		{HeaderErrorMessage, StringValue(message)},
		{HeaderMessageType, StringValue(MessageError)},
	}, nil)
}

// Frame is a frame begun and not finished.
type Frame struct{ start, payload int }

// BeginEvent appends all of an event frame that stands before its payload.
// The caller appends the payload to the result and then calls Finish: so a
// codec writes its JSON straight into the frame. Both names must be shorter
// than 32 KiB, which names of a model are.
func BeginEvent(dst []byte, eventType, contentType string) ([]byte, Frame) {
	start := len(dst)
	dst = append(dst, make([]byte, preludeLen)...)
	dst = appendStringHeader(dst, HeaderEventType, eventType)
	dst = appendStringHeader(dst, HeaderContentType, contentType)
	dst = appendStringHeader(dst, HeaderMessageType, MessageEvent)
	return dst, Frame{start: start, payload: len(dst)}
}

// Finish fills in the lengths and appends the checksum. With an error the
// frame must be cut off: dst[:length before BeginEvent].
func (f Frame) Finish(dst []byte) ([]byte, error) {
	headers := f.payload - f.start - preludeLen
	payload := len(dst) - f.payload
	if headers > MaxHeaders {
		return dst, fmt.Errorf("%w: %d bytes of headers, at most %d", ErrLimit, headers, MaxHeaders)
	}
	if payload > MaxPayload {
		return dst, fmt.Errorf("%w: %d bytes of payload, at most %d", ErrLimit, payload, MaxPayload)
	}
	frame := dst[f.start:]
	binary.BigEndian.PutUint32(frame, uint32(len(frame)+trailerLen))
	binary.BigEndian.PutUint32(frame[4:], uint32(headers))
	binary.BigEndian.PutUint32(frame[8:], crc32.ChecksumIEEE(frame[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(frame)), nil
}
