package s3

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strings"

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
	{"SHA1", "X-Amz-Checksum-Sha1", sha1.Size},
	{"SHA256", "X-Amz-Checksum-Sha256", sha256.Size},
}

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

// of returns a sum as hex, "" when the store does not know it.
func (a *algorithm) of(s object.Sums) string {
	switch a.name {
	case "CRC32":
		return s.CRC32
	case "CRC32C":
		return s.CRC32C
	case "CRC64NVME":
		return s.CRC64NVME
	case "SHA256":
		return s.SHA256
	}
	return ""
}

// composite is the checksum of checksums of an object made of parts.
func (a *algorithm) composite(parts []object.Part) string {
	var h hash.Hash
	switch a.name {
	case "CRC32", "CRC32C":
		var all []byte
		for i := range parts {
			b, err := hex.DecodeString(a.of(parts[i].Sums))
			if err != nil || len(b) != a.size {
				return ""
			}
			all = append(all, b...)
		}
		hasher := object.NewHasher()
		_, _ = hasher.Write(all)
		return base64Of(a.of(hasher.Sums())) + "-" + itoa(len(parts))
	case "SHA256":
		h = sha256.New()
	default:
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
	sha1   hash.Hash                    // the object store computes the others
	signed func(sha256Hex string) error // holds the content against the signed hash; nil: done while reading
}

// integrity reads the headers that promise something about the body.
func (x *request) integrity() (*integrity, error) {
	h := x.R.Header
	in := &integrity{x: x, length: x.decodedLength()}
	if v := h["Content-Md5"]; len(v) > 0 {
		if in.md5 = hexOf(v[0], md5.Size); in.md5 == "" {
			return nil, fail(errInvalidDigest, "Content-MD5", v[0])
		}
	}
	for i := range algorithms {
		a := &algorithms[i]
		vs := h[a.header]
		if len(vs) == 0 {
			continue
		}
		if in.sum != nil {
			return nil, say(errInvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		if in.sum, in.want = a, hexOf(vs[0], a.size); in.want == "" {
			return nil, say(errInvalidRequest, "Value for "+strings.ToLower(a.header)+" header is invalid.")
		}
	}
	for name := range h {
		rest, ok := strings.CutPrefix(name, "X-Amz-Checksum-")
		if ok && rest != "Algorithm" && rest != "Type" && rest != "Mode" && algorithmOfHeader(name) == nil {
			return nil, notBuilt("Checksum " + strings.ToUpper(rest))
		}
	}
	for _, name := range strings.Split(h.Get("X-Amz-Trailer"), ",") {
		name = strings.TrimSpace(name)
		a := algorithmOfHeader(name)
		switch {
		case a == nil && name != "":
			return nil, say(errInvalidRequest, "The value specified in the x-amz-trailer header is not supported")
		case a != nil && in.sum != nil:
			return nil, say(errInvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		case a != nil:
			in.sum, in.late = a, true
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
	if in.sum != nil && in.sum.name == "SHA1" {
		in.sha1 = sha1.New()
	}
	return in, nil
}

// reader lets pass what is read and keeps the one checksum that the object store
// does not compute.
func (in *integrity) reader(r io.Reader) io.Reader {
	if in.sha1 == nil {
		return r
	}
	return io.TeeReader(r, in.sha1)
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
	if in.sum == nil {
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
	if in.want != in.got(sums) {
		return say(errBadDigest, "The "+in.sum.name+" you specified did not match the calculated checksum.")
	}
	return nil
}

func (in *integrity) got(sums object.Sums) string {
	if in.sha1 != nil {
		return hex.EncodeToString(in.sha1.Sum(nil))
	}
	return in.sum.of(sums)
}

// echo answers the checksum of what was written.
func (in *integrity) echo(h http.Header, sums object.Sums) {
	a, v := in.sum, ""
	if a == nil {
		a = algorithmOf(usual)
	}
	if in.sha1 != nil {
		v = in.got(sums)
	} else {
		v = a.of(sums)
	}
	if v != "" {
		h[a.header] = []string{base64Of(v)}
		h["X-Amz-Checksum-Type"] = []string{"FULL_OBJECT"}
	}
}

// remembered is what hidden metadata says about an object's checksum: algorithm,
// type, and the value where the store does not know it.
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
