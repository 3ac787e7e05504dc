package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/object"
)

const (
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	isoTime   = "2006-01-02T15:04:05.000Z"
)

// document is an XML answer in the making.
type document struct{ b []byte }

// begin opens an element; the outermost one comes with the declaration.
func (d *document) begin(name string, spaced bool) {
	if d.b == nil {
		d.b = append(make([]byte, 0, 1024), xml.Header...)
	}
	d.b = append(append(d.b, '<'), name...)
	if spaced {
		d.b = append(d.b, ` xmlns="`+namespace+`"`...)
	}
	d.b = append(d.b, '>')
}

func (d *document) end(name string) {
	d.b = append(append(append(d.b, '<', '/'), name...), '>')
}

func (d *document) text(name, value string) {
	d.begin(name, false)
	d.escaped(value)
	d.end(name)
}

// escaped writes text. What XML cannot hold becomes the replacement character;
// encoding-type=url is there for keys that have it.
func (d *document) escaped(s string) {
	from := 0
	for i, r := range s {
		var put string
		switch {
		case r == '&':
			put = "&amp;"
		case r == '<':
			put = "&lt;"
		case r == '>':
			put = "&gt;"
		case r == '"':
			put = "&quot;"
		case r == '\r':
			put = "&#xD;"
		case r < ' ' && r != '\t' && r != '\n', r == utf8.RuneError, r == 0xfffe, r == 0xffff:
			put = "\uFFFD"
		default:
			continue
		}
		d.b = append(append(d.b, s[from:i]...), put...)
		_, n := utf8.DecodeRuneInString(s[i:])
		from = i + n
	}
	d.b = append(d.b, s[from:]...)
}

// maybe writes an element that has a value.
func (d *document) maybe(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

func (d *document) number(name string, n int64) { d.text(name, itoa64(n)) }

func (d *document) boolean(name string, v bool) { d.text(name, strconv.FormatBool(v)) }

func (d *document) person(name, account string) {
	d.begin(name, false)
	d.text("ID", owner(account))
	d.text("DisplayName", account)
	d.end(name)
}

// answer sends a finished document.
func (x *request) answer(d *document) error {
	h := x.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", itoa(len(d.b)))
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(d.b) // nothing is left to tell a client that has gone
	return nil
}

// empty sends a head alone.
func (x *request) empty(status int) error {
	if status != http.StatusNoContent {
		x.w.Header().Set("Content-Length", "0")
	}
	x.w.WriteHeader(status)
	return nil
}

// Limits of documents that are sent to us, in bytes.
const (
	maxDocument = 64 << 10
	maxDelete   = 2 << 20 // a thousand keys of a KiB, escaped
	maxComplete = 4 << 20 // ten thousand parts with checksums
)

// gather reads a small body whole and checks it like any other.
func (x *request) gather(limit int64) ([]byte, error) {
	in, err := x.integrity()
	if err != nil {
		return nil, err
	}
	body := withSum(x.body, in.sum)
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, say(errMalformedXML, "The document is larger than "+itoa64(limit)+" bytes.")
	}
	h := object.NewHasher()
	_, _ = h.Write(b)
	return b, in.verify(int64(len(b)), h.Sums().Further(body))
}

// read gathers and decodes an XML document.
func read[T any](x *request, limit int64) (T, error) {
	b, err := x.gather(limit)
	if err != nil {
		var none T
		return none, err
	}
	return decode[T](b)
}

// decode reads a document that strangers sent. The root's name is T's XMLName.
func decode[T any](b []byte) (T, error) {
	var out T
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&out); err != nil {
		return out, fail(errMalformedXML)
	}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if text, blank := t.(xml.CharData); err != nil || blank && len(bytes.TrimSpace(text)) > 0 {
			return out, fail(errMalformedXML)
		} else if _, second := t.(xml.StartElement); second {
			return out, fail(errMalformedXML)
		}
	}
}

// queryEscape is encoding-type=url: everything but letters, digits, -_.~ and the
// slash in percent signs.
func queryEscape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%2F", "/")
}

func itoa(n int) string { return strconv.Itoa(n) }

func itoa64(n int64) string { return strconv.FormatInt(n, 10) }

func stamp(t time.Time) string { return t.UTC().Format(isoTime) }

func quote(etag string) string { return `"` + etag + `"` }

func unquote(etag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(etag), "W/"), `"`)
}

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
