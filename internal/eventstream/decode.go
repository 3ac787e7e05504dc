package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// Message is one frame read. Its memory belongs to whoever decoded it: see
// Parse and Decoder.Next.
type Message struct {
	Headers []Header
	Payload []byte
}

// Get returns the value of the first header of that name.
func (m Message) Get(name string) (Value, bool) {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Value, true
		}
	}
	return Value{}, false
}

// Text returns the text of the first header of that name, "" when it is absent
// or no string.
func (m Message) Text(name string) string {
	v, _ := m.Get(name)
	return v.Str
}

// Kind returns the message type (event when the header is absent, as the SDKs
// take it) and the name that goes with it: event type, exception type or error
// code.
func (m Message) Kind() (messageType, name string) {
	switch t := m.Text(HeaderMessageType); t {
	case MessageException:
		return t, m.Text(HeaderExceptionType)
	case MessageError:
		return t, m.Text(HeaderErrorCode)
	case "":
		return MessageEvent, m.Text(HeaderEventType)
	default:
		return t, m.Text(HeaderEventType)
	}
}

// Parse reads the frame at the head of b and returns its length. An incomplete
// frame is io.ErrUnexpectedEOF, no byte at all io.EOF. The message points into
// b.
func Parse(b []byte) (Message, int, error) {
	if len(b) == 0 {
		return Message{}, 0, io.EOF
	}
	if len(b) < preludeLen {
		return Message{}, 0, io.ErrUnexpectedEOF
	}
	total, headers, err := prelude(b)
	if err != nil {
		return Message{}, 0, err
	}
	if len(b) < total {
		return Message{}, 0, io.ErrUnexpectedEOF
	}
	m, err := parseFrame(nil, b[:total], headers)
	if err != nil {
		return Message{}, 0, err
	}
	return m, total, nil
}

// prelude checks the first twelve bytes before anything is believed of them.
func prelude(b []byte) (total, headers int, err error) {
	if got, want := crc32.ChecksumIEEE(b[:8]), binary.BigEndian.Uint32(b[8:]); got != want {
		return 0, 0, fmt.Errorf("%w: prelude %08x, computed %08x", ErrChecksum, want, got)
	}
	t, h := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	switch {
	case h > MaxHeaders:
		return 0, 0, fmt.Errorf("%w: %d bytes of headers, at most %d", ErrLimit, h, MaxHeaders)
	case t > minFrame+MaxHeaders+MaxPayload, t > h+minFrame+MaxPayload:
		return 0, 0, fmt.Errorf("%w: frame of %d bytes", ErrLimit, t)
	case t < h+minFrame:
		return 0, 0, fmt.Errorf("%w: frame of %d bytes with %d of headers", ErrMalformed, t, h)
	}
	return int(t), int(h), nil
}

func parseFrame(into []Header, frame []byte, headers int) (Message, error) {
	end := len(frame) - trailerLen
	if got, want := crc32.ChecksumIEEE(frame[:end]), binary.BigEndian.Uint32(frame[end:]); got != want {
		return Message{}, fmt.Errorf("%w: frame %08x, computed %08x", ErrChecksum, want, got)
	}
	hs, err := parseHeaders(into, frame[preludeLen:preludeLen+headers])
	if err != nil {
		return Message{}, err
	}
	return Message{Headers: hs, Payload: frame[preludeLen+headers : end]}, nil
}

// Decoder reads frames one after the other. It is for one goroutine. After an
// error other than io.EOF the stream is out of step and the same error comes
// again.
type Decoder struct {
	r       io.Reader
	buf     []byte
	headers []Header
	err     error
}

// NewDecoder returns a decoder that reads exactly the bytes of its frames from
// r, never ahead.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{r: r} }

// Next returns the next frame; it is valid until the next call. A stream that
// ends between frames gives io.EOF, inside one io.ErrUnexpectedEOF.
func (d *Decoder) Next() (Message, error) {
	if d.err != nil {
		return Message{}, d.err
	}
	m, err := d.next()
	if err != nil {
		d.err = err
	}
	return m, err
}

// readStep bounds what is reserved before it has arrived: a prelude may claim
// 16 MiB, and twelve bytes must not buy that much memory.
const readStep = 64 << 10

func (d *Decoder) next() (Message, error) {
	d.buf = slices.Grow(d.buf[:0], preludeLen)[:preludeLen]
	if _, err := io.ReadFull(d.r, d.buf); err != nil {
		return Message{}, readError(err)
	}
	total, headers, err := prelude(d.buf)
	if err != nil {
		return Message{}, err
	}
	for len(d.buf) < total {
		have := len(d.buf)
		n := min(total-have, max(readStep, have))
		d.buf = slices.Grow(d.buf, n)[:have+n]
		if _, err := io.ReadFull(d.r, d.buf[have:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Message{}, readError(err)
		}
	}
	m, err := parseFrame(d.headers[:0], d.buf, headers)
	if err != nil {
		return Message{}, err
	}
	d.headers = m.Headers
	return m, nil
}

// readError leaves the two ends of a stream comparable and says of the rest
// what was being done.
func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // io.ReadFull returns these two unwrapped
		return err
	}
	return fmt.Errorf("read event stream frame: %w", err)
}
