package build

import (
	"context"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// Config says what the room works with. Store is needed; a nil port answers as its
// comment says.
type Config struct {
	Store      *store.Store
	Now        func() time.Time // of the service clock; nil is time.Now
	Transition time.Duration    // how long states last that pass by themselves
	Quotas     Quotas

	// Pass asks whether the caller may hand a role to Bedrock, and whether Bedrock could
	// take it for the agent; nil allows all.
	Pass func(ctx context.Context, role, agentARN string) error
	// Objects reads schemas in S3; nil refuses them.
	Objects Objects
	// Bases knows the knowledge bases; nil knows none.
	Bases Bases
	// Base answers the base model's id of a model id, an ARN or a provisioned model; nil
	// does not compare them.
	Base func(ctx context.Context, model string) (string, error)
	// Forget drops the sessions of an agent, or of one alias of it.
	Forget func(tx *store.Tx, account, region, agentID, aliasID string) error
}

// Objects reads a file of a bucket with the rights of an agent's role.
type Objects interface {
	Read(ctx context.Context, role, agentARN, bucket, key string, limit int64) ([]byte, error)
}

// Bases knows knowledge bases of the caller's account and Region.
type Bases interface {
	Exists(ctx context.Context, id string) (bool, error)
}

// Quotas are the limits of an account in a Region. Zero fields are AWS's of today.
type Quotas struct {
	Agents, Aliases, Groups, KnowledgeBases, Collaborators int
}

func (q Quotas) filled() Quotas {
	fill := func(v *int, n int) {
		if *v == 0 {
			*v = n
		}
	}
	fill(&q.Agents, 1000)
	fill(&q.Aliases, 10)
	fill(&q.Groups, 20)
	fill(&q.KnowledgeBases, 2)
	fill(&q.Collaborators, 10)
	return q
}

// Room holds the drafts, packages, versions and aliases. The structs of operations
// embed it.
type Room struct {
	cfg   Config
	plans plan.Cache[string, *plan.Plan] // decoded, by content address
}

// New returns the room; it starts nothing.
func New(c Config) *Room {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Forget == nil {
		c.Forget = func(*store.Tx, string, string, string, string) error { return nil }
	}
	c.Quotas = c.Quotas.filled()
	return &Room{cfg: c}
}

// Agents answers the operations on agents and their versions.
type Agents struct{ *Room }

// ActionGroups answers the operations on action groups.
type ActionGroups struct{ *Room }

// AgentAliases answers the operations on aliases.
type AgentAliases struct{ *Room }

// AgentKnowledgeBases answers the operations on what knowledge bases an agent has.
type AgentKnowledgeBases struct{ *Room }

// AgentCollaborators answers the operations on the agents that a supervisor leads.
type AgentCollaborators struct{ *Room }

const (
	draftVersion = "DRAFT"
	testAlias    = "TSTALIASID"
)

func agentARN(c *call.Call, id string) string { return c.ARN("agent/" + id) }

func aliasARN(c *call.Call, id, alias string) string { return c.ARN("agent-alias/" + id + "/" + alias) }

// textMissing is how AWS begins its answer to any id of the agent services that is not there.
const textMissing = "Failed to retrieve resource because it doesn't exist. Retry the request with a different resource identifier."

func missing() error { return apierr.New(apierr.ResourceNotFound, textMissing) }

// failure turns what the store answers into what the wire knows.
func failure(err error) error {
	return kms.Failure(err, textMissing, "The agent is being changed by another request. Try again.")
}

func invalid(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }

// invalidField is a ValidationException that names the member.
func invalidField(field, format string, args ...any) error {
	e := apierr.New(apierr.Validation, format, args...)
	e.Detail.Fields = []apierr.Field{{Name: field, Message: e.Message}}
	return e
}

func token(c *call.Call, operation string, value *string) store.Token {
	t := store.Token{Account: c.Account, Region: c.Region, Operation: operation}
	if value != nil {
		t.Value = *value
	}
	return t
}

// putTags sets the tags of something new.
func putTags(tx *store.Tx, resource string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	list := tag.FromMap(tags)
	if err := tag.Check(resource, nil, list); err != nil {
		return err
	}
	return tx.PutTags(resource, list)
}

func taken(what, name string) error {
	return apierr.New(apierr.Conflict, "%s with the name %s already exists. Choose another name.", what, strings.TrimSpace(name))
}

func beyond(what string, most int) error {
	return apierr.New(apierr.ServiceQuotaExceeded, "The quota of %d %s is reached. Delete one first.", most, what)
}
