package sigv4

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	bearerPrefix = "Bearer "

	shortTermPrefix = "bedrock-api-key-"
	longTermPrefix  = "ABSK"

	shortTermHost   = "bedrock.amazonaws.com" // what the public generators sign, whatever the endpoint
	shortTermAction = "CallWithBearerToken"
	maxShortTerm    = 12 * time.Hour

	// A key longer than this is none: session tokens are below 4 KiB, and
	// base64 adds a third.
	maxBearer = 16 << 10
)

func badBearer(form Form, id string) *Error {
	return &Error{Reason: BadBearer, Form: form, AccessKeyID: id, Message: textBearer}
}

// verifyBearer authenticates one of Bedrock's API keys.
func (v *Verifier) verifyBearer(ctx context.Context, key string) (Result, *Error) {
	switch {
	case strings.HasPrefix(key, shortTermPrefix) && len(key) <= maxBearer:
		return v.verifyShortTerm(ctx, key)
	case strings.HasPrefix(key, longTermPrefix) && len(key) <= maxBearer:
		return v.verifyLongTerm(ctx, key)
	}
	return Result{}, badBearer(FormNone, "")
}

// verifyShortTerm verifies the presigned request inside a short-term key. The
// generators differ in the hash of the empty body they sign: AWS's for Python
// and JavaScript take the hash of nothing, others UNSIGNED-PAYLOAD.
func (v *Verifier) verifyShortTerm(ctx context.Context, token string) (Result, *Error) {
	q, err := parseShortTerm(token)
	if err != nil {
		return Result{}, err
	}
	key, _, _, err := v.verifySignature(ctx, q, emptySHA256)
	if err != nil && err.Reason == Mismatch {
		key, _, _, err = v.verifySignature(ctx, q, unsignedPayload)
	}
	if err != nil {
		switch err.Reason {
		case RequestExpired, TokenExpired:
			return Result{}, &Error{Reason: BearerExpired, Form: q.form, AccessKeyID: q.AccessKeyID, Message: "Bearer Token has expired"}
		case LookupFailed:
			return Result{}, err
		default:
			return Result{}, badBearer(q.form, q.AccessKeyID)
		}
	}
	return Result{Form: q.form, AccessKeyID: q.AccessKeyID, Date: q.date, Region: q.Region, Service: q.Service,
		Principal: key.Principal, Temporary: key.Temporary, SignedHeaders: q.signed, Payload: unsignedPayload}, nil
}

// parseShortTerm decodes bedrock-api-key-BASE64 of a presigned URL without its
// scheme: POST bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-…&Version=1.
func parseShortTerm(token string) (*request, *Error) {
	bad := badBearer(FormShortTerm, "")
	encoded, ok := strings.CutPrefix(token, shortTermPrefix)
	if !ok {
		return nil, bad
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "=")); err != nil {
			return nil, bad
		}
	}
	host, rest, ok := strings.Cut(string(raw), "/")
	if !ok || host != shortTermHost {
		return nil, bad
	}
	q := &request{method: http.MethodPost, path: "/", host: host}
	if q.query, ok = strings.CutPrefix(rest, "?"); !ok {
		return nil, bad
	}
	if perr := q.parseQuery(); perr != nil {
		return nil, bad
	}
	q.form = FormShortTerm
	if q.signed != "host" || q.Service != "bedrock" || q.expires > maxShortTerm || !hasParam(q.query, "Action", shortTermAction) {
		return nil, badBearer(FormShortTerm, q.AccessKeyID)
	}
	return q, nil
}

// hasParam reports whether the query has the parameter exactly once and with
// that value.
func hasParam(query, name, value string) bool {
	n, right := 0, false
	for part := range strings.SplitSeq(query, "&") {
		if k, v, _ := strings.Cut(part, "="); k == name {
			n++
			right = v == value
		}
	}
	return n == 1 && right
}

// verifyLongTerm looks a long-term key up by the ID inside it and compares the
// whole.
func (v *Verifier) verifyLongTerm(ctx context.Context, token string) (Result, *Error) {
	id, ok := LongTermID(token)
	if !ok {
		return Result{}, badBearer(FormLongTerm, "")
	}
	key, err := v.keys.Lookup(ctx, id)
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return Result{}, &Error{Reason: LookupFailed, Form: FormLongTerm, AccessKeyID: id, Message: "The request could not be authenticated. Try again.", Err: err}
	}
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], key.TokenSHA256[:]) != 1 || err != nil || !key.Bearer {
		return Result{}, badBearer(FormLongTerm, id)
	}
	now := v.now()
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return Result{}, &Error{Reason: BearerExpired, Form: FormLongTerm, AccessKeyID: id, Message: "Bearer Token has expired"}
	}
	return Result{Form: FormLongTerm, AccessKeyID: id, Date: now, Service: "bedrock", Principal: key.Principal, Payload: unsignedPayload}, nil
}

// LongTermID returns the ID inside a long-term key, ABSK + base64 of ID:secret;
// false when the key has another form.
func LongTermID(token string) (string, bool) {
	encoded, ok := strings.CutPrefix(token, longTermPrefix)
	if !ok {
		return "", false
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return "", false
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	return id, ok && id != "" && secret != ""
}
