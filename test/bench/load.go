package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// result is what a load saw.
type result struct {
	count, failed int
	took          time.Duration
	whole, begun  []time.Duration // until the last byte, until the first byte of a body
}

func (r *result) perSecond() float64   { return float64(r.count) / r.took.Seconds() }
func (r *result) p50() time.Duration   { return quantile(r.whole, 0.5) }
func (r *result) p99() time.Duration   { return quantile(r.whole, 0.99) }
func (r *result) first() time.Duration { return quantile(r.begun, 0.5) }

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[int(q*float64(len(s)-1))]
}

func median(d []time.Duration) time.Duration { return quantile(d, 0.5) }

// drive sends the requests over n kept connections, each request once, until
// they are used up or the time is over. It writes prepared bytes and reads the
// answers by hand, so that the generator takes as little of the machine as it can.
func drive(addr string, reqs [][]byte, n int, length time.Duration) *result {
	res := &result{}
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(length)
	for range n {
		wg.Go(func() {
			c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", addr)
			if err != nil {
				mu.Lock()
				res.failed++
				mu.Unlock()
				return
			}
			defer c.Close()
			r := bufio.NewReaderSize(c, 64<<10)
			var whole, begun []time.Duration
			failed := 0
			for time.Now().Before(end) {
				i := int(next.Add(1)) - 1
				if i >= len(reqs) {
					break
				}
				t := time.Now()
				_ = c.SetDeadline(t.Add(30 * time.Second))
				if _, err := c.Write(reqs[i]); err != nil {
					failed++
					break
				}
				first, ok, err := readAnswer(r, t)
				whole, begun = append(whole, time.Since(t)), append(begun, first)
				if !ok || err != nil {
					failed++
				}
				if err != nil {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			res.whole, res.begun = append(res.whole, whole...), append(res.begun, begun...)
			res.count += len(whole)
			res.failed += failed
		})
	}
	wg.Wait()
	res.took = time.Since(start)
	return res
}

var okStatus = []byte("HTTP/1.1 200")

// readAnswer reads one response. first is the time until the second piece of a
// chunked body: what stands in the first, such as messageStart, is no token.
func readAnswer(r *bufio.Reader, start time.Time) (first time.Duration, ok bool, err error) {
	length, chunked := -1, false
	for i := 0; ; i++ {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if i == 0 {
			ok = bytes.HasPrefix(line, okStatus)
			continue
		}
		if len(line) == 0 {
			break
		}
		k, v, _ := bytes.Cut(line, []byte(":"))
		switch v = bytes.TrimSpace(v); {
		case bytes.EqualFold(k, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(v)); err != nil {
				return 0, false, err
			}
		case bytes.EqualFold(k, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	if !chunked {
		_, err = r.Discard(max(length, 0))
		return time.Since(start), ok, err
	}
	token := []byte("tok")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return first, false, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
		if err != nil {
			return first, false, err
		}
		if first == 0 && n > 0 {
			if b, _ := r.Peek(int(min(n, int64(r.Size())))); bytes.Contains(b, token) {
				first = time.Since(start)
			}
		}
		if _, err := r.Discard(int(n) + 2); err != nil {
			return first, false, err
		}
		if n == 0 {
			return first, ok, nil
		}
	}
}

// rawRequests are what the server would send to the engine.
func rawRequests(addr string, n int, stream bool) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		body := fmt.Sprintf(`{"model":"stub","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"%s %d"}]}`, says(stream), i)
		out[i] = fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)
	}
	return out
}

// says is the word by which the stub knows which answers to pace.
func says(stream bool) string {
	if stream {
		return "paced"
	}
	return "hello"
}

// requests are n different Converse calls, each signed for itself.
func (s *server) requests(n int, stream bool) ([][]byte, error) {
	op := "converse"
	if stream {
		op = "converse-stream"
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = false })
	cred := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret}
	out := make([][]byte, n)
	for i := range out {
		body := fmt.Appendf(nil, `{"messages":[{"role":"user","content":[{"text":"%s %d"}]}],"inferenceConfig":{"maxTokens":64}}`, says(stream), i)
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+s.addr+"/model/anthropic.claude-3-haiku-20240307-v1%3A0/"+op, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Amz-Sdk-Invocation-Id", fmt.Sprintf("%08x-%d-bench", i, time.Now().UnixNano()))
		sum := sha256.Sum256(body)
		if err := signer.SignHTTP(context.Background(), cred, r, hex.EncodeToString(sum[:]), "bedrock", "us-east-1", time.Now()); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			return nil, err
		}
		out[i] = b.Bytes()
	}
	return out, nil
}
