package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Skew is how far a request's date may be from ours, before and after.
const Skew = 15 * time.Minute

// ErrUnknownKey is what Keys.Lookup answers, wrapped or not, for an access key
// that does not exist or is not active.
var ErrUnknownKey = errors.New("unknown access key")

// Key is what is known of an access key or a long-term bearer key.
type Key struct {
	Secret      string    // of an access key; "" for a bearer key
	Temporary   bool      // a session key: the request must carry its token
	TokenSHA256 [32]byte  // hash of the session token, or of the whole bearer key
	Bearer      bool      // a long-term bearer key: never good for signing
	Expires     time.Time // end of the session or bearer key; zero: never
	Principal   any       // handed to the caller of Verify untouched
}

// Keys finds credentials. Lookup runs on every request and must be quick.
type Keys interface {
	// Lookup returns the active key of that ID: an access key ID, or for
	// long-term bearer keys the part before the colon of what they encode.
	Lookup(ctx context.Context, id string) (Key, error)
}

// Config configures a Verifier. Keys is required.
type Config struct {
	Keys Keys
	Now  func() time.Time // wall clock; time.Now when nil
}

// Verifier verifies requests; it is safe for concurrent use.
type Verifier struct {
	keys    Keys
	now     func() time.Time
	derived keyCache
	pool    sync.Pool // of *scratch
}

// New returns a verifier.
func New(c Config) (*Verifier, error) {
	if c.Keys == nil {
		return nil, errors.New("sigv4: Config.Keys is nil")
	}
	v := &Verifier{keys: c.Keys, now: c.Now}
	if v.now == nil {
		v.now = time.Now
	}
	v.pool.New = func() any { return new(scratch) }
	return v, nil
}

// Payload is the request's body as far as the caller has it. The zero value is
// an empty body.
type Payload struct {
	Bytes  []byte // the body, read whole
	SHA256 string // or its hash in hex, when the caller has computed it
	Unread bool   // or nothing yet: Result.Body will check it while it is read
}

func (p Payload) hash() string {
	switch {
	case p.SHA256 != "":
		return p.SHA256
	case len(p.Bytes) == 0:
		return emptySHA256
	}
	sum := sha256.Sum256(p.Bytes)
	return hex.EncodeToString(sum[:])
}

// Result is who sent a request, and how.
type Result struct {
	Form          Form
	AccessKeyID   string // or the ID of the long-term bearer key
	Date          time.Time
	Region        string // of the scope; "" with a long-term bearer key
	Service       string // of the scope; "bedrock" with bearer keys
	Principal     any    // Key.Principal
	Temporary     bool   // signed with a session's key
	SignedHeaders string // joined by semicolons, for the audit record
	Payload       string // hash in hex, or the word that stood in its place

	body bodyCheck
}

// Verify authenticates r. The payload is what the caller has read of the body;
// one that is Unread is refused unless the request carries x-amz-content-sha256,
// and nothing read from it counts before Result.Body has returned io.EOF.
// The returned error is always an *Error.
func (v *Verifier) Verify(r *http.Request, p Payload) (Result, error) {
	res, err := v.verify(r, p)
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

func (v *Verifier) verify(r *http.Request, p Payload) (Result, *Error) {
	if auth := r.Header.Get("Authorization"); strings.HasPrefix(auth, bearerPrefix) {
		return v.verifyBearer(r.Context(), strings.TrimSpace(auth[len(bearerPrefix):]))
	}
	q, err := parse(r)
	if err != nil {
		return Result{}, err
	}
	if q.Service == "s3" {
		if name := q.unsigned(r.Header); name != "" {
			return Result{}, &Error{Reason: HeadersUnsigned, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textHeaders + ": " + strings.ToLower(name)}
		}
	}
	payload, err := q.payloadHash(p)
	if err != nil {
		return Result{}, err
	}
	key, seed, sk, err := v.verifySignature(r.Context(), q, payload)
	if err != nil {
		return Result{}, err
	}
	res := Result{
		Form: q.form, AccessKeyID: q.AccessKeyID, Date: q.date, Region: q.Region, Service: q.Service,
		Principal: key.Principal, Temporary: key.Temporary, SignedHeaders: q.signed, Payload: payload,
	}
	res.body = bodyCheck{form: q.form, accessKeyID: q.AccessKeyID, payload: payload, seed: seed, secret: key.Secret, key: sk, date: q.dateText, scope: q.scope, region: q.Region, service: q.Service, now: v.now, decoded: -1}
	if d := first(r.Header, "X-Amz-Decoded-Content-Length"); d != "" {
		n, perr := strconv.ParseInt(d, 10, 64)
		if perr != nil || n < 0 {
			return Result{}, &Error{Reason: LengthMismatch, Form: q.form, AccessKeyID: q.AccessKeyID, Message: "x-amz-decoded-content-length is not a number"}
		}
		res.body.decoded = n
	}
	return res, nil
}

// verifySignature looks the key up and compares the signature, trying the
// readings that differ for this request.
func (v *Verifier) verifySignature(ctx context.Context, q *request, payload string) (Key, [32]byte, [32]byte, *Error) {
	key, err := v.lookup(ctx, q)
	if err == nil {
		err = v.inTime(q)
	}
	if err != nil {
		return Key{}, [32]byte{}, [32]byte{}, err
	}
	var sent [32]byte
	readable := len(q.signature) == 64
	if readable {
		_, herr := hex.Decode(sent[:], []byte(q.signature))
		readable = herr == nil
	}
	id := derivedID{key.Secret, q.Day, q.Region, q.Service}
	sk, cached := v.derived.get(id)
	if !cached {
		sk = signingKey(key.Secret, q.Day, q.Region, q.Service)
	}
	s := v.pool.Get().(*scratch)
	defer v.pool.Put(s)
	for _, reading := range readings(q) {
		s.build(q, reading, payload)
		h := hmac.New(sha256.New, sk[:])
		h.Write(s.toSign)
		var want [32]byte
		h.Sum(want[:0])
		if subtle.ConstantTimeCompare(want[:], sent[:]) == 1 && readable {
			if !cached {
				v.derived.put(id, sk)
			}
			return key, sent, sk, nil
		}
	}
	s.build(q, variant{}, payload)
	return Key{}, [32]byte{}, [32]byte{}, &Error{Reason: Mismatch, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textMismatch,
		CanonicalRequest: string(s.canonical), StringToSign: string(s.toSign)}
}

var (
	oneReading    = []variant{{}}
	pathReadings  = []variant{{}, {normalize: true}}
	tokenReadings = []variant{{}, {bareToken: true}}
	allReadings   = []variant{{}, {normalize: true}, {bareToken: true}, {normalize: true, bareToken: true}}
)

func readings(q *request) []variant {
	path := q.Service != "s3" && normalizable(q.path)
	token := q.form != FormHeader && q.token != ""
	switch {
	case path && token:
		return allReadings
	case path:
		return pathReadings
	case token:
		return tokenReadings
	}
	return oneReading
}

// lookup finds the key and checks the session token.
func (v *Verifier) lookup(ctx context.Context, q *request) (Key, *Error) {
	key, err := v.keys.Lookup(ctx, q.AccessKeyID)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return Key{}, &Error{Reason: UnknownKey, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textToken}
	case err != nil:
		return Key{}, &Error{Reason: LookupFailed, Form: q.form, AccessKeyID: q.AccessKeyID, Message: "The request could not be authenticated. Try again.", Err: err}
	case key.Bearer || key.Secret == "":
		// A bearer key that is taken apart into an ID and a secret must not open
		// the services that bearer keys are kept out of.
		return Key{}, &Error{Reason: UnknownKey, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textToken}
	}
	if key.Temporary {
		sum := sha256.Sum256([]byte(q.token))
		if subtle.ConstantTimeCompare(sum[:], key.TokenSHA256[:]) != 1 {
			return Key{}, &Error{Reason: BadToken, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textToken}
		}
		if !key.Expires.IsZero() && !v.now().Before(key.Expires) {
			return Key{}, &Error{Reason: TokenExpired, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textExpired}
		}
	} else if q.token != "" {
		return Key{}, &Error{Reason: BadToken, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textToken}
	}
	return key, nil
}

// inTime checks the date against the clock: ±Skew in the header form; in the
// query form from Skew before the date to the end that the request names.
func (v *Verifier) inTime(q *request) *Error {
	now := v.now().UTC()
	if limit := now.Add(Skew); q.date.After(limit) {
		return &Error{Reason: SignatureNotYet, Form: q.form, AccessKeyID: q.AccessKeyID,
			Message: "Signature not yet current: " + q.dateText + " is still later than " + limit.Format(timeFormat) + " (" + now.Format(timeFormat) + " + 15 min.)"}
	}
	life, reason := Skew, SignatureExpired
	if q.form != FormHeader {
		life, reason = q.expires, RequestExpired
	}
	limit := now.Add(-life)
	if !q.date.Before(limit) {
		return nil
	}
	e := &Error{Reason: reason, Form: q.form, AccessKeyID: q.AccessKeyID}
	if reason == RequestExpired && q.Service == "s3" {
		e.Message = "Request has expired"
		return e
	}
	span := strconv.Itoa(int(life/time.Second)) + " sec."
	if life%time.Minute == 0 {
		span = strconv.Itoa(int(life/time.Minute)) + " min."
	}
	e.Message = "Signature expired: " + q.dateText + " is now earlier than " + limit.Format(timeFormat) + " (" + now.Format(timeFormat) + " - " + span + ")"
	return e
}

// payloadHash returns what stands in the last line of the canonical request.
func (q *request) payloadHash(p Payload) (string, *Error) {
	refuse := func(text string) (string, *Error) {
		return "", &Error{Reason: PayloadMismatch, Form: q.form, AccessKeyID: q.AccessKeyID, Message: text}
	}
	switch q.payload {
	case "":
		if p.Unread {
			return refuse("Missing required header for this request: x-amz-content-sha256")
		}
		return p.hash(), nil
	case unsignedPayload, streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer, streamingEvents:
		return q.payload, nil
	}
	if len(q.payload) != 64 {
		return refuse("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-EVENTS or a valid sha256 value.")
	}
	if !p.Unread && !strings.EqualFold(p.hash(), q.payload) {
		return refuse(textPayload)
	}
	return q.payload, nil
}

// derivedID names a derived key. The secret is part of it, so a secret that
// changes under the same ID is never served an old key.
type derivedID struct{ secret, day, region, service string }

// keyCache keeps derived keys. A key enters only after a signature made with it
// was verified, so strangers cannot fill it with invented Regions.
type keyCache struct {
	mu   sync.RWMutex
	keys map[derivedID][32]byte
}

// maxDerived bounds the cache; beyond it all entries go, which costs four HMACs
// for each one still in use.
const maxDerived = 4096

func (c *keyCache) get(id derivedID) ([32]byte, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.keys[id]
	return k, ok
}

func (c *keyCache) put(id derivedID, k [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxDerived {
		c.keys = make(map[derivedID][32]byte)
	}
	c.keys[id] = k
}
