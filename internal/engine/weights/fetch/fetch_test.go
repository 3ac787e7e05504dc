package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

var content = bytes.Repeat([]byte("granite and basalt, "), 20000)

// flaky serves content but breaks off after each cut bytes.
func flaky(t *testing.T, cut int, ranges bool) (*httptest.Server, *atomic.Int64) {
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !ranges {
			r.Header.Del("Range")
		}
		if cut > 0 {
			w = &cutter{ResponseWriter: w, left: cut}
		}
		http.ServeContent(w, r, "f", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(srv.Close)
	return srv, &requests
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		c.left = 0
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func client() *Client {
	return &Client{HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Pause: time.Millisecond, Attempts: 8}
}

func TestADownloadGoesOnWhereItWasCut(t *testing.T) {
	srv, requests := flaky(t, len(content)/3, true)
	path := filepath.Join(t.TempDir(), "sub", "f")
	var shown bytes.Buffer
	c := client()
	c.Progress = &Lines{W: &shown, Every: time.Nanosecond}
	got, err := c.Get(t.Context(), File{URL: srv.URL, Path: path, SHA256: sum(content), Size: int64(len(content))})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	if got != sum(content) || !bytes.Equal(b, content) {
		t.Error("wrong bytes")
	}
	if n := requests.Load(); n != 4 && n != 3 {
		t.Errorf("%d requests", n)
	}
	if !strings.Contains(shown.String(), "100 % of") || strings.Contains(shown.String(), "-") {
		t.Errorf("progress: %s", shown.String())
	}
	// What is there is not fetched again.
	before := requests.Load()
	if _, err := c.Get(t.Context(), File{URL: srv.URL, Path: path, SHA256: sum(content)}); err != nil || requests.Load() != before {
		t.Errorf("%v after %d more requests", err, requests.Load()-before)
	}
}

func TestAPartLeftByAKillIsUsed(t *testing.T) {
	srv, _ := flaky(t, 0, true)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path+".part", content[:100000], 0o600); err != nil {
		t.Fatal(err)
	}
	var asked string
	c := client()
	c.HTTP.Transport = spy{c.HTTP.Transport, func(r *http.Request) { asked = r.Header.Get("Range") }}
	if _, err := c.Get(t.Context(), File{URL: srv.URL, Path: path, SHA256: sum(content), Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if asked != "bytes=100000-" {
		t.Errorf("asked for %q", asked)
	}
}

type spy struct {
	http.RoundTripper
	see func(*http.Request)
}

func (s spy) RoundTrip(r *http.Request) (*http.Response, error) {
	s.see(r)
	return s.RoundTripper.RoundTrip(r)
}

func TestAServerWithoutRangesIsAskedFromTheStart(t *testing.T) {
	srv, _ := flaky(t, 0, false)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path+".part", []byte("what was here"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client().Get(t.Context(), File{URL: srv.URL, Path: path, SHA256: sum(content)}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); !bytes.Equal(b, content) {
		t.Error("wrong bytes")
	}
}

func TestOtherBytesAreNeverKept(t *testing.T) {
	srv, requests := flaky(t, 0, true)
	path := filepath.Join(t.TempDir(), "f")
	_, err := client().Get(t.Context(), File{URL: srv.URL, Path: path, SHA256: sum([]byte("else"))})
	if !errors.Is(err, ErrDigest) || requests.Load() != 1 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
	for _, p := range []string{path, path + ".part"} {
		if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	c := client()
	c.Stall, c.Attempts = 50*time.Millisecond, 2
	if _, err := c.Get(t.Context(), File{URL: srv.URL, Path: filepath.Join(t.TempDir(), "f"), Size: 100}); err == nil || !strings.Contains(err.Error(), "no data for") {
		t.Errorf("error %v", err)
	}
}

func TestAMissingFileIsNotAskedForTwice(t *testing.T) {
	var n int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { n++; w.WriteHeader(404) }))
	defer srv.Close()
	_, err := client().Get(t.Context(), File{URL: srv.URL, Path: filepath.Join(t.TempDir(), "f")})
	if e, ok := errors.AsType[*StatusError](err); !ok || e.Status != 404 || n != 1 {
		t.Errorf("%v after %d requests", err, n)
	}
}

func TestALockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestSizesAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "size unknown", 1500: "1.5 KB", 33827498: "33.8 MB", 1117320768: "1.12 GB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
