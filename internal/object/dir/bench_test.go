//go:build unix

package dir

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// pattern gives n bytes without keeping them.
type pattern struct{ left int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.left))
	p.left -= int64(n)
	return n, nil
}

func benchStore(b *testing.B) *Store {
	s := open(b, Config{})
	if err := s.CreateBucket(b.Context(), bucket); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkSmallPut counts fsynced puts of 1 KiB by 32 writers.
func BenchmarkSmallPut(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := benchStore(b)
			data := content("k", 1, size)
			var n atomic.Int64
			b.SetParallelism(32 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Put(b.Context(), at(fmt.Sprint(n.Add(1))), bytes.NewReader(data), object.PutOptions{}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

// BenchmarkGiB streams 1 GiB in and out, beside the disk's plain write.
func BenchmarkGiB(b *testing.B) {
	const size = 1 << 30
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(size)
		path := filepath.Join(b.TempDir(), "plain")
		for b.Loop() {
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{f}, &pattern{size}, make([]byte, 1<<20)); err != nil {
				b.Fatal(err)
			}
			_ = f.Sync()
			_ = f.Close()
		}
	})
	s := benchStore(b)
	b.Run("put", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Put(b.Context(), at("big"), &pattern{size}, object.PutOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			c, err := s.Get(b.Context(), at("big"), object.Range{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, c.Body); err != nil {
				b.Fatal(err)
			}
			_ = c.Body.Close()
		}
	})
}

func BenchmarkSmallGet(b *testing.B) {
	s := benchStore(b)
	if _, err := s.Put(b.Context(), at("k"), bytes.NewReader(content("k", 1, 1000)), object.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := s.Get(b.Context(), at("k"), object.Range{})
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c.Body)
		_ = c.Body.Close()
	}
}
