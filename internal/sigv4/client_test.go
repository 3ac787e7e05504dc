package sigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/eventstream"
)

// secureServer serves over TLS and HTTP/2: only there do SDKs leave the payload
// unsigned or stream in both directions.
func secureServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// canonicalOf is the canonical request of a refusal, for messages.
func canonicalOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.CanonicalRequest
	}
	return ""
}

func realTimeVerifier(t *testing.T) *Verifier {
	t.Helper()
	keys := testKeys()
	g := keys[guest.AccessKeyID]
	g.Expires = time.Now().Add(time.Hour)
	keys[guest.AccessKeyID] = g
	v, err := New(Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var guestProvider = credentials.NewStaticCredentialsProvider(guest.AccessKeyID, guest.SecretAccessKey, guest.SessionToken)

func TestTheS3ClientUploadsWithATrailer(t *testing.T) {
	v := realTimeVerifier(t)
	var got []byte
	var res Result
	var trailers http.Header
	srv := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
		var err error
		if res, err = v.Verify(r, Payload{Unread: true}); err != nil {
			t.Errorf("%v\n%s", err, canonicalOf(err))
			w.WriteHeader(http.StatusForbidden)
			return
		}
		b := res.Body(r.Body)
		if got, err = io.ReadAll(b); err != nil {
			t.Error(err)
		}
		trailers = b.Trailer()
	})
	c := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: new(srv.URL), UsePathStyle: true, Credentials: guestProvider, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, HTTPClient: srv.Client(), RetryMaxAttempts: 1})
	data := bytes.Repeat([]byte("outcrop "), 50_000)
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("bucket"), Key: new("a b/+&$@=:,!*'()~/한국어"), Body: io.MultiReader(bytes.NewReader(data)), ContentLength: new(int64(len(data)))})
	if err != nil {
		t.Fatal(err)
	}
	if res.Payload != streamingUnsignedTrailer || !bytes.Equal(got, data) || trailers.Get("X-Amz-Checksum-Crc32") == "" {
		t.Fatalf("payload %s, %d bytes, trailers %v", res.Payload, len(got), trailers)
	}
	p, err := s3.NewPresignClient(c).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: new("bucket"), Key: new("a b/+.txt"), ResponseContentType: new("text/plain; charset=utf-8")})
	if err != nil {
		t.Fatal(err)
	}
	req := newTestRequest(t, "GET", p.URL, "")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || res.Form != FormQuery || res.Payload != UnsignedPayload {
		t.Fatalf("%s %+v", resp.Status, res)
	}
}

// The Go SDK sends signed frames over HTTP/2; the server verifies head and
// frames, and answers what it read.
func TestTheRuntimeClientStreamsInBothDirections(t *testing.T) {
	v := realTimeVerifier(t)
	var mu sync.Mutex
	var events []string
	ended := make(chan struct{})
	srv := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
		res, err := v.Verify(r, Payload{Unread: true})
		if err != nil {
			t.Errorf("%v\n%s", err, canonicalOf(err))
			w.WriteHeader(http.StatusForbidden)
			return
		}
		chain, err := res.Events()
		if err != nil {
			t.Error(err)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.WriteHeader(http.StatusOK)
		out := http.NewResponseController(w)
		if err := out.Flush(); err != nil {
			t.Error(err)
		}
		defer close(ended)
		d := eventstream.NewDecoder(r.Body)
		for {
			m, err := d.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			date, _ := m.Get(eventstream.HeaderDate)
			sig, _ := m.Get(eventstream.HeaderSignature)
			if err := chain.Verify(date.Time(), m.Payload, sig.Raw); err != nil {
				t.Error(err)
				return
			}
			if len(m.Payload) == 0 { // the signed end
				continue
			}
			inner, _, err := eventstream.Parse(m.Payload)
			if err != nil {
				t.Error(err)
				return
			}
			_, name := inner.Kind()
			mu.Lock()
			events = append(events, name+" "+string(inner.Payload))
			mu.Unlock()
			frame, err := eventstream.AppendEvent(nil, "chunk", "application/json", inner.Payload)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := w.Write(frame); err != nil {
				t.Error(err)
				return
			}
			if err := out.Flush(); err != nil {
				t.Error(err)
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := bedrockruntime.New(bedrockruntime.Options{Region: "us-east-1", BaseEndpoint: new(srv.URL), Credentials: guestProvider, HTTPClient: srv.Client(), RetryMaxAttempts: 1})
	resp, err := c.InvokeModelWithBidirectionalStream(ctx, &bedrockruntime.InvokeModelWithBidirectionalStreamInput{ModelId: aws.String("amazon.nova-sonic-v1:0")})
	if err != nil {
		t.Fatal(err)
	}
	stream := resp.GetStream()
	for i := range 3 {
		text := fmt.Sprintf(`{"n":%d}`, i)
		if err := stream.Send(ctx, &types.InvokeModelWithBidirectionalStreamInputMemberChunk{Value: types.BidirectionalInputPayloadPart{Bytes: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-stream.Events():
			chunk, ok := e.(*types.InvokeModelWithBidirectionalStreamOutputMemberChunk)
			if !ok || string(chunk.Value.Bytes) != text {
				t.Fatalf("answer %d: %+v", i, e)
			}
		case <-ctx.Done():
			t.Fatal("no answer")
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatal("the stream did not end")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(events) != 3 || !strings.HasPrefix(events[0], "chunk {") {
		t.Fatalf("%q", events)
	}
}
