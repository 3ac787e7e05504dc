package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }

// chunkWriter frames a body as clients do; it knows of the format only what
// AWS publishes and shares chunkSignature with the reader, which the published
// examples below hold to be right.
type chunkWriter struct {
	check   bodyCheck
	prev    [32]byte
	signed  bool
	trailer [][2]string
}

func (w chunkWriter) frame(data []byte, size int) []byte {
	var out bytes.Buffer
	chunk := func(part []byte) {
		fmt.Fprintf(&out, "%x", len(part))
		if w.signed {
			sum := sha256.Sum256(part)
			w.prev = w.check.chunkSignature(w.check.key[:], "AWS4-HMAC-SHA256-PAYLOAD", w.check.date, w.check.scope, w.prev, emptySHA256, hexOf(sum))
			out.WriteString(";chunk-signature=" + hexOf(w.prev))
		}
		out.WriteString("\r\n")
		if len(part) > 0 {
			out.Write(part)
			out.WriteString("\r\n")
		}
	}
	for len(data) > 0 {
		n := min(size, len(data))
		chunk(data[:n])
		data = data[n:]
	}
	chunk(nil)
	var text strings.Builder
	for _, t := range w.trailer {
		out.WriteString(t[0] + ":" + t[1] + "\r\n")
		text.WriteString(t[0] + ":" + t[1] + "\n")
	}
	if w.signed && w.trailer != nil {
		sum := sha256.Sum256([]byte(text.String()))
		sig := w.check.chunkSignature(w.check.key[:], "AWS4-HMAC-SHA256-TRAILER", w.check.date, w.check.scope, w.prev, hexOf(sum))
		out.WriteString("x-amz-trailer-signature:" + hexOf(sig) + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

// chunkedUpload signs the head of an upload and verifies it.
func chunkedUpload(t testing.TB, word string, decoded int) (Result, chunkWriter) {
	t.Helper()
	r := newTestRequest(t, "PUT", "http://localhost:4566/bucket/key", "")
	r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(decoded))
	r.Header.Set("Content-Encoding", "aws-chunked")
	seed := Sign(r, admin, "us-east-1", "s3", noon, word)
	res, err := verifierAt(t, noon).Verify(served(t, r), Payload{Unread: true})
	if err != nil {
		t.Fatal(err)
	}
	if !res.AWSChunked() || res.Payload != word {
		t.Fatalf("%+v", res)
	}
	return res, chunkWriter{check: res.body, prev: seed, signed: word != streamingUnsignedTrailer}
}

var trailer = [][2]string{{"x-amz-checksum-crc32c", "sOO8/Q=="}}

// The two examples that AWS publishes for signed chunks: 65 KiB of "a" in
// chunks of 64 KiB, without and with a trailer (Amazon S3 API reference,
// signature calculations for multiple chunks).
func TestPublishedChunkExamples(t *testing.T) {
	data := bytes.Repeat([]byte("a"), 65*1024)
	key := signingKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
	for _, c := range []struct{ word, seed, body string }{
		{streamingSigned, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n%s\r\n" +
				"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n%s\r\n" +
				"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"},
		{streamingSignedTrailer, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n%s\r\n" +
				"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n%s\r\n" +
				"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
				"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"},
	} {
		seed, err := hex.DecodeString(c.seed)
		if err != nil {
			t.Fatal(err)
		}
		res := Result{Payload: c.word, body: bodyCheck{key: key, seed: [32]byte(seed), date: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request", decoded: int64(len(data))}}
		raw := fmt.Sprintf(c.body, data[:65536], data[65536:])
		for _, name := range []string{"whole", "byte by byte"} {
			var in io.Reader = strings.NewReader(raw)
			if name != "whole" {
				in = iotest.OneByteReader(in)
			}
			b := res.Body(in)
			got, err := io.ReadAll(b)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%s %s: %d bytes, %v", c.word, name, len(got), err)
			}
			if c.word == streamingSignedTrailer && b.Trailer().Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
				t.Fatalf("trailer %v", b.Trailer())
			}
		}
		// The published examples end the checksum with a line feed of its own.
		if c.word == streamingSignedTrailer {
			odd := strings.Replace(raw, "sOO8/Q==\r\n", "sOO8/Q==\n\r\n", 1)
			if _, err := io.ReadAll(res.Body(strings.NewReader(odd))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestChunkedBodies(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	for _, word := range []string{streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer} {
		for _, size := range []int{1, 7, 8192, len(data), len(data) + 1} {
			for _, n := range []int{0, 1, 100, len(data)} {
				if size < 8 && n > 100 {
					continue
				}
				res, w := chunkedUpload(t, word, n)
				if word != streamingSigned {
					w.trailer = trailer
				}
				b := res.Body(bytes.NewReader(w.frame(data[:n], size)))
				got, err := io.ReadAll(iotest.HalfReader(b))
				if err != nil || !bytes.Equal(got, data[:n]) {
					t.Fatalf("%s, %d bytes by %d: %v", word, n, size, err)
				}
				if w.trailer != nil && b.Trailer().Get("X-Amz-Checksum-Crc32c") == "" {
					t.Fatal("trailer lost")
				}
			}
		}
	}
}

func TestDamagedChunkedBodies(t *testing.T) {
	data := []byte("hello, world")
	for _, word := range []string{streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer} {
		res, w := chunkedUpload(t, word, len(data))
		if word != streamingSigned {
			w.trailer = trailer
		}
		good := w.frame(data, 5)
		// Every byte changed: no signed body may come through changed, nor may
		// the framing of an unsigned one break unnoticed.
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			b := res.Body(bytes.NewReader(bad))
			got, err := io.ReadAll(b)
			if err == nil && (!bytes.Equal(got, data) && word != streamingUnsignedTrailer || len(got) != len(data)) {
				t.Fatalf("%s: byte %d changed, read %q", word, i, got)
			}
			if err == nil && word == streamingSignedTrailer && b.Trailer().Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
				t.Fatalf("%s: byte %d changed the trailer to %v", word, i, b.Trailer())
			}
		}
		for n := range len(good) - len("\r\n") {
			_, err := io.ReadAll(res.Body(bytes.NewReader(good[:n])))
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ChunkMalformed && e.Reason != ChunkMismatch && e.Reason != LengthMismatch {
				// The last line of an unsigned trailer may be lost without a trace
				// only when it is lost whole: then the checksum is missing.
				if word == streamingUnsignedTrailer && err == nil && bytes.HasSuffix(good[:n], []byte("0\r\n")) {
					continue
				}
				t.Fatalf("%s cut at %d of %d: %v", word, n, len(good), err)
			}
		}
		for name, c := range map[string]struct {
			body   []byte
			reason Reason
		}{
			"data after the end": {append(bytes.Clone(good), 'x'), ChunkMalformed},
			"no size":            {[]byte("\r\n"), ChunkMalformed},
			"sign":               {[]byte("+5\r\n"), ChunkMalformed},
			"negative":           {[]byte("-5\r\n"), ChunkMalformed},
			"huge":               {[]byte("ffffffffffffffff\r\n"), ChunkMalformed},
			"long line":          {bytes.Repeat([]byte("1"), 10000), ChunkMalformed},
		} {
			_, err := io.ReadAll(res.Body(bytes.NewReader(c.body)))
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != c.reason {
				t.Errorf("%s, %s: %v", word, name, err)
			}
		}
		// A chunk over the announced length is refused before a byte of it is read.
		over := fmt.Sprintf("ffffffff;chunk-signature=%064x\r\nxxxx", 0)
		if n, err := res.Body(strings.NewReader(over)).Read(make([]byte, 4)); n != 0 || err == nil {
			t.Errorf("%s: %d bytes of a chunk that is too long, %v", word, n, err)
		}
		short, w2 := chunkedUpload(t, word, len(data)-1)
		long, w3 := chunkedUpload(t, word, len(data)+1)
		if word != streamingSigned {
			w2.trailer, w3.trailer = trailer, trailer
		}
		for _, c := range []struct {
			res Result
			w   chunkWriter
		}{{short, w2}, {long, w3}} {
			_, err := io.ReadAll(c.res.Body(bytes.NewReader(c.w.frame(data, 5))))
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != LengthMismatch {
				t.Errorf("%s with another decoded length: %v", word, err)
			}
		}
	}
}

func TestABodyIsHeldAgainstItsSignedHash(t *testing.T) {
	body := "the body"
	r := newTestRequest(t, "PUT", "http://localhost:4566/bucket/key", body)
	Sign(r, admin, "us-east-1", "s3", noon, HashPayload([]byte(body)))
	v := verifierAt(t, noon)
	res, err := v.Verify(served(t, r), Payload{Unread: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body(strings.NewReader(body))); err != nil || string(got) != body {
		t.Fatal(err)
	}
	b := res.Body(strings.NewReader(body + "!"))
	_, err = io.ReadAll(b)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != PayloadMismatch {
		t.Fatal(err)
	}
	if _, again := b.Read(make([]byte, 1)); !errors.Is(again, err) {
		t.Fatalf("after the failure: %v", again)
	}
	// Without the header an unread body could never be checked.
	r = newTestRequest(t, "POST", "http://localhost:4566/guardrails", body)
	Sign(r, admin, "us-east-1", "bedrock", noon, HashPayload([]byte(body)))
	_, err = v.Verify(served(t, r), Payload{Unread: true})
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != PayloadMismatch {
		t.Fatal(err)
	}
	// An unsigned payload passes as it is, and says so.
	r = newTestRequest(t, "PUT", "http://localhost:4566/bucket/key", body)
	Sign(r, admin, "us-east-1", "s3", noon, UnsignedPayload)
	if res, err = v.Verify(served(t, r), Payload{Unread: true}); err != nil || res.Payload != UnsignedPayload {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body(strings.NewReader("anything"))); err != nil || string(got) != "anything" {
		t.Fatal(err)
	}
}

// The Go SDK signs the frames, across midnight, and ours are the same.
func TestEventSignatures(t *testing.T) {
	start := time.Date(2026, 11, 25, 23, 59, 58, 123e6, time.UTC)
	now := start
	v, err := New(Config{Keys: testKeys(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	r := newTestRequest(t, "POST", "http://localhost:4566/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream", "")
	seed := Sign(r, guest, "us-east-1", "bedrock", start, streamingEvents)
	res, err := func() (Result, error) {
		k := testKeys()
		g := k[guest.AccessKeyID]
		g.Expires = start.Add(time.Hour)
		k[guest.AccessKeyID] = g
		v.keys = k
		return v.Verify(served(t, r), Payload{Unread: true})
	}()
	if err != nil {
		t.Fatal(err)
	}
	events, err := res.Events()
	if err != nil {
		t.Fatal(err)
	}
	theirs := sdk.NewStreamSigner(aws.Credentials{AccessKeyID: guest.AccessKeyID, SecretAccessKey: guest.SecretAccessKey, SessionToken: guest.SessionToken}, "bedrock", "us-east-1", seed[:])
	ours := NewEventSigner(guest, "us-east-1", "bedrock", seed)
	for i, payload := range [][]byte{[]byte("first"), []byte("second"), []byte("after midnight"), nil} {
		now = start.Add(time.Duration(i) * time.Second)
		header := append([]byte("\x05:date\x08"), binaryMillis(now)...)
		sig, err := theirs.GetSignature(t.Context(), header, payload, now)
		if err != nil {
			t.Fatal(err)
		}
		if mine := ours.Sign(now, payload); !bytes.Equal(mine[:], sig) {
			t.Fatalf("frame %d: our signature differs from the SDK's", i)
		}
		if err := events.Verify(now, payload, sig); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	for name, c := range map[string]struct {
		date    time.Time
		payload string
		reason  Reason
	}{
		"old":             {now.Add(-Skew - time.Second), "x", SignatureExpired},
		"early":           {now.Add(Skew + time.Second), "x", SignatureNotYet},
		"another payload": {now, "y", ChunkMismatch},
		"another date":    {now.Add(time.Second), "x", ChunkMismatch},
	} {
		s := *ours
		sig := s.Sign(now, []byte("x"))
		if c.reason != ChunkMismatch {
			s = *ours
			sig = s.Sign(c.date, []byte(c.payload))
		}
		err := events.Verify(c.date, []byte(c.payload), sig[:])
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != c.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	sig := ours.Sign(now, []byte("good"))
	skipped := ours.Sign(now, []byte("next"))
	if events.Verify(now, []byte("next"), skipped[:]) == nil {
		t.Error("a frame was left out unnoticed")
	}
	if err := events.Verify(now, []byte("good"), sig[:]); err != nil {
		t.Error(err)
	}
	plain := Result{Payload: emptySHA256}
	if _, err := plain.Events(); err == nil {
		t.Error("events of a request without them")
	}
}

func binaryMillis(t time.Time) []byte {
	n := uint64(t.UnixMilli())
	b := make([]byte, 8)
	for i := range b {
		b[7-i] = byte(n >> (8 * i))
	}
	return b
}

func FuzzChunked(f *testing.F) {
	data := []byte("hello, world")
	for _, word := range []string{streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer} {
		_, w := chunkedUpload(f, word, len(data))
		if word != streamingSigned {
			w.trailer = trailer
		}
		f.Add(w.frame(data, 5), word == streamingSigned, word == streamingUnsignedTrailer)
	}
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), false, true)
	f.Add([]byte("0;chunk-signature=\r\n"), true, false)
	signed, sw := chunkedUpload(f, streamingSigned, len(data))
	signedTrailer, _ := chunkedUpload(f, streamingSignedTrailer, len(data))
	unsigned, _ := chunkedUpload(f, streamingUnsignedTrailer, len(data))
	unsigned.body.decoded = -1
	_ = sw
	f.Fuzz(func(t *testing.T, raw []byte, plain, bare bool) {
		res := signedTrailer
		if plain {
			res = signed
		} else if bare {
			res = unsigned
		}
		b := res.Body(bytes.NewReader(raw))
		got, err := io.ReadAll(b)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatal(err)
			}
			return
		}
		if (plain || !bare) && !bytes.Equal(got, data) {
			t.Fatalf("a forged body came through: %q", got)
		}
		if len(got) > len(raw) {
			t.Fatalf("%d bytes became %d", len(raw), len(got))
		}
	})
}

func BenchmarkChunkedBody(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 1<<20)
	for _, word := range []string{streamingSigned, streamingUnsignedTrailer} {
		b.Run(word, func(b *testing.B) {
			res, w := chunkedUpload(b, word, len(data))
			if word == streamingUnsignedTrailer {
				w.trailer = trailer
			}
			raw := w.frame(data, 64<<10)
			buf := make([]byte, 64<<10)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body(bytes.NewReader(raw)), buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
