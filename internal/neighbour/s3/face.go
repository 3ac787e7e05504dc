package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	view "github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/store"
)

var (
	_ neighbour.Raw  = (*Face)(nil)
	_ view.Directory = (*Face)(nil)
)

// A Decider decides who may do what; iam.Identity is one.
type Decider interface {
	// Allow returns nil or a denial, with the policies of the resource.
	Allow(q *iam.Question) error
	// Unrestricted reports whether the principal may do everything in its account.
	Unrestricted(p *iam.Principal) bool
}

// Config of New. Objects and Rows are required.
type Config struct {
	Objects object.Store
	Rows    *store.Store // of the buckets' settings
	Decider Decider      // nil: everything is allowed to everybody, --auth off
	// Keys verify presigned URLs of signature version 2, which boto3 and the AWS
	// CLI 1 still make; the same as the verifier's. nil refuses them.
	Keys sigv4.Keys

	// Hosts are names of the endpoint, without port: a request to NAME is path
	// style, one to BUCKET.NAME is for the bucket. Amazon's own names for S3 are
	// known besides. nil means s3.localhost and localhost.
	Hosts []string
	// Prefix is a path before bucket and key under which requests without any
	// credentials are S3's: /s3/BUCKET/KEY. "" means /s3, which no bucket can be
	// called, and "-" none.
	Prefix string
	// Reserved are paths of the server that no bucket may be called.
	Reserved []string

	MaxPut  int64         // bytes of one PutObject or part; 0 is 5 GiB, S3's own limit
	Idle    time.Duration // how long a client may neither send nor take; 0 is 60 s
	Refresh time.Duration // age at which a bucket's settings are read again, for what other replicas write; 0 is 1 s
	Now     func() time.Time
}

// Face answers S3. It is safe for concurrent use and keeps no goroutines.
type Face struct {
	c       Config
	objects object.Store
	buckets *directory
}

// New returns the face.
func New(c Config) (*Face, error) {
	if c.Objects == nil || c.Rows == nil {
		return nil, errors.New("s3: Config.Objects and Config.Rows are required")
	}
	if c.Hosts == nil {
		c.Hosts = []string{"s3.localhost", "localhost"}
	}
	if c.Prefix = cmp.Or(c.Prefix, "/s3"); c.Prefix == "-" {
		c.Prefix = ""
	}
	c.Prefix = strings.TrimSuffix(c.Prefix, "/")
	c.MaxPut = cmp.Or(c.MaxPut, 5<<30)
	c.Idle = cmp.Or(c.Idle, time.Minute)
	c.Refresh = cmp.Or(c.Refresh, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Face{c: c, objects: c.Objects, buckets: newDirectory(c)}, nil
}

// Bucket returns the address of a bucket in the object store, for rooms that are
// given s3://NAME/KEY. It wraps object.ErrNoBucket when there is none.
func (f *Face) Bucket(ctx context.Context, name string) (object.Bucket, error) {
	b, err := f.buckets.get(ctx, name)
	if err != nil {
		return object.Bucket{}, err
	}
	return b.address(), nil
}

// Lookup implements bucket.Directory, for rooms.
func (f *Face) Lookup(ctx context.Context, name string) (view.Record, error) {
	b, err := f.buckets.get(ctx, name)
	if err == nil {
		err = b.broken
	}
	if err != nil {
		return view.Record{}, err
	}
	r := view.Record{Place: b.address(), Policy: b.policy, Restricted: b.public && b.Block != nil && b.Block.RestrictPublicBuckets}
	if b.Encryption != nil {
		r.System = map[string]string{systemSSE: b.Encryption.Algorithm}
	}
	return r, nil
}

// Policy returns the compiled policy of a bucket, nil when it has none, and the
// account that owns the bucket: rooms that act for a service or a role put both
// into their iam.Question.
func (f *Face) Policy(ctx context.Context, name string) (*policy.Policy, string, error) {
	b, err := f.buckets.get(ctx, name)
	if err != nil {
		return nil, "", err
	}
	return b.policy, b.Account, b.broken
}

// request is one request on its way through the face.
type request struct {
	*neighbour.Exchange

	f        *Face
	w        *recorder
	ctx      context.Context //nolint:containedctx // a request's own
	query    url.Values
	caller   *iam.Principal // nil: anonymous
	body     io.Reader      // verified on the way
	trailer  func() http.Header
	received *counter

	name   string // of the bucket, "" at the root
	key    string // "" at the bucket
	bucket *bucket
	op     *operation

	form   *form       // of PostObject
	policy *postPolicy // that signs it; nil: nobody did
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter

	status int
	n      int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.n += int64(n)
	return n, err
}

// Unwrap gives deadlines a way to the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// ServeExchange answers one request.
func (f *Face) ServeExchange(e *neighbour.Exchange) {
	x := &request{Exchange: e, f: f, w: &recorder{ResponseWriter: e.W}, ctx: e.Context()}
	control := http.NewResponseController(e.W)
	x.received = &counter{r: e.R.Body}
	e.R.Body = &steady{r: x.received, c: e.R.Body, control: control, idle: f.c.Idle}
	h := x.w.Header()
	h["X-Amz-Request-Id"] = []string{e.Call.RequestID}
	h["X-Amz-Id-2"] = []string{e.Call.RequestID}
	err := x.serve()
	var shown *apierr.Error
	if err != nil {
		shown = x.refuse(err)
	}
	e.Done(x.w.status, shown, int(x.received.n), int(x.w.n))
}

// steps is the way of a request, in order.
var steps = [...]func(*request) error{
	(*request).aim,
	(*request).find,
	(*request).authenticate,
	(*request).open,
	(*request).authorise,
	(*request).run,
}

func (x *request) serve() (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == any(http.ErrAbortHandler) {
				panic(p)
			}
			err = fmt.Errorf("BUG: %s panicked: %v\n%s", x.Call.Operation, p, debug.Stack())
		}
	}()
	for _, step := range steps {
		if err := step(x); err != nil {
			return err
		}
	}
	return nil
}

// aim finds out which bucket and key the request is about.
func (x *request) aim() error {
	var err error
	if x.query, err = url.ParseQuery(x.R.URL.RawQuery); err != nil {
		return fail(errInvalidURI)
	}
	x.name, x.key, err = x.f.target(x.R.Host, x.R.URL.EscapedPath())
	return err
}

func (x *request) find() error {
	op, err := route(x.R, x.query, x.name != "", x.key != "")
	if err != nil {
		return err
	}
	x.op, x.Call.Operation = op, op.name
	return nil
}

// authenticate verifies who asks. Nobody is somebody here: the bucket's policy
// decides.
func (x *request) authenticate() error {
	x.body = x.R.Body
	if x.op.open || x.op == opPostObject {
		x.Call.Principal, x.Call.Region = anonymous, cmp.Or(x.Call.Region, "us-east-1")
		if x.op == opPostObject {
			return x.readPost()
		}
		return nil
	}
	defer x.hoist()
	if version2(x.query) && x.R.Header.Get("Authorization") == "" {
		if x.f.c.Decider != nil { // with --auth off nobody's signature is looked at
			return x.verify2()
		}
	}
	if auth := x.R.Header.Get("Authorization"); strings.HasPrefix(auth, "AWS ") {
		return say(errInvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	if scope, ok := sigv4.ScopeOf(x.R); ok && scope.Service != "s3" {
		c, begins := errAuthHeader, headerBegins
		if x.query.Has("X-Amz-Credential") {
			c, begins = errAuthQuery, queryBegins
		}
		return say(c, begins+"incorrect service "+strconv.Quote(scope.Service)+". This endpoint belongs to \"s3\".")
	}
	body, err := x.AuthenticateStream()
	if e, ok := errors.AsType[*sigv4.Error](err); ok && e.Reason == sigv4.Missing {
		x.Call.Principal = anonymous
		x.Call.Region = cmp.Or(x.Call.Region, "us-east-1")
	} else if err != nil {
		return err
	} else {
		x.body = body
		if x.caller, ok = x.Call.Caller.(*iam.Principal); !ok || x.caller == nil {
			return fmt.Errorf("BUG: the caller of S3 is %T", x.Call.Caller)
		}
	}
	if b, ok := x.body.(*sigv4.Body); ok {
		x.trailer = b.Trailer
		return nil
	}
	if chunked(x.R.Header) { // nobody has signed it, so nobody has taken the frames off
		d := newUnframer(x.body, x.decodedLength())
		x.body, x.trailer = d, func() http.Header { return d.trailer }
	}
	return nil
}

const anonymous = "anonymous"

// open loads the bucket's row.
func (x *request) open() error {
	if x.name == "" || x.op == opCreateBucket {
		return nil
	}
	if !plausible(x.name) {
		return fail(errInvalidBucketName, "BucketName", x.name)
	}
	var err error
	if x.bucket, err = x.f.buckets.get(x.ctx, x.name); err != nil {
		return err
	}
	if want := x.R.Header.Get("X-Amz-Expected-Bucket-Owner"); want != "" && want != x.bucket.Account {
		return fail(errAccessDenied)
	}
	x.allowOrigin()
	return nil
}

func (x *request) run() error {
	if err := x.op.check(x); err != nil {
		return err
	}
	x.Accepted(x.op.name)
	return x.op.run(x)
}

// owner is the canonical id that stands for an account where S3 shows one.
func owner(account string) string { return hexSHA256("outcrop canonical user " + account) }
