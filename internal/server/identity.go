package server

import (
	"context"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
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

// signatures authenticates by signature or bearer key.
type signatures struct{ verifier *sigv4.Verifier }

func (s signatures) Authenticate(r *http.Request, body []byte, events bool) (gateway.Identity, error) {
	res, err := s.verifier.Verify(r, sigv4.Payload{Bytes: body, Unread: events})
	if err != nil {
		return gateway.Identity{}, err
	}
	if res.AWSChunked() {
		return gateway.Identity{}, apierr.New(apierr.Validation, "Bodies in aws-chunked encoding are not accepted by this service.")
	}
	id := identityOf(res.Principal.(*iam.Principal))
	id.Region, id.Service, id.BodyHash, id.Bearer = res.Region, res.Service, res.Payload, res.Form.Bearer()
	if events && !id.Bearer {
		if id.Events, err = res.Events(); err != nil {
			return gateway.Identity{}, apierr.Wrap(apierr.InvalidSignature, err, "The events of this request must be signed one by one.")
		}
	}
	return id, nil
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

func identityOf(p *iam.Principal) gateway.Identity {
	return gateway.Identity{Account: p.Account, Principal: p.ARN, UserID: p.UserID, Caller: p}
}

// permissions answers the gateway's questions from the identities.
type permissions struct{ identity *iam.Identity }

func (p permissions) Unrestricted(caller any) bool {
	return p.identity.Authorize(context.Background(), caller.(*iam.Principal), "*", "*", nil) == nil
}

// Authorize allows what is allowed on one of the resources that the input names:
// an id such as a model's can stand for resources of several types.
func (p permissions) Authorize(ctx context.Context, q *gateway.Permission) error {
	var first error
	for _, arn := range q.Resources {
		err := p.identity.Authorize(ctx, q.Caller.(*iam.Principal), q.Action, arn, q.Conditions)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
