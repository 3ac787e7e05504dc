package s3

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// maxCopy is the largest object that one CopyObject or UploadPartCopy takes.
const maxCopy = 5 << 30

// source finds the object that is copied and asks whether it may be read.
func (x *request) source() (at object.Address, info object.Info, err error) {
	text := x.R.Header.Get("X-Amz-Copy-Source")
	text, version, versioned := strings.Cut(text, "?versionId=")
	if strings.HasPrefix(text, "arn:") {
		return at, info, notBuilt("A copy from an access point")
	}
	bad := say(errInvalidArgument, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "ArgumentName", "x-amz-copy-source", "ArgumentValue", x.R.Header.Get("X-Amz-Copy-Source"))
	if text, err = url.PathUnescape(text); err != nil || !utf8.ValidString(text) {
		return at, info, say(errInvalidArgument, "Invalid copy source encoding", "ArgumentName", "x-amz-copy-source", "ArgumentValue", x.R.Header.Get("X-Amz-Copy-Source"))
	}
	name, key, ok := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	if !ok || name == "" || key == "" {
		return at, info, bad
	}
	if versioned && version != "null" {
		return at, info, fail(errNoSuchVersion, "Key", key, "VersionId", version)
	}
	if !plausible(name) {
		return at, info, fail(errInvalidBucketName, "BucketName", name)
	}
	b, err := x.f.buckets.get(x.ctx, name)
	if err != nil {
		return at, info, err
	}
	if want := x.R.Header.Get("X-Amz-Source-Expected-Bucket-Owner"); want != "" && want != b.Account {
		return at, info, fail(errAccessDenied)
	}
	at = object.Address{Bucket: b.address(), Key: key}
	keys := map[string][]string{}
	if !x.free(b) {
		x.tagKeys(keys, at)
	}
	if err := x.may(b, "s3:GetObject", x.arn(name, key), keys); err != nil {
		return at, info, err
	}
	if info, err = x.f.objects.Head(x.ctx, at); err != nil {
		if denied := x.may(b, "s3:ListBucket", x.arn(name, ""), nil); denied != nil {
			return at, info, denied
		}
		return at, info, err
	}
	return at, info, onSource.check(x.R.Header, &info)
}

func (x *request) copyObject() error {
	h := x.R.Header
	keys := map[string][]string{}
	x.putKeys(keys)
	if err := x.may(x.bucket, "s3:PutObject", x.arn(x.name, x.key), keys); err != nil {
		return err
	}
	var again *algorithm // the checksum that the copy is to have
	if v := h.Get("X-Amz-Checksum-Algorithm"); v != "" {
		if again = algorithmOf(v); again == nil {
			return say(errInvalidRequest, unknownAlgorithm)
		}
	}
	from, src, err := x.source()
	if err != nil {
		return err
	}
	if src.Size > maxCopy {
		return say(errInvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	o := object.CopyOptions{Source: object.If{Match: src.ETag}}
	if o.If, err = writeIf(h); err != nil {
		return err
	}
	replaced, err := directive(h, "metadata")
	if err != nil {
		return err
	}
	retagged, err := directive(h, "tagging")
	if err != nil {
		return err
	}
	attrs, err := x.attributes()
	if err != nil {
		return err
	}
	changes := attrs.System[systemClass] != src.Attributes.System[systemClass] || h.Get("X-Amz-Server-Side-Encryption") != "" || attrs.System[systemRedirect] != ""
	if from == x.address() && !replaced && !retagged && !changes {
		return say(errInvalidRequest, "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if !replaced { // how it is kept is the request's to say all the same
		kept := src.Attributes
		kept.System = map[string]string{}
		for k, v := range src.Attributes.System {
			switch k {
			case systemSSE, systemClass, systemRedirect:
			default:
				kept.System[k] = v
			}
		}
		for _, k := range []string{systemSSE, systemClass, systemRedirect} {
			if v := attrs.System[k]; v != "" {
				kept.System[k] = v
			}
		}
		attrs = kept
	} else if v := src.Attributes.System[systemSum]; v != "" {
		set(&attrs, systemSum, v)
	}
	if again != nil {
		set(&attrs, systemSum, remembered{sum: again}.String())
	}
	o.Attributes = &attrs
	switch {
	case retagged:
		tags, err := x.taggingHeader()
		if err != nil {
			return err
		}
		if o.Tags = tags; tags == nil {
			o.Tags = map[string]string{}
		}
	case src.TagCount > 0:
		b, err := x.f.buckets.get(x.ctx, from.Bucket.Name)
		if err != nil {
			return err
		}
		if err := x.may(b, "s3:GetObjectTagging", x.arn(from.Bucket.Name, from.Key), nil); err != nil {
			return err
		}
		if err := x.may(x.bucket, "s3:PutObjectTagging", x.arn(x.name, x.key), nil); err != nil {
			return err
		}
	}
	var info object.Info
	if again != nil && again.of(src.Sums) == "" {
		info, err = x.rewrite(from, &src, again, o)
	} else {
		info, err = x.f.objects.Copy(x.ctx, from, x.address(), o)
	}
	if err != nil {
		return err
	}
	x.kept(&attrs)
	var d document
	d.begin("CopyObjectResult", true)
	d.text("LastModified", stamp(info.Modified))
	d.text("ETag", quote(info.ETag))
	if a, v, kind := checksum(info); v != "" {
		d.text("Checksum"+a.name, v)
		d.text("ChecksumType", kind)
	}
	d.end("CopyObjectResult")
	return x.answer(&d)
}

// rewrite copies through this server, to learn a checksum of the content that
// nobody has computed yet.
func (x *request) rewrite(from object.Address, src *object.Info, a *algorithm, o object.CopyOptions) (object.Info, error) {
	tags := o.Tags
	if tags == nil {
		var err error
		if tags, err = x.f.objects.Tags(x.ctx, from); err != nil {
			return object.Info{}, err
		}
	}
	c, err := x.f.objects.Get(x.ctx, from, object.Range{})
	if err != nil {
		return object.Info{}, err
	}
	defer func() { _ = c.Body.Close() }() // read to its end below, or given up
	if c.Info.ETag != src.ETag {
		return object.Info{}, fail(errOperationAborted)
	}
	return x.f.objects.Put(x.ctx, x.address(), withSum(c.Body, a), object.PutOptions{Attributes: *o.Attributes, Tags: tags, If: o.If, Verify: whole(c.Length)})
}

// whole refuses content of another length, which is a fault of the store.
func whole(length int64) func(int64, object.Sums) error {
	return func(size int64, _ object.Sums) error {
		if size != length {
			return fail(errInternal)
		}
		return nil
	}
}

func directive(h http.Header, of string) (replace bool, err error) {
	name := "x-amz-" + of + "-directive"
	switch v := h.Get(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, say(errInvalidArgument, "Unknown "+of+" directive.", "ArgumentName", name, "ArgumentValue", v)
	}
}

func (x *request) copyPart() error {
	if err := x.may(x.bucket, "s3:PutObject", x.arn(x.name, x.key), nil); err != nil {
		return err
	}
	n, err := partNumber(x.query.Get("partNumber"))
	if err != nil {
		return err
	}
	from, src, err := x.source()
	if err != nil {
		return err
	}
	var r object.Range
	if v := x.R.Header.Get("X-Amz-Copy-Source-Range"); v != "" {
		var ok bool
		if r, ok, err = readRange(v); err != nil || !ok || r.Length == 0 {
			return say(errInvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy", "ArgumentName", "x-amz-copy-source-range")
		}
		if r.Offset+r.Length > src.Size {
			return say(errInvalidArgument, "Range specified is not valid for source object of size: "+itoa64(src.Size), "ArgumentName", "x-amz-copy-source-range")
		}
	}
	if r.Length > maxCopy || r.Length == 0 && src.Size > maxCopy {
		return say(errInvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	c, err := x.f.objects.Get(x.ctx, from, r)
	if err != nil {
		return err
	}
	defer func() { _ = c.Body.Close() }() // read to its end below, or given up
	if c.Info.ETag != src.ETag {
		return fail(errOperationAborted)
	}
	upload, err := x.begun()
	if err != nil {
		return err
	}
	p, err := x.f.objects.PutPart(x.ctx, x.uploadOf(), n, withSum(c.Body, upload.sum), whole(c.Length))
	if err != nil {
		return err
	}
	var d document
	d.begin("CopyPartResult", true)
	d.text("LastModified", stamp(p.Modified))
	d.text("ETag", quote(p.ETag))
	if upload.sum != nil {
		d.maybe("Checksum"+upload.sum.name, base64Of(upload.sum.of(p.Sums)))
	}
	d.end("CopyPartResult")
	return x.answer(&d)
}
