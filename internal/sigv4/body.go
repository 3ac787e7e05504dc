package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Words that stand in the place of a payload hash.
const (
	unsignedPayload          = "UNSIGNED-PAYLOAD"
	streamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamingEvents          = "STREAMING-AWS4-HMAC-SHA256-EVENTS"

	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// UnsignedPayload is the payload hash of a request whose body is not signed.
const UnsignedPayload = unsignedPayload

// bodyCheck is what the head of a request promised about its body.
type bodyCheck struct {
	form        Form
	accessKeyID string
	payload     string
	seed        [32]byte // signature of the head
	key         [32]byte // derived key of the head's day
	secret      string
	date        string // of the head, in timeFormat
	scope       string
	region      string
	service     string
	decoded     int64 // x-amz-decoded-content-length, -1 when not sent
	now         func() time.Time
}

func (c *bodyCheck) fail(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Form: c.form, AccessKeyID: c.accessKeyID, Message: fmt.Sprintf(format, args...)}
}

// chunkSignature is the signature of a part that follows another: the strings
// are algorithm, date, scope, previous signature, and hashes in hex.
func (c *bodyCheck) chunkSignature(key []byte, alg, date, scope string, prev [32]byte, hashes ...string) [32]byte {
	lines := append([]string{alg, date, scope, hex.EncodeToString(prev[:])}, hashes...)
	return [32]byte(mac(key, strings.Join(lines, "\n")))
}

// AWSChunked reports whether the body is framed in aws-chunked form.
func (r *Result) AWSChunked() bool {
	switch r.Payload {
	case streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer:
		return true
	}
	return false
}

// Body is a request body that is checked while it is read. Bytes come out as
// they arrive, before the signature behind them has been seen: nothing counts
// until Read has returned io.EOF, and any other error takes all of it back.
type Body struct {
	r       io.Reader
	trailer func() http.Header
}

// Read reads decoded bytes. Its errors are *Error, or those of the reader below.
func (b *Body) Read(p []byte) (int, error) { return b.r.Read(p) }

// Trailer returns the headers that followed an aws-chunked body, in canonical
// form, once Read has returned io.EOF; nil without any.
func (b *Body) Trailer() http.Header {
	if b.trailer == nil {
		return nil
	}
	return b.trailer()
}

// Unhashed gives a body whose whole SHA-256 was signed without computing it, for
// who computes it anyway: check must be given the sum in hex once all was read, and
// its error counts like one of Read. ok is false for other bodies.
func (b *Body) Unhashed() (r io.Reader, check func(sha256Hex string) error, ok bool) {
	h, ok := b.r.(*hashReader)
	if !ok {
		return nil, nil, false
	}
	return h.r, h.match, true
}

// Body wraps the raw body of the request: it takes off aws-chunked framing and
// holds hash, signatures and length against what was signed.
func (r *Result) Body(raw io.Reader) *Body {
	c := r.body
	switch r.Payload {
	case "", unsignedPayload, streamingEvents:
		return &Body{r: raw}
	case streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer:
		ch := &chunkReader{check: &c, r: bufio.NewReader(raw), prev: c.seed}
		ch.signed = r.Payload != streamingUnsignedTrailer
		ch.trailers = r.Payload != streamingSigned
		if ch.signed {
			ch.hash = sha256.New()
		}
		return &Body{r: ch, trailer: func() http.Header { return ch.trailer }}
	}
	return &Body{r: &hashReader{check: &c, r: raw, hash: sha256.New()}}
}

// hashReader compares the hash of all it has read at the end.
type hashReader struct {
	check *bodyCheck
	r     io.Reader
	hash  hash.Hash
	err   error
}

func (h *hashReader) Read(p []byte) (int, error) {
	if h.err != nil {
		return 0, h.err
	}
	n, err := h.r.Read(p)
	h.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if bad := h.match(hex.EncodeToString(h.hash.Sum(nil))); bad != nil {
			err = bad
		}
	}
	h.err = err
	return n, err
}

func (h *hashReader) match(sum string) error {
	if !strings.EqualFold(sum, h.check.payload) {
		return h.check.fail(PayloadMismatch, textPayload)
	}
	return nil
}

// chunkReader takes aws-chunked framing off:
//
//	SIZE-HEX [;chunk-signature=HEX] CRLF DATA CRLF … 0 [;chunk-signature=HEX] CRLF
//	[NAME:VALUE CRLF … x-amz-trailer-signature:HEX CRLF] CRLF
type chunkReader struct {
	check    *bodyCheck
	r        *bufio.Reader
	signed   bool
	trailers bool

	left    int64 // of the chunk being read
	open    bool  // its data has begun, its end was not seen
	total   int64
	sig     [32]byte // claimed for the chunk being read
	prev    [32]byte
	hash    hash.Hash
	trailer http.Header
	err     error
}

// Limits of what surrounds the data.
const (
	maxChunkLine = 4096 // bufio's buffer: one line of a chunk's head or trailer
	maxTrailers  = 32
)

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, c.err
	}
	for c.err == nil && c.left == 0 {
		if c.err = c.advance(); c.err != nil {
			return 0, c.err
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.hash != nil {
		c.hash.Write(p[:n])
	}
	if err != nil {
		c.err = c.cut(err)
		return n, c.err
	}
	return n, nil
}

// cut turns an end in the wrong place into our error and leaves others alone.
func (c *chunkReader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return c.check.fail(ChunkMalformed, "The request body ended before its last chunk.")
	}
	return err
}

// advance ends the chunk that was read and begins the next; io.EOF after the
// last one.
func (c *chunkReader) advance() error {
	if c.open {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line != "" {
			return c.check.fail(ChunkMalformed, "A chunk is longer than its announced size.")
		}
		if err := c.endChunk(); err != nil {
			return err
		}
		c.open = false
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	size, ext, _ := strings.Cut(line, ";")
	n, perr := strconv.ParseUint(size, 16, 63)
	if perr != nil || size == "" || size[0] == '+' {
		return c.check.fail(ChunkMalformed, "Chunk size %q is not a hexadecimal number.", clip(size))
	}
	if c.signed {
		if c.sig, err = c.signature(ext, "chunk-signature="); err != nil {
			return err
		}
	}
	c.left = int64(n)
	if d := c.check.decoded; d >= 0 && c.left > d-c.total {
		return c.check.fail(LengthMismatch, "The request body is longer than x-amz-decoded-content-length, %d.", d)
	}
	c.total += c.left
	if n > 0 {
		c.open = true
		return nil
	}
	return c.finish()
}

// finish checks the last chunk, the trailer and the length.
func (c *chunkReader) finish() error {
	if err := c.endChunk(); err != nil {
		return err
	}
	if d := c.check.decoded; d >= 0 && c.total != d {
		return c.check.fail(LengthMismatch, "The request body has %d bytes, x-amz-decoded-content-length says %d.", c.total, d)
	}
	if c.trailers {
		if err := c.readTrailer(); err != nil {
			return err
		}
	} else if line, err := c.lastLine(); err != nil {
		return err
	} else if line != "" {
		return c.check.fail(ChunkMalformed, "Data follows the last chunk.")
	}
	if _, err := c.r.ReadByte(); err == nil {
		return c.check.fail(ChunkMalformed, "Data follows the last chunk.")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}

// endChunk compares the signature of the chunk whose data has been read.
func (c *chunkReader) endChunk() error {
	if !c.signed {
		return nil
	}
	k := c.check
	want := k.chunkSignature(k.key[:], "AWS4-HMAC-SHA256-PAYLOAD", k.date, k.scope, c.prev, emptySHA256, hex.EncodeToString(c.hash.Sum(nil)))
	c.hash.Reset()
	if subtle.ConstantTimeCompare(want[:], c.sig[:]) != 1 {
		return k.fail(ChunkMismatch, textMismatch)
	}
	c.prev = want
	return nil
}

// readTrailer reads headers up to the empty line. In the signed form the
// signature is the last of them; an empty line before it is let pass, since
// some writers end each header with one.
func (c *chunkReader) readTrailer() error {
	var signedText bytes.Buffer
	var sig string
	for range maxTrailers {
		line, err := c.lastLine()
		if err != nil {
			return err
		}
		if line == "" && c.signed && sig == "" && c.trailer != nil {
			if line, err = c.lastLine(); err != nil {
				return err
			}
		}
		if line == "" {
			return c.checkTrailer(signedText.Bytes(), sig)
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.TrimSpace(value)
		if !ok || name == "" || sig != "" {
			return c.check.fail(ChunkMalformed, "The trailer is malformed.")
		}
		if name == "x-amz-trailer-signature" {
			sig = value
			continue
		}
		if c.trailer == nil {
			c.trailer = http.Header{}
		}
		c.trailer.Add(name, value)
		signedText.WriteString(name + ":" + value + "\n")
	}
	return c.check.fail(ChunkMalformed, "The trailer has more than %d lines.", maxTrailers)
}

func (c *chunkReader) checkTrailer(text []byte, sig string) error {
	if !c.signed {
		return nil
	}
	sent, err := c.signature("x="+sig, "x=")
	if err != nil {
		return err
	}
	k := c.check
	sum := sha256.Sum256(text)
	want := k.chunkSignature(k.key[:], "AWS4-HMAC-SHA256-TRAILER", k.date, k.scope, c.prev, hex.EncodeToString(sum[:]))
	if subtle.ConstantTimeCompare(want[:], sent[:]) != 1 {
		return k.fail(ChunkMismatch, textMismatch)
	}
	return nil
}

func (c *chunkReader) signature(ext, prefix string) (sig [32]byte, err error) {
	v, ok := strings.CutPrefix(strings.TrimSpace(ext), prefix)
	if !ok || len(v) != 64 {
		return sig, c.check.fail(ChunkMalformed, "A chunk or trailer lacks its signature.")
	}
	if _, err := hex.Decode(sig[:], []byte(v)); err != nil {
		return sig, c.check.fail(ChunkMalformed, "The signature of a chunk or trailer is not hexadecimal.")
	}
	return sig, nil
}

// line reads one line without its end.
func (c *chunkReader) line() (string, error) {
	b, err := c.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", c.check.fail(ChunkMalformed, "A line between chunks is longer than %d bytes.", maxChunkLine)
	case err != nil:
		return "", c.cut(err)
	}
	return string(bytes.TrimSuffix(b[:len(b)-1], []byte("\r"))), nil
}

// lastLine is line, where the end of the body stands for an empty line: not
// every client sends the last CRLF.
func (c *chunkReader) lastLine() (string, error) {
	if _, err := c.r.Peek(1); errors.Is(err, io.EOF) {
		return "", nil
	}
	return c.line()
}
