package s3

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// load sends signed requests over connections that are kept.
type load struct {
	h      *house
	client *http.Client
}

func newLoad(b *testing.B) *load {
	h := open(b, options{})
	h.bucket(b, "bench")
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	b.Cleanup(transport.CloseIdleConnections)
	return &load{h, &http.Client{Transport: transport}}
}

func (l *load) send(b *testing.B, method, key string, body []byte) int64 {
	r, err := http.NewRequestWithContext(b.Context(), method, l.h.url+"/bench/"+key, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	sigv4.Sign(r, sigv4.Credentials{AccessKeyID: l.h.admin.ID, SecretAccessKey: l.h.admin.Secret.Reveal()}, "us-east-1", "s3", time.Now(), sigv4.HashPayload(body))
	resp, err := l.client.Do(r)
	if err != nil {
		b.Error(err)
		return 0
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("%s %s: %d %v", method, key, resp.StatusCode, err)
	}
	return n
}

// Small puts, each durable before its answer, from 32 clients. The figures hold
// the client's own work too.
func BenchmarkPutSmall(b *testing.B) {
	l := newLoad(b)
	body := random(1024, 1)
	var n atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.send(b, http.MethodPut, "k"+strconv.FormatInt(n.Add(1), 10), body)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkGetSmall(b *testing.B) {
	l := newLoad(b)
	l.send(b, http.MethodPut, "k", random(1024, 1))
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if n := l.send(b, http.MethodGet, "k", nil); n != 1024 {
				b.Errorf("%d bytes", n)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
}

func BenchmarkPutLarge(b *testing.B) {
	l := newLoad(b)
	body := random(64<<20, 1)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		l.send(b, http.MethodPut, "big", body)
	}
}

func BenchmarkGetLarge(b *testing.B) {
	l := newLoad(b)
	body := random(64<<20, 1)
	l.send(b, http.MethodPut, "big", body)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		l.send(b, http.MethodGet, "big", nil)
	}
}
