package s3

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// amazon are the names under which S3 itself is reached: programs whose resolver
// points here keep theirs.
var amazon = regexp.MustCompile(`^(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-\d)?\.amazonaws\.com(?:\.cn)?$`)

// hostOf returns the host without port, in lower case.
func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// byHost returns the bucket that the host names, "" for path style, and whether
// the host is S3's own (and not only the server's).
func (f *Face) byHost(host string) (bucket string, own bool) {
	h := hostOf(host)
	if slices.Contains(f.c.Hosts, h) {
		return "", strings.HasPrefix(h, "s3.")
	}
	best := ""
	for _, name := range f.c.Hosts {
		if strings.HasSuffix(h, "."+name) && len(name) > len(best) {
			best = name
		}
	}
	if best != "" {
		return h[:len(h)-len(best)-1], true
	}
	if m := amazon.FindStringSubmatch(h); m != nil {
		return m[1], true
	}
	return "", false
}

// Claims reports whether a request that names no service in a credential scope is
// S3's: by a host that names a bucket, by the prefix, or as a presigned URL of
// signature version 2. r is not changed.
func (f *Face) Claims(r *http.Request) bool {
	if _, own := f.byHost(r.Host); own {
		return true
	}
	if _, ok := f.cutPrefix(r.URL.EscapedPath()); ok {
		return true
	}
	return strings.Contains(r.URL.RawQuery, paramKey+"=") && version2(r.URL.Query())
}

func (f *Face) cutPrefix(path string) (string, bool) {
	if f.c.Prefix == "" {
		return path, false
	}
	rest, ok := strings.CutPrefix(path, f.c.Prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return path, false
	}
	if rest == "" {
		rest = "/"
	}
	return rest, true
}

// target returns bucket and key of a request. The path is escaped and never
// normalised: "a//b" and "../x" are keys.
func (f *Face) target(host, path string) (bucket, key string, err error) {
	path, _ = f.cutPrefix(path)
	bucket, _ = f.byHost(host)
	path = strings.TrimPrefix(path, "/")
	if bucket == "" {
		bucket, path, _ = strings.Cut(path, "/")
		if bucket, err = url.PathUnescape(bucket); err != nil {
			return "", "", fail(errInvalidURI)
		}
		if bucket == "" && path != "" {
			return "", "", fail(errInvalidBucketName, "BucketName", "")
		}
	}
	if key, err = url.PathUnescape(path); err != nil || !utf8.ValidString(key) {
		return "", "", fail(errInvalidURI)
	}
	if len(key) > object.MaxKey {
		return "", "", fail(errKeyTooLong, "Size", itoa(len(key)), "MaxSizeAllowed", itoa(object.MaxKey))
	}
	return bucket, key, nil
}

// plausible reports whether a bucket could have the name at all.
func plausible(name string) bool {
	if len(name) < 3 || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '.') && i > 0 && i < len(name)-1:
			if prev := name[i-1]; c == '.' && prev == '.' {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// nameable reports whether a new bucket may have the name.
func (f *Face) nameable(name string) bool {
	if !plausible(name) || slices.Contains(f.c.Reserved, name) {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for _, p := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	for _, s := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, s) {
			return false
		}
	}
	return true
}
