package s3

import (
	"errors"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/object"
)

const (
	maxPage  = object.MaxList
	standard = "STANDARD"
)

// limit reads how many entries the caller wants, at most maxPage.
func (x *request) limit(name string) (int, error) {
	v := x.query.Get(name)
	if v == "" {
		return maxPage, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0, say(errInvalidArgument, "Provided "+name+" not an integer or within integer range", "ArgumentName", name, "ArgumentValue", v)
	}
	return min(int(n), maxPage), nil
}

// spelling is how keys are written: as they are, or with encoding-type=url.
func (x *request) spelling() (func(string) string, error) {
	switch v := x.query.Get("encoding-type"); v {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		return queryEscape, nil
	default:
		return nil, say(errInvalidArgument, "Invalid Encoding Method specified in Request", "ArgumentName", "encoding-type", "ArgumentValue", v)
	}
}

// page reads one page; nothing is read for a limit of 0.
func (x *request) page(o object.ListOptions) (object.Page, error) {
	if o.Limit == 0 {
		return object.Page{}, nil
	}
	p, err := x.f.objects.List(x.ctx, x.bucket.address(), o)
	if errors.Is(err, object.ErrInvalid) {
		return p, say(errInvalidArgument, "The continuation token provided is incorrect", "ArgumentName", "continuation-token", "ArgumentValue", o.Token)
	}
	return p, err
}

func (x *request) contents(d *document, p *object.Page, spell func(string) string, withOwner bool) {
	for i := range p.Objects {
		o := &p.Objects[i]
		d.begin("Contents", false)
		d.text("Key", spell(o.Key))
		d.text("LastModified", stamp(o.Modified))
		d.text("ETag", quote(o.ETag))
		d.number("Size", o.Size)
		if withOwner {
			d.person("Owner", x.bucket.Account)
		}
		d.text("StorageClass", standard)
		d.end("Contents")
	}
	d.folded(p, spell)
}

func (d *document) folded(p *object.Page, spell func(string) string) {
	for _, prefix := range p.Prefixes {
		d.begin("CommonPrefixes", false)
		d.text("Prefix", spell(prefix))
		d.end("CommonPrefixes")
	}
}

func (x *request) listObjectsV2() error {
	limit, err := x.limit("max-keys")
	if err != nil {
		return err
	}
	spell, err := x.spelling()
	if err != nil {
		return err
	}
	q := x.query
	o := object.ListOptions{Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), Token: q.Get("continuation-token"), Limit: limit}
	start := q.Get("start-after")
	o.After = after(start, o.Prefix, o.Delimiter)
	if q.Has("continuation-token") && o.Token == "" {
		return say(errInvalidArgument, "The continuation token provided is incorrect", "ArgumentName", "continuation-token", "ArgumentValue", "")
	}
	p, err := x.page(o)
	if err != nil {
		return err
	}
	var d document
	d.begin("ListBucketResult", true)
	d.text("Name", x.name)
	d.text("Prefix", spell(o.Prefix))
	d.number("KeyCount", int64(len(p.Objects)+len(p.Prefixes)))
	d.number("MaxKeys", int64(limit))
	if o.Delimiter != "" {
		d.text("Delimiter", spell(o.Delimiter))
	}
	d.maybe("EncodingType", q.Get("encoding-type"))
	d.maybe("StartAfter", spell(start))
	d.maybe("ContinuationToken", o.Token)
	d.boolean("IsTruncated", p.Next != "")
	d.maybe("NextContinuationToken", p.Next)
	x.contents(&d, &p, spell, q.Get("fetch-owner") == "true")
	d.end("ListBucketResult")
	x.w.Header().Set("X-Amz-Bucket-Region", x.bucket.Region)
	return x.answer(&d)
}

// after turns the marker of a page into the place where the next one begins. A
// marker that is a folded prefix stands for all that it folds.
func after(marker, prefix, delimiter string) string {
	if delimiter != "" && strings.HasPrefix(marker, prefix) {
		if i := strings.Index(marker[len(prefix):], delimiter); i >= 0 {
			return marker[:len(prefix)+i+len(delimiter)] + "\xff" // no key has this byte
		}
	}
	return marker
}

// last is the last entry of a page, key or prefix.
func last(p *object.Page) string {
	var l string
	if n := len(p.Objects); n > 0 {
		l = p.Objects[n-1].Key
	}
	if n := len(p.Prefixes); n > 0 {
		l = max(l, p.Prefixes[n-1])
	}
	return l
}

func (x *request) listObjects() error {
	limit, err := x.limit("max-keys")
	if err != nil {
		return err
	}
	spell, err := x.spelling()
	if err != nil {
		return err
	}
	q := x.query
	marker := q.Get("marker")
	o := object.ListOptions{Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), Limit: limit}
	o.After = after(marker, o.Prefix, o.Delimiter)
	p, err := x.page(o)
	if err != nil {
		return err
	}
	var d document
	d.begin("ListBucketResult", true)
	d.text("Name", x.name)
	d.text("Prefix", spell(o.Prefix))
	d.text("Marker", spell(marker))
	if p.Next != "" && o.Delimiter != "" {
		d.text("NextMarker", spell(last(&p)))
	}
	d.number("MaxKeys", int64(limit))
	if o.Delimiter != "" {
		d.text("Delimiter", spell(o.Delimiter))
	}
	d.maybe("EncodingType", q.Get("encoding-type"))
	d.boolean("IsTruncated", p.Next != "")
	x.contents(&d, &p, spell, true)
	d.end("ListBucketResult")
	x.w.Header().Set("X-Amz-Bucket-Region", x.bucket.Region)
	return x.answer(&d)
}

// listVersions shows each object as its only version.
func (x *request) listVersions() error {
	limit, err := x.limit("max-keys")
	if err != nil {
		return err
	}
	spell, err := x.spelling()
	if err != nil {
		return err
	}
	q := x.query
	marker := q.Get("key-marker")
	o := object.ListOptions{Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), Limit: limit}
	o.After = after(marker, o.Prefix, o.Delimiter)
	p, err := x.page(o)
	if err != nil {
		return err
	}
	var d document
	d.begin("ListVersionsResult", true)
	d.text("Name", x.name)
	d.text("Prefix", spell(o.Prefix))
	d.text("KeyMarker", spell(marker))
	d.text("VersionIdMarker", q.Get("version-id-marker"))
	if p.Next != "" {
		d.text("NextKeyMarker", spell(last(&p)))
		d.text("NextVersionIdMarker", "null")
	}
	d.number("MaxKeys", int64(limit))
	if o.Delimiter != "" {
		d.text("Delimiter", spell(o.Delimiter))
	}
	d.maybe("EncodingType", q.Get("encoding-type"))
	d.boolean("IsTruncated", p.Next != "")
	for i := range p.Objects {
		v := &p.Objects[i]
		d.begin("Version", false)
		d.text("Key", spell(v.Key))
		d.text("VersionId", "null")
		d.boolean("IsLatest", true)
		d.text("LastModified", stamp(v.Modified))
		d.text("ETag", quote(v.ETag))
		d.number("Size", v.Size)
		d.person("Owner", x.bucket.Account)
		d.text("StorageClass", standard)
		d.end("Version")
	}
	d.folded(&p, spell)
	d.end("ListVersionsResult")
	return x.answer(&d)
}
