package access

import (
	"context"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Keys lets sigv4 look credentials up in the identities.
type Keys struct{ Identity *iam.Identity }

// Lookup answers the key of an access key id, sigv4.ErrUnknownKey if there is none.
func (k Keys) Lookup(_ context.Context, id string) (sigv4.Key, error) {
	c, ok := k.Identity.Credential(id)
	if !ok {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{
		Secret: c.Secret.Reveal(), Temporary: c.Temporary, TokenSHA256: c.TokenSHA256,
		Bearer: c.Bearer, Expires: c.Expires, Principal: c.Principal,
	}, nil
}

// bearerTypes are the values of bedrock:BearerTokenType.
var bearerTypes = map[sigv4.Form]string{sigv4.FormShortTerm: "SHORT_TERM", sigv4.FormLongTerm: "LONG_TERM"}

// Signatures authenticates by signature or bearer key. It is a
// gateway.Authenticator. Verifier is required; its keys are Keys.
type Signatures struct {
	Verifier *sigv4.Verifier
	Used     func(accessKeyID, service, region string) // told of each key that signed; nil: nobody
}

// identity is who a verified signature shows.
func (s Signatures) identity(res *sigv4.Result) gateway.Identity {
	if s.Used != nil && !res.Temporary && !res.Form.Bearer() {
		s.Used(res.AccessKeyID, res.Service, res.Region)
	}
	id := identityOf(res.Principal.(*iam.Principal))
	id.Region, id.Service, id.BodyHash = res.Region, res.Service, res.Payload
	id.Bearer, id.BearerType = res.Form.Bearer(), bearerTypes[res.Form]
	return id
}

// Authenticate answers who signed a request with this body; with events the body is
// read later, event by event.
func (s Signatures) Authenticate(r *http.Request, body []byte, events bool) (gateway.Identity, error) {
	res, err := s.Verifier.Verify(r, sigv4.Payload{Bytes: body, Unread: events})
	if err != nil {
		return gateway.Identity{}, err
	}
	if res.AWSChunked() {
		return gateway.Identity{}, apierr.New(apierr.Validation, "Bodies in aws-chunked encoding are not accepted by this service.")
	}
	id := s.identity(&res)
	if events && !id.Bearer {
		if id.Events, err = res.Events(); err != nil {
			return gateway.Identity{}, apierr.Wrap(apierr.InvalidSignature, err, "The events of this request must be signed one by one.")
		}
	}
	return id, nil
}

// AuthenticateStream verifies the head of a request whose body is read later;
// the reader checks hash and chunk signatures on the way.
func (s Signatures) AuthenticateStream(r *http.Request) (gateway.Identity, io.Reader, error) {
	res, err := s.Verifier.Verify(r, sigv4.Payload{Unread: true})
	if err != nil {
		return gateway.Identity{}, nil, err
	}
	return s.identity(&res), res.Body(r.Body), nil
}

// Everybody takes every request for the administrator's: --auth off. The Region
// still comes from the signature's scope when there is one.
type Everybody struct{ Admin *iam.Principal }

// Authenticate answers the administrator.
func (e Everybody) Authenticate(r *http.Request, _ []byte, _ bool) (gateway.Identity, error) {
	id := identityOf(e.Admin)
	if s, ok := sigv4.ScopeOf(r); ok {
		id.Region, id.Service = s.Region, s.Service
	}
	return id, nil
}

// AuthenticateStream takes the body as it comes.
func (e Everybody) AuthenticateStream(r *http.Request) (gateway.Identity, io.Reader, error) {
	id, err := e.Authenticate(r, nil, false)
	return id, r.Body, err
}

func identityOf(p *iam.Principal) gateway.Identity {
	return gateway.Identity{Account: p.Account, Principal: p.ARN, UserID: p.UserID, Caller: p}
}

// Permissions answers the gateway's questions from the identities. It is a
// gateway.Authorizer. Identity is required.
type Permissions struct {
	Identity *iam.Identity
	Tags     *store.Store // of resources, for aws:ResourceTag; nil knows none
}

// Unrestricted reports a caller who may do everything, whatever the resource.
func (p Permissions) Unrestricted(caller any) bool {
	return p.Identity.Unrestricted(caller.(*iam.Principal))
}

// Authorize answers nil, or the refusal of the caller in words for the wire: all
// resources must be allowed with Every, else one of the names of one thing.
func (p Permissions) Authorize(ctx context.Context, q *gateway.Permission) error {
	question := iam.Question{Principal: q.Caller.(*iam.Principal), Action: q.Action}
	if q.Every || len(q.Resources) == 1 {
		for _, arn := range q.Resources {
			if err := p.about(ctx, &question, arn, q.Conditions); err != nil {
				return err
			}
			if err := p.Identity.Allow(&question); err != nil {
				return err
			}
		}
		return nil
	}
	// Names of one thing: what has tags has them under the name that is its own.
	questions := make([]iam.Question, len(q.Resources))
	for i, arn := range q.Resources {
		questions[i] = question
		if err := p.about(ctx, &questions[i], arn, q.Conditions); err != nil {
			return err
		}
	}
	return p.Identity.AllowOne(questions)
}

// about makes the question one about a resource. Where an action has no resource type
// Bedrock's refusals name none, those of other services a star.
func (p Permissions) about(ctx context.Context, q *iam.Question, arn string, conditions map[string][]string) (err error) {
	if q.Resource = arn; arn == "*" && strings.HasPrefix(q.Action, "bedrock:") {
		q.Resource = ""
	}
	q.Keys, err = p.resourceTags(ctx, arn, conditions)
	return err
}

// Gate is Permissions for the wire, where requests name resources as they like: a
// policy speaks of ARNs with IDs, and a name must not lead around it.
type Gate struct {
	Permissions

	// Canonical answers the ARN that a resource truly has.
	Canonical func(ctx context.Context, arn string) string
}

// Authorize asks about the ARNs that the named resources truly have.
func (g Gate) Authorize(ctx context.Context, q *gateway.Permission) error {
	for i, arn := range q.Resources {
		if strings.HasPrefix(arn, "arn:") {
			q.Resources[i] = g.Canonical(ctx, arn)
		}
	}
	return g.Permissions.Authorize(ctx, q)
}

// resourceTags adds the tags of a resource to the condition keys.
func (p Permissions) resourceTags(ctx context.Context, arn string, keys map[string][]string) (map[string][]string, error) {
	if p.Tags == nil || !strings.HasPrefix(arn, "arn:") {
		return keys, nil
	}
	var tags []store.Tag
	err := p.Tags.View(ctx, func(tx *store.Tx) (err error) {
		tags, err = tx.Tags(arn)
		return err
	})
	if err != nil || len(tags) == 0 {
		return keys, err
	}
	out := maps.Clone(keys)
	if out == nil {
		out = map[string][]string{}
	}
	for _, t := range tags {
		out["aws:ResourceTag/"+t.Key] = []string{t.Value}
	}
	return out, nil
}

// Dependent answers what a room asks besides the operation's own permission.
func (p Permissions) Dependent(ctx context.Context, action, resource string, conditions map[string][]string) error {
	caller, ok := call.From(ctx).Caller.(*iam.Principal)
	if !ok {
		return nil // not a request: the house itself
	}
	return p.Identity.Authorize(ctx, caller, action, resource, conditions)
}
