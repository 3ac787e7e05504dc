package neighbour

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	iamapi "github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/api/kms"
	"github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/api/logs"
	"github.com/outcrop-dev/outcrop/internal/api/s3vectors"
	"github.com/outcrop-dev/outcrop/internal/api/secretsmanager"
	stsapi "github.com/outcrop-dev/outcrop/internal/api/sts"
	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// Tables are the services whose wire is generated, by the name in the credential
// scope.
var Tables = map[string]*api.Service{
	"sts": &stsapi.Service, "iam": &iamapi.Service, "kms": &kms.Service, "lambda": &lambda.Service,
	"logs": &logs.Service, "secretsmanager": &secretsmanager.Service, "s3vectors": &s3vectors.Service,
}

// A Refiner is a face that completes the questions put to the Authorizer before
// its operations run.
type Refiner interface {
	// Refine completes p, the question about one action of op. types are the
	// resource types it is about, and p.Resources what the templates of the tables
	// made of the input, "*" where they made nothing: an IAM role's path, a key
	// behind an alias and the suffix of a secret are not in the input. It also adds
	// the condition keys of the service and the tags of the resource. It reads and
	// changes nothing else; in may break constraints of the model.
	Refine(ctx context.Context, op *api.Operation, in any, types []string, p *gateway.Permission)
}

// An Authority is a face whose resources have policies of their own: keys,
// functions, secrets. Identity-based policies alone say neither yes nor no there,
// so the face answers the questions instead of Config.Authorizer.
type Authority interface {
	// Authorize answers one question, completed by Refine where the face is a
	// Refiner, from the caller's policies and the resource's together. It is asked
	// for every caller, also those who may do everything: a key's policy can deny
	// them. A face whose operations ask by themselves returns nil.
	Authorize(ctx context.Context, op *api.Operation, in any, p *gateway.Permission) error
}

// A StreamAuthenticator authenticates requests whose body must not be gathered.
// An Authenticator that implements it serves S3.
type StreamAuthenticator interface {
	// AuthenticateStream verifies the head of r. The body is what the reader gives:
	// it checks hash and chunk signatures on the way, and nothing counts before it
	// has answered io.EOF. Until it is read, r.Body stands as it came.
	AuthenticateStream(r *http.Request) (gateway.Identity, io.Reader, error)
}

// Raw is a face that reads and writes its own wire.
type Raw interface {
	// ServeExchange answers one request. It must call x.Authenticate or
	// x.AuthenticateStream before it believes anything, x.Authorize before it does
	// anything, and x.Done at its end.
	ServeExchange(x *Exchange)
}

// Config of New. Authenticator is required.
type Config struct {
	// Faces answer services, by the name in the credential scope: of a service in
	// Tables a value that implements its API interface, of any other a Raw.
	Faces map[string]any
	// Remote hands services to other endpoints: name to URL. It wins over Faces.
	Remote map[string]string

	Authenticator gateway.Authenticator
	Authorizer    gateway.Authorizer                                      // nil: everything is allowed
	Observers     []func(*gateway.Observation)                            // called once per request, on its goroutine; must not block
	Logger        *slog.Logger                                            // for internal errors; nil discards
	Clock         func() time.Time                                        // of the service; nil is time.Now
	Region        string                                                  // when the credentials name none; "" is us-east-1
	MaxBody       int64                                                   // bytes; 0 is 32 MiB
	ReadTimeout   time.Duration                                           // for a whole body; 0 is 60 s
	Trace         func(context.Context, string) (context.Context, func()) // starts a span; nil: none
	Transport     http.RoundTripper                                       // to remote endpoints; nil is a transport of its own
}

// New returns the handlers of all services that have a face or a remote endpoint,
// for gateway.Config.Neighbours, and of those in Tables that have neither: they
// answer that the service is not here and how to hand it on. Its error is a
// mistake of the configuration.
func New(c Config) (map[string]http.Handler, error) {
	if c.Authenticator == nil {
		return nil, fmt.Errorf("neighbour: Config.Authenticator is nil")
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.MaxBody = cmp.Or(c.MaxBody, 32<<20)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, time.Minute)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	out := map[string]http.Handler{}
	for name, svc := range Tables {
		h, err := newTable(&c, svc, c.Faces[name])
		if err != nil {
			return nil, err
		}
		out[name] = h
	}
	for name, face := range c.Faces {
		if Tables[name] != nil {
			continue
		}
		raw, ok := face.(Raw)
		if !ok {
			return nil, fmt.Errorf("BUG: the face of %s is %T, which has no tables and is no Raw", name, face)
		}
		out[name] = rawHandler{&c, name, raw}
	}
	for name, url := range c.Remote {
		h, err := newProxy(&c, name, url)
		if err != nil {
			return nil, fmt.Errorf("--neighbour %s: %w", name, err)
		}
		out[name] = h
	}
	return out, nil
}

// rawHandler gives requests to a Raw face.
type rawHandler struct {
	c    *Config
	name string
	face Raw
}

func (h rawHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(h.c, h.name, w, r)
	defer x.finish()
	h.face.ServeExchange(x)
}
