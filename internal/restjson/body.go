package restjson

import (
	"fmt"
	"strconv"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// DecodeBody fills in, a pointer to the Go struct of the shape, from one JSON
// object and checks it against every constraint of the model: the whole request
// of awsJson. An empty body is an empty object. Its errors are those of
// DecodeRequest; after a ValidationException in is filled as far as it was read.
func DecodeBody(svc *api.Service, id api.ShapeID, in any, body []byte) error {
	n, p, err := root(svc, id, in)
	if err != nil {
		return err
	}
	d := newDecoder()
	defer d.release()
	var seen uint64
	ok := true
	if len(body) > 0 {
		seen, ok = d.decodeJSON(n, p, body)
	}
	if ok {
		d.complete(n, seen)
	}
	return d.result()
}

// AppendBody appends v, a pointer to the Go struct of the shape, as one JSON
// object with timestamps in seconds since 1970: the whole answer of awsJson. Its
// error is never the caller's fault.
func AppendBody(buf []byte, svc *api.Service, id api.ShapeID, v any) ([]byte, error) {
	n, p, err := root(svc, id, v)
	if err != nil {
		return nil, err
	}
	e := encoder{buf: buf, epoch: true}
	e.object(n, p, n.inBody)
	if e.err != nil {
		return nil, fmt.Errorf("encode %s: %w", n.shape.Name, e.err)
	}
	return e.buf, nil
}

// appendEpoch writes seconds since 1970.
func appendEpoch(buf []byte, t time.Time) []byte {
	// Milliseconds are what AWS's servers keep of a timestamp.
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(buf, ms/1000, 10)
	}
	return strconv.AppendFloat(buf, float64(ms)/1000, 'f', -1, 64)
}

// AppendString appends s as a JSON string, as the codec writes strings.
func AppendString(buf []byte, s string) []byte { return appendString(buf, s) }
