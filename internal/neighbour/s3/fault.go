package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// code is one of S3's error codes with its status and usual text.
type code struct {
	name   string
	status int
	text   string
}

// fault is a refusal: a code, its text, and further elements of the answer.
type fault struct {
	code

	extra []string // names and values
	cause error    // for the log
}

func (f *fault) Error() string { return f.name + ": " + f.text }

func (f *fault) Unwrap() error { return f.cause }

func fail(c code, extra ...string) *fault { return &fault{code: c, extra: extra} }

func (f *fault) with(extra ...string) *fault {
	f.extra = append(f.extra, extra...)
	return f
}

// say is fail with a text of its own.
func say(c code, text string, extra ...string) *fault {
	c.text = text
	return &fault{code: c, extra: extra}
}

// The codes, with S3's texts: programs and people look for both.
var (
	errAccessDenied       = code{"AccessDenied", 403, "Access Denied"}
	errAuthHeader         = code{"AuthorizationHeaderMalformed", 400, "The authorization header is malformed"}
	errAuthQuery          = code{"AuthorizationQueryParametersError", 400, "The authorization parameters are malformed"}
	errACL                = code{"AccessControlListNotSupported", 400, "The bucket does not allow ACLs"}
	errBadDigest          = code{"BadDigest", 400, "The Content-MD5 you specified did not match what we received."}
	errBadRequest         = code{"BadRequest", 400, "Bad Request"}
	errBucketExists       = code{"BucketAlreadyExists", 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}
	errBucketOwned        = code{"BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it."}
	errBucketNotEmpty     = code{"BucketNotEmpty", 409, "The bucket you tried to delete is not empty"}
	errCORSForbidden      = code{"AccessForbidden", 403, "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."}
	errEntityTooLarge     = code{"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"}
	errEntityTooSmall     = code{"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"}
	errIllegalLocation    = code{"IllegalLocationConstraintException", 400, "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."}
	errIncompleteBody     = code{"IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header"}
	errInternal           = code{"InternalError", 500, "We encountered an internal error. Please try again."}
	errInvalidArgument    = code{"InvalidArgument", 400, "Invalid Argument"}
	errInvalidBucketName  = code{"InvalidBucketName", 400, "The specified bucket is not valid."}
	errInvalidDigest      = code{"InvalidDigest", 400, "The Content-MD5 you specified was invalid."}
	errInvalidLocation    = code{"InvalidLocationConstraint", 400, "The specified location-constraint is not valid"}
	errInvalidPart        = code{"InvalidPart", 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	errInvalidPartNumber  = code{"InvalidPartNumber", 416, "The requested partnumber is not satisfiable"}
	errInvalidPartOrder   = code{"InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number."}
	errInvalidRange       = code{"InvalidRange", 416, "The requested range is not satisfiable"}
	errInvalidRequest     = code{"InvalidRequest", 400, "Invalid Request"}
	errInvalidSSE         = code{"InvalidEncryptionAlgorithmError", 400, "The encryption request you specified is not valid. Supported value: AES256."}
	errInvalidClass       = code{"InvalidStorageClass", 400, "The storage class you specified is not valid"}
	errInvalidRedirect    = code{"InvalidRedirectLocation", 400, "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."}
	errInvalidTag         = code{"InvalidTag", 400, "The TagKey you have provided is invalid"}
	errInvalidURI         = code{"InvalidURI", 400, "Couldn't parse the specified URI."}
	errKeyTooLong         = code{"KeyTooLongError", 400, "Your key is too long"}
	errMalformedPolicy    = code{"MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'"}
	errMalformedTrailer   = code{"MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform to our published schema."}
	errMalformedXML       = code{"MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema"}
	errMetadataTooLarge   = code{"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"}
	errMethod             = code{"MethodNotAllowed", 405, "The specified method is not allowed against this resource."}
	errMissingLength      = code{"MissingContentLength", 411, "You must provide the Content-Length HTTP header."}
	errNoSuchBucket       = code{"NoSuchBucket", 404, "The specified bucket does not exist"}
	errNoSuchPolicy       = code{"NoSuchBucketPolicy", 404, "The bucket policy does not exist"}
	errNoSuchCORS         = code{"NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"}
	errNoSuchKey          = code{"NoSuchKey", 404, "The specified key does not exist."}
	errNoSuchBlock        = code{"NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"}
	errNoSuchOwnership    = code{"OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found"}
	errNoSuchTags         = code{"NoSuchTagSet", 404, "The TagSet does not exist"}
	errNoSuchUpload       = code{"NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	errNoSuchVersion      = code{"NoSuchVersion", 404, "The specified version does not exist."}
	errNotImplemented     = code{"NotImplemented", 501, "A header you provided implies functionality that is not implemented"}
	errOperationAborted   = code{"OperationAborted", 409, "A conflicting conditional operation is currently in progress against this resource. Please try again."}
	errPreconditionFailed = code{"PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"}
	errRequestTimeout     = code{"RequestTimeout", 400, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."}
	errSlowDown           = code{"SlowDown", 503, "Please reduce your request rate."}
	errFull               = code{"InsufficientStorage", 507, "There is no space left for objects on this server."}
	errNotModified        = code{"NotModified", 304, ""}
)

// handOn is how a refusal of what is not built ends.
const handOn = " is not served by this Outcrop. Start it with --neighbour s3=URL to hand S3 to another endpoint."

func notBuilt(what string) *fault { return say(errNotImplemented, what+handOn) }

// faultOf turns any error into what the caller sees.
func (x *request) faultOf(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	if a, ok := errors.AsType[*sigv4.Error](err); ok {
		return x.unauthentic(a)
	}
	for _, m := range ofStore {
		if errors.Is(err, m.err) {
			f := fail(m.code)
			switch {
			case errors.Is(m.err, object.ErrNoBucket):
				f.extra = []string{"BucketName", x.name}
			case errors.Is(m.err, object.ErrNotFound):
				f.extra = []string{"Key", x.key}
			case errors.Is(m.err, object.ErrNoUpload):
				f.extra = []string{"UploadId", x.query.Get("uploadId")}
			}
			return f
		}
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(errIncompleteBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fail(errRequestTimeout)
	}
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fail(errEntityTooLarge, "MaxSizeAllowed", itoa64(tooBig.Limit))
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind != apierr.InternalServer {
		if e.Kind == apierr.AccessDenied || e.Kind == apierr.UnrecognizedClient {
			return say(errAccessDenied, e.Message)
		}
		return say(errInvalidRequest, e.Message)
	}
	return &fault{code: errInternal, cause: err}
}

var ofStore = []struct {
	err  error
	code code
}{
	{object.ErrNotFound, errNoSuchKey},
	{object.ErrNoBucket, errNoSuchBucket},
	{object.ErrNoUpload, errNoSuchUpload},
	{object.ErrNotEmpty, errBucketNotEmpty},
	{object.ErrPrecondition, errPreconditionFailed},
	{object.ErrRange, errInvalidRange},
	{object.ErrPart, errInvalidPart},
	{object.ErrTooSmall, errEntityTooSmall},
	{object.ErrFull, errFull},
	{object.ErrInvalid, errInvalidArgument},
	{store.ErrConflict, errOperationAborted},
	{store.ErrFull, errFull},
	{store.ErrBusy, errSlowDown},
}

// unauthentic is the answer to a request that was not authenticated. A mismatch
// shows what was computed, for a person with a wrong key or clock.
func (x *request) unauthentic(e *sigv4.Error) *fault {
	if e.Reason == sigv4.Incomplete || e.Reason == sigv4.BadScope {
		if f := x.malformed(e); f != nil {
			return f
		}
	}
	name, status := e.Code(sigv4.S3)
	f := &fault{code: code{name, status, e.Message}, cause: e.Err}
	if e.AccessKeyID != "" {
		f.extra = append(f.extra, "AWSAccessKeyId", e.AccessKeyID)
	}
	switch e.Reason {
	case sigv4.UnknownKey:
		f.text = "The AWS Access Key Id you provided does not exist in our records."
	case sigv4.HeadersUnsigned:
		f.text, f.extra = textUnsigned, append(f.extra, "HeadersNotSigned", x.unsigned())
	case sigv4.BadToken:
		f.text = "The provided token is malformed or otherwise invalid."
	case sigv4.LengthMismatch:
		if _, err := strconv.ParseInt(x.R.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err != nil {
			return fail(errMissingLength)
		}
		f.text, f.extra = errIncompleteBody.text, append(f.extra, "Detail", e.Message)
	case sigv4.ChunkMalformed:
		f.text, f.extra = "The request body terminated unexpectedly", append(f.extra, "Detail", e.Message)
	case sigv4.Mismatch:
		f.text = textMismatch
		f.extra = append(f.extra, "StringToSign", e.StringToSign, "CanonicalRequest", e.CanonicalRequest)
	case sigv4.PayloadMismatch:
		if x.R.Header.Get("X-Amz-Content-Sha256") == "" {
			f.name = "InvalidRequest"
		}
	case sigv4.SignatureExpired, sigv4.SignatureNotYet:
		f.text = "The difference between the request time and the current time is too large."
		f.extra = append(f.extra, "ServerTime", x.f.c.Now().UTC().Format(isoTime))
	default: // the error's own text says it all
	}
	return f
}

// refuse answers an error and returns it as the record of the request wants it.
func (x *request) refuse(err error) *apierr.Error {
	if x.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		x.w.status = 499 // nobody is there to read an answer
		return &apierr.Error{Kind: "ClientClosedRequest", Message: "The client has gone."}
	}
	f := x.faultOf(err)
	shown := &apierr.Error{Kind: apierr.Kind(f.name), Message: f.text, Err: f.cause}
	if f.cause != nil {
		_ = x.Public(f.cause) // for its log line
	}
	if x.w.status != 0 { // the head is out: cut the connection, or what came counts as whole
		panic(http.ErrAbortHandler)
	}
	h := x.w.Header()
	h.Del("Content-Length")
	if f.status == http.StatusNotModified {
		x.w.WriteHeader(f.status)
		return nil
	}
	for _, name := range []string{"ETag", "Last-Modified", "Content-Range", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language"} {
		h.Del(name)
	}
	if f.status == http.StatusRequestedRangeNotSatisfiable || f.status >= http.StatusInternalServerError {
		h.Del("Accept-Ranges")
	}
	var d document
	d.begin("Error", false)
	d.text("Code", f.name)
	d.text("Message", f.text)
	for i := 0; i+1 < len(f.extra); i += 2 {
		d.text(f.extra[i], f.extra[i+1])
	}
	d.text("Resource", x.R.URL.Path)
	d.text("RequestId", x.Call.RequestID)
	d.text("HostId", x.Call.RequestID)
	d.end("Error")
	h.Set("Content-Type", "application/xml")
	if x.R.Method == http.MethodHead {
		x.w.WriteHeader(f.status)
		return shown
	}
	h.Set("Content-Length", itoa(len(d.b)))
	x.w.WriteHeader(f.status)
	_, _ = x.w.Write(d.b) // nothing is left to tell a client that has gone
	return shown
}

// quoted puts the resource of a denial between quotation marks, as S3 alone does.
func quoted(message, arn string) string {
	return strings.Replace(message, "resource: "+arn, `resource: "`+arn+`"`, 1)
}
