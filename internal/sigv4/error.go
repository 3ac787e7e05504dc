package sigv4

import (
	"fmt"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Reason says why a request was not authenticated. The list is closed.
type Reason int

// The reasons, in the order in which they are found.
const (
	Missing          Reason = iota + 1 // no credentials at all
	Incomplete                         // credentials that lack a part or cannot be read; the message names it
	BadScope                           // credential scope is not day/region/service/aws4_request or contradicts the date
	HostUnsigned                       // neither host nor :authority among the signed headers
	HeadersUnsigned                    // S3: an x-amz- header that the signature does not cover
	UnknownKey                         // no such access key, or an inactive one
	BadToken                           // session token absent, of another key, or sent with a long-term key
	TokenExpired                       // session has ended
	SignatureExpired                   // date too old
	SignatureNotYet                    // date in the future
	RequestExpired                     // presigned request after its end
	Mismatch                           // signature is not the one computed
	PayloadMismatch                    // body is not the one whose hash was signed
	ChunkMismatch                      // signature of a chunk, trailer or event is not the one computed
	ChunkMalformed                     // aws-chunked framing broken, or cut
	LengthMismatch                     // decoded body is longer or shorter than x-amz-decoded-content-length
	BadBearer                          // bearer key unknown, inactive or unreadable
	BearerExpired                      // bearer key past its end
	LookupFailed                       // the identities could not be asked; nothing is known of the request
)

// Dialect is a family of error codes: the same reason has other names in other
// protocols.
type Dialect int

// The dialects.
const (
	JSON  Dialect = iota // restJson1, awsJson, rpc-v2-cbor: names end in Exception
	Query                // STS, IAM
	S3
)

// Error is a request that was not authenticated.
type Error struct {
	Reason      Reason
	Message     string // for the caller
	AccessKeyID string // as sent, "" when it could not be read
	Form        Form   // as far as it was recognised

	// What was computed, for a mismatch: S3 and the query protocol show both to
	// the caller, the others only to the log. Neither reveals the signature.
	CanonicalRequest string
	StringToSign     string

	Err error // cause of LookupFailed
}

func (e *Error) Error() string {
	s := fmt.Sprintf("authenticate: %s", e.Message)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the *apierr.Error that the JSON services answer; the cause of
// LookupFailed stands behind it.
func (e *Error) Unwrap() error {
	kind, ok := kinds[e.Reason]
	if !ok {
		kind = apierr.InternalServer
	}
	return &apierr.Error{Kind: kind, Message: e.Message, Err: e.Err}
}

var kinds = map[Reason]apierr.Kind{
	Missing:          apierr.MissingAuth,
	Incomplete:       apierr.IncompleteSignature,
	BadScope:         apierr.InvalidSignature,
	HostUnsigned:     apierr.InvalidSignature,
	HeadersUnsigned:  apierr.InvalidSignature,
	UnknownKey:       apierr.UnrecognizedClient,
	BadToken:         apierr.UnrecognizedClient,
	TokenExpired:     apierr.ExpiredToken,
	SignatureExpired: apierr.InvalidSignature,
	SignatureNotYet:  apierr.InvalidSignature,
	RequestExpired:   apierr.InvalidSignature,
	Mismatch:         apierr.InvalidSignature,
	PayloadMismatch:  apierr.InvalidSignature,
	ChunkMismatch:    apierr.InvalidSignature,
	ChunkMalformed:   apierr.Validation,
	LengthMismatch:   apierr.Validation,
	BadBearer:        apierr.AccessDenied,
	BearerExpired:    apierr.AccessDenied,
	LookupFailed:     apierr.InternalServer,
}

// Code returns the error code and HTTP status that the dialect has for the
// reason.
func (e *Error) Code(d Dialect) (code string, status int) {
	switch d {
	case Query:
		if c, ok := queryCodes[e.Reason]; ok {
			return c.name, c.status
		}
		return "InternalFailure", http.StatusInternalServerError
	case S3:
		// S3 has its own names for what stands in the query.
		if e.Form == FormQuery && (e.Reason == Incomplete || e.Reason == BadScope) {
			return "AuthorizationQueryParametersError", http.StatusBadRequest
		}
		if c, ok := s3Codes[e.Reason]; ok {
			return c.name, c.status
		}
		return "InternalError", http.StatusInternalServerError
	case JSON:
	}
	kind, ok := kinds[e.Reason]
	if !ok {
		kind = apierr.InternalServer
	}
	switch kind {
	case apierr.IncompleteSignature, apierr.Validation:
		return string(kind), http.StatusBadRequest
	case apierr.InternalServer:
		return string(kind), http.StatusInternalServerError
	default:
		return string(kind), http.StatusForbidden
	}
}

type code struct {
	name   string
	status int
}

var queryCodes = map[Reason]code{
	Missing:          {"MissingAuthenticationToken", 403},
	Incomplete:       {"IncompleteSignature", 400},
	BadScope:         {"SignatureDoesNotMatch", 403},
	HostUnsigned:     {"SignatureDoesNotMatch", 403},
	HeadersUnsigned:  {"SignatureDoesNotMatch", 403},
	UnknownKey:       {"InvalidClientTokenId", 403},
	BadToken:         {"InvalidClientTokenId", 403},
	TokenExpired:     {"ExpiredToken", 403},
	SignatureExpired: {"SignatureDoesNotMatch", 403},
	SignatureNotYet:  {"SignatureDoesNotMatch", 403},
	RequestExpired:   {"SignatureDoesNotMatch", 403},
	Mismatch:         {"SignatureDoesNotMatch", 403},
	PayloadMismatch:  {"SignatureDoesNotMatch", 403},
	ChunkMismatch:    {"SignatureDoesNotMatch", 403},
	ChunkMalformed:   {"MalformedInput", 400},
	LengthMismatch:   {"MalformedInput", 400},
	BadBearer:        {"AccessDenied", 403},
	BearerExpired:    {"AccessDenied", 403},
}

var s3Codes = map[Reason]code{
	Missing:          {"AccessDenied", 403},
	Incomplete:       {"AuthorizationHeaderMalformed", 400},
	BadScope:         {"AuthorizationHeaderMalformed", 400},
	HostUnsigned:     {"AccessDenied", 403},
	HeadersUnsigned:  {"AccessDenied", 403},
	UnknownKey:       {"InvalidAccessKeyId", 403},
	BadToken:         {"InvalidToken", 400},
	TokenExpired:     {"ExpiredToken", 400},
	SignatureExpired: {"RequestTimeTooSkewed", 403},
	SignatureNotYet:  {"RequestTimeTooSkewed", 403},
	RequestExpired:   {"AccessDenied", 403},
	Mismatch:         {"SignatureDoesNotMatch", 403},
	PayloadMismatch:  {"XAmzContentSHA256Mismatch", 400},
	ChunkMismatch:    {"SignatureDoesNotMatch", 403},
	ChunkMalformed:   {"IncompleteBody", 400},
	LengthMismatch:   {"IncompleteBody", 400},
	BadBearer:        {"AccessDenied", 403},
	BearerExpired:    {"AccessDenied", 403},
}

// Texts that AWS answers, kept word for word since programs match on them.
const (
	textMissing  = "Missing Authentication Token"
	textToken    = "The security token included in the request is invalid."
	textExpired  = "The security token included in the request is expired"
	textMismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	textHost     = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
	textHeaders  = "There were headers present in the request which were not signed"
	textPayload  = "The provided 'x-amz-content-sha256' header does not match what was computed."
	textBearer   = "Authentication failed: Please make sure your API Key is valid."
	textBoth     = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be specified"
)
