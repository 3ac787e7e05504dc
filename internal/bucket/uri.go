package bucket

import (
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// ParseURI reads s3://NAME/KEY. The key is taken literally, "%20", "+" and "?"
// included, as the AWS CLI and Bedrock take it; it may be empty or end with a
// slash where a folder is meant. The error wraps ErrURI.
func ParseURI(uri string) (Location, error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	if !ok {
		return Location{}, fmt.Errorf("%w: %q does not begin with s3://", ErrURI, uri)
	}
	name, key, _ := strings.Cut(rest, "/")
	switch {
	case !named(name):
		return Location{}, fmt.Errorf("%w: %q names no bucket", ErrURI, uri)
	case key != "" && (object.Address{Bucket: object.Bucket{Account: "a", Region: "r", Name: name}, Key: key}).Check() != nil:
		return Location{}, fmt.Errorf("%w: the key of %q is too long or not UTF-8", ErrURI, uri)
	}
	return Location{Bucket: name, Key: key}, nil
}

// named reports whether a bucket can have the name: 3 to 63 of a-z, 0-9, "." and
// "-", beginning and ending with a letter or digit.
func named(name string) bool {
	if len(name) < 3 || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		inner := (c == '.' || c == '-') && i > 0 && i < len(name)-1
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !inner {
			return false
		}
	}
	return true
}

// URI is the location as s3://NAME/KEY.
func (l Location) URI() string { return "s3://" + l.Bucket + "/" + l.Key }

// ARN is the object's, or without a key the bucket's.
func (l Location) ARN(partition string) string {
	a := "arn:" + partition + ":s3:::" + l.Bucket
	if l.Key != "" {
		a += "/" + l.Key
	}
	return a
}

// Join is the location below l: for l s3://b/out and "job", "part.jsonl" it is
// s3://b/out/job/part.jsonl.
func (l Location) Join(names ...string) Location {
	for _, n := range names {
		if l.Key != "" && !strings.HasSuffix(l.Key, "/") {
			l.Key += "/"
		}
		l.Key += n
	}
	return l
}
