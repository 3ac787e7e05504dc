package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func (x *request) putObject() error {
	attrs, err := x.attributes()
	if err != nil {
		return err
	}
	tags, err := x.taggingHeader()
	if err != nil {
		return err
	}
	cond, err := writeIf(x.R.Header)
	if err != nil {
		return err
	}
	if x.R.Header.Get("X-Amz-Write-Offset-Bytes") != "" {
		return notBuilt("Appending to an object")
	}
	in, err := x.upload()
	if err != nil {
		return err
	}
	if in.sum != nil && in.sum.name != usual {
		r := remembered{sum: in.sum}
		if _, stored := in.sum.hasher(); !stored {
			r.value = base64Of(in.want) // "" while it is in the trailer: then a store that keeps sums knows
		}
		set(&attrs, systemSum, r.String())
	}
	info, err := x.f.objects.Put(x.ctx, x.address(), withSum(x.body, in.sum), object.PutOptions{
		Attributes: attrs, Tags: tags, If: cond, Verify: in.verify,
	})
	if err != nil {
		return err
	}
	h := x.w.Header()
	h["Etag"] = []string{quote(info.ETag)}
	in.echo(h, info.Sums)
	x.kept(&attrs)
	return x.empty(http.StatusOK)
}

// taggingHeader reads the tags of a new object and asks whether it may be tagged.
func (x *request) taggingHeader() (map[string]string, error) {
	tags, err := headerTags(x.R.Header.Get("X-Amz-Tagging"))
	if err != nil || len(tags) == 0 {
		return nil, err
	}
	keys := map[string][]string{}
	requestTags(keys, tags)
	return tags, x.may(x.bucket, "s3:PutObjectTagging", x.arn(x.name, x.key), keys)
}

// upload reads the promises about a body that becomes content, and its length.
func (x *request) upload() (*integrity, error) {
	in, err := x.integrity()
	switch {
	case err != nil:
		return nil, err
	case in.length < 0:
		return nil, fail(errMissingLength)
	case in.length > x.f.c.MaxPut:
		return nil, fail(errEntityTooLarge, "ProposedSize", itoa64(in.length), "MaxSizeAllowed", itoa64(x.f.c.MaxPut))
	}
	if b, ok := x.body.(*sigv4.Body); ok { // the object store computes the signed hash too: once is enough
		if r, check, ok := b.Unhashed(); ok {
			x.body, in.signed = r, check
		}
	}
	return in, nil
}

var copyBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// window is what a reader wants of an object.
type window struct {
	r     object.Range
	asked bool // by Range
	part  int  // by partNumber, 0: none
}

func (x *request) window() (w window, err error) {
	if v := x.query.Get("partNumber"); v != "" {
		if x.R.Header.Get("Range") != "" {
			return w, say(errInvalidRequest, "Cannot specify both Range header and partNumber query parameter")
		}
		if w.part, err = partNumber(v); err != nil {
			return w, err
		}
		return w, nil
	}
	if v := x.R.Header.Get("Range"); v != "" {
		w.r, w.asked, err = readRange(v)
	}
	return w, err
}

// resolve returns the stretch of an object that is meant, and how many parts it
// has when one was asked for.
func (w *window) resolve(x *request, i *object.Info) (offset, length int64, parts int, err error) {
	if w.part == 0 {
		if w.asked && i.Size == 0 {
			err = object.ErrRange
		} else {
			offset, length, err = w.r.Resolve(i.Size)
		}
		if err != nil {
			return 0, 0, 0, fail(errInvalidRange, "RangeRequested", x.R.Header.Get("Range"), "ActualObjectSize", itoa64(i.Size))
		}
		return offset, length, 0, nil
	}
	if len(i.Parts) == 0 {
		switch {
		case strings.Contains(i.ETag, "-"):
			return 0, 0, 0, notBuilt("Reading a part of an object whose store does not keep them")
		case w.part != 1:
			return 0, 0, 0, fail(errInvalidPartNumber, "ActualPartCount", "1", "PartNumberRequested", itoa(w.part))
		}
		return 0, i.Size, 0, nil
	}
	for n := range i.Parts {
		if n+1 == w.part {
			return offset, i.Parts[n].Size, len(i.Parts), nil
		}
		offset += i.Parts[n].Size
	}
	return 0, 0, 0, fail(errInvalidPartNumber, "ActualPartCount", itoa(len(i.Parts)), "PartNumberRequested", itoa(w.part))
}

// head sets status and headers of an answer that tells of a stretch of an object.
func (x *request) head(i *object.Info, w *window, offset, length int64, parts int) (status int, err error) {
	if err := x.describe(i); err != nil {
		return 0, err
	}
	h := x.w.Header()
	h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	status = http.StatusOK
	if w.asked || w.part > 0 {
		status = http.StatusPartialContent
		if length > 0 {
			h["Content-Range"] = []string{"bytes " + itoa64(offset) + "-" + itoa64(offset+length-1) + "/" + itoa64(i.Size)}
		}
	}
	if parts > 0 {
		h["X-Amz-Mp-Parts-Count"] = []string{itoa(parts)}
	}
	if length == i.Size && x.wantsChecksum() {
		if a, v, kind := checksum(*i); v != "" {
			h[a.header] = []string{v}
			h["X-Amz-Checksum-Type"] = []string{kind}
		}
	}
	return status, nil
}

func (x *request) headObject() error {
	w, err := x.window()
	if err != nil {
		return err
	}
	i, err := x.f.objects.Head(x.ctx, x.address())
	if err != nil {
		return x.missing(err)
	}
	if err := x.unless(&i); err != nil {
		return err
	}
	offset, length, parts, err := w.resolve(x, &i)
	if err != nil {
		return err
	}
	status, err := x.head(&i, &w, offset, length, parts)
	if err != nil {
		return err
	}
	x.w.WriteHeader(status)
	return nil
}

// unless holds the read conditions against the object; what is not modified
// is answered with the headers that a cache wants.
func (x *request) unless(i *object.Info) error {
	err := onObject.check(x.R.Header, i)
	if f, ok := err.(*fault); ok && f.status == http.StatusNotModified { //nolint:errorlint // check's own
		h := x.w.Header()
		h["Etag"] = []string{quote(i.ETag)}
		h["Last-Modified"] = []string{i.Modified.UTC().Format(http.TimeFormat)}
	}
	return err
}

func (x *request) getObject() error {
	w, err := x.window()
	if err != nil {
		return err
	}
	c, parts, err := x.fetch(&w)
	if err != nil {
		return x.missing(err)
	}
	defer func() { _ = c.Body.Close() }() // what was read is what counts
	if err := x.unless(&c.Info); err != nil {
		return err
	}
	if w.asked && c.Info.Size == 0 {
		_, _, _, err := w.resolve(x, &c.Info)
		return err
	}
	status, err := x.head(&c.Info, &w, c.Offset, c.Length, parts)
	if err != nil {
		return err
	}
	x.w.WriteHeader(status)
	buf := copyBuffers.Get().(*[256 << 10]byte)
	defer copyBuffers.Put(buf)
	out := &taking{w: x.w, control: http.NewResponseController(x.W), idle: x.f.c.Idle}
	defer out.done()
	// Wrapped so that the pooled buffer is used, and not one of the server's.
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{c.Body}, buf[:])
	if err == nil && n != c.Length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// fetch opens what is wanted. For a part the object is looked at first, and again
// when it was replaced between the two.
func (x *request) fetch(w *window) (*object.Content, int, error) {
	at := x.address()
	if w.part == 0 {
		c, err := x.f.objects.Get(x.ctx, at, w.r)
		if !errors.Is(err, object.ErrRange) {
			return c, 0, err
		}
		i, err := x.f.objects.Head(x.ctx, at)
		if err != nil {
			return nil, 0, err
		}
		if err := x.unless(&i); err != nil {
			return nil, 0, err
		}
		if _, _, _, err = w.resolve(x, &i); err == nil {
			err = fail(errOperationAborted) // replaced by a longer one meanwhile
		}
		return nil, 0, err
	}
	const attempts = 5
	for range attempts {
		i, err := x.f.objects.Head(x.ctx, at)
		if err != nil {
			return nil, 0, err
		}
		if err := x.unless(&i); err != nil {
			return nil, 0, err
		}
		offset, length, parts, err := w.resolve(x, &i)
		if err != nil {
			return nil, 0, err
		}
		r := object.Range{Offset: offset, Length: length}
		if length == 0 {
			r = object.Range{}
		}
		c, err := x.f.objects.Get(x.ctx, at, r)
		if err != nil && !errors.Is(err, object.ErrRange) {
			return nil, 0, err
		}
		if err == nil && c.Info.ETag == i.ETag && c.Length == length {
			return c, parts, nil
		}
		if err == nil {
			_ = c.Body.Close()
		}
	}
	return nil, 0, fail(errOperationAborted)
}

func (x *request) deleteObject() error {
	var c object.If
	if v := x.R.Header.Get("If-Match"); v != "" {
		c.Match = unquote(v)
	}
	for _, name := range []string{"X-Amz-If-Match-Last-Modified-Time", "X-Amz-If-Match-Size"} {
		if x.R.Header.Get(name) != "" {
			return notBuilt("Deleting by size or time")
		}
	}
	if err := x.f.objects.Delete(x.ctx, x.address(), c); err != nil {
		return err
	}
	return x.empty(http.StatusNoContent)
}

type deleteDocument struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key     string `xml:"Key"`
		Version string `xml:"VersionId"`
		ETag    string `xml:"ETag"`
	} `xml:"Object"`
}

const maxDeleteKeys = 1000

func (d *deleteDocument) check() error {
	if len(d.Objects) == 0 || len(d.Objects) > maxDeleteKeys {
		return fail(errMalformedXML)
	}
	return nil
}

// deleteLanes is how many keys are deleted at a time: writers that meet share one
// fsync in the object store.
const deleteLanes = 16

func (x *request) deleteObjects() error {
	in, err := x.integrity()
	if err != nil {
		return err
	}
	if in.md5 == "" && in.sum == nil {
		return say(errInvalidRequest, "Missing required header for this request: Content-MD5")
	}
	c, err := read[deleteDocument](x, maxDelete)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	errs := make([]error, len(c.Objects))
	next := make(chan int)
	var lanes sync.WaitGroup
	for range min(deleteLanes, len(c.Objects)) {
		lanes.Go(func() {
			for i := range next {
				errs[i] = x.deleteOne(c.Objects[i].Key, c.Objects[i].Version, c.Objects[i].ETag)
			}
		})
	}
	for i := range c.Objects {
		next <- i
	}
	close(next)
	lanes.Wait()
	var d document
	d.begin("DeleteResult", true)
	for i := range c.Objects {
		o := &c.Objects[i]
		if errs[i] == nil {
			if !c.Quiet {
				d.begin("Deleted", false)
				d.text("Key", o.Key)
				d.maybe("VersionId", o.Version)
				d.end("Deleted")
			}
			continue
		}
		f := x.faultOf(errs[i])
		if f.cause != nil {
			_ = x.Public(f.cause) // for its log line
		}
		d.begin("Error", false)
		d.text("Key", o.Key)
		d.maybe("VersionId", o.Version)
		d.text("Code", f.name)
		d.text("Message", f.text)
		d.end("Error")
	}
	d.end("DeleteResult")
	return x.answer(&d)
}

func (x *request) deleteOne(key, version, etag string) error {
	switch {
	case key == "" || len(key) > object.MaxKey:
		return fail(errKeyTooLong)
	case version != "" && version != "null":
		return fail(errNoSuchVersion)
	}
	if err := x.may(x.bucket, "s3:DeleteObject", x.arn(x.name, key), nil); err != nil {
		return err
	}
	return x.f.objects.Delete(x.ctx, object.Address{Bucket: x.bucket.address(), Key: key}, object.If{Match: unquote(etag)})
}

// getAttributes answers what the caller names of an object.
func (x *request) getAttributes() error {
	want := map[string]bool{}
	for _, v := range x.R.Header.Values("X-Amz-Object-Attributes") {
		for _, name := range strings.Split(v, ",") {
			switch name = strings.TrimSpace(name); name {
			case "":
			case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
				want[name] = true
			default:
				return say(errInvalidArgument, "Invalid attribute name specified.", "ArgumentName", "x-amz-object-attributes")
			}
		}
	}
	if len(want) == 0 {
		return say(errInvalidRequest, "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	i, err := x.f.objects.Head(x.ctx, x.address())
	if err != nil {
		return x.missing(err)
	}
	x.w.Header()["Last-Modified"] = []string{i.Modified.UTC().Format(http.TimeFormat)}
	a, sum, kind := checksum(i)
	var d document
	d.begin("GetObjectAttributesResponse", true)
	if want["ETag"] {
		d.text("ETag", i.ETag)
	}
	if want["Checksum"] && sum != "" {
		value, _, _ := strings.Cut(sum, "-")
		d.begin("Checksum", false)
		d.text("Checksum"+a.name, value)
		d.text("ChecksumType", kind)
		d.end("Checksum")
	}
	if want["ObjectParts"] && len(i.Parts) > 0 {
		if err := x.attributeParts(&d, &i, a); err != nil {
			return err
		}
	}
	if want["StorageClass"] {
		class := i.Attributes.System[systemClass]
		if class == "" {
			class = standard
		}
		d.text("StorageClass", class)
	}
	if want["ObjectSize"] {
		d.number("ObjectSize", i.Size)
	}
	d.end("GetObjectAttributesResponse")
	return x.answer(&d)
}

func (x *request) attributeParts(d *document, i *object.Info, a *algorithm) error {
	limit, after := maxPage, 0
	for _, p := range []struct {
		name string
		into *int
	}{{"X-Amz-Max-Parts", &limit}, {"X-Amz-Part-Number-Marker", &after}} {
		if v := x.R.Header.Get(p.name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return say(errInvalidArgument, "Argument "+strings.ToLower(p.name)+" must be an integer", "ArgumentName", strings.ToLower(p.name))
			}
			*p.into = n
		}
	}
	limit = min(limit, maxPage)
	composite := remember(i.Attributes.System[systemSum]).composite
	d.begin("ObjectParts", false)
	d.number("PartsCount", int64(len(i.Parts)))
	d.number("PartNumberMarker", int64(after))
	d.number("MaxParts", int64(limit))
	last, n := after, 0
	for k := after; k < len(i.Parts) && n < limit; k, n = k+1, n+1 {
		last = k + 1
		if !composite { // S3 tells of single parts only where it has checksums of them
			continue
		}
		d.begin("Part", false)
		d.number("PartNumber", int64(last))
		d.number("Size", i.Parts[k].Size)
		d.maybe("Checksum"+a.name, base64Of(a.of(i.Parts[k].Sums)))
		d.end("Part")
	}
	d.boolean("IsTruncated", last < len(i.Parts))
	d.number("NextPartNumberMarker", int64(last))
	d.end("ObjectParts")
	return nil
}
