package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials sign requests. SessionToken is empty for long-term keys.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
}

// HashPayload returns the payload hash of body for Sign and Presign.
func HashPayload(body []byte) string { return Payload{Bytes: body}.hash() }

// Sign adds X-Amz-Date, X-Amz-Security-Token and Authorization to r and returns
// the signature, the seed of what follows in a streamed body. payloadHash is a
// hash in hex or one of the words like UNSIGNED-PAYLOAD; "" is the empty body.
// It is sent as X-Amz-Content-Sha256 to S3 and where it is a word. Signed are
// host and all headers that proxies leave alone.
func Sign(r *http.Request, c Credentials, region, service string, at time.Time, payloadHash string) [32]byte {
	if payloadHash == "" {
		payloadHash = emptySHA256
	}
	q := newRequest(r, c, region, service, at)
	q.form = FormHeader
	r.Header.Del("Authorization")
	r.Header.Set("X-Amz-Date", q.dateText)
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	if service == "s3" || len(payloadHash) != 64 {
		r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	}
	q.signed = signedHeaders(r.Header, r.ContentLength)
	sig := q.sign(c.SecretAccessKey, payloadHash)
	r.Header.Set("Authorization", algorithm+" Credential="+c.AccessKeyID+"/"+q.scope+", SignedHeaders="+q.signed+", Signature="+hex.EncodeToString(sig[:]))
	return sig
}

// Presign puts the signature into the query of r.URL, good for the given time
// (whole seconds, at most seven days) from at, and returns the URL. Host and
// the headers that r has are signed, so whoever sends the request must send
// them. For S3 an empty payloadHash is UNSIGNED-PAYLOAD, else the empty body.
func Presign(r *http.Request, c Credentials, region, service string, at time.Time, expires time.Duration, payloadHash string) string {
	switch {
	case payloadHash == "" && service == "s3":
		payloadHash = unsignedPayload
	case payloadHash == "":
		payloadHash = emptySHA256
	}
	q := newRequest(r, c, region, service, at)
	q.form = FormQuery
	q.signed = signedHeaders(r.Header, 0)
	add := [][2]string{
		{"X-Amz-Algorithm", algorithm}, {"X-Amz-Credential", c.AccessKeyID + "/" + q.scope}, {"X-Amz-Date", q.dateText},
		{"X-Amz-Expires", strconv.Itoa(int(expires / time.Second))}, {"X-Amz-SignedHeaders", q.signed},
	}
	if c.SessionToken != "" {
		add = append(add, [2]string{"X-Amz-Security-Token", c.SessionToken})
	}
	if service == "s3" && payloadHash != unsignedPayload {
		add = append(add, [2]string{"X-Amz-Content-Sha256", payloadHash})
	}
	query := q.query
	for _, p := range add {
		if query != "" {
			query += "&"
		}
		query += p[0] + "=" + url.QueryEscape(p[1])
	}
	q.query = query
	sig := q.sign(c.SecretAccessKey, payloadHash)
	r.URL.RawQuery = query + "&X-Amz-Signature=" + hex.EncodeToString(sig[:])
	return r.URL.String()
}

// NewShortTermKey makes a short-term Bedrock API key from credentials, good for
// at most twelve hours and for the one Region.
func NewShortTermKey(c Credentials, region string, at time.Time, life time.Duration) string {
	r := &http.Request{Method: http.MethodPost, Host: shortTermHost, Header: http.Header{},
		URL: &url.URL{Scheme: "https", Host: shortTermHost, Path: "/", RawQuery: "Action=" + shortTermAction}}
	signed := Presign(r, c, region, "bedrock", at, min(life, maxShortTerm), "")
	return shortTermPrefix + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(signed, "https://")+"&Version=1"))
}

func newRequest(r *http.Request, c Credentials, region, service string, at time.Time) *request {
	q := &request{method: r.Method, host: r.Host, header: r.Header, length: r.ContentLength}
	q.path, q.query = target(r)
	if q.method == "" {
		q.method = http.MethodGet
	}
	if q.host == "" {
		q.host = r.URL.Host
	}
	q.dateText = at.UTC().Format(timeFormat)
	q.Scope = Scope{AccessKeyID: c.AccessKeyID, Day: q.dateText[:len(dayFormat)], Region: region, Service: service}
	q.scope = q.Day + "/" + region + "/" + service + "/" + terminator
	return q
}

func (q *request) sign(secret, payloadHash string) [32]byte {
	var s scratch
	s.build(q, variant{}, payloadHash)
	key := signingKey(secret, q.Day, q.Region, q.Service)
	return [32]byte(mac(key[:], string(s.toSign)))
}

// signedHeaders names host and every header of h but those that a proxy or the
// transport may change on the way.
func signedHeaders(h http.Header, length int64) string {
	names := []string{"host"}
	for name := range h {
		switch name {
		case "Authorization", "User-Agent", "Connection", "Expect", "X-Amzn-Trace-Id", "Transfer-Encoding", "Accept-Encoding", "Te", "Trailer", "Upgrade", "Host":
			continue
		}
		names = append(names, strings.ToLower(name))
	}
	if length > 0 && h.Get("Content-Length") == "" {
		names = append(names, "content-length")
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}

// HashToken is the hash under which a session token or long-term bearer key is
// kept: Key.TokenSHA256.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }
