package server

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

// keys lets sigv4 look credentials up in the identities.
type keys struct{ identity *iam.Identity }

func (k keys) Lookup(_ context.Context, id string) (sigv4.Key, error) {
	c, ok := k.identity.Credential(id)
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

// signatures authenticates by signature or bearer key.
type signatures struct {
	verifier *sigv4.Verifier
	used     func(accessKeyID, service, region string) // told of each key that signed; nil: nobody
}

// identity is who a verified signature shows.
func (s signatures) identity(res *sigv4.Result) gateway.Identity {
	if s.used != nil && !res.Temporary && !res.Form.Bearer() {
		s.used(res.AccessKeyID, res.Service, res.Region)
	}
	id := identityOf(res.Principal.(*iam.Principal))
	id.Region, id.Service, id.BodyHash = res.Region, res.Service, res.Payload
	id.Bearer, id.BearerType = res.Form.Bearer(), bearerTypes[res.Form]
	return id
}

func (s signatures) Authenticate(r *http.Request, body []byte, events bool) (gateway.Identity, error) {
	res, err := s.verifier.Verify(r, sigv4.Payload{Bytes: body, Unread: events})
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
func (s signatures) AuthenticateStream(r *http.Request) (gateway.Identity, io.Reader, error) {
	res, err := s.verifier.Verify(r, sigv4.Payload{Unread: true})
	if err != nil {
		return gateway.Identity{}, nil, err
	}
	return s.identity(&res), res.Body(r.Body), nil
}

// everybody takes every request for the administrator's: --auth off. The Region
// still comes from the signature's scope when there is one.
type everybody struct{ admin *iam.Principal }

func (e everybody) Authenticate(r *http.Request, _ []byte, _ bool) (gateway.Identity, error) {
	id := identityOf(e.admin)
	if s, ok := sigv4.ScopeOf(r); ok {
		id.Region, id.Service = s.Region, s.Service
	}
	return id, nil
}

// AuthenticateStream takes the body as it comes.
func (e everybody) AuthenticateStream(r *http.Request) (gateway.Identity, io.Reader, error) {
	id, err := e.Authenticate(r, nil, false)
	return id, r.Body, err
}

func identityOf(p *iam.Principal) gateway.Identity {
	return gateway.Identity{Account: p.Account, Principal: p.ARN, UserID: p.UserID, Caller: p}
}

// permissions answers the gateway's questions from the identities.
type permissions struct {
	identity *iam.Identity
	tags     *store.Store // of resources, for aws:ResourceTag; nil knows none
}

func (p permissions) Unrestricted(caller any) bool {
	return p.identity.Unrestricted(caller.(*iam.Principal))
}

func (p permissions) Authorize(ctx context.Context, q *gateway.Permission) error {
	question := iam.Question{Principal: q.Caller.(*iam.Principal), Action: q.Action}
	if q.Every || len(q.Resources) == 1 {
		for _, arn := range q.Resources {
			if err := p.about(ctx, &question, arn, q.Conditions); err != nil {
				return err
			}
			if err := p.identity.Allow(&question); err != nil {
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
	return p.identity.AllowOne(questions)
}

// about makes the question one about a resource. Where an action has no resource type
// Bedrock's refusals name none, those of other services a star.
func (p permissions) about(ctx context.Context, q *iam.Question, arn string, conditions map[string][]string) (err error) {
	if q.Resource = arn; arn == "*" && strings.HasPrefix(q.Action, "bedrock:") {
		q.Resource = ""
	}
	q.Keys, err = p.resourceTags(ctx, arn, conditions)
	return err
}

// gate is permissions for the wire, where requests name resources as they like: a
// policy speaks of ARNs with IDs, and a name must not lead around it.
type gate struct {
	permissions

	canonical func(ctx context.Context, arn string) string
}

// Authorize asks about the ARNs that the named resources truly have.
func (g gate) Authorize(ctx context.Context, q *gateway.Permission) error {
	for i, arn := range q.Resources {
		if strings.HasPrefix(arn, "arn:") {
			q.Resources[i] = g.canonical(ctx, arn)
		}
	}
	return g.permissions.Authorize(ctx, q)
}

// resourceTags adds the tags of a resource to the condition keys.
func (p permissions) resourceTags(ctx context.Context, arn string, keys map[string][]string) (map[string][]string, error) {
	if p.tags == nil || !strings.HasPrefix(arn, "arn:") {
		return keys, nil
	}
	var tags []store.Tag
	err := p.tags.View(ctx, func(tx *store.Tx) (err error) {
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

// dependent answers what a room asks besides the operation's own permission.
func (p permissions) dependent(ctx context.Context, action, resource string, conditions map[string][]string) error {
	caller, ok := call.From(ctx).Caller.(*iam.Principal)
	if !ok {
		return nil // not a request: the house itself
	}
	return p.identity.Authorize(ctx, caller, action, resource, conditions)
}
