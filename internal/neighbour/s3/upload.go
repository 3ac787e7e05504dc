package s3

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/object"
)

func (x *request) uploadOf() object.Upload {
	return object.Upload{Address: x.address(), ID: x.query.Get("uploadId")}
}

func partNumber(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > object.MaxPart {
		return 0, say(errInvalidArgument, "Part number must be an integer between 1 and 10000, inclusive", "ArgumentName", "partNumber", "ArgumentValue", v)
	}
	return n, nil
}

func (x *request) createUpload() error {
	attrs, err := x.attributes()
	if err != nil {
		return err
	}
	tags, err := x.taggingHeader()
	if err != nil {
		return err
	}
	r, err := x.uploadChecksum()
	if err != nil {
		return err
	}
	if r.composite || r.sum.name != usual {
		set(&attrs, systemSum, r.String())
	}
	u, err := x.f.objects.StartUpload(x.ctx, x.address(), attrs, tags)
	if err != nil {
		return err
	}
	h := x.w.Header()
	x.kept(&attrs)
	if x.R.Header.Get("X-Amz-Checksum-Algorithm") != "" {
		h["X-Amz-Checksum-Algorithm"] = []string{r.sum.name}
		h["X-Amz-Checksum-Type"] = []string{r.kind()}
	}
	var d document
	d.begin("InitiateMultipartUploadResult", true)
	d.text("Bucket", x.name)
	d.text("Key", x.key)
	d.text("UploadId", u.ID)
	d.end("InitiateMultipartUploadResult")
	return x.answer(&d)
}

func (r remembered) kind() string {
	if r.composite {
		return "COMPOSITE"
	}
	return "FULL_OBJECT"
}

// uploadChecksum is the checksum that the object of an upload will have.
func (x *request) uploadChecksum() (remembered, error) {
	h := x.R.Header
	r := remembered{sum: algorithmOf(usual)}
	if v := h.Get("X-Amz-Checksum-Algorithm"); v != "" {
		if r.sum = algorithmOf(v); r.sum == nil {
			return r, say(errInvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		r.composite = r.sum.name != usual
	}
	kind := strings.ToUpper(h.Get("X-Amz-Checksum-Type"))
	switch {
	case kind == "":
	case h.Get("X-Amz-Checksum-Algorithm") == "":
		return r, say(errInvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case kind == "COMPOSITE" && r.sum.name == usual, kind == "FULL_OBJECT" && strings.HasPrefix(r.sum.name, "SHA"):
		return r, say(errInvalidRequest, "The "+kind+" checksum type cannot be used with the "+strings.ToLower(r.sum.name)+" checksum algorithm.")
	case kind != "COMPOSITE" && kind != "FULL_OBJECT":
		return r, say(errInvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	default:
		r.composite = kind == "COMPOSITE"
	}
	if r.sum.name == "SHA1" {
		return r, notBuilt("SHA-1 as the checksum of an upload in parts")
	}
	return r, nil
}

func (x *request) putPart() error {
	n, err := partNumber(x.query.Get("partNumber"))
	if err != nil {
		return err
	}
	in, err := x.upload()
	if err != nil {
		return err
	}
	p, err := x.f.objects.PutPart(x.ctx, x.uploadOf(), n, in.reader(x.body), in.verify)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h["Etag"] = []string{quote(p.ETag)}
	if in.sum != nil {
		in.echo(h, p.Sums)
		delete(h, "X-Amz-Checksum-Type")
	}
	return x.empty(http.StatusOK)
}

type completeDocument struct {
	XMLName xml.Name       `xml:"CompleteMultipartUpload"`
	Parts   []completePart `xml:"Part"`
}

type completePart struct {
	Number    int    `xml:"PartNumber"`
	ETag      string `xml:"ETag"`
	CRC32     string `xml:"ChecksumCRC32"`
	CRC32C    string `xml:"ChecksumCRC32C"`
	CRC64NVME string `xml:"ChecksumCRC64NVME"`
	SHA1      string `xml:"ChecksumSHA1"`
	SHA256    string `xml:"ChecksumSHA256"`
}

func (c *completePart) sums() object.Sums {
	h := func(v string, size int) string {
		if v == "" {
			return ""
		}
		return cmp.Or(hexOf(v, size), "none")
	}
	return object.Sums{CRC32: h(c.CRC32, 4), CRC32C: h(c.CRC32C, 4), CRC64NVME: h(c.CRC64NVME, 8), SHA256: h(c.SHA256, 32)}
}

func (c *completeDocument) refs() ([]object.PartRef, error) {
	if len(c.Parts) == 0 || len(c.Parts) > object.MaxPart {
		return nil, fail(errMalformedXML)
	}
	refs, before := make([]object.PartRef, len(c.Parts)), 0
	for i := range c.Parts {
		p := &c.Parts[i]
		if p.Number < 1 || p.Number > object.MaxPart {
			return nil, say(errInvalidArgument, "PartNumber must be >= 1", "ArgumentName", "partNumber", "ArgumentValue", itoa(p.Number))
		}
		if p.Number <= before {
			return nil, fail(errInvalidPartOrder)
		}
		before = p.Number
		if p.ETag == "" {
			return nil, fail(errMalformedXML)
		}
		refs[i] = object.PartRef{Number: p.Number, ETag: unquote(p.ETag)}
	}
	return refs, nil
}

func (x *request) completeUpload() error {
	b, err := x.gatherPlain(maxComplete)
	if err != nil {
		return err
	}
	c, err := decode[completeDocument](b)
	if err != nil {
		return err
	}
	refs, err := c.refs()
	if err != nil {
		return err
	}
	cond, err := writeIf(x.R.Header)
	if err != nil {
		return err
	}
	if err := x.promised(&c); err != nil {
		return err
	}
	info, err := x.f.objects.CompleteUpload(x.ctx, x.uploadOf(), refs, cond)
	if errors.Is(err, object.ErrNoUpload) {
		// A client that has missed the answer asks again.
		if was, herr := x.f.objects.Head(x.ctx, x.address()); herr == nil && was.ETag == etagOf(refs) {
			info, err = was, nil
		}
	}
	if err != nil {
		return err
	}
	x.kept(&info.Attributes)
	var d document
	d.begin("CompleteMultipartUploadResult", true)
	scheme := "http"
	if x.R.TLS != nil {
		scheme = "https"
	}
	d.text("Location", scheme+"://"+x.R.Host+"/"+x.name+"/"+queryEscape(x.key))
	d.text("Bucket", x.name)
	d.text("Key", x.key)
	d.text("ETag", quote(info.ETag))
	if a, v, kind := checksum(info); v != "" {
		d.text("Checksum"+a.name, v)
		d.text("ChecksumType", kind)
	}
	d.end("CompleteMultipartUploadResult")
	return x.answer(&d)
}

// gatherPlain is gather for an operation whose checksum headers speak of the
// object and not of the body.
func (x *request) gatherPlain(limit int64) ([]byte, error) {
	h := x.R.Header
	x.R.Header = http.Header{"Content-Md5": h["Content-Md5"], "X-Amz-Content-Sha256": h["X-Amz-Content-Sha256"], "X-Amz-Decoded-Content-Length": h["X-Amz-Decoded-Content-Length"]}
	defer func() { x.R.Header = h }()
	return x.gather(limit)
}

// promised holds what the client says of checksums and size against the parts
// that are there, before they become an object.
func (x *request) promised(c *completeDocument) error {
	h := x.R.Header
	var whole *algorithm
	value := ""
	for i := range algorithms {
		if v := h.Get(algorithms[i].header); v != "" {
			if whole != nil {
				return say(errInvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
			}
			whole, value = &algorithms[i], v
		}
	}
	kind := strings.ToUpper(h.Get("X-Amz-Checksum-Type"))
	if kind != "" && kind != "COMPOSITE" && kind != "FULL_OBJECT" {
		return say(errInvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	}
	size := h.Get("X-Amz-Mp-Object-Size")
	detailed := whole != nil || size != ""
	for i := range c.Parts {
		if c.Parts[i].SHA1 != "" {
			return notBuilt("SHA-1 as the checksum of an upload in parts")
		}
		detailed = detailed || c.Parts[i].sums() != object.Sums{}
	}
	if !detailed {
		return nil
	}
	there := map[int]object.Part{}
	for after, more := 0, true; more; {
		var parts []object.Part
		var err error
		if parts, more, err = x.f.objects.ListParts(x.ctx, x.uploadOf(), after, maxPage); err != nil {
			if errors.Is(err, object.ErrNoUpload) {
				return nil // CompleteUpload says so, or finds it done
			}
			return err
		}
		for _, p := range parts {
			there[p.Number], after = p, p.Number
		}
		more = more && len(parts) > 0
	}
	var used []object.Part
	var total int64
	for i := range c.Parts {
		p, ok := there[c.Parts[i].Number]
		if !ok {
			return fail(errInvalidPart, "PartNumber", itoa(c.Parts[i].Number), "ETag", unquote(c.Parts[i].ETag))
		}
		want := c.Parts[i].sums()
		for j := range algorithms {
			a := &algorithms[j]
			if w, got := a.of(want), a.of(p.Sums); w != "" && w != got {
				return fail(errInvalidPart, "PartNumber", itoa(p.Number), "ETag", p.ETag)
			}
		}
		used, total = append(used, p), total+p.Size
	}
	if size != "" && size != itoa64(total) {
		return say(errInvalidRequest, "The provided 'x-amz-mp-object-size' header value "+size+" does not match what was computed: "+itoa64(total))
	}
	if whole == nil {
		return nil
	}
	got := base64Of(whole.of(object.CombineParts(used)))
	if kind == "COMPOSITE" || strings.HasPrefix(whole.name, "SHA") || strings.Contains(value, "-") {
		if got = whole.composite(used); !strings.Contains(value, "-") {
			got, _, _ = strings.Cut(got, "-")
		}
	}
	if got != value {
		return say(errBadDigest, "The "+strings.ToLower(whole.name)+" you specified did not match the calculated checksum.")
	}
	return nil
}

// etagOf is the ETag that an object made of the parts has.
func etagOf(refs []object.PartRef) string {
	h := md5.New()
	for _, r := range refs {
		b, err := hex.DecodeString(r.ETag)
		if err != nil {
			return ""
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + itoa(len(refs))
}

func (x *request) abortUpload() error {
	if x.R.Header.Get("X-Amz-If-Match-Initiated-Time") != "" {
		return notBuilt("Ending an upload by its time")
	}
	if err := x.f.objects.AbortUpload(x.ctx, x.uploadOf()); err != nil {
		return err
	}
	return x.empty(http.StatusNoContent)
}

func (x *request) listParts() error {
	limit, err := x.limit("max-parts")
	if err != nil {
		return err
	}
	marker := 0
	if v := x.query.Get("part-number-marker"); v != "" {
		if marker, err = strconv.Atoi(v); err != nil || marker < 0 {
			return say(errInvalidArgument, "Provided part-number-marker not an integer or within integer range", "ArgumentName", "part-number-marker", "ArgumentValue", v)
		}
	}
	spell, err := x.spelling()
	if err != nil {
		return err
	}
	parts, more, err := x.f.objects.ListParts(x.ctx, x.uploadOf(), marker, max(limit, 1))
	if err != nil {
		return err
	}
	if limit == 0 {
		parts, more = nil, false
	}
	var d document
	d.begin("ListPartsResult", true)
	d.text("Bucket", x.name)
	d.text("Key", spell(x.key))
	d.text("UploadId", x.query.Get("uploadId"))
	d.person("Initiator", x.bucket.Account)
	d.person("Owner", x.bucket.Account)
	d.text("StorageClass", standard)
	d.number("PartNumberMarker", int64(marker))
	if n := len(parts); n > 0 {
		d.number("NextPartNumberMarker", int64(parts[n-1].Number))
	}
	d.number("MaxParts", int64(limit))
	d.boolean("IsTruncated", more)
	for i := range parts {
		p := &parts[i]
		d.begin("Part", false)
		d.number("PartNumber", int64(p.Number))
		d.text("LastModified", stamp(p.Modified))
		d.text("ETag", quote(p.ETag))
		d.number("Size", p.Size)
		d.end("Part")
	}
	d.end("ListPartsResult")
	return x.answer(&d)
}

func (x *request) listUploads() error {
	limit, err := x.limit("max-uploads")
	if err != nil {
		return err
	}
	spell, err := x.spelling()
	if err != nil {
		return err
	}
	q := x.query
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	keyMarker, idMarker := q.Get("key-marker"), q.Get("upload-id-marker")
	at, err := x.uploadsAfter(keyMarker, idMarker, prefix, delimiter)
	if err != nil {
		return err
	}
	var (
		shown []object.UploadInfo
		folds object.Page
		n     int
		more  bool
		lastK string
		lastI string
	)
	for rest := limit > 0; rest && !more; {
		var batch []object.UploadInfo
		if batch, rest, err = x.f.objects.ListUploads(x.ctx, x.bucket.address(), prefix, at, maxPage); err != nil {
			return err
		}
		for _, u := range batch {
			at = u
			fold := ""
			if delimiter != "" {
				if i := strings.Index(u.Key[len(prefix):], delimiter); i >= 0 {
					fold = u.Key[:len(prefix)+i+len(delimiter)]
				}
			}
			if fold != "" && len(folds.Prefixes) > 0 && folds.Prefixes[len(folds.Prefixes)-1] == fold {
				continue
			}
			if n == limit {
				more = true
				break
			}
			n++
			if fold != "" {
				folds.Prefixes = append(folds.Prefixes, fold)
				lastK, lastI = fold, ""
				continue
			}
			shown = append(shown, u)
			lastK, lastI = u.Key, u.ID
		}
	}
	var d document
	d.begin("ListMultipartUploadsResult", true)
	d.text("Bucket", x.name)
	d.text("KeyMarker", spell(keyMarker))
	d.text("UploadIdMarker", idMarker)
	if more {
		d.text("NextKeyMarker", spell(lastK))
		d.text("NextUploadIdMarker", lastI)
	}
	d.text("Prefix", spell(prefix))
	if delimiter != "" {
		d.text("Delimiter", spell(delimiter))
	}
	d.maybe("EncodingType", q.Get("encoding-type"))
	d.number("MaxUploads", int64(limit))
	d.boolean("IsTruncated", more)
	for i := range shown {
		u := &shown[i]
		d.begin("Upload", false)
		d.text("Key", spell(u.Key))
		d.text("UploadId", u.ID)
		d.person("Initiator", x.bucket.Account)
		d.person("Owner", x.bucket.Account)
		d.text("StorageClass", standard)
		d.text("Initiated", stamp(u.Started))
		d.end("Upload")
	}
	d.folded(&folds, spell)
	d.end("ListMultipartUploadsResult")
	return x.answer(&d)
}

// uploadsAfter is the place in the object store's order where a page begins. The
// store orders uploads of one key by their start, so a marker with an id is looked
// up; without one all uploads of the key are past.
func (x *request) uploadsAfter(key, id, prefix, delimiter string) (object.UploadInfo, error) {
	if key == "" {
		return object.UploadInfo{}, nil
	}
	if id != "" {
		var at object.UploadInfo
		for more := true; more; {
			var batch []object.UploadInfo
			var err error
			if batch, more, err = x.f.objects.ListUploads(x.ctx, x.bucket.address(), key, at, maxPage); err != nil {
				return at, err
			}
			for _, u := range batch {
				if u.Key != key {
					more = false
					break
				}
				if at = u; u.ID == id {
					return u, nil
				}
			}
		}
	}
	return object.UploadInfo{Key: after(key, prefix, delimiter), ID: "\xff", Started: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
}
