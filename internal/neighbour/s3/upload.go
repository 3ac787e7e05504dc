package s3

import (
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
	if x.R.Header.Get("X-Amz-Checksum-Algorithm") != "" {
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
			return r, say(errInvalidRequest, unknownAlgorithm)
		}
		r.composite = r.sum.name != usual
	}
	kind := strings.ToUpper(h.Get("X-Amz-Checksum-Type"))
	switch {
	case kind == "":
	case kind != "COMPOSITE" && kind != "FULL_OBJECT":
		return r, say(errInvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	case h.Get("X-Amz-Checksum-Algorithm") == "":
		return r, say(errInvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case kind == "COMPOSITE" && r.sum.name == usual, kind == "FULL_OBJECT" && !r.sum.crc():
		return r, say(errInvalidRequest, "The "+kind+" checksum type cannot be used with the "+strings.ToLower(r.sum.name)+" checksum algorithm.")
	default:
		r.composite = kind == "COMPOSITE"
	}
	return r, nil
}

// begun is the checksum that an upload under way was begun with; sum is nil when
// its beginning named none, or where the store does not tell.
func (x *request) begun() (remembered, error) {
	u, err := x.f.objects.HeadUpload(x.ctx, x.uploadOf())
	if err != nil {
		return remembered{}, err
	}
	return begunWith(&u), nil
}

func begunWith(u *object.UploadInfo) remembered {
	v := u.Attributes.System[systemSum]
	if v == "" {
		return remembered{}
	}
	return remember(v)
}

// ofUpload holds the checksum of a part against that of its upload, and takes
// the upload's for a part that comes without.
func (in *integrity) ofUpload(r remembered) error {
	if r.sum == nil {
		return nil
	}
	sent := "null"
	if in.sum != nil {
		sent = strings.ToLower(in.sum.name)
	}
	if in.sum != r.sum && (in.sum != nil || r.composite) {
		return say(errInvalidRequest, "Checksum Type mismatch occurred, expected checksum Type: "+strings.ToLower(r.sum.name)+", actual checksum Type: "+sent)
	}
	in.sum = r.sum
	return nil
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
	r, err := x.begun()
	if err != nil {
		return err
	}
	if err := in.ofUpload(r); err != nil {
		return err
	}
	p, err := x.f.objects.PutPart(x.ctx, x.uploadOf(), n, withSum(x.body, in.sum), in.verify)
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
	Number int    `xml:"PartNumber"`
	ETag   string `xml:"ETag"`
	Others []struct {
		XMLName xml.Name
		Value   string `xml:",chardata"`
	} `xml:",any"`
}

const badPartSum = "Invalid Base64 or multiple checksums present in request"

// sum is the checksum that the client says of the part; a is nil for none.
func (c *completePart) sum() (a *algorithm, hexed string, err error) {
	for i := range c.Others {
		name, ok := strings.CutPrefix(c.Others[i].XMLName.Local, "Checksum")
		of := algorithmOf(name)
		if !ok || of == nil {
			continue
		}
		if a != nil {
			return nil, "", say(errInvalidArgument, badPartSum, "ArgumentName", "ChecksumPart")
		}
		v := strings.TrimSpace(c.Others[i].Value)
		if a, hexed = of, hexOf(v, of.size); hexed == "" {
			return nil, "", say(errInvalidArgument, badPartSum, "ArgumentName", "ChecksumPart", "ArgumentValue", v)
		}
	}
	return a, hexed, nil
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
	upload, err := x.begun()
	if err != nil {
		if errors.Is(err, object.ErrNoUpload) {
			return nil // CompleteUpload says so, or finds it done
		}
		return err
	}
	p, err := x.promise(upload)
	if err != nil {
		return err
	}
	detailed := p.whole != nil || p.size >= 0 || upload.sum != nil
	for i := range c.Parts {
		a, _, err := c.Parts[i].sum()
		if err != nil {
			return err
		}
		detailed = detailed || a != nil
	}
	if !detailed {
		return nil
	}
	there, err := x.partsOf(x.uploadOf())
	if err != nil {
		return err
	}
	var used []object.Part
	var total int64
	for i := range c.Parts {
		part, ok := there[c.Parts[i].Number]
		if !ok {
			return fail(errInvalidPart, "PartNumber", itoa(c.Parts[i].Number), "ETag", unquote(c.Parts[i].ETag))
		}
		if err := c.Parts[i].check(&part, upload); err != nil {
			return err
		}
		used, total = append(used, part), total+part.Size
	}
	return p.check(used, total, upload)
}

// check holds what is said of a part against the part.
func (c *completePart) check(p *object.Part, upload remembered) error {
	a, want, _ := c.sum()
	switch {
	case a == nil && upload.sum != nil && upload.composite:
		name := strings.ToLower(upload.sum.name)
		return say(errInvalidRequest, "The upload was created using a "+name+" checksum. The complete request must include the checksum for each part. It was missing for part "+itoa(p.Number)+" in the request.")
	case a == nil || a.of(p.Sums) == want:
		return nil
	case upload.sum != nil && upload.sum != a:
		return say(errBadDigest, "The "+strings.ToLower(a.name)+" you specified for part "+itoa(p.Number)+" did not match what we received.")
	}
	return fail(errInvalidPart, "PartNumber", itoa(p.Number), "ETag", p.ETag)
}

// partsOf returns the parts of an upload by their numbers.
func (x *request) partsOf(u object.Upload) (map[int]object.Part, error) {
	there := map[int]object.Part{}
	for after, more := 0, true; more; {
		var parts []object.Part
		var err error
		if parts, more, err = x.f.objects.ListParts(x.ctx, u, after, maxPage); err != nil {
			return nil, err
		}
		for _, p := range parts {
			there[p.Number], after = p, p.Number
		}
		more = more && len(parts) > 0
	}
	return there, nil
}

// promise is what the headers of a completion say of the object.
type promise struct {
	whole *algorithm // nil: no checksum
	value string     // of it, as sent
	kind  string
	size  int64 // -1: not said
}

func (x *request) promise(upload remembered) (*promise, error) {
	h := x.R.Header
	p := &promise{size: -1}
	for i := range algorithms {
		v := h.Get(algorithms[i].header)
		if v == "" {
			continue
		}
		if p.whole != nil {
			return nil, say(errInvalidRequest, severalSums)
		}
		p.whole, p.value = &algorithms[i], v
	}
	if p.whole != nil {
		sum, count, parts := strings.Cut(p.value, "-")
		n, err := strconv.Atoi(count)
		if hexOf(sum, p.whole.size) == "" || parts && (err != nil || n < 1) {
			return nil, say(errInvalidRequest, "Value for "+strings.ToLower(p.whole.header)+" header is invalid.")
		}
	}
	p.kind = strings.ToUpper(h.Get("X-Amz-Checksum-Type"))
	switch {
	case p.kind != "" && p.kind != "COMPOSITE" && p.kind != "FULL_OBJECT":
		return nil, say(errInvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	case p.kind != "" && upload.sum != nil && p.kind != upload.kind():
		return nil, say(errInvalidRequest, "The upload was created using the "+upload.kind()+" checksum mode. The complete request must use the same checksum mode.")
	}
	if v := h.Get("X-Amz-Mp-Object-Size"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil:
			return nil, say(errInvalidRequest, "Value for x-amz-mp-object-size header is invalid.")
		case n < 0:
			return nil, say(errInvalidRequest, "Value for x-amz-mp-object-size header is less than zero: '"+v+"'")
		}
		p.size = n
	}
	return p, nil
}

func (p *promise) check(used []object.Part, total int64, upload remembered) error {
	if p.size >= 0 && p.size != total {
		return say(errInvalidRequest, "The provided 'x-amz-mp-object-size' header value "+itoa64(p.size)+" does not match what was computed: "+itoa64(total))
	}
	if p.whole == nil || upload.sum != nil && upload.sum != p.whole {
		return nil // S3 passes over a checksum of another algorithm
	}
	got := base64Of(p.whole.of(object.CombineParts(used)))
	if p.kind == "COMPOSITE" || upload.composite || !p.whole.crc() || strings.Contains(p.value, "-") {
		if got = p.whole.composite(used); !strings.Contains(p.value, "-") {
			got, _, _ = strings.Cut(got, "-")
		}
	}
	if got != p.value {
		return say(errBadDigest, "The "+strings.ToLower(p.whole.name)+" you specified did not match the calculated checksum.")
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
	if v := x.R.Header.Get("X-Amz-If-Match-Initiated-Time"); v != "" {
		u, err := x.f.objects.HeadUpload(x.ctx, x.uploadOf())
		if err != nil {
			return err
		}
		at, err := http.ParseTime(v)
		switch {
		case u.Started.IsZero():
			return notBuilt("Ending an upload by its time, with objects of another S3,")
		case err != nil || !u.Started.Truncate(time.Second).Equal(at.UTC()):
			return fail(errPreconditionFailed, "Condition", "x-amz-if-match-initiated-time")
		}
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
	r, err := x.begun()
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
	if r.sum != nil {
		d.text("ChecksumAlgorithm", r.sum.name)
		d.text("ChecksumType", r.kind())
	}
	for i := range parts {
		p := &parts[i]
		d.begin("Part", false)
		d.number("PartNumber", int64(p.Number))
		d.text("LastModified", stamp(p.Modified))
		d.text("ETag", quote(p.ETag))
		d.number("Size", p.Size)
		if r.sum != nil {
			d.maybe("Checksum"+r.sum.name, base64Of(r.sum.of(p.Sums)))
		}
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
		if r := begunWith(u); r.sum != nil {
			d.text("ChecksumAlgorithm", r.sum.name)
			d.text("ChecksumType", r.kind())
		}
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
