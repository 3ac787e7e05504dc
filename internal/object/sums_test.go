package object

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

func random(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// Check values of "123456789" from the catalogue of parametrised CRC algorithms.
func TestSumsOfTheCheckString(t *testing.T) {
	h := NewHasher()
	_, _ = h.Write([]byte("123456789"))
	want := Sums{
		MD5: "25f9e794323b453885f5181f1b624d0b", SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
		CRC32: "cbf43926", CRC32C: "e3069283", CRC64NVME: "ae8b14860a799888",
	}
	if got := h.Sums(); got != want {
		t.Errorf("sums = %+v, want %+v", got, want)
	}
}

func TestCopyFromHashesWhatItWrites(t *testing.T) {
	for _, n := range []int{0, 1, copyBlock - 1, copyBlock, copyBlock + 1, 7*copyBlock + 13} {
		data := random(n, uint64(n))
		var out bytes.Buffer
		h, plain := NewHasher(), NewHasher()
		got, err := h.CopyFrom(&out, iotest.HalfReader(bytes.NewReader(data)))
		if err != nil || got != int64(n) || !bytes.Equal(out.Bytes(), data) {
			t.Fatalf("copy of %d: %d, %v, same %v", n, got, err, bytes.Equal(out.Bytes(), data))
		}
		_, _ = plain.Write(data)
		if h.Sums() != plain.Sums() || h.Size() != int64(n) {
			t.Errorf("sums of %d bytes differ: %+v, want %+v", n, h.Sums(), plain.Sums())
		}
	}
}

type failWriter struct{ after int }

func (f *failWriter) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("disk gone")
	}
	return len(p), nil
}

func TestCopyFromStopsAtErrorsOfEitherSide(t *testing.T) {
	broken := errors.New("wire gone")
	r := io.MultiReader(bytes.NewReader(random(3*copyBlock+5, 1)), iotest.ErrReader(broken))
	if _, err := NewHasher().CopyFrom(io.Discard, r); !errors.Is(err, broken) {
		t.Errorf("reader's error: got %v", err)
	}
	if _, err := NewHasher().CopyFrom(&failWriter{after: 2 * copyBlock}, bytes.NewReader(random(9*copyBlock, 2))); err == nil {
		t.Error("writer's error was swallowed")
	}
}

func TestCombineEqualsTheSumOfTheWhole(t *testing.T) {
	for i, cut := range [][]int{{1, 2}, {0, 5}, {5, 0}, {1000, 1, 77}, {5 << 20, 5 << 20, 3}, {255, 256, 257, 65536}} {
		whole, parts := NewHasher(), []Part(nil)
		for j, n := range cut {
			data := random(n, uint64(i*10+j))
			h := NewHasher()
			_, _ = h.Write(data)
			_, _ = whole.Write(data)
			parts = append(parts, Part{Number: j + 1, Size: int64(n), Sums: h.Sums()})
		}
		got, want := CombineParts(parts), whole.Sums()
		if got.CRC32 != want.CRC32 || got.CRC32C != want.CRC32C || got.CRC64NVME != want.CRC64NVME {
			t.Errorf("%v: combined %+v, want %+v", cut, got, want)
		}
	}
	if combine(crc32.IEEE, 32, 7, 0, 0) != 7 {
		t.Error("nothing appended changes nothing")
	}
}

func TestRangeResolve(t *testing.T) {
	for _, c := range []struct {
		r            Range
		size, off, n int64
		err          error
	}{
		{Range{}, 0, 0, 0, nil},
		{Range{}, 10, 0, 10, nil},
		{Range{Offset: 3}, 10, 3, 7, nil},
		{Range{Offset: 3, Length: 2}, 10, 3, 2, nil},
		{Range{Offset: 3, Length: 99}, 10, 3, 7, nil},
		{Range{Offset: 0, Length: 1}, 10, 0, 1, nil},
		{Range{Offset: -4}, 10, 6, 4, nil},
		{Range{Offset: -99}, 10, 0, 10, nil},
		{Range{Offset: 10}, 10, 0, 0, ErrRange},
		{Range{Offset: 0, Length: 1}, 0, 0, 0, ErrRange},
		{Range{Offset: -1}, 0, 0, 0, ErrRange},
		{Range{Offset: 1, Length: -1}, 10, 0, 0, ErrInvalid},
	} {
		off, n, err := c.r.Resolve(c.size)
		if off != c.off || n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%+v of %d: %d %d %v, want %d %d %v", c.r, c.size, off, n, err, c.off, c.n, c.err)
		}
	}
}

func BenchmarkCopyFrom(b *testing.B) {
	data := random(64<<20, 3)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, _ = NewHasher().CopyFrom(io.Discard, bytes.NewReader(data))
	}
}
