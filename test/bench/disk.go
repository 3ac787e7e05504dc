package main

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	large     = 1 << 30 // bytes of the streamed object
	block     = 1 << 20
	smallPuts = 1 << 10 // bytes of a small object
)

// content gives size bytes, no two blocks alike, at the cost of a copy.
type content struct {
	left, n int64
	block   []byte
}

func newContent(size int64) *content {
	c := &content{left: size, block: make([]byte, block)}
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(c.block)
	return c
}

// next returns the next block, good until the next call.
func (c *content) next() []byte {
	b := c.block[:min(c.left, block)]
	c.n++
	binary.LittleEndian.PutUint64(b, uint64(c.n))
	c.left -= int64(len(b))
	return b
}

// hashes are the SHA-256 that signs the content, the time that one core takes for
// its MD5, and the CRC-32 by which it is known when it comes back.
func hashes(size int64) (signed string, ofMD5 time.Duration, known uint32) {
	sha, sum, crc := sha256.New(), md5.New(), crc32.NewIEEE()
	for c := newContent(size); c.left > 0; {
		b := c.next()
		sha.Write(b)
		crc.Write(b)
		start := time.Now()
		sum.Write(b)
		ofMD5 += time.Since(start)
	}
	return hex.EncodeToString(sha.Sum(nil)), ofMD5, crc.Sum32()
}

// plainWrite is the disk's own speed: the same bytes into a file of the same
// folder, and one fsync.
func plainWrite(dir string, size int64) (time.Duration, error) {
	path := filepath.Join(dir, "plain")
	start := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	for c := newContent(size); c.left > 0; {
		if _, err := f.Write(c.next()); err != nil {
			_ = f.Close()
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return 0, err
	}
	took := time.Since(start)
	return took, f.Close()
}

// plainSyncs is how many small files' worth of bytes one writer makes durable in
// a second, one fsync each.
func plainSyncs(dir string, length time.Duration) (float64, error) {
	path := filepath.Join(dir, "plain")
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	b, n, start := make([]byte, smallPuts), 0, time.Now()
	for time.Since(start) < length {
		if _, err := f.Write(b); err != nil {
			_ = f.Close()
			return 0, err
		}
		if err := f.Sync(); err != nil {
			_ = f.Close()
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), f.Close()
}

// exchange sends one request whose body is c, or none, and gives the answer's
// body to take.
func (s *server) exchange(head []byte, c *content, take func([]byte)) (time.Duration, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", s.addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	start := time.Now()
	if _, err := conn.Write(head); err != nil {
		return 0, err
	}
	for c != nil && c.left > 0 {
		if _, err := conn.Write(c.next()); err != nil {
			return 0, fmt.Errorf("send the content: %w", err)
		}
	}
	r := bufio.NewReaderSize(conn, block)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return 0, fmt.Errorf("status %s: %s", resp.Status, b)
	}
	buf := make([]byte, block)
	for {
		n, err := resp.Body.Read(buf)
		if take != nil {
			take(buf[:n])
		}
		if err == io.EOF {
			return time.Since(start), nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// peak is the server's largest resident memory since forgetPeak.
func (s *server) peak() int64 { return s.memory("VmHWM:") }

func (s *server) forgetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0)
}

// measureS3 streams one large object in and out, three times beside the disk's
// plain write, and puts small ones from many clients.
//
// S3's ETag of such an object is its MD5, which one core computes at a speed of
// its own: where the disk is faster than that, the bar is of MD5's speed.
func measureS3(t *table, s *server, length time.Duration) error {
	if err := s.ask("PUT", "s3", "/bench", nil, nil); err != nil {
		return fmt.Errorf("create the bucket: %w", err)
	}
	sha, sum, crc := hashes(large)
	put, err := s.signed("PUT", "s3", "/bench/large", nil, sha, large)
	if err != nil {
		return err
	}
	get, err := s.signed("GET", "s3", "/bench/large", nil, emptySHA256, 0)
	if err != nil {
		return err
	}
	rest, peak := s.rss(), int64(0)
	var plain, in, out []time.Duration
	for range 3 {
		took, err := plainWrite(s.data, large)
		if err != nil {
			return err
		}
		plain = append(plain, took)
		s.forgetPeak()
		if took, err = s.exchange(put, newContent(large), nil); err != nil {
			return fmt.Errorf("put 1 GiB: %w", err)
		}
		in = append(in, took)
		came := crc32.NewIEEE()
		if took, err = s.exchange(get, nil, func(b []byte) { came.Write(b) }); err != nil {
			return fmt.Errorf("get 1 GiB: %w", err)
		}
		out, peak = append(out, took), max(peak, s.peak())
		if came.Sum32() != crc {
			return fmt.Errorf("1 GiB comes back as other bytes")
		}
		if err := s.ask("DELETE", "s3", "/bench/large", nil, nil); err != nil {
			return err
		}
	}
	disk := median(plain)
	t.row("disk: 1 GiB written plainly, one fsync; MD5 by one core", speed(disk)+"; "+speed(sum), "", "", "", true)
	slower, of := disk, "the disk"
	if sum > disk {
		slower, of = sum, "MD5"
	}
	for _, d := range []struct {
		what string
		took time.Duration
	}{{"in, signed, on disk when answered", median(in)}, {"out", median(out)}} {
		ratio := 100 * float64(slower) / float64(d.took)
		t.row("S3: 1 GiB "+d.what+", median of 3", speed(disk), speed(d.took), fmt.Sprintf("%.0f %% of the disk, %.0f %% of MD5", 100*float64(disk)/float64(d.took), 100*float64(sum)/float64(d.took)),
			"≥ 60 % of "+of, ratio >= 60)
	}
	grown := max(peak-rest, 0)
	t.row("S3: resident memory while 1 GiB goes in and out", mib(rest), mib(peak), "grew by "+mib(grown), "≤ 32 MB", grown <= 32<<20)

	alone, err := plainSyncs(s.data, time.Second)
	if err != nil {
		return err
	}
	reqs, err := s.smallPuts(int(length.Seconds() * 8000))
	if err != nil {
		return err
	}
	before, err := s.counted()
	if err != nil {
		return err
	}
	puts := drive(s.addr, reqs, 32, length)
	after, err := s.counted()
	if err != nil {
		return err
	}
	if puts.failed > 0 {
		return fmt.Errorf("%d of %d puts failed", puts.failed, puts.count)
	}
	t.row("S3: puts of 1 KiB, each on disk when answered, 32 clients (alone: one writer, fsync each)", fmt.Sprintf("%.0f/s", alone), rate(puts), fmt.Sprintf("%.1f x", puts.perSecond()/alone), "≥ 1 000/s", puts.perSecond() >= 1000)
	t.row("S3: the same, p99", "", ms(puts.p99()), "", "", true)
	t.row("S3: puts sent, and counted by /metrics", strconv.Itoa(puts.count), strconv.Itoa(after-before), "", "equal", puts.count == after-before)
	return nil
}

func (s *server) smallPuts(n int) ([][]byte, error) {
	out := make([][]byte, n)
	body := make([]byte, smallPuts)
	r := rand.NewChaCha8([32]byte{2})
	for i := range out {
		_, _ = r.Read(body)
		sum := sha256.Sum256(body)
		head, err := s.signed("PUT", "s3", "/bench/small/"+strconv.Itoa(i), nil, hex.EncodeToString(sum[:]), smallPuts)
		if err != nil {
			return nil, err
		}
		out[i] = append(head, body...)
	}
	return out, nil
}

func speed(d time.Duration) string { return fmt.Sprintf("%.0f MB/s", large/(1<<20)/d.Seconds()) }

// memory reads one of the sizes in the process's status.
func (s *server) memory(name string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) == 3 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
