package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// ErrDone ends an event loop early without being an error.
var ErrDone = errors.New("done")

// maxEvent bounds one event; the last one of llama.cpp repeats the whole prompt.
const maxEvent = 64 << 20

// readers are kept: a buffer for each stream would be two thirds of all that a call
// allocates.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 32<<10) }}

// Events calls handle with the data of each server-sent event, in order, as soon
// as its line is whole; data is good until handle returns. Comments and other fields are passed over. It returns
// what handle returned, nil for ErrDone, else the error of the stream: io.EOF,
// at the end of the body, is left to the caller, who knows whether the stream
// was complete.
func Events(r io.Reader, handle func(data []byte) error) error {
	b := readers.Get().(*bufio.Reader)
	b.Reset(r)
	defer func() {
		b.Reset(nil)
		readers.Put(b)
	}()
	var long []byte
	for {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(long)+len(line) > maxEvent {
				return errors.New("server-sent event is too long")
			}
			long = append(long, line...)
			continue
		}
		if err != nil {
			return err // a line without its end is a cut stream, never an event
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = nil
		}
		data, ok := field(line)
		if !ok {
			continue
		}
		switch err := handle(data); {
		case errors.Is(err, ErrDone):
			return nil
		case err != nil:
			return err
		}
	}
}

// field returns the value of a data line. llama.cpp has sent errors in a field
// of that name, which means the same.
func field(line []byte) ([]byte, bool) {
	line = bytes.TrimRight(line, "\r\n")
	for _, name := range [][]byte{[]byte("data:"), []byte("error:")} {
		if v, ok := bytes.CutPrefix(line, name); ok {
			return bytes.TrimPrefix(v, []byte(" ")), true
		}
	}
	return nil, false
}
