package s3

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// What the object store has no field for lies in object.Attributes.System.
const (
	systemSum      = "sum"
	systemSSE      = "sse"
	systemClass    = "class"
	systemExpires  = "expires"
	systemRedirect = "redirect"
)

const (
	metaPrefix  = "X-Amz-Meta-"
	maxMeta     = 2 << 10 // bytes of names and values
	defaultType = "binary/octet-stream"
)

func (x *request) address() object.Address {
	return object.Address{Bucket: x.bucket.address(), Key: x.key}
}

// attributes reads what travels with an object from the headers of a write.
func (x *request) attributes() (object.Attributes, error) {
	h := x.R.Header
	a := object.Attributes{
		ContentType: h.Get("Content-Type"), ContentDisposition: h.Get("Content-Disposition"),
		ContentLanguage: h.Get("Content-Language"), CacheControl: h.Get("Cache-Control"),
	}
	if a.ContentType == "" {
		a.ContentType = defaultType
	}
	var codings []string
	for _, c := range strings.Split(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		if c = strings.TrimSpace(c); c != "" && c != "aws-chunked" {
			codings = append(codings, c)
		}
	}
	a.ContentEncoding = strings.Join(codings, ",")
	size := 0
	for name, values := range h {
		if !strings.HasPrefix(name, metaPrefix) {
			continue
		}
		k, v := strings.ToLower(name[len(metaPrefix):]), strings.Join(values, ",")
		if k == "" {
			return a, say(errInvalidArgument, "Metadata names cannot be empty", "ArgumentName", strings.ToLower(name))
		}
		size += len(k) + len(v)
		if a.User == nil {
			a.User = map[string]string{}
		}
		a.User[k] = v
	}
	if size > maxMeta {
		return a, fail(errMetadataTooLarge, "Size", itoa(size), "MaxSizeAllowed", itoa(maxMeta))
	}
	if v := h.Get("Expires"); v != "" {
		set(&a, systemExpires, v)
	}
	return a, x.storage(&a)
}

// storage reads the headers that say how an object is kept.
func (x *request) storage(a *object.Attributes) error {
	h := x.R.Header
	if err := x.noACL(); err != nil {
		return err
	}
	sse := h.Get("X-Amz-Server-Side-Encryption")
	if err := checkEncryption(sse); err != nil {
		return err
	}
	if h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "" {
		return say(errInvalidArgument, "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms", "ArgumentName", "x-amz-server-side-encryption")
	}
	if sse == "" && x.bucket.Encryption != nil {
		sse = x.bucket.Encryption.Algorithm
	}
	if sse != "" {
		set(a, systemSSE, sse)
	}
	switch class := h.Get("X-Amz-Storage-Class"); class {
	case "", "STANDARD":
	case "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "REDUCED_REDUNDANCY", "GLACIER_IR":
		set(a, systemClass, class)
	case "GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE":
		return notBuilt("Storage class " + class)
	default:
		return fail(errInvalidClass, "StorageClassRequested", class)
	}
	if v := h.Get("X-Amz-Website-Redirect-Location"); v != "" {
		if !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "http://") && !strings.HasPrefix(v, "https://") {
			return fail(errInvalidRedirect)
		}
		set(a, systemRedirect, v)
	}
	for _, name := range []string{"X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Object-Lock-Legal-Hold"} {
		if h.Get(name) != "" {
			return say(errInvalidRequest, "Bucket is missing Object Lock Configuration")
		}
	}
	return nil
}

func set(a *object.Attributes, name, value string) {
	if a.System == nil {
		a.System = map[string]string{}
	}
	a.System[name] = value
}

// overrides are the query parameters with which a signed reader replaces headers.
var overrides = []struct{ param, header string }{
	{"response-content-type", "Content-Type"}, {"response-content-language", "Content-Language"}, {"response-expires", "Expires"},
	{"response-cache-control", "Cache-Control"}, {"response-content-disposition", "Content-Disposition"}, {"response-content-encoding", "Content-Encoding"},
}

// describe sets the headers that tell of an object.
func (x *request) describe(i *object.Info) error {
	h := x.w.Header()
	h["Etag"] = []string{quote(i.ETag)}
	h["Last-Modified"] = []string{i.Modified.UTC().Format(http.TimeFormat)}
	h["Accept-Ranges"] = []string{"bytes"}
	a := &i.Attributes
	for _, kv := range [...][2]string{
		{"Content-Type", a.ContentType}, {"Content-Encoding", a.ContentEncoding}, {"Content-Disposition", a.ContentDisposition},
		{"Content-Language", a.ContentLanguage}, {"Cache-Control", a.CacheControl},
		{"Expires", a.System[systemExpires]}, {"X-Amz-Server-Side-Encryption", a.System[systemSSE]},
		{"X-Amz-Storage-Class", a.System[systemClass]}, {"X-Amz-Website-Redirect-Location", a.System[systemRedirect]},
	} {
		if kv[1] != "" {
			h[kv[0]] = []string{kv[1]}
		}
	}
	if a.ContentType == "" {
		h["Content-Type"] = []string{defaultType}
	}
	for k, v := range a.User {
		h["x-amz-meta-"+k] = []string{v} // not in Go's spelling: boto3 takes names as they come
	}
	if i.TagCount > 0 {
		h["X-Amz-Tagging-Count"] = []string{strconv.Itoa(i.TagCount)}
	}
	for _, o := range overrides {
		v := x.query.Get(o.param)
		if v == "" {
			continue
		}
		if x.caller == nil {
			return say(errInvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
		}
		if strings.ContainsFunc(v, control) {
			return say(errInvalidArgument, "Header value cannot be represented using ISO-8859-1.", "ArgumentName", o.param)
		}
		h[o.header] = []string{v}
	}
	return nil
}

// kept answers what a write did with its storage headers.
func (x *request) kept(a *object.Attributes) {
	h := x.w.Header()
	if v := a.System[systemSSE]; v != "" {
		h["X-Amz-Server-Side-Encryption"] = []string{v}
	}
	if v := a.System[systemClass]; v != "" {
		h["X-Amz-Storage-Class"] = []string{v}
	}
}

// wantsChecksum reports whether a reader asked for the checksum.
func (x *request) wantsChecksum() bool {
	return slices.ContainsFunc(x.R.Header.Values("X-Amz-Checksum-Mode"), func(v string) bool { return strings.EqualFold(v, "ENABLED") })
}
