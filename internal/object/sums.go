package object

import (
	"crypto/md5" // S3's ETag; it guards against accidents only
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"sync"
)

// Sums are digests of content in lower-case hex; CRCs are big-endian, as S3's
// base64 forms are once decoded.
type Sums struct {
	MD5       string `json:",omitempty"`
	SHA256    string `json:",omitempty"`
	CRC32     string `json:",omitempty"`
	CRC32C    string `json:",omitempty"`
	CRC64NVME string `json:",omitempty"`

	// Stores do not compute these; a Summer may know them.

	SHA1      string `json:",omitempty"`
	SHA512    string `json:",omitempty"`
	XXHash64  string `json:",omitempty"`
	XXHash3   string `json:",omitempty"`
	XXHash128 string `json:",omitempty"`
}

// A Summer is a reader of content that knows sums which stores do not compute: a
// store asks it once it was read to its end, and keeps the answer with the object
// or the part.
type Summer interface {
	io.Reader
	// Further returns sums of all that was read, in the fields that stores leave empty.
	Further() Sums
}

// Further returns s with what r knows besides, if r is a Summer.
func (s Sums) Further(r io.Reader) Sums {
	if k, ok := r.(Summer); ok {
		f := k.Further()
		s.SHA1, s.SHA512, s.XXHash64, s.XXHash3, s.XXHash128 = f.SHA1, f.SHA512, f.XXHash64, f.XXHash3, f.XXHash128
	}
	return s
}

// The NVM Express polynomial 0xAD93D23594C93659, reflected.
const polyNVME = 0x9A6C9329AC4BC9B5

var (
	tableC    = crc32.MakeTable(crc32.Castagnoli)
	tableNVME = crc64.MakeTable(polyNVME)
)

// Hasher computes all Sums of a stream while it is copied. A large stream is
// hashed in two lanes beside the caller's own writes: MD5 alone is about as
// slow as the rest together, so the slower lane sets the pace and not their sum.
type Hasher struct {
	md5, sha hash.Hash
	crc32    uint32
	crc32c   uint32
	nvme     uint64
	n        int64
}

// NewHasher returns a Hasher that has seen nothing.
func NewHasher() *Hasher { return &Hasher{md5: md5.New(), sha: sha256.New()} }

// Write never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	h.md5.Write(p)
	h.rest(p)
	h.n += int64(len(p))
	return len(p), nil
}

func (h *Hasher) rest(p []byte) {
	h.sha.Write(p)
	h.crc32 = crc32.Update(h.crc32, crc32.IEEETable, p)
	h.crc32c = crc32.Update(h.crc32c, tableC, p)
	h.nvme = crc64.Update(h.nvme, tableNVME, p)
}

// Size is the number of bytes seen.
func (h *Hasher) Size() int64 { return h.n }

// Sums returns the digests of all bytes seen.
func (h *Hasher) Sums() Sums {
	return Sums{
		MD5:       hex.EncodeToString(h.md5.Sum(nil)),
		SHA256:    hex.EncodeToString(h.sha.Sum(nil)),
		CRC32:     hex32(h.crc32),
		CRC32C:    hex32(h.crc32c),
		CRC64NVME: hex64(h.nvme),
	}
}

const (
	copyBlock = 1 << 20 // bytes read at a time from a large stream
	blocks    = 3       // of them in flight: reading, hashing, writing overlap
)

var blockPool = sync.Pool{New: func() any { return new([copyBlock]byte) }}

// CopyFrom writes r to w to its end and hashes it on the way, with flat memory.
// It returns once no lane still runs.
func (h *Hasher) CopyFrom(w io.Writer, r io.Reader) (int64, error) {
	type block struct {
		buf  *[copyBlock]byte
		data []byte
		wg   *sync.WaitGroup
	}
	var (
		lanes sync.WaitGroup
		md5s  = make(chan block, blocks)
		rests = make(chan block, blocks)
		slots = make(chan struct{}, blocks)
		n     int64
	)
	lanes.Go(func() {
		for b := range md5s {
			h.md5.Write(b.data)
			b.wg.Done()
		}
	})
	lanes.Go(func() {
		for b := range rests {
			h.rest(b.data)
			b.wg.Wait() // MD5 of the same block is done as well
			blockPool.Put(b.buf)
			<-slots
		}
	})
	defer func() {
		close(md5s)
		close(rests)
		lanes.Wait()
		h.n += n
	}()
	for {
		slots <- struct{}{}
		buf := blockPool.Get().(*[copyBlock]byte)
		m, err := io.ReadFull(r, buf[:])
		if m == 0 {
			blockPool.Put(buf)
			<-slots
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		// The lanes may give the block back while it is being written, so the write
		// holds it too.
		wg := &sync.WaitGroup{}
		wg.Add(2)
		b := block{buf: buf, data: buf[:m], wg: wg}
		md5s <- b
		rests <- b
		_, werr := w.Write(b.data)
		wg.Done()
		if werr != nil {
			return n, werr
		}
		n += int64(m)
		switch err {
		case nil:
		case io.ErrUnexpectedEOF:
			return n, nil
		default:
			return n, err
		}
	}
}

// CombineParts returns the sums of content that is the parts one after the other,
// where they can be had without reading it: the CRCs. MD5 and SHA-256 stay empty.
func CombineParts(parts []Part) Sums {
	if len(parts) == 0 {
		return NewHasher().Sums()
	}
	out := Sums{CRC32: parts[0].Sums.CRC32, CRC32C: parts[0].Sums.CRC32C, CRC64NVME: parts[0].Sums.CRC64NVME}
	for _, p := range parts[1:] {
		out.CRC32 = combineHex(crc32.IEEE, 32, out.CRC32, p.Sums.CRC32, p.Size)
		out.CRC32C = combineHex(crc32.Castagnoli, 32, out.CRC32C, p.Sums.CRC32C, p.Size)
		out.CRC64NVME = combineHex(polyNVME, 64, out.CRC64NVME, p.Sums.CRC64NVME, p.Size)
	}
	return out
}

// PartsETag returns the ETag of an object made of parts: the MD5 of their binary
// MD5s and their count.
func PartsETag(parts []Part) string {
	h := md5.New()
	for _, p := range parts {
		b, err := hex.DecodeString(p.Sums.MD5)
		if err != nil {
			b = []byte(p.ETag)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + itoa(len(parts))
}
