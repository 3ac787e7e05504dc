package process

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// maxLine is the size of a log event; longer lines are cut into several.
const maxLine = 256 << 10

// output turns what an instance prints into log lines, in the order of printing
// and with the service's own lines between.
//
// A function's answer comes on another way than what it printed before. At the end
// of a call drain therefore reads what lies in the pipe, without waiting, before
// the END line is written.
type output struct {
	f      *lambda.Function
	stream string
	sink   lambda.Sink
	now    func() time.Time
	reader *os.File
	writer *os.File // the child's end

	mu   sync.Mutex
	part []byte // of a line that has not ended
	tail []byte
	keep bool // a caller wants the tail
	buf  []byte
}

func newOutput(f *lambda.Function, stream string, sink lambda.Sink, now func() time.Time) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe for output: %w", err)
	}
	return &output{f: f, stream: stream, sink: sink, now: now, reader: r, writer: w, buf: make([]byte, 32<<10)}, nil
}

func (o *output) close() { _ = o.reader.Close() }

// begin starts a call: from here on the tail is its own.
func (o *output) begin(keep bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep = keep
	o.tail = o.tail[:0]
}

// end returns the tail of the call.
func (o *output) end() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.keep {
		return nil
	}
	o.keep = false
	return bytes.Clone(o.tail)
}

// service writes a line of the service's own.
func (o *output) service(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut(true)
	o.emit([]lambda.Line{{Time: o.now(), Message: line}})
}

// flush writes what is left of a line whose end never came.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut(true)
}

// add takes printed bytes. o.mu is held.
func (o *output) add(b []byte) {
	o.part = append(o.part, b...)
	o.cut(false)
}

// cut makes lines of what was printed; all takes an unended one too. o.mu is held.
func (o *output) cut(all bool) {
	var lines []lambda.Line
	at := o.now()
	rest := o.part
	for len(rest) > 0 {
		n := bytes.IndexByte(rest, '\n')
		skip := 1
		switch {
		case n >= 0 && n <= maxLine:
		case len(rest) >= maxLine:
			n, skip = maxLine, 0
		case all:
			n, skip = len(rest), 0
		default:
			n = -1
		}
		if n < 0 {
			break
		}
		lines = append(lines, lambda.Line{Time: at, Message: message(rest[:n])})
		rest = rest[n+skip:]
	}
	if len(lines) == 0 {
		return
	}
	o.part = append(o.part[:0], rest...)
	o.emit(lines)
}

// message is a line as the log keeps it. The bootstraps write a record of several
// lines as one, with carriage returns for its inner line ends.
func message(b []byte) string {
	s := strings.TrimSuffix(string(b), "\r")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.ToValidUTF8(s, "\uFFFD")
}

// emit hands lines on. o.mu is held, so that their order is kept.
func (o *output) emit(lines []lambda.Line) {
	if o.keep {
		for _, l := range lines {
			o.tail = append(append(o.tail, l.Message...), '\n')
		}
		if over := len(o.tail) - lambda.MaxLogTail; over > 0 {
			o.tail = append(o.tail[:0], o.tail[over:]...)
		}
	}
	if o.sink != nil {
		o.sink.Log(o.f, o.f.LogGroup, o.stream, lines)
	}
}
