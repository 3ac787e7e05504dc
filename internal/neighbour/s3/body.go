package s3

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// steady ends a body whose sender falls silent. The deadline moves with what
// arrives, so a large upload may take its time.
type steady struct {
	r       io.Reader
	c       io.Closer
	control *http.ResponseController
	idle    time.Duration
	moved   time.Time
}

func (s *steady) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(s.moved) > s.idle/8 { // moving it costs a system call
		_ = s.control.SetReadDeadline(now.Add(s.idle)) // a writer without deadlines is a test's
		s.moved = now
	}
	n, err := s.r.Read(p)
	if err != nil {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (s *steady) Close() error {
	if !s.moved.IsZero() {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	return s.c.Close()
}

// taking is a writer that ends when its reader takes nothing any more.
type taking struct {
	w       io.Writer
	control *http.ResponseController
	idle    time.Duration
	moved   time.Time
}

func (t *taking) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(t.moved) > t.idle/8 {
		_ = t.control.SetWriteDeadline(now.Add(t.idle))
		t.moved = now
	}
	return t.w.Write(p)
}

func (t *taking) done() {
	if !t.moved.IsZero() {
		_ = t.control.SetWriteDeadline(time.Time{})
	}
}

// chunked reports whether a body is in aws-chunked form.
func chunked(h http.Header) bool {
	return strings.HasPrefix(h.Get("X-Amz-Content-Sha256"), "STREAMING-") || strings.Contains(h.Get("Content-Encoding"), "aws-chunked")
}

// decodedLength is the number of bytes of content, -1 when it is not announced.
func (x *request) decodedLength() int64 {
	if chunked(x.R.Header) {
		n, err := strconv.ParseInt(x.R.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || n < 0 {
			return -1
		}
		return n
	}
	return x.R.ContentLength
}

// unframer takes aws-chunked framing off a body that nobody has signed. Signed
// ones are sigv4's.
type unframer struct {
	r       *bufio.Reader
	left    int64
	inside  bool
	total   int64
	want    int64 // -1: unknown
	trailer http.Header
	err     error
}

func newUnframer(r io.Reader, want int64) *unframer {
	return &unframer{r: bufio.NewReader(r), want: want}
}

func (u *unframer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, u.err
	}
	for u.err == nil && u.left == 0 {
		u.err = u.next()
	}
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p[:min(int64(len(p)), u.left)])
	u.left -= int64(n)
	if err != nil {
		u.err = fail(errIncompleteBody)
	}
	return n, u.err
}

func (u *unframer) next() error {
	if u.inside {
		if line, err := u.line(); err != nil || line != "" {
			return fail(errIncompleteBody)
		}
		u.inside = false
	}
	line, err := u.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	n, perr := strconv.ParseUint(size, 16, 62)
	if perr != nil {
		return fail(errIncompleteBody)
	}
	u.total += int64(n)
	if u.total < 0 || u.want >= 0 && u.total > u.want {
		return fail(errIncompleteBody)
	}
	if n > 0 {
		u.left, u.inside = int64(n), true
		return nil
	}
	const most = 32
	for range most {
		line, err := u.line()
		if err != nil && line == "" || err == nil && line == "" {
			if u.want >= 0 && u.total != u.want {
				return fail(errIncompleteBody)
			}
			return io.EOF
		}
		name, value, ok := strings.Cut(line, ":")
		if err != nil || !ok {
			return fail(errIncompleteBody)
		}
		if u.trailer == nil {
			u.trailer = http.Header{}
		}
		u.trailer.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return fail(errIncompleteBody)
}

func (u *unframer) line() (string, error) {
	b, err := u.r.ReadSlice('\n')
	if err != nil {
		return "", fail(errIncompleteBody)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
