package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrDigest means that the bytes that arrived are not the expected ones.
var ErrDigest = errors.New("checksum differs")

// ErrOffline means that something would have to be fetched and must not be.
var ErrOffline = errors.New("not in the cache, and offline mode forbids fetching")

// A StatusError is an HTTP answer other than success.
type StatusError struct {
	URL    string
	Status int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.URL, e.Status, http.StatusText(e.Status))
}

// Client fetches files. The zero value works.
type Client struct {
	HTTP     *http.Client  // nil is one with ConnectTimeout and no total limit
	Progress Progress      // nil shows nothing
	Attempts int           // tries for one file, each going on where the last stopped; default 5
	Stall    time.Duration // longest silence within a body; default 60 s
	Pause    time.Duration // before the second try, doubled after each; default 500 ms
	Agent    string        // User-Agent; default "outcrop"
}

// ConnectTimeout bounds dialling and the TLS handshake: an unreachable source
// must not keep a person waiting before the next one is tried.
const ConnectTimeout = 3 * time.Second

// NewHTTPClient returns a client that gives up connecting after connect and
// obeys the proxy settings of the environment.
func NewHTTPClient(connect time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = connect + 2*time.Second
	t.ResponseHeaderTimeout = 30 * time.Second
	t.MaxIdleConnsPerHost = 4
	return &http.Client{Transport: t}
}

var defaultHTTP = NewHTTPClient(ConnectTimeout)

func (c *Client) client() *http.Client { return cmp.Or(c.HTTP, defaultHTTP) }

// File describes one download.
type File struct {
	URL    string
	Header http.Header // extra request headers, such as Authorization
	Path   string      // where it ends
	SHA256 string      // hex; "" accepts anything and is the caller's to justify
	Size   int64       // 0 when unknown
	Label  string      // for the progress display; default the base name
	Bar    Bar         // when set, bytes are counted there instead of on an own bar
}

// Get brings f to f.Path and returns its SHA-256. A file that is already there
// with the right digest is left alone.
func (c *Client) Get(ctx context.Context, f File) (string, error) {
	if sum, err := HashFile(ctx, f.Path); err == nil && (f.SHA256 == "" || sum == f.SHA256) {
		if f.Bar != nil && f.Size > 0 {
			f.Bar.Add(f.Size)
		}
		return sum, nil
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return "", err
	}
	bar := f.Bar
	if bar == nil {
		bar = Start(c.Progress, cmp.Or(f.Label, filepath.Base(f.Path)), f.Size)
		defer bar.Done()
	}
	var (
		attempts = cmp.Or(c.Attempts, 5)
		pause    = cmp.Or(c.Pause, 500*time.Millisecond)
		err      error
	)
	for try := range attempts {
		if try > 0 {
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(pause):
			}
			pause *= 2
		}
		var sum string
		sum, err = c.once(ctx, f, bar)
		if err == nil {
			return sum, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if !worthRetrying(err) {
			break
		}
	}
	return "", fmt.Errorf("fetch %s: %w", f.URL, err)
}

func worthRetrying(err error) bool {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Status == http.StatusTooManyRequests || e.Status >= 500 || e.Status == http.StatusRequestedRangeNotSatisfiable
	}
	if errors.Is(err, ErrDigest) || errors.Is(err, fs.ErrPermission) || isFull(err) {
		return false
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return false // a source that cannot be reached is for the next source
	}
	return true
}

func (c *Client) once(ctx context.Context, f File, bar Bar) (string, error) {
	part := f.Path + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer out.Close()

	// What is there already is hashed again: a kill may have left any bytes.
	hash := sha256.New()
	have, err := io.Copy(hash, out)
	if err != nil {
		return "", err
	}
	if f.Size > 0 && have > f.Size {
		have = 0
		hash.Reset()
		if err := out.Truncate(0); err != nil {
			return "", err
		}
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
	}
	bar.Add(have)
	counted := have
	defer func() {
		if err != nil {
			bar.Add(-counted) // the next try counts from its own start
		}
	}()

	if f.Size == 0 || have < f.Size {
		n, restarted, e := c.body(ctx, f, out, hash, have, bar)
		if restarted {
			counted -= have
		}
		counted += n
		if e != nil {
			err = e
			return "", err
		}
		if restarted {
			have = 0
		}
		have += n
	}
	if f.Size > 0 && have != f.Size {
		err = fmt.Errorf("%d of %d bytes: %w", have, f.Size, io.ErrUnexpectedEOF)
		return "", err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if f.SHA256 != "" && sum != f.SHA256 {
		os.Remove(part)
		err = fmt.Errorf("%w: got %s, want %s", ErrDigest, sum, f.SHA256)
		return "", err
	}
	if err = out.Sync(); err != nil {
		return "", err
	}
	if err = out.Close(); err != nil {
		return "", err
	}
	if err = os.Rename(part, f.Path); err != nil {
		return "", err
	}
	err = SyncDir(filepath.Dir(f.Path))
	return sum, err
}

// body appends the rest of the file. restarted tells that the server does not
// know ranges and the file was begun anew.
func (c *Client) body(ctx context.Context, f File, out *os.File, hash io.Writer, have int64, bar Bar) (n int64, restarted bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return 0, false, err
	}
	for k, v := range f.Header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", cmp.Or(c.Agent, "outcrop"))
	req.Header.Set("Accept-Encoding", "identity")
	if have > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && rangeStart(resp) == have:
	case resp.StatusCode == http.StatusOK:
		if have > 0 {
			if err := out.Truncate(0); err != nil {
				return 0, false, err
			}
			if _, err := out.Seek(0, io.SeekStart); err != nil {
				return 0, false, err
			}
			hash.(interface{ Reset() }).Reset()
			bar.Add(-have)
			restarted = true
		}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		// Either the part is already whole (size was unknown) or it is stale.
		if total, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */"); ok && total == strconv.FormatInt(have, 10) {
			return 0, false, nil
		}
		if err := out.Truncate(0); err != nil {
			return 0, false, err
		}
		return 0, false, &StatusError{URL: f.URL, Status: resp.StatusCode}
	default:
		return 0, false, &StatusError{URL: f.URL, Status: resp.StatusCode}
	}

	stall := cmp.Or(c.Stall, time.Minute)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("no data for %s", stall)) })
	defer watch.Stop()
	buf := make([]byte, 256<<10)
	for {
		k, rerr := resp.Body.Read(buf)
		if k > 0 {
			watch.Reset(stall)
			if _, err := out.Write(buf[:k]); err != nil {
				return n, restarted, err
			}
			_, _ = hash.Write(buf[:k]) // a hash never fails
			n += int64(k)
			bar.Add(int64(k))
		}
		if errors.Is(rerr, io.EOF) {
			return n, restarted, nil
		}
		if rerr != nil {
			if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
				rerr = cause
			}
			return n, restarted, rerr
		}
	}
}

func rangeStart(resp *http.Response) int64 {
	v, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
	if !ok {
		return -1
	}
	first, _, _ := strings.Cut(v, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Reachable reports whether url answers anything at all within the connect
// time-out plus a little: enough to choose a source, not a promise.
func Reachable(ctx context.Context, client *http.Client, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return false
	}
	resp, err := cmp.Or(client, defaultHTTP).Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode < 500
}

// HashFile returns the SHA-256 of a file in hex.
func HashFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, &ctxReader{ctx, f}, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type ctxReader struct {
	ctx context.Context //nolint:containedctx // lives for one call
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
