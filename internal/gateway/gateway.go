package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
)

// Desk joins a service model to the value that answers its operations.
type Desk struct {
	Service *api.Service
	API     any
}

// An Authenticator says who sent a request.
type Authenticator interface {
	// Authenticate verifies the credentials of r, whose whole body is given.
	// Its errors are *apierr.Error of the authentication kinds. A request that is
	// an event stream (events) is authenticated by its head, with body nil; its
	// frames then by Identity.Events.
	Authenticate(r *http.Request, body []byte, events bool) (Identity, error)
}

// An EventVerifier checks the signatures of the frames of a request stream, in
// their order.
type EventVerifier interface {
	Verify(date time.Time, payload, signature []byte) error
}

// Identity is the outcome of authentication.
type Identity struct {
	Account    string
	Region     string // "" when the credentials name none
	Principal  string // ARN
	UserID     string
	Service    string        // of the credential scope, such as bedrock or s3
	Bearer     bool          // an API key instead of a signature
	BearerType string        // of an API key: SHORT_TERM or LONG_TERM
	BodyHash   string        // SHA-256 of the body in hex when authentication computed it, else ""
	Events     EventVerifier // of a request stream; nil when its frames are not signed
	Caller     any           // whatever the Authorizer needs to know the caller by
}

// Permission is one question to the Authorizer.
type Permission struct {
	Caller     any
	Account    string
	Region     string
	Action     string
	Resources  []string            // ARNs, "*" when the action has none
	Every      bool                // all Resources must be allowed; else they are what the resource may be called, and one is enough
	Conditions map[string][]string // request context
}

// An Authorizer says whether a caller may do something.
type Authorizer interface {
	// Unrestricted reports whether the caller may do everything to everything,
	// so that the gateway need not work out the resources.
	Unrestricted(caller any) bool
	// Authorize returns an AccessDenied error when the caller may not.
	Authorize(ctx context.Context, p *Permission) error
}

// A Throttle refuses requests that exceed a quota.
type Throttle interface {
	// Admit returns a Throttling error when the call may not run now. in is the
	// decoded input.
	Admit(ctx context.Context, c *call.Call, in any) error
}

// Observation is what happened to one request, for logs, metrics and audit.
type Observation struct {
	Call      *call.Call
	Operation *api.Operation // nil when no route matched
	Method    string
	Path      string // escaped
	Status    int
	Error     *apierr.Error // nil on success
	In        any           // decoded input, nil when decoding failed; its blobs may be reused once the answer is written
	BytesIn   int
	BytesOut  int
	Start     time.Time
	Duration  time.Duration
	Accepted  bool // it passed every check of the gateway and reached its operation
	Attached  bool // a retry that joined a running call
	Streamed  bool // answered by an event stream
}

// Config of a Handler. Desks and Authenticator are required.
type Config struct {
	Desks         []Desk
	Authenticator Authenticator
	Authorizer    Authorizer
	// ModelResources names the resources behind a model id: a profile and its
	// models. Nil leaves what the generated table says.
	ModelResources func(ctx context.Context, modelID string) []string
	Throttle       Throttle                // nil: no quotas
	Observers      []func(*Observation)    // called once per request, on its goroutine; must not block
	Neighbours     map[string]http.Handler // other AWS services, by the name in the credential scope
	// Unscoped answers requests without a credential scope that are no Bedrock
	// service's, such as an unsigned one to a bucket's host; nil or a nil result
	// leaves them to the routes.
	Unscoped     func(*http.Request) http.Handler
	Pages        map[string]http.Handler                                 // reserved paths such as /healthz
	Logger       *slog.Logger                                            // for internal errors; nil discards
	Clock        func() time.Time                                        // of the service; nil is time.Now
	Region       string                                                  // when the credentials name none; "" is us-east-1
	MaxBody      int64                                                   // bytes; 0 is 32 MiB
	ReadTimeout  time.Duration                                           // for a whole body; 0 is 60 s
	FrameTimeout time.Duration                                           // for writing one event; 0 is 30 s
	Linger       time.Duration                                           // a running call is cancelled this long after its last listener left; 0 is 10 s
	Only         string                                                  // serve this service alone, for a port of its own
	Trace        func(context.Context, string) (context.Context, func()) // starts a span; nil: none
}

// Handler serves the Bedrock services over HTTP.
type Handler struct {
	Config
	router   *router
	calls    calls
	stopping context.CancelCauseFunc
	base     context.Context //nolint:containedctx // the life of the handler, ended by Stop
	running  sync.WaitGroup
}

// ErrStopping is the cause of the cancellation of work when the server stops.
var ErrStopping = errors.New("the server is stopping")

// New returns a Handler. It panics when a desk does not implement an operation:
// that is a mistake of the program, found at start.
func New(c Config) *Handler {
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.MaxBody = cmp.Or(c.MaxBody, 32<<20)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, time.Minute)
	c.FrameTimeout = cmp.Or(c.FrameTimeout, 30*time.Second)
	c.Linger = cmp.Or(c.Linger, 10*time.Second)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	h := &Handler{Config: c, router: newRouter()}
	h.base, h.stopping = context.WithCancelCause(context.Background())
	h.calls.init(h)
	for _, d := range c.Desks {
		if c.Only != "" && d.Service.Name != c.Only {
			continue
		}
		for i := range d.Service.Operations {
			op := &d.Service.Operations[i]
			h.router.add(&route{service: d.Service, op: op, desk: d.API, plan: newAccessPlan(d.Service, op)})
		}
	}
	return h
}

// Stop cancels all running work with ErrStopping and returns when it has ended
// or ctx is done. The HTTP server in front must have stopped accepting.
func (h *Handler) Stop(ctx context.Context) error {
	h.stopping(ErrStopping)
	done := make(chan struct{})
	go func() { h.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
