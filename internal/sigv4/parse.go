package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dayFormat  = "20060102"

	// maxPresign is the longest life of a presigned request, seven days.
	maxPresign = 7 * 24 * time.Hour
)

// Form is the way in which a request carries its credentials.
type Form int

// The forms.
const (
	FormNone      Form = iota // no credentials
	FormHeader                // Authorization: AWS4-HMAC-SHA256 …
	FormQuery                 // presigned: X-Amz-Signature in the query
	FormShortTerm             // Authorization: Bearer bedrock-api-key-…, itself a presigned request
	FormLongTerm              // Authorization: Bearer ABSK…
)

// Bearer reports whether the form is one of Bedrock's API keys, which are good
// for the services bedrock and bedrock-runtime alone and need the permission
// bedrock:CallWithBearerToken besides the operation's own.
func (f Form) Bearer() bool { return f == FormShortTerm || f == FormLongTerm }

// Scope is the credential scope, which names service and Region before anything
// is verified.
type Scope struct {
	AccessKeyID string
	Day         string // yyyymmdd
	Region      string
	Service     string
}

// ScopeOf reads the scope of a request without verifying anything, so that the
// caller can choose service and Region from it. False when the request carries
// none: unsigned, a long-term API key, or malformed (Verify then says how).
func ScopeOf(r *http.Request) (Scope, bool) {
	credential := ""
	switch auth := r.Header.Get("Authorization"); {
	case auth == "":
		for part := range strings.SplitSeq(rawQuery(r), "&") {
			if v, ok := strings.CutPrefix(part, "X-Amz-Credential="); ok {
				credential, _ = url.QueryUnescape(v)
				break
			}
		}
	case strings.HasPrefix(auth, bearerPrefix):
		if q, err := parseShortTerm(strings.TrimSpace(auth[len(bearerPrefix):])); err == nil {
			return q.Scope, true
		}
		return Scope{}, false
	default:
		_, rest, ok := strings.Cut(auth, "Credential=")
		if !ok {
			return Scope{}, false
		}
		credential, _, _ = strings.Cut(rest, ",")
		credential = strings.TrimSpace(credential)
	}
	s, _, err := parseCredential(credential)
	return s, err == nil
}

// request is a signed request read and not yet believed.
type request struct {
	Scope
	form      Form
	scope     string // day/region/service/aws4_request
	signed    string // names of signed headers, joined by semicolons, as sent
	signature string // hex, as sent
	date      time.Time
	dateText  string // the date in timeFormat
	expires   time.Duration
	token     string // session token

	method string
	path   string // as it stood in the request line
	query  string // as it stood in the request line
	host   string
	header http.Header
	length int64 // Content-Length, for clients' requests whose header lacks it

	payload string // value of x-amz-content-sha256, "" when not sent
}

func fail(reason Reason, form Form, message string) *Error {
	return &Error{Reason: reason, Message: message, Form: form}
}

// parse reads the header or the query form of r.
func parse(r *http.Request) (*request, *Error) {
	q := &request{method: r.Method, host: r.Host, header: r.Header, length: r.ContentLength}
	q.path, q.query = target(r)
	if q.host == "" && r.URL != nil {
		q.host = r.URL.Host
	}
	auths := r.Header.Values("Authorization")
	presigned := hasName(q.query, "X-Amz-Algorithm=") || hasName(q.query, "X-Amz-Signature=")
	switch {
	case len(auths) > 1, len(auths) == 1 && presigned:
		return nil, fail(Incomplete, FormHeader, textBoth)
	case presigned:
		return q, q.parseQuery()
	case len(auths) == 0 || strings.TrimSpace(auths[0]) == "":
		return nil, fail(Missing, FormNone, textMissing)
	}
	return q, q.parseHeader(auths[0])
}

// parseHeader reads Authorization, the date and the session token.
func (q *request) parseHeader(auth string) *Error {
	q.form = FormHeader
	name, rest, _ := strings.Cut(strings.TrimSpace(auth), " ")
	if name != algorithm {
		return fail(Incomplete, q.form, "Unsupported AWS 'algorithm': '"+clip(name)+"'.")
	}
	var credential string
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return fail(Incomplete, q.form, "'"+clip(strings.TrimSpace(part))+"' not a valid key=value pair (missing equal-sign) in Authorization header.")
		}
		switch key {
		case "Credential":
			credential = value
		case "SignedHeaders":
			q.signed = value
		case "Signature":
			q.signature = value
		}
	}
	q.dateText = first(q.header, "X-Amz-Date")
	httpDate := ""
	if q.dateText == "" {
		httpDate = first(q.header, "Date")
	}
	var lacks []string
	for _, part := range [...]struct{ name, value string }{{"Credential", credential}, {"Signature", q.signature}, {"SignedHeaders", q.signed}} {
		if part.value == "" {
			lacks = append(lacks, "Authorization header requires '"+part.name+"' parameter.")
		}
	}
	if q.dateText == "" && httpDate == "" {
		lacks = append(lacks, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if lacks != nil {
		return fail(Incomplete, q.form, strings.Join(lacks, " "))
	}
	if err := q.parseDate(q.dateText, httpDate); err != nil {
		return err
	}
	q.token = first(q.header, "X-Amz-Security-Token")
	q.payload = first(q.header, "X-Amz-Content-Sha256")
	return q.parseScope(credential)
}

// parseQuery reads the X-Amz- parameters of a presigned request.
func (q *request) parseQuery() *Error {
	q.form = FormQuery
	var alg, credential, expires string
	seen := 0
	for part := range strings.SplitSeq(q.query, "&") {
		key, value, _ := strings.Cut(part, "=")
		var into *string
		switch key {
		case "X-Amz-Algorithm":
			into = &alg
		case "X-Amz-Credential":
			into = &credential
		case "X-Amz-Date":
			into = &q.dateText
		case "X-Amz-Expires":
			into = &expires
		case "X-Amz-SignedHeaders":
			into = &q.signed
		case "X-Amz-Signature":
			into = &q.signature
		case "X-Amz-Security-Token":
			into = &q.token
		case "X-Amz-Content-Sha256":
			into = &q.payload
		default:
			continue
		}
		v, err := url.QueryUnescape(value)
		if err != nil || *into != "" {
			return fail(Incomplete, q.form, "Query-string parameter '"+key+"' is malformed or repeated.")
		}
		*into = v
		seen++
	}
	if alg != algorithm {
		return fail(Incomplete, q.form, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
	}
	var lacks []string
	for _, p := range [...]struct{ name, value string }{
		{"X-Amz-Credential", credential}, {"X-Amz-Signature", q.signature}, {"X-Amz-SignedHeaders", q.signed}, {"X-Amz-Date", q.dateText},
	} {
		if p.value == "" {
			lacks = append(lacks, "AWS query-string parameters must include '"+p.name+"'.")
		}
	}
	if lacks != nil {
		return fail(Incomplete, q.form, strings.Join(lacks, " ")+" Re-examine the query-string parameters.")
	}
	if err := q.parseDate(q.dateText, ""); err != nil {
		return err
	}
	if err := q.parseScope(credential); err != nil {
		return err
	}
	switch {
	case expires == "" && q.Service == "s3":
		return fail(Incomplete, q.form, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
	case expires == "":
		q.expires = Skew
	default:
		n, err := strconv.ParseInt(expires, 10, 64)
		switch {
		case err != nil:
			return fail(Incomplete, q.form, "X-Amz-Expires should be a number")
		case n < 0:
			return fail(Incomplete, q.form, "X-Amz-Expires must be non-negative")
		case n > int64(maxPresign/time.Second):
			return fail(Incomplete, q.form, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
		}
		q.expires = time.Duration(n) * time.Second
	}
	if q.payload == "" && q.Service == "s3" {
		// The header counts only when the signature covers it; else S3's own
		// default for presigned requests holds.
		q.payload = unsignedPayload
		if h := first(q.header, "X-Amz-Content-Sha256"); h != "" && q.signs("x-amz-content-sha256") {
			q.payload = h
		}
	} else if q.payload == "" && q.signs("x-amz-content-sha256") {
		q.payload = first(q.header, "X-Amz-Content-Sha256")
	}
	return nil
}

func (q *request) parseDate(amz, httpDate string) *Error {
	var err error
	if amz != "" {
		q.date, err = time.Parse(timeFormat, amz)
	} else if q.date, err = http.ParseTime(httpDate); err != nil {
		q.date, err = time.Parse(timeFormat, httpDate)
	}
	if err != nil {
		return fail(Incomplete, q.form, "Date must be in ISO-8601 'basic format'. Got '"+clip(amz+httpDate)+"'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	q.date = q.date.UTC()
	if q.dateText = amz; amz == "" {
		q.dateText = q.date.Format(timeFormat)
	}
	return nil
}

func (q *request) parseScope(credential string) *Error {
	var err *Error
	if q.Scope, q.scope, err = parseCredential(credential); err != nil {
		err.Form, err.AccessKeyID = q.form, q.AccessKeyID
		return err
	}
	if q.Day != q.dateText[:len(dayFormat)] {
		return &Error{Reason: BadScope, Form: q.form, AccessKeyID: q.AccessKeyID, Message: "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			clip(q.Day) + "' != '" + q.dateText[:len(dayFormat)] + "', from '" + q.dateText + "'."}
	}
	if !q.signs("host") && !q.signs(":authority") {
		return &Error{Reason: HostUnsigned, Form: q.form, AccessKeyID: q.AccessKeyID, Message: textHost}
	}
	return nil
}

// parseCredential cuts keyid/day/region/service/aws4_request. The scope text is
// the tail of s.
func parseCredential(s string) (Scope, string, *Error) {
	id, scope, _ := strings.Cut(s, "/")
	day, rest, _ := strings.Cut(scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, ok := strings.Cut(rest, "/")
	sc := Scope{AccessKeyID: id, Day: day, Region: region, Service: service}
	switch {
	case !ok || strings.Contains(end, "/"):
		return sc, scope, fail(Incomplete, FormNone, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '"+clip(s)+"'.")
	case id == "":
		return sc, scope, fail(Incomplete, FormNone, "Credential must begin with an access key ID, got '"+clip(s)+"'.")
	case end != terminator:
		return sc, scope, fail(BadScope, FormNone, "Credential should be scoped with a valid terminator: 'aws4_request', not '"+clip(end)+"'.")
	case region == "":
		return sc, scope, fail(BadScope, FormNone, "Credential should be scoped to a valid region.")
	case service == "":
		return sc, scope, fail(BadScope, FormNone, "Credential should be scoped to correct service.")
	}
	return sc, scope, nil
}

// signs reports whether the signature covers the header, named in lower case.
func (q *request) signs(name string) bool {
	for n := range strings.SplitSeq(q.signed, ";") {
		if n == name {
			return true
		}
	}
	return false
}

// target returns path and query as they stood in the request line: the
// signature is over these bytes, not over what a parser made of them.
func target(r *http.Request) (path, query string) {
	t := r.RequestURI
	if t == "" { // a client's request
		t = r.URL.RequestURI()
	}
	if t[0] != '/' { // absolute form, sent through proxies
		if _, rest, ok := strings.Cut(t, "://"); ok {
			if i := strings.IndexAny(rest, "/?"); i < 0 {
				t = "/"
			} else if t = rest[i:]; t[0] == '?' {
				t = "/" + t
			}
		}
	}
	path, query, _ = strings.Cut(t, "?")
	return path, query
}

// hasName reports whether a parameter of the query begins with the name.
func hasName(query, name string) bool {
	return strings.HasPrefix(query, name) || strings.Contains(query, "&"+name)
}

func rawQuery(r *http.Request) string { _, q := target(r); return q }

// first returns the first value of a header given in canonical form, trimmed.
func first(h http.Header, name string) string {
	if vs := h[name]; len(vs) > 0 {
		return strings.TrimSpace(vs[0])
	}
	return ""
}

// clip keeps what a stranger sent from filling our answers.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
