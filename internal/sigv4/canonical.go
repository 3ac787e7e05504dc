package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// variant is one of the readings of a request that clients sign. SigV4 leaves
// two things to the service: whether dot segments and double slashes of the
// path are resolved first (botocore and the JavaScript SDK do, the Go SDK does
// not), and whether a session token in the query was added before signing or
// after. Only requests that have such a path or token are tried twice.
type variant struct {
	normalize bool // resolve ".", ".." and empty segments of the path
	bareToken bool // X-Amz-Security-Token is not part of the signed query
}

// scratch is the memory of one verification, kept between verifications.
type scratch struct {
	canonical []byte
	toSign    []byte
	tmp       []byte
	params    []param
	segments  []string
}

// param is one encoded query parameter, as ranges of scratch.tmp.
type param struct{ key, keyEnd, end int }

// build writes the canonical request and the string to sign into s.
// Form: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (s *scratch) build(q *request, v variant, payloadHash string) {
	b := append(s.canonical[:0], q.method...)
	b = append(b, '\n')
	b = s.appendPath(b, q, v.normalize)
	b = append(b, '\n')
	b = s.appendQuery(b, q, v.bareToken)
	b = append(b, '\n')
	for name := range strings.SplitSeq(q.signed, ";") {
		b = append(b, name...)
		b = append(b, ':')
		b = q.appendHeader(b, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, q.signed...)
	b = append(b, '\n')
	b = append(b, payloadHash...)
	s.canonical = b

	sum := sha256.Sum256(b)
	t := append(s.toSign[:0], algorithm...)
	t = append(t, '\n')
	t = append(t, q.dateText...)
	t = append(t, '\n')
	t = append(t, q.scope...)
	t = append(t, '\n')
	s.toSign = hex.AppendEncode(t, sum[:])
}

// appendPath writes the canonical URI. S3 encodes the path once: what was sent
// is decoded first, so that a client may leave more or fewer characters
// escaped. All others encode the bytes of the request line once more, so that
// %3A is signed as %253A; a path sent raw is thereby encoded once.
func (s *scratch) appendPath(b []byte, q *request, normalize bool) []byte {
	p := q.path
	if p == "" {
		return append(b, '/')
	}
	if q.Service == "s3" {
		s.tmp = appendDecoded(s.tmp[:0], p, false)
		for _, c := range s.tmp {
			if c == '/' {
				b = append(b, c)
			} else {
				b = appendEscaped(b, c)
			}
		}
		return b
	}
	if normalize {
		return s.appendNormalized(b, p)
	}
	return appendSegment(b, p)
}

func appendSegment(b []byte, p string) []byte {
	for i := range len(p) {
		if c := p[i]; c == '/' {
			b = append(b, c)
		} else {
			b = appendEscaped(b, c)
		}
	}
	return b
}

// normalizable reports whether resolving the path would change it.
func normalizable(p string) bool {
	return strings.Contains(p, "//") || strings.Contains(p, "/./") || strings.Contains(p, "/../") ||
		strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..")
}

func (s *scratch) appendNormalized(b []byte, p string) []byte {
	segs := s.segments[:0]
	for seg := range strings.SplitSeq(p, "/") {
		switch seg {
		case "", ".":
		case "..":
			segs = segs[:max(0, len(segs)-1)]
		default:
			segs = append(segs, seg)
		}
	}
	s.segments = segs
	for _, seg := range segs {
		b = appendSegment(append(b, '/'), seg)
	}
	// A slash at the end stays, also the one that a last dot segment leaves
	// behind; the root is one slash.
	if len(segs) == 0 || strings.HasSuffix(p, "/") {
		b = append(b, '/')
	}
	return b
}

// appendQuery writes the parameters encoded strictly and sorted by encoded
// name, then value. X-Amz-Signature is left out in the query form only: in a
// header-signed request it is a parameter like any other, or somebody could
// add it unnoticed.
func (s *scratch) appendQuery(b []byte, q *request, bareToken bool) []byte {
	if q.query == "" {
		return b
	}
	s.tmp, s.params = s.tmp[:0], s.params[:0]
	for part := range strings.SplitSeq(q.query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if q.form != FormHeader && (key == "X-Amz-Signature" || bareToken && key == "X-Amz-Security-Token") {
			continue
		}
		if q.form == FormShortTerm && key == "Version" {
			continue // added after signing
		}
		p := param{key: len(s.tmp)}
		s.tmp = appendReencoded(s.tmp, key)
		p.keyEnd = len(s.tmp)
		s.tmp = append(s.tmp, '=')
		s.tmp = appendReencoded(s.tmp, value)
		p.end = len(s.tmp)
		s.params = append(s.params, p)
	}
	slices.SortFunc(s.params, func(x, y param) int {
		if c := bytes.Compare(s.tmp[x.key:x.keyEnd], s.tmp[y.key:y.keyEnd]); c != 0 {
			return c
		}
		return bytes.Compare(s.tmp[x.keyEnd:x.end], s.tmp[y.keyEnd:y.end])
	})
	for i, p := range s.params {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, s.tmp[p.key:p.end]...)
	}
	return b
}

// appendHeader writes the canonical value of a signed header, named in lower
// case: values joined by commas, outer space cut, inner runs of space made one.
// An absent header is the empty value, which only a signer that signed it so
// will match.
func (q *request) appendHeader(b []byte, name string) []byte {
	switch name {
	case "host", ":authority": // JavaScript signs the pseudo-header over HTTP/2
		return appendTrimmed(b, q.host)
	}
	values, ok := q.header[canonicalName(name)]
	if !ok && name == "content-length" && q.length > 0 {
		return strconv.AppendInt(b, q.length, 10)
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, v)
	}
	return b
}

// canonicalName spares the allocation for the headers that SDKs sign.
func canonicalName(name string) string {
	switch name {
	case "content-type":
		return "Content-Type"
	case "content-length":
		return "Content-Length"
	case "x-amz-date":
		return "X-Amz-Date"
	case "x-amz-security-token":
		return "X-Amz-Security-Token"
	case "x-amz-content-sha256":
		return "X-Amz-Content-Sha256"
	case "x-amz-user-agent":
		return "X-Amz-User-Agent"
	case "amz-sdk-invocation-id":
		return "Amz-Sdk-Invocation-Id"
	case "amz-sdk-request":
		return "Amz-Sdk-Request"
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

func appendTrimmed(b []byte, v string) []byte {
	start, pending := len(b), false
	for i := range len(v) {
		c := v[i]
		if c == ' ' || c == '\t' {
			pending = true
			continue
		}
		if pending && len(b) > start {
			b = append(b, ' ')
		}
		b, pending = append(b, c), false
	}
	return b
}

const upperHex = "0123456789ABCDEF"

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func appendEscaped(b []byte, c byte) []byte {
	if unreserved(c) {
		return append(b, c)
	}
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

// appendDecoded undoes percent encoding; a percent sign without two hex digits
// stands for itself.
func appendDecoded(b []byte, s string, plus bool) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if hi, lo, ok := escape(s, i); ok {
			c = hi<<4 | lo
			i += 2
		} else if plus && c == '+' {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// appendReencoded brings a query name or value into the strict encoding.
func appendReencoded(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if hi, lo, ok := escape(s, i); ok {
			c = hi<<4 | lo
			i += 2
		} else if c == '+' {
			c = ' '
		}
		b = appendEscaped(b, c)
	}
	return b
}

func escape(s string, i int) (hi, lo byte, ok bool) {
	if s[i] != '%' || i+2 >= len(s) {
		return 0, 0, false
	}
	hi, ok1 := unhex(s[i+1])
	lo, ok2 := unhex(s[i+2])
	return hi, lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unsigned returns an x-amz- header of h that the signature does not cover,
// "" when there is none. The four named here are covered in other ways (the
// date and payload hash stand in the text that is signed, the token is bound to
// the key) or say nothing to the service.
func (q *request) unsigned(h http.Header) string {
	for name := range h {
		if len(name) < 6 || !strings.EqualFold(name[:6], "x-amz-") {
			continue
		}
		switch name {
		case "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-User-Agent":
			continue
		}
		if !q.signs(strings.ToLower(name)) {
			return name
		}
	}
	return ""
}

// signingKey derives the key of a day, Region and service from a secret.
func signingKey(secret, day, region, service string) [32]byte {
	k := []byte("AWS4" + secret)
	for _, part := range [...]string{day, region, service, terminator} {
		k = mac(k, part)
	}
	return [32]byte(k)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
