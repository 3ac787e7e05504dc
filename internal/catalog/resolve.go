package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Texts that AWS answers, to the letter: programs compare them. The apostrophe
// of textOnDemand is U+2019.
const (
	textInvalid  = "The provided model identifier is invalid."
	textDenied   = "You don't have access to the model with the specified model ID."
	textOnDemand = "Invocation of model ID %s with on-demand throughput isn\u2019t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
	textEnded    = "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
)

func errInvalid() error { return apierr.New(apierr.Validation, textInvalid) }

// Resolve implements Resolver.
func (c *Catalog) Resolve(ctx context.Context, modelID string) (*Target, error) {
	at := call.From(ctx)
	key := foundKey{at.Account, at.Region, modelID}
	if l, err := c.models(ctx); err == nil {
		c.mu.RLock()
		f, ok := c.found[key]
		c.mu.RUnlock()
		if ok && f.of == l {
			if err := c.permit(ctx, at, f.entry); err != nil {
				return nil, err
			}
			return f.target, nil
		}
	}
	return c.resolve(ctx, at, key)
}

func (c *Catalog) resolve(ctx context.Context, at *call.Call, key foundKey) (*Target, error) {
	ref, err := c.refer(ctx, at, key.id)
	if err != nil {
		return nil, err
	}
	if ref.target != nil {
		return ref.target, nil
	}
	e := ref.entry
	if ref.profile == nil && ref.direct && !c.lenient && !e.isOnDemand(at.Region) {
		if err := c.alive(e); err != nil {
			return nil, err
		}
		return nil, apierr.New(apierr.Validation, textOnDemand, key.id)
	}
	if err := c.permit(ctx, at, e); err != nil {
		return nil, err
	}
	t, l, err := c.target(ctx, at, key.id, e)
	if err != nil {
		return nil, err
	}
	if p := ref.profile; p != nil {
		t.ARN, t.ProfileARN = p.ARN, p.ARN
		t.Resources = append([]string{p.ARN}, p.Models...)
	}
	if ref.profile == nil || !ref.profile.Application {
		// Application profiles can be deleted, here or by another replica.
		c.mu.Lock()
		if len(c.found) >= maxFound {
			clear(c.found)
		}
		c.found[key] = found{target: t, entry: e, of: l}
		c.mu.Unlock()
	}
	return t, nil
}

// Foundation resolves a base model or throughput id for an Owner: the on-demand
// rule does not apply, because the owner's resource is what makes it callable.
// Life cycle, access and the choice of the local model do. called is the id as
// the caller wrote it.
func (c *Catalog) Foundation(ctx context.Context, baseID, called string) (*Target, error) {
	at := call.From(ctx)
	e := c.lookup(baseID)
	if e == nil {
		return nil, errInvalid()
	}
	if err := c.permit(ctx, at, e); err != nil {
		return nil, err
	}
	t, _, err := c.target(ctx, at, called, e)
	return t, err
}

// reference is what a name turned out to mean, before any rule is applied.
type reference struct {
	entry   *entry
	profile *Profile // inference profile it was reached through
	direct  bool     // the name is the model's own
	target  *Target  // an owner resolved it
}

// refer reads a name. It asks the store for application profiles alone.
func (c *Catalog) refer(ctx context.Context, at *call.Call, id string) (reference, error) {
	if id == "" || len(id) > 2048 {
		return reference{}, errInvalid()
	}
	if strings.HasPrefix(id, "arn:") {
		return c.referARN(ctx, at, id)
	}
	if strings.Contains(id, ".") {
		if e := c.lookup(id); e != nil {
			if !c.inRegion(e, at.Region) {
				return reference{}, errInvalid()
			}
			return reference{entry: e, direct: true}, nil
		}
		if p, e := c.systemProfile(at, id); p != nil {
			return reference{entry: e, profile: p}, nil
		}
	}
	if ref, ok, err := c.ask(ctx, id); ok || err != nil {
		return ref, err
	}
	if isProfileID(id) {
		return c.applicationProfile(ctx, at, id)
	}
	return reference{}, errInvalid()
}

func (c *Catalog) referARN(ctx context.Context, at *call.Call, id string) (reference, error) {
	name, err := arn.Parse(id)
	if err != nil || name.Validate() != nil {
		return reference{}, errInvalid()
	}
	typ, rest := name.Split()
	ours := name.Service == "bedrock" && name.Region == at.Region && strings.HasPrefix(name.Resource, typ+"/")
	switch {
	case typ == "foundation-model" && name.Service == "bedrock":
		e := c.lookup(rest)
		if !ours || name.Account != "" || e == nil || !c.inRegion(e, at.Region) {
			return reference{}, errInvalid()
		}
		return reference{entry: e, direct: true}, nil
	case typ == "inference-profile" && name.Service == "bedrock":
		// AWS keeps system-defined profiles in the caller's own account.
		if !ours || name.Account != at.Account {
			return reference{}, errInvalid()
		}
		p, e := c.systemProfile(at, rest)
		if p == nil {
			return reference{}, errInvalid()
		}
		return reference{entry: e, profile: p}, nil
	case typ == "application-inference-profile" && name.Service == "bedrock":
		if !ours || name.Account != at.Account || !isProfileID(rest) {
			return reference{}, errInvalid()
		}
		return c.applicationProfile(ctx, at, rest)
	}
	if ref, ok, err := c.ask(ctx, id); ok || err != nil {
		return ref, err
	}
	return reference{}, errInvalid()
}

// ask lets the owners have a look at a name.
func (c *Catalog) ask(ctx context.Context, id string) (reference, bool, error) {
	for _, o := range c.owners {
		if !o.Match(id) {
			continue
		}
		t, err := o.Resolve(ctx, id)
		if err != nil {
			return reference{}, false, err
		}
		if t != nil {
			return reference{target: t}, true, nil
		}
	}
	return reference{}, false, nil
}

// alive refuses a model that has ended.
func (c *Catalog) alive(e *entry) error {
	if c.state(e) == EndOfLife {
		return apierr.New(apierr.ResourceNotFound, textEnded)
	}
	return nil
}

// permit refuses what has ended and what the account has no access to.
func (c *Catalog) permit(ctx context.Context, at *call.Call, e *entry) error {
	if err := c.alive(e); err != nil {
		return err
	}
	ok, err := c.entitled(ctx, at.Account, at.Region, e)
	if err != nil {
		return err
	}
	if !ok {
		return apierr.New(apierr.AccessDenied, textDenied)
	}
	return nil
}

// target makes the target of an entry and picks the local model.
func (c *Catalog) target(ctx context.Context, at *call.Call, called string, e *entry) (*Target, *locals, error) {
	base := e
	if e.variantOf != nil {
		base = e.variantOf
	}
	l, err := c.models(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, apierr.Wrap(apierr.ServiceUnavailable, err,
			"The inference engine does not answer, so %s cannot be served. Run 'outcrop doctor' to see what is missing.", base.ID)
	}
	info, chain, err := c.choose(l, called, base)
	if err != nil {
		return nil, nil, err
	}
	t := &Target{
		ModelID: called, BaseID: base.ID,
		ARN: foundationARN(at.Region, e.ID), BaseARN: foundationARN(at.Region, base.ID),
		Provider: e.Provider, Name: e.Name, Family: e.Family,
		Kind: e.Kind, Local: info.Name, Info: info, Chain: chain,
		Streaming: e.stream, Context: e.Context, MaxOutput: e.MaxOutput,
		Vision: slices.Contains(e.in, "IMAGE"), Thinking: e.think, Tools: e.tools, System: e.system,
		Embedding: e.embedding, Legacy: c.state(e) == LegacyNow, QuotaKey: e.quotaKey,
	}
	if t.Vision && !info.Vision && e.Kind == engine.Chat {
		for _, m := range l.models {
			if m.Kind == engine.Chat && m.Vision {
				t.VisionLocal = m.Name
				break
			}
		}
	}
	t.Resources = []string{t.ARN}
	return t, l, nil
}

// choose picks the local model for a model id: by alias, else the engine's first
// of the kind.
func (c *Catalog) choose(l *locals, called string, e *entry) (engine.Info, []string, error) {
	if a := c.alias(called, e.ID); a != nil {
		info, ok := l.byName[a.Local]
		switch {
		case !ok:
			return engine.Info{}, nil, apierr.New(apierr.ServiceUnavailable,
				"%s is mapped to the local model %q, which the engine does not have. Run 'outcrop models list' to see what it has, 'outcrop models pull' to add a model, or change the alias %q.", e.ID, a.Local, a.Pattern)
		case info.Kind != e.Kind:
			return engine.Info{}, nil, apierr.New(apierr.ServiceUnavailable,
				"%s needs %s, but the alias %q maps it to %q, which is for %s.", e.ID, aKind(e.Kind), a.Pattern, a.Local, info.Kind)
		}
		return info, a.Fallback, nil
	}
	for _, m := range l.models {
		if m.Kind == e.Kind {
			return m, nil, nil
		}
	}
	return engine.Info{}, nil, apierr.New(apierr.ServiceUnavailable, "%s", missing(e))
}

func (c *Catalog) alias(called, base string) *Alias {
	for i := range c.aliases {
		if p := c.aliases[i].Pattern; p == called || p == base {
			return &c.aliases[i]
		}
	}
	for i := range c.aliases {
		if p := c.aliases[i].Pattern; glob(p, called) || glob(p, base) {
			return &c.aliases[i]
		}
	}
	return nil
}

func aKind(k engine.Kind) string {
	switch k {
	case engine.Chat:
		return "a chat model"
	case engine.Embedding:
		return "an embedding model"
	case engine.Image:
		return "an image model"
	case engine.Reranker:
		return "a reranking model"
	}
	return "a " + string(k) + " model"
}

// missing says what to do when no local model can stand in for an entry.
func missing(e *entry) string {
	s := e.ID + " needs " + aKind(e.Kind) + ", and the local engine has none. "
	switch e.Kind {
	case engine.Image:
		return s + "Configure an image engine (an OpenAI-images or stable-diffusion.cpp endpoint); Outcrop brings none along."
	case Video, Speech:
		return s + "Outcrop has no engine of this kind."
	default:
		return s + "Run 'outcrop models pull' to fetch one, or map the id to a model of another engine with --alias."
	}
}

func foundationARN(region, id string) string {
	return "arn:" + arn.Partition(region) + ":bedrock:" + region + "::foundation-model/" + id
}

// ResourceARNs names what a caller of modelID needs permission for: the
// foundation model, or the profile and every foundation model behind it. It
// judges nothing: an unknown id gives the ARN that a model of that name would
// have, so that policies are evaluated before the name is refused. Names of
// other rooms are answered by their owners.
func (c *Catalog) ResourceARNs(ctx context.Context, modelID string) []string {
	at := call.From(ctx)
	for _, o := range c.owners {
		if o.Resources == nil || !o.Match(modelID) {
			continue
		}
		if list := o.Resources(ctx, modelID); len(list) > 0 {
			return list
		}
	}
	ref, err := c.refer(ctx, at, modelID)
	switch {
	case err == nil && ref.target != nil:
		if len(ref.target.Resources) > 0 {
			return ref.target.Resources
		}
		return []string{ref.target.ARN}
	case err == nil && ref.profile != nil:
		return append([]string{ref.profile.ARN}, ref.profile.Models...)
	case err == nil:
		return []string{foundationARN(at.Region, ref.entry.ID)}
	case strings.HasPrefix(modelID, "arn:"):
		return []string{modelID}
	}
	return []string{foundationARN(at.Region, modelID)}
}
