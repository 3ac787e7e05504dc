package server

import (
	"context"
	"errors"

	"github.com/outcrop-dev/outcrop/internal/agent/build"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// makeAgents builds the build time of agents.
func (s *Server) makeAgents() *build.Room {
	return build.New(build.Config{
		Store: s.store, Now: s.clock.Now, Transition: s.cfg.Transition,
		Pass: s.passRole, Objects: roleFiles{s}, Forget: forgetAgent, Bases: knowledge.ByID{Room: s.library.bases},
		Base: func(ctx context.Context, model string) (string, error) {
			t, err := s.catalog.Resolve(ctx, model)
			if err != nil {
				return "", err
			}
			return t.BaseID, nil
		},
	})
}

// passRole asks whether the caller may hand a role to Bedrock, and whether Bedrock
// can take it for the resource.
func (s *Server) passRole(ctx context.Context, role, resource string) error {
	c := call.From(ctx)
	if p, ok := c.Caller.(*iam.Principal); ok {
		if err := s.identity.PassRole(ctx, p, role, bedrockService, resource); err != nil {
			return err
		}
	}
	if !s.identity.MayAssume(ctx, bedrockService, role, resource, c.Account) {
		return apierr.New(apierr.Validation,
			"Amazon Bedrock cannot assume the role %s. The role must exist, and its trust policy must let %s assume it for %s.", role, bedrockService, resource)
	}
	return nil
}

// roleFiles reads objects of S3 with the rights of the service roles of resources.
type roleFiles struct{ s *Server }

var _ build.Objects = roleFiles{}

// Read implements build.Objects.
func (f roleFiles) Read(ctx context.Context, role, source, name, key string, limit int64) ([]byte, error) {
	p, err := agentRoles(f).assume(ctx, role, source)
	if err != nil {
		return nil, err
	}
	b, _, err := bucket.ReadAll(ctx, f.s.account.files, bucket.As(p), bucket.Location{Bucket: name, Key: key}, limit)
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, bucket.ErrDenied):
		return nil, apierr.Wrap(apierr.AccessDenied, err, "access was denied to the role %s", role)
	case errors.Is(err, object.ErrNoBucket):
		return nil, apierr.Wrap(apierr.Validation, err, "there is no such bucket")
	case errors.Is(err, object.ErrNotFound):
		return nil, apierr.Wrap(apierr.Validation, err, "there is no such object")
	case errors.Is(err, bucket.ErrTooLarge):
		return nil, apierr.Wrap(apierr.Validation, err, "the object is larger than %d bytes", limit)
	}
	return nil, err
}

// agentOwners is the table of who keeps the resources that bedrock-agent tags.
func agentOwners(agents *build.Room) []tag.Owner {
	return []tag.Owner{{Type: "agent", Exists: agents.Exists}, {Type: "agent-alias", Exists: agents.Exists}}
}
