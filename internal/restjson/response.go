package restjson

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// Content types of answers.
const (
	jsonType   = "application/json"
	streamType = "application/vnd.amazon.eventstream"
	binaryType = "application/octet-stream"
)

// EncodeResponse returns the success answer of an operation. out is a pointer to
// its output struct (nil where it has none); of an event stream it is the head,
// and the body is left to the frames.
//
// The body is appended to buf[:0] and so may share its memory; a blob that is the
// whole body is returned as it is. header is new and holds the modelled headers
// and Content-Type.
//
// The error is never the caller's fault: the output breaks its own shape (a
// required structure is nil, a union has not exactly one member, a document is not
// JSON). Answer it as an internal error.
func EncodeResponse(svc *api.Service, op *api.Operation, out any, buf []byte) (status int, header http.Header, body []byte, err error) {
	status = op.Status
	header = make(http.Header, 4)
	if op.EventsOut != api.NoShape {
		header["Content-Type"] = []string{streamType}
	}
	if op.Output == api.NoShape {
		return status, header, nil, nil
	}
	n, p, err := root(svc, op.Output, out)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("encode the answer of %s: %w", op.Name, err)
	}
	e := encoder{buf: buf[:0]}
	for i := range n.fields {
		f := &n.fields[i]
		if f.m.In == api.Body {
			continue
		}
		at := unsafe.Add(p, f.off)
		if f.absent(at) {
			continue
		}
		if f.ptr {
			at = *(*unsafe.Pointer)(at)
		}
		text := plainText(f.n, at)
		switch {
		case f.m.In == api.StatusCode:
			if code, err := strconv.Atoi(text); err == nil && code >= 200 && code < 600 {
				status = code
			}
		case text != "":
			header[f.header] = []string{text}
		}
	}
	switch {
	case op.EventsOut != api.NoShape:
	case n.shape.Payload > 0:
		f := &n.fields[n.shape.Payload-1]
		at := unsafe.Add(p, f.off)
		if f.n.kind == api.Blob {
			if header["Content-Type"] == nil {
				header["Content-Type"] = []string{binaryType}
			}
			return status, header, *(*[]byte)(at), nil
		}
		header["Content-Type"] = []string{jsonType}
		switch {
		case !f.absent(at):
			e.value(f.n, *(*unsafe.Pointer)(at))
		case f.m.Required:
			e.nothing(n, f)
		default:
			e.buf = append(e.buf, '{', '}')
		}
	case status == http.StatusNoContent:
	default:
		header["Content-Type"] = []string{jsonType}
		e.object(n, p, n.inBody)
	}
	if e.err != nil {
		return 0, nil, nil, fmt.Errorf("encode the answer of %s: %w", op.Name, e.err)
	}
	return status, header, e.buf, nil
}

// plainText is the text of a scalar in a header.
func plainText(n *node, p unsafe.Pointer) string {
	switch n.kind {
	case api.String:
		// A line break would end the header.
		return strings.Map(func(r rune) rune {
			if r == '\r' || r == '\n' || r == 0 {
				return ' '
			}
			return r
		}, *(*string)(p))
	case api.Timestamp:
		return (*time.Time)(p).UTC().Format(http.TimeFormat)
	default:
		return n.java(p, 0)
	}
}
