package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// listed reports whether an If-Match or If-None-Match header names the ETag.
func listed(header, etag string) bool {
	for v := range strings.SplitSeq(header, ",") {
		if v = strings.TrimSpace(v); v == "*" || unquote(v) == etag {
			return true
		}
	}
	return false
}

// headers of conditions: on the object itself, or on the source of a copy.
type conditionNames struct{ match, noneMatch, modified, unmodified string }

var (
	onObject = conditionNames{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}
	onSource = conditionNames{"X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match", "X-Amz-Copy-Source-If-Modified-Since", "X-Amz-Copy-Source-If-Unmodified-Since"}
)

// check holds the read conditions against an object: an ETag wins over a time.
// What is unchanged is NotModified, or for a copy PreconditionFailed.
func (n *conditionNames) check(h http.Header, i *object.Info) error {
	at := i.Modified.Truncate(time.Second)
	if v := h.Get(n.match); v != "" {
		if !listed(v, i.ETag) {
			return fail(errPreconditionFailed, "Condition", n.match)
		}
	} else if t, ok := since(h, n.unmodified); ok && at.After(t) {
		return fail(errPreconditionFailed, "Condition", n.unmodified)
	}
	unchanged := false
	if v := h.Get(n.noneMatch); v != "" {
		unchanged = listed(v, i.ETag)
	} else if t, ok := since(h, n.modified); ok {
		unchanged = !at.After(t)
	}
	switch {
	case unchanged && n == &onSource:
		return fail(errPreconditionFailed, "Condition", n.noneMatch)
	case unchanged:
		return fail(errNotModified)
	}
	return nil
}

func since(h http.Header, name string) (time.Time, bool) {
	v := h.Get(name)
	if v == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v)
	return t, err == nil // S3 ignores dates that it cannot read
}

// writeIf reads the conditions of a write.
func writeIf(h http.Header) (object.If, error) {
	var c object.If
	if v := h.Get("If-None-Match"); v != "" {
		if v != "*" {
			return c, notBuilt("If-None-Match with an ETag on a write")
		}
		c.Absent = true
	}
	if v := h.Get("If-Match"); v != "" {
		if c.Absent {
			return c, notBuilt("If-Match together with If-None-Match")
		}
		c.Match = unquote(v)
	}
	return c, nil
}

// readRange reads a Range header: one range of bytes. ok is false when there is
// none that means anything, and all of the object is sent.
func readRange(v string) (r object.Range, ok bool, err error) {
	spec, found := strings.CutPrefix(strings.TrimSpace(v), "bytes=")
	if !found || strings.Contains(spec, ",") {
		return r, false, nil
	}
	from, to, found := strings.Cut(spec, "-")
	if !found || from == "" && to == "" {
		return r, false, nil
	}
	if from == "" {
		n, err := strconv.ParseUint(to, 10, 63)
		switch {
		case err != nil:
			return r, false, nil
		case n == 0:
			return r, false, fail(errInvalidRange, "RangeRequested", v)
		}
		return object.Range{Offset: -int64(n)}, true, nil
	}
	first, err := strconv.ParseUint(from, 10, 63)
	if err != nil {
		return r, false, nil
	}
	if to == "" {
		return object.Range{Offset: int64(first)}, true, nil
	}
	last, err := strconv.ParseUint(to, 10, 62)
	if err != nil || last < first {
		return r, false, nil
	}
	return object.Range{Offset: int64(first), Length: int64(last-first) + 1}, true, nil
}
