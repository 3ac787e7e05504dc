package s3

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// PostObject: a form of a browser carries the object and a policy document that
// somebody signed, as boto3's generate_presigned_post makes them.
//
//	fields … ──▶ who signed the policy ──▶ every field allowed by it ──▶ file, streamed ──▶ object
//
// The file is the last field that counts; what follows it is not read.

var (
	errPolicyDocument = code{"InvalidPolicyDocument", 400, "The content of the form does not meet the conditions specified in the policy document."}
	errPostRequest    = code{"MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data."}
)

// Limits of S3 on what comes before the file.
const (
	maxFields    = 20 << 10 // bytes of all fields
	maxFormField = 100
)

// form is what came before the file.
type form struct {
	fields   map[string]string // names in lower case
	order    []string
	filename string
	file     io.Reader // the file, on the wire
}

func (f *form) get(name string) string { return f.fields[name] }

func (f *form) has(name string) bool { _, ok := f.fields[name]; return ok }

// readForm reads up to the file.
func (x *request) readForm() (*form, error) {
	kind, params, err := mime.ParseMediaType(x.R.Header.Get("Content-Type"))
	switch {
	case kind != "multipart/form-data":
		return nil, fail(errPreconditionFailed, "Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	case err != nil || params["boundary"] == "":
		return nil, fail(errPostRequest)
	}
	f := &form{fields: map[string]string{}}
	r := multipart.NewReader(x.R.Body, params["boundary"])
	for size := 0; ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, say(errInvalidArgument, "POST requires exactly one file upload per request.", "ArgumentName", "file", "ArgumentValue", "0")
		}
		if err != nil {
			return nil, bodyFault(err, errPostRequest)
		}
		name := strings.ToLower(p.FormName())
		if name == "file" {
			f.file, f.filename = p, p.FileName()
			return f, nil
		}
		b, err := io.ReadAll(io.LimitReader(p, maxFields+1))
		if err != nil {
			return nil, bodyFault(err, errPostRequest)
		}
		if size += len(name) + len(b); size > maxFields || len(f.order) >= maxFormField {
			return nil, say(code{"MaxPostPreDataLengthExceeded", 400, "Your POST request fields preceding the upload file were too large."}, "Your POST request fields preceding the upload file were too large.", "MaxPostPreDataLengthBytes", itoa(maxFields))
		}
		if name == "" {
			return nil, fail(errPostRequest)
		}
		if _, twice := f.fields[name]; !twice {
			f.order = append(f.order, name)
		}
		f.fields[name] = string(b)
	}
}

// bodyFault tells a broken form from a broken connection.
func bodyFault(err error, c code) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "multipart: ") || strings.Contains(err.Error(), "malformed MIME") {
		return fail(c)
	}
	return err
}

// signature fields of a form; either all are there or none.
var formSignature = []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}

// signer authenticates the form and returns its policy, nil for a form that
// nobody signed.
func (x *request) signer(f *form) (*postPolicy, error) {
	if f.has("awsaccesskeyid") || f.has("signature") {
		return x.signer2(f)
	}
	if !slices.ContainsFunc(formSignature, f.has) {
		return nil, nil
	}
	for _, n := range formSignature {
		if !f.has(n) {
			return nil, say(errInvalidArgument, "Bucket POST must contain a field named '"+n+"'.  If it is specified, please check the order of the fields.", "ArgumentName", n, "ArgumentValue", "")
		}
	}
	credential := f.get("x-amz-credential")
	if a := f.get("x-amz-algorithm"); a != "AWS4-HMAC-SHA256" {
		return nil, say(errInvalidArgument, "Only AWS4-HMAC-SHA256 is supported", "ArgumentName", "x-amz-algorithm", "ArgumentValue", a)
	}
	if text := badScope(credential); text != "" {
		return nil, say(errInvalidArgument, text, "ArgumentName", "x-amz-credential", "ArgumentValue", credential)
	}
	if _, err := time.Parse(signTime, f.get("x-amz-date")); err != nil {
		return nil, say(errInvalidArgument, "X-Amz-Date must be formated via ISO8601 Long format", "ArgumentName", "x-amz-date", "ArgumentValue", f.get("x-amz-date"))
	}
	scope := strings.Split(credential, "/")
	if x.f.c.Keys != nil {
		if err := x.verifyForm(f, scope); err != nil {
			return nil, err
		}
	}
	x.Call.Region = scope[2]
	return readPostPolicy(f.get("policy"))
}

// signer2 is signer for signature version 2, which boto3 makes for a client of
// us-east-1 that is told nothing else.
func (x *request) signer2(f *form) (*postPolicy, error) {
	for _, n := range []string{"awsaccesskeyid", "policy", "signature"} {
		if !f.has(n) {
			return nil, say(errInvalidArgument, "Bucket POST must contain a field named '"+n+"'.  If it is specified, please check the order of the fields.", "ArgumentName", n, "ArgumentValue", "")
		}
	}
	if x.f.c.Keys != nil {
		err := x.verifySigned(f, f.get("awsaccesskeyid"), f.get("signature"), func(secret string) string {
			m := hmac.New(sha1.New, []byte(secret))
			m.Write([]byte(f.get("policy")))
			return base64.StdEncoding.EncodeToString(m.Sum(nil))
		})
		if err != nil {
			return nil, err
		}
	}
	x.Call.Region = firstRegion
	return readPostPolicy(f.get("policy"))
}

func (x *request) verifyForm(f *form, scope []string) error {
	return x.verifySigned(f, scope[0], f.get("x-amz-signature"), func(secret string) string {
		k := []byte("AWS4" + secret)
		for _, part := range []string{scope[1], scope[2], scope[3], scope[4], f.get("policy")} {
			m := hmac.New(sha256.New, k)
			m.Write([]byte(part))
			k = m.Sum(nil)
		}
		return hex.EncodeToString(k)
	})
}

// verifySigned compares what the form has with what the key's secret makes of its
// policy, and makes the key's principal the caller.
func (x *request) verifySigned(f *form, id, given string, sign func(secret string) string) error {
	key, err := x.f.c.Keys.Lookup(x.ctx, id)
	switch {
	case errors.Is(err, sigv4.ErrUnknownKey), err == nil && (key.Bearer || key.Secret == ""):
		return x.unauthentic(&sigv4.Error{Reason: sigv4.UnknownKey, AccessKeyID: id})
	case err != nil:
		return fmt.Errorf("look up the key of a form: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(sign(key.Secret)), []byte(given)) != 1 {
		return x.unauthentic(&sigv4.Error{Reason: sigv4.Mismatch, AccessKeyID: id, Message: textMismatch, StringToSign: f.get("policy")}).with("SignatureProvided", given)
	}
	now, token := x.f.c.Now(), f.get("x-amz-security-token")
	sum := sigv4.HashToken(token)
	switch {
	case key.Temporary && subtle.ConstantTimeCompare(sum[:], key.TokenSHA256[:]) != 1, !key.Temporary && token != "":
		return x.unauthentic(&sigv4.Error{Reason: sigv4.BadToken, AccessKeyID: id})
	case key.Temporary && !key.Expires.IsZero() && !now.Before(key.Expires):
		return x.unauthentic(&sigv4.Error{Reason: sigv4.TokenExpired, AccessKeyID: id, Message: "The provided token has expired."})
	}
	p, ok := key.Principal.(*iam.Principal)
	if !ok {
		return fmt.Errorf("BUG: the principal of a key is %T", key.Principal)
	}
	x.caller = p
	c := x.Call
	c.Account, c.Principal, c.UserID, c.Caller = p.Account, p.ARN, p.UserID, p
	return nil
}

// postPolicy is a policy document of a form.
type postPolicy struct {
	expires    time.Time
	conditions []postCondition
	least      int64 // content-length-range
	most       int64 // -1: none
}

// postCondition is one test of a field.
type postCondition struct {
	op, field, value string // eq, starts-with
	text             string // for the refusal
}

func condition(op, field, value string) postCondition {
	text := "[" + strconv.Quote(op) + ", " + strconv.Quote(field) + ", " + strconv.Quote(value) + "]"
	return postCondition{op, strings.ToLower(strings.TrimPrefix(field, "$")), value, text}
}

func badPolicy(text string) error { return say(errPolicyDocument, "Invalid Policy: "+text) }

// readPostPolicy reads the document strictly: what it cannot read would allow more
// than its author meant.
func readPostPolicy(encoded string) (*postPolicy, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, badPolicy("Expecting '{' but found End-of-Input")
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	for k := range doc {
		if k != "expiration" && k != "conditions" {
			return nil, badPolicy("Unexpected: " + strconv.Quote(k))
		}
	}
	p := &postPolicy{most: -1}
	var expiration string
	switch raw, ok := doc["expiration"]; {
	case !ok:
		return nil, badPolicy("Policy missing expiration.")
	case json.Unmarshal(raw, &expiration) != nil:
		return nil, badPolicy("Invalid JSON.")
	}
	if p.expires, err = time.Parse(time.RFC3339, expiration); err != nil {
		return nil, badPolicy("Invalid 'expiration' value: '" + expiration + "'")
	}
	var conditions []json.RawMessage
	switch raw, ok := doc["conditions"]; {
	case !ok:
		return nil, badPolicy("Policy missing conditions.")
	case json.Unmarshal(raw, &conditions) != nil:
		return nil, badPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, raw := range conditions {
		if err := p.add(raw); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *postPolicy) add(raw json.RawMessage) error {
	var simple map[string]json.RawMessage
	if json.Unmarshal(raw, &simple) == nil && simple != nil {
		if len(simple) != 1 {
			return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
		}
		for k, v := range simple {
			var value string
			if json.Unmarshal(v, &value) != nil {
				return badPolicy("Invalid Simple-Condition: value must be a string.")
			}
			p.conditions = append(p.conditions, condition("eq", "$"+k, value))
		}
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return badPolicy("Invalid condition test: must be a List or Object.")
	}
	var op string
	if len(list) == 0 || json.Unmarshal(list[0], &op) != nil {
		return badPolicy("Invalid Condition: missing operation identifier.")
	}
	switch op = strings.ToLower(op); op {
	case "eq", "starts-with":
		var field, value string
		if len(list) != 3 || json.Unmarshal(list[1], &field) != nil || json.Unmarshal(list[2], &value) != nil {
			return badPolicy("Invalid " + op + ": wrong number of arguments.")
		}
		c := condition(op, field, value)
		c.text = string(raw)
		p.conditions = append(p.conditions, c)
	case "content-length-range":
		if len(list) != 3 || json.Unmarshal(list[1], &p.least) != nil || json.Unmarshal(list[2], &p.most) != nil || p.least < 0 || p.most < p.least {
			return badPolicy("Invalid content-length-range: wrong number of arguments.")
		}
	default:
		return badPolicy("Invalid Condition: unknown operation '" + op + "'.")
	}
	return nil
}

// check holds the fields against the policy: all conditions must hold, and each
// field must be named by one.
func (p *postPolicy) check(f *form, bucket string, now time.Time) error {
	refuse := func(text string) error { return say(errAccessDenied, "Invalid according to Policy: "+text) }
	if !now.Before(p.expires) {
		return refuse("Policy expired.")
	}
	named := map[string]bool{}
	for _, c := range p.conditions {
		named[c.field] = true
		v := f.get(c.field)
		if c.field == "bucket" {
			v = bucket
		}
		ok := v == c.value
		if c.op == "starts-with" {
			ok = strings.HasPrefix(v, c.value)
			if c.field == "content-type" { // several types, each by itself
				for t := range strings.SplitSeq(v, ",") {
					ok = ok && strings.HasPrefix(strings.TrimSpace(t), c.value)
				}
			}
		}
		if !ok {
			return refuse("Policy Condition failed: " + c.text)
		}
	}
	if !named["bucket"] {
		return refuse("Extra input fields: bucket")
	}
	for _, name := range f.order {
		switch {
		case named[name], name == "policy", name == "x-amz-signature", name == "awsaccesskeyid", name == "signature", strings.HasPrefix(name, "x-ignore-"):
		default:
			return refuse("Extra input fields: " + name)
		}
	}
	return nil
}

// limited ends content that the policy finds too long, before it is all read.
type limited struct {
	r    io.Reader
	left int64
	over error
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, l.over
	}
	return n, err
}

// readPost reads the form up to its file and authenticates by it.
func (x *request) readPost() error {
	f, err := x.readForm()
	if err != nil {
		return err
	}
	if x.policy, err = x.signer(f); err != nil {
		return err
	}
	x.form = f
	if x.policy != nil {
		return x.policy.check(f, x.name, x.f.c.Now())
	}
	return nil
}

// postObject is a put of what the form holds.
func (x *request) postObject() error {
	f, p := x.form, x.policy
	if !f.has("key") {
		return say(errInvalidArgument, "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.", "ArgumentName", "key", "ArgumentValue", "")
	}
	x.key = strings.ReplaceAll(f.get("key"), "${filename}", f.filename)
	if x.key == "" || len(x.key) > object.MaxKey {
		return fail(errKeyTooLong, "Size", itoa(len(x.key)), "MaxSizeAllowed", itoa(object.MaxKey))
	}
	x.R.Header = f.headers()
	keys := map[string][]string{"s3:authType": {"POST"}}
	x.putKeys(keys)
	if err := x.may(x.bucket, "s3:PutObject", x.arn(x.name, x.key), keys); err != nil {
		return err
	}
	attrs, err := x.attributes()
	if err != nil {
		return err
	}
	tags, err := x.formTags(f)
	if err != nil {
		return err
	}
	in, err := x.integrity()
	if err != nil {
		return err
	}
	in.length = -1 // Content-Length is that of the form
	if in.sum != nil && in.sum.name != usual {
		r := remembered{sum: in.sum}
		if _, stored := in.sum.hasher(); !stored {
			r.value = base64Of(in.want)
		}
		set(&attrs, systemSum, r.String())
	}
	most := x.f.c.MaxPut
	if p != nil && p.most >= 0 {
		most = min(most, p.most)
	}
	body := withSum(&limited{f.file, most, fail(errEntityTooLarge, "MaxSizeAllowed", itoa64(most))}, in.sum)
	info, err := x.f.objects.Put(x.ctx, x.address(), body, object.PutOptions{Attributes: attrs, Tags: tags, Verify: func(size int64, sums object.Sums) error {
		if p != nil && size < p.least {
			return fail(errEntityTooSmall, "ProposedSize", itoa64(size), "MinSizeAllowed", itoa64(p.least))
		}
		return in.verify(size, sums)
	}})
	if err != nil {
		return bodyFault(err, errPostRequest)
	}
	h := x.w.Header()
	h["Etag"] = []string{quote(info.ETag)}
	in.echo(h, info.Sums)
	x.kept(&attrs)
	return x.posted(f, info)
}

// headers are the fields that stand for headers of a put.
func (f *form) headers() http.Header {
	h := http.Header{}
	for name, v := range f.fields {
		switch {
		case slices.Contains(formSignature, name), name == "x-amz-security-token", name == "x-amz-meta-":
		case strings.HasPrefix(name, "x-amz-"), name == "content-type", name == "content-disposition", name == "content-encoding", name == "content-language", name == "cache-control", name == "expires", name == "content-md5":
			h.Set(name, v)
		case name == "acl":
			h.Set("X-Amz-Acl", v)
		}
	}
	return h
}

// formTags reads the field tagging, a document like PutObjectTagging's.
func (x *request) formTags(f *form) (map[string]string, error) {
	v := f.get("tagging")
	if v == "" {
		return nil, nil
	}
	doc, err := decode[tagDocument]([]byte(v))
	if err != nil {
		return nil, err
	}
	if err := checkTags(doc.Tags, object.MaxTags); err != nil {
		return nil, err
	}
	tags := tagMap(doc.Tags)
	keys := map[string][]string{}
	requestTags(keys, tags)
	return tags, x.may(x.bucket, "s3:PutObjectTagging", x.arn(x.name, x.key), keys)
}

// posted answers as the form asks: a redirect, a document, or nothing.
func (x *request) posted(f *form, info object.Info) error {
	at := "http://" + x.R.Host + "/" + x.name + "/" + queryEscape(x.key)
	if x.R.TLS != nil {
		at = "https" + strings.TrimPrefix(at, "http")
	}
	h := x.w.Header()
	h.Set("Location", at)
	if to, err := url.Parse(cmp.Or(f.get("success_action_redirect"), f.get("redirect"))); err == nil && to.Host != "" && (to.Scheme == "http" || to.Scheme == "https") {
		q := to.Query()
		q.Set("bucket", x.name)
		q.Set("key", x.key)
		q.Set("etag", quote(info.ETag))
		to.RawQuery = q.Encode()
		h.Set("Location", to.String())
		return x.empty(http.StatusSeeOther)
	}
	switch f.get("success_action_status") {
	case "200":
		return x.empty(http.StatusOK)
	case "201":
		var d document
		d.begin("PostResponse", false)
		d.text("Location", at)
		d.text("Bucket", x.name)
		d.text("Key", x.key)
		d.text("ETag", quote(info.ETag))
		d.end("PostResponse")
		h.Set("Content-Type", "application/xml")
		h.Set("Content-Length", itoa(len(d.b)))
		x.w.WriteHeader(http.StatusCreated)
		_, err := x.w.Write(d.b)
		return err
	}
	return x.empty(http.StatusNoContent)
}
