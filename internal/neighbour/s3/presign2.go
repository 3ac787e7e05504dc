package s3

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// Presigned URLs of signature version 2: what boto3 and the AWS CLI 1 make for a
// client of us-east-1 that is told nothing else. S3 still takes them there.
//
//	?AWSAccessKeyId=ID&Expires=SECONDS&Signature=BASE64
const (
	paramKey     = "AWSAccessKeyId"
	paramExpires = "Expires"
	paramSign    = "Signature"
)

func version2(q url.Values) bool { return q.Has(paramKey) && q.Has(paramSign) }

// signedSubresources are the parameters that version 2 signs, in order.
var signedSubresources = []string{
	"accelerate", "acl", "analytics", "cors", "delete", "encryption", "inventory", "legal-hold", "lifecycle", "location", "logging", "metrics", "notification", "object-lock", "partNumber",
	"policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires", "restore", "retention", "select", "select-type", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// verify2 authenticates such a URL.
func (x *request) verify2() error {
	if x.f.c.Keys == nil {
		return say(errInvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	id, given := x.query.Get(paramKey), x.query.Get(paramSign)
	expires, err := strconv.ParseInt(x.query.Get(paramExpires), 10, 64)
	if err != nil {
		return say(errAccessDenied, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
	}
	key, err := x.f.c.Keys.Lookup(x.ctx, id)
	switch {
	case errors.Is(err, sigv4.ErrUnknownKey), err == nil && (key.Bearer || key.Secret == ""):
		return x.unauthentic(&sigv4.Error{Reason: sigv4.UnknownKey, AccessKeyID: id})
	case err != nil:
		return fmt.Errorf("look up the key of a presigned URL: %w", err)
	}
	toSign := x.toSign2()
	mac := hmac.New(sha1.New, []byte(key.Secret))
	mac.Write([]byte(toSign))
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if subtle.ConstantTimeCompare([]byte(want), []byte(given)) != 1 {
		return x.unauthentic(&sigv4.Error{Reason: sigv4.Mismatch, AccessKeyID: id, StringToSign: toSign,
			Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."})
	}
	now := x.f.c.Now()
	if now.Unix() > expires {
		return say(errAccessDenied, "Request has expired", "X-Amz-Expires", x.query.Get(paramExpires), "ServerTime", now.UTC().Format(isoTime))
	}
	token := x.param("x-amz-security-token")
	if key.Temporary {
		sum := sigv4.HashToken(token)
		switch {
		case subtle.ConstantTimeCompare(sum[:], key.TokenSHA256[:]) != 1:
			return x.unauthentic(&sigv4.Error{Reason: sigv4.BadToken, AccessKeyID: id, Message: "The provided token is malformed or otherwise invalid."})
		case !key.Expires.IsZero() && !now.Before(key.Expires):
			return x.unauthentic(&sigv4.Error{Reason: sigv4.TokenExpired, AccessKeyID: id, Message: "The provided token has expired."})
		}
	} else if token != "" {
		return x.unauthentic(&sigv4.Error{Reason: sigv4.BadToken, AccessKeyID: id, Message: "The provided token is malformed or otherwise invalid."})
	}
	p, ok := key.Principal.(*iam.Principal)
	if !ok {
		return fmt.Errorf("BUG: the principal of a key is %T", key.Principal)
	}
	x.caller = p
	c := x.Call
	c.Account, c.Principal, c.UserID, c.Caller, c.Region = p.Account, p.ARN, p.UserID, p, firstRegion
	return nil
}

// param reads a query parameter whatever the case of its name.
func (x *request) param(name string) string {
	for k, v := range x.query {
		if len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// toSign2 is the string that version 2 signs.
func (x *request) toSign2() string {
	of := func(name string) string {
		if v := x.R.Header.Get(name); v != "" {
			return v
		}
		return x.param(name)
	}
	amz := map[string][]string{}
	for k, v := range x.R.Header {
		if k = strings.ToLower(k); strings.HasPrefix(k, "x-amz-") {
			amz[k] = v
		}
	}
	for k, v := range x.query {
		if k = strings.ToLower(k); strings.HasPrefix(k, "x-amz-") && amz[k] == nil {
			amz[k] = v
		}
	}
	names := make([]string, 0, len(amz))
	for k := range amz {
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(x.R.Method + "\n" + of("Content-Md5") + "\n" + of("Content-Type") + "\n" + x.query.Get(paramExpires) + "\n")
	for _, k := range names {
		b.WriteString(k + ":" + strings.Join(amz[k], ",") + "\n")
	}
	if bucket, _ := x.f.byHost(x.R.Host); bucket != "" {
		b.WriteString("/" + bucket)
	}
	b.WriteString(x.R.URL.EscapedPath())
	sep := "?"
	for _, k := range signedSubresources {
		v, ok := x.query[k]
		if !ok {
			continue
		}
		b.WriteString(sep + k)
		if len(v) > 0 && v[0] != "" {
			b.WriteString("=" + v[0])
		}
		sep = "&"
	}
	return b.String()
}

// hoist gives a presigned request the headers that its URL carries in the query,
// where the signature covers them.
func (x *request) hoist() {
	if !x.query.Has("X-Amz-Signature") && !version2(x.query) {
		return
	}
	for k, v := range x.query {
		name := http.CanonicalHeaderKey(k)
		if !strings.HasPrefix(name, "X-Amz-") || len(v) == 0 || x.R.Header.Get(name) != "" {
			continue
		}
		switch name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signedheaders", "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256":
			continue
		}
		x.R.Header[name] = v[:1]
	}
}
