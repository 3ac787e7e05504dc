package s3

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/xxh3"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// algorithm is one of S3's checksums.
type algorithm struct {
	name   string // CRC32
	header string // X-Amz-Checksum-Crc32
	size   int    // bytes
}

var algorithms = []algorithm{
	{"CRC32", "X-Amz-Checksum-Crc32", 4},
	{"CRC32C", "X-Amz-Checksum-Crc32c", 4},
	{"CRC64NVME", "X-Amz-Checksum-Crc64nvme", 8},
	{"MD5", "X-Amz-Checksum-Md5", md5.Size},
	{"SHA1", "X-Amz-Checksum-Sha1", sha1.Size},
	{"SHA256", "X-Amz-Checksum-Sha256", sha256.Size},
	{"SHA512", "X-Amz-Checksum-Sha512", sha512.Size},
	{"XXHASH128", "X-Amz-Checksum-Xxhash128", 16},
	{"XXHASH3", "X-Amz-Checksum-Xxhash3", 8},
	{"XXHASH64", "X-Amz-Checksum-Xxhash64", 8},
}

// unknownAlgorithm is what S3 says to a name that is none of them.
var unknownAlgorithm = func() string {
	var names []string
	for i := range algorithms {
		names = append(names, algorithms[i].name)
	}
	return "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [" + strings.Join(names, ", ") + "]"
}()

// usual is the checksum that S3 keeps when the client names none.
const usual = "CRC64NVME"

func algorithmOf(name string) *algorithm {
	for i := range algorithms {
		if strings.EqualFold(algorithms[i].name, name) {
			return &algorithms[i]
		}
	}
	return nil
}

func algorithmOfHeader(header string) *algorithm {
	for i := range algorithms {
		if strings.EqualFold(algorithms[i].header, header) {
			return &algorithms[i]
		}
	}
	return nil
}

// of returns a sum as hex, "" when it is not known.
func (a *algorithm) of(s object.Sums) string { return *a.in(&s) }

func (a *algorithm) in(s *object.Sums) *string {
	switch a.name {
	case "CRC32":
		return &s.CRC32
	case "CRC32C":
		return &s.CRC32C
	case "CRC64NVME":
		return &s.CRC64NVME
	case "MD5":
		return &s.MD5
	case "SHA1":
		return &s.SHA1
	case "SHA512":
		return &s.SHA512
	case "XXHASH64":
		return &s.XXHash64
	case "XXHASH3":
		return &s.XXHash3
	case "XXHASH128":
		return &s.XXHash128
	}
	return &s.SHA256
}

// hasher computes the algorithm; stored says that object stores do so anyway.
func (a *algorithm) hasher() (h hash.Hash, stored bool) {
	switch a.name {
	case "CRC32":
		return crc32.NewIEEE(), true
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli)), true
	case "MD5":
		return md5.New(), true
	case "SHA1":
		return sha1.New(), false
	case "SHA512":
		return sha512.New(), false
	case "XXHASH64":
		return xxhash.New(), false
	case "XXHASH3":
		return xxh3.New(), false
	case "XXHASH128":
		return xxh3.New128(), false
	case "CRC64NVME":
		return nil, true // never of checksums: its type is always that of the whole object
	}
	return sha256.New(), true
}

// crc reports whether the sum of a whole is known from those of its parts.
func (a *algorithm) crc() bool { return strings.HasPrefix(a.name, "CRC") }

// composite is the checksum of checksums of an object made of parts.
func (a *algorithm) composite(parts []object.Part) string {
	h, _ := a.hasher()
	if h == nil {
		return ""
	}
	for i := range parts {
		b, err := hex.DecodeString(a.of(parts[i].Sums))
		if err != nil || len(b) != a.size {
			return ""
		}
		h.Write(b)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + itoa(len(parts))
}

// summing is content with one more sum, for an algorithm that stores do not compute.
type summing struct {
	r io.Reader
	a *algorithm
	h hash.Hash
}

var _ object.Summer = (*summing)(nil)

// withSum lets a store learn the algorithm's sum of what it reads; nil asks for none.
func withSum(r io.Reader, a *algorithm) io.Reader {
	if a == nil {
		return r
	}
	h, stored := a.hasher()
	if stored {
		return r
	}
	return &summing{r, a, h}
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	return n, err
}

// Further implements object.Summer.
func (s *summing) Further() (sums object.Sums) {
	*s.a.in(&sums) = hex.EncodeToString(s.h.Sum(nil))
	return sums
}

// base64Of turns the store's hex into the wire's base64.
func base64Of(h string) string {
	b, err := hex.DecodeString(h)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// hexOf is the other way; "" when it is no checksum of the size.
func hexOf(s string, size int) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != size {
		return ""
	}
	return hex.EncodeToString(b)
}

// integrity is what a request promises about its body.
type integrity struct {
	x      *request
	length int64  // -1: not announced
	md5    string // hex, "" when not sent
	sum    *algorithm
	want   string                       // hex of sum; "" while it is in the trailer or not sent
	late   bool                         // the checksum is in the trailer
	sent   bool                         // a header or trailer names sum; else it was chosen for the upload
	signed func(sha256Hex string) error // holds the content against the signed hash; nil: done while reading
}

const severalSums = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."

// integrity reads the headers that promise something about the body.
func (x *request) integrity() (*integrity, error) {
	h := x.R.Header
	in := &integrity{x: x, length: x.decodedLength()}
	if v := h["Content-Md5"]; len(v) > 0 {
		if in.md5 = hexOf(v[0], md5.Size); in.md5 == "" {
			return nil, fail(errInvalidDigest, "Content-MD5", v[0])
		}
	}
	for name := range h {
		rest, ok := strings.CutPrefix(name, "X-Amz-Checksum-")
		if !ok || rest == "Algorithm" || rest == "Type" || rest == "Mode" {
			continue
		}
		a := algorithmOfHeader(name)
		switch {
		case a == nil:
			return nil, say(errInvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		case in.sum != nil:
			return nil, say(errInvalidRequest, severalSums)
		}
		in.sum, in.sent = a, true
	}
	if in.sum != nil {
		if in.want = hexOf(h.Get(in.sum.header), in.sum.size); in.want == "" {
			return nil, say(errInvalidRequest, "Value for "+strings.ToLower(in.sum.header)+" header is invalid.")
		}
	}
	for _, name := range strings.Split(h.Get("X-Amz-Trailer"), ",") {
		name = strings.TrimSpace(name)
		a := algorithmOfHeader(name)
		switch {
		case a == nil && name != "":
			return nil, say(errInvalidRequest, "The value specified in the x-amz-trailer header is not supported")
		case a != nil && in.sum != nil:
			return nil, say(errInvalidRequest, severalSums)
		case a != nil:
			in.sum, in.late, in.sent = a, true, true
		}
	}
	if named := h.Get("X-Amz-Sdk-Checksum-Algorithm"); named != "" {
		switch a := algorithmOf(named); {
		case a == nil:
			return nil, say(errInvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
		case in.sum == nil && !x.query.Has("X-Amz-Signature") && !x.query.Has(paramSign):
			return nil, say(errInvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		case in.sum != nil && in.sum != a:
			return nil, say(errInvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
		}
	}
	return in, nil
}

// verify holds the content against the promises, once it was read to its end.
func (in *integrity) verify(size int64, sums object.Sums) error {
	if in.signed != nil {
		if err := in.signed(sums.SHA256); err != nil {
			return err
		}
	}
	if in.length >= 0 && size != in.length {
		return fail(errIncompleteBody)
	}
	if in.md5 != "" && in.md5 != sums.MD5 {
		return fail(errBadDigest, "ExpectedDigest", in.md5, "CalculatedDigest", base64Of(sums.MD5))
	}
	if !in.sent {
		return nil
	}
	if in.late {
		v := ""
		if in.x.trailer != nil {
			v = in.x.trailer().Get(in.sum.header)
		}
		if v == "" {
			return fail(errMalformedTrailer)
		}
		if in.want = hexOf(v, in.sum.size); in.want == "" {
			return say(errInvalidRequest, "Value for "+strings.ToLower(in.sum.header)+" trailing header is invalid.")
		}
	}
	if in.want != in.sum.of(sums) {
		return say(errBadDigest, "The "+in.sum.name+" you specified did not match the calculated checksum.")
	}
	return nil
}

// echo answers the checksum of what was written.
func (in *integrity) echo(h http.Header, sums object.Sums) {
	a := in.sum
	if a == nil {
		a = algorithmOf(usual)
	}
	if v := a.of(sums); v != "" {
		h[a.header] = []string{base64Of(v)}
		h["X-Amz-Checksum-Type"] = []string{"FULL_OBJECT"}
	}
}

// remembered is what an object's system attributes say about its checksum:
// algorithm, type, and the value for a store that does not keep it.
type remembered struct {
	sum       *algorithm
	composite bool
	value     string // base64
}

func (r remembered) String() string {
	s := r.sum.name
	if r.composite {
		s += " COMPOSITE"
	}
	if r.value != "" {
		s += " " + r.value
	}
	return s
}

func remember(s string) remembered {
	r := remembered{sum: algorithmOf(usual)}
	words := strings.Fields(s)
	for i, w := range words {
		switch {
		case i == 0:
			if a := algorithmOf(w); a != nil {
				r.sum = a
			}
		case w == "COMPOSITE":
			r.composite = true
		default:
			r.value = w
		}
	}
	return r
}

// checksum returns the checksum that an object was made with, and its type.
func checksum(i object.Info) (a *algorithm, value, kind string) {
	r := remember(i.Attributes.System[systemSum])
	switch {
	case r.value != "":
		return r.sum, r.value, "FULL_OBJECT"
	case r.composite && len(i.Parts) > 0:
		return r.sum, r.sum.composite(i.Parts), "COMPOSITE"
	}
	if v := r.sum.of(i.Sums); v != "" {
		return r.sum, base64Of(v), "FULL_OBJECT"
	}
	return nil, "", ""
}
