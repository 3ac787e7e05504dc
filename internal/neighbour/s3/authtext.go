package s3

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// S3 says in words of its own what is wrong with a signature, and clients' tests
// know them. The verifier's words are those of the other services.

const (
	textNoDate      = "AWS authentication requires a valid Date or x-amz-date header"
	textMismatch    = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
	textUnsigned    = "There were headers present in the request which were not signed"
	textNotOneSpace = "Authorization header is invalid -- one and only one ' ' (space) required"
	textOtherType   = "Unsupported Authorization Type"
	textQueryParts  = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."

	textAlgorithms = `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`

	credentialShape = `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	signTime        = "20060102T150405Z"
	headerBegins    = "The authorization header is malformed; "
	queryBegins     = "Error parsing the X-Amz-Credential parameter; "
)

// malformed is the refusal of a signature that lacks a part or has a bad one; nil
// where S3 has no text of its own.
func (x *request) malformed(e *sigv4.Error) *fault {
	if x.query.Has("X-Amz-Algorithm") || x.query.Has("X-Amz-Signature") {
		return x.malformedQuery()
	}
	auth := x.R.Header.Get("Authorization")
	kind, rest, ok := strings.Cut(auth, " ")
	switch {
	case !ok:
		return say(errInvalidArgument, textNotOneSpace, "ArgumentName", "Authorization", "ArgumentValue", auth)
	case kind != "AWS4-HMAC-SHA256":
		return say(errInvalidArgument, textOtherType, "ArgumentName", "Authorization", "ArgumentValue", kind)
	}
	parts := map[string]string{}
	fields := strings.Split(rest, ",")
	if len(fields) != 3 {
		return say(errAuthHeader, headerBegins+"the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	for _, f := range fields {
		k, v, ok := strings.Cut(strings.TrimSpace(f), "=")
		if !ok {
			return say(errAuthHeader, headerBegins+"the authorization component "+strconv.Quote(strings.TrimSpace(f))+" is malformed.")
		}
		parts[k] = v
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return say(errAuthHeader, headerBegins+"missing "+name+".")
		}
	}
	if text := badScope(parts["Credential"]); text != "" {
		return say(errAuthHeader, headerBegins+text)
	}
	if !dated(x.R.Header) {
		return say(errAccessDenied, textNoDate)
	}
	if e.Reason == sigv4.BadScope {
		return say(errAuthHeader, headerBegins+"Invalid credential date. Date is not the same as X-Amz-Date.")
	}
	return nil
}

func (x *request) malformedQuery() *fault {
	q := x.query
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"} {
		if q.Get(name) == "" {
			return say(errAuthQuery, textQueryParts)
		}
	}
	switch q.Get("X-Amz-Algorithm") {
	case "AWS4-HMAC-SHA256":
	case "AWS4-ECDSA-P256-SHA256": // of access points over Regions
		return say(errAuthQuery, `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	default:
		return say(errAuthQuery, textAlgorithms)
	}
	if text := badScope(q.Get("X-Amz-Credential")); text != "" {
		return say(errAuthQuery, queryBegins+text)
	}
	if _, err := time.Parse(signTime, q.Get("X-Amz-Date")); err != nil {
		return say(errAuthQuery, `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if day := strings.Split(q.Get("X-Amz-Credential"), "/")[1]; day != q.Get("X-Amz-Date")[:8] {
		return say(errAuthQuery, "Invalid credential date "+strconv.Quote(day)+". This date is not the same as X-Amz-Date: "+strconv.Quote(q.Get("X-Amz-Date")[:8])+".")
	}
	return nil
}

// badScope says what is wrong with a credential, "" when nothing is. A slash may
// be part of the key's ID.
func badScope(credential string) string {
	p := strings.Split(credential, "/")
	if len(p) != 5 {
		return credentialShape
	}
	switch {
	case p[4] != "aws4_request":
		return "incorrect terminal " + strconv.Quote(p[4]) + `. This endpoint uses "aws4_request".`
	case p[3] != "s3":
		return "incorrect service " + strconv.Quote(p[3]) + `. This endpoint belongs to "s3".`
	}
	if _, err := time.Parse("20060102", p[1]); err != nil {
		return "incorrect date format " + strconv.Quote(p[1]) + `. This date in the credential must be in the format "yyyyMMdd".`
	}
	return ""
}

// unsigned are the x-amz- headers that a signature does not cover.
func (x *request) unsigned() string {
	signed := x.query.Get("X-Amz-SignedHeaders")
	if _, rest, ok := strings.Cut(x.R.Header.Get("Authorization"), "SignedHeaders="); ok {
		signed, _, _ = strings.Cut(rest, ",")
	}
	covered := strings.Split(strings.TrimSpace(signed), ";")
	var out []string
	for name := range x.R.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(covered, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func dated(h http.Header) bool {
	if v := h.Get("X-Amz-Date"); v != "" {
		_, err := time.Parse(signTime, v)
		return err == nil
	}
	_, err := http.ParseTime(h.Get("Date"))
	return err == nil
}
