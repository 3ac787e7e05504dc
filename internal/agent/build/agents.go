package build

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// at is the call and the key of one of the caller's agents.
func at(ctx context.Context, agentID string) (*call.Call, store.Key) {
	c := call.From(ctx)
	return c, store.Key{Account: c.Account, Region: c.Region, ID: agentID}
}

// inside is the key of something that hangs on an agent.
func inside(agent store.Key, id string) store.Key {
	return store.Key{Account: agent.Account, Region: agent.Region, Parent: agent.ID, ID: id}
}

func (r *Room) status(a *agentRow) api.AgentStatus { return r.statusIn(a, r.cfg.Now()) }

// statusIn is the state at an instant. Within a transaction it is the transaction's
// own: two looks at a passing state must not differ.
func (r *Room) statusIn(a *agentRow, now time.Time) api.AgentStatus {
	return a.State.At(now, r.cfg.Transition)
}

// move puts an agent into the state that follows an event, and notes what comes after
// it by itself.
func (r *Room) move(tx *store.Tx, a *agentRow, operation string, on, end event) error {
	now := r.statusIn(a, tx.Now)
	next, err := agentStates.Next(now, on)
	if err != nil {
		return refused(operation, "Agent", now)
	}
	then, err := agentStates.Next(next, end)
	if err != nil {
		return err
	}
	if on == update && now == api.AgentStatusPrepared {
		then = api.AgentStatusPrepared
	}
	a.State = lifecycle.Timed[api.AgentStatus]{Now: next, Since: tx.Now, Then: then}
	return nil
}

// view is an agent on the wire.
func (r *Room) view(c *call.Call, rec *store.Record[agentRow]) *api.Agent {
	a := &rec.Body
	s := r.status(a)
	out := &api.Agent{
		AgentArn: agentARN(c, rec.ID), AgentCollaboration: a.Config.Collaboration, AgentId: rec.ID, AgentName: a.Config.Name,
		AgentResourceRoleArn: a.Config.Role, AgentStatus: s, AgentVersion: draftVersion, ClientToken: optional.Of(a.Config.Token),
		CreatedAt: rec.Created, UpdatedAt: a.Changed, CustomOrchestration: a.Config.Custom, CustomerEncryptionKeyArn: optional.Of(a.Config.Key),
		Description: optional.Of(a.Config.Description), FoundationModel: optional.Of(a.Config.Model), IdleSessionTTLInSeconds: a.Config.TTL,
		Instruction: optional.Of(a.Config.Instruction), MemoryConfiguration: a.Config.Memory, OrchestrationType: a.Config.Orchestration,
	}
	if !a.Prepared.IsZero() {
		out.PreparedAt = new(a.Prepared)
	}
	if s == api.AgentStatusFailed {
		out.FailureReasons, out.RecommendedActions = a.Reasons, a.Recommended
	}
	if s == api.AgentStatusCreating {
		out.PromptOverrideConfiguration = a.Config.Prompts
	} else {
		out.PromptOverrideConfiguration = shown(&a.Config)
	}
	return out
}

// check validates what a create or an update says.
func (r *Room) check(ctx context.Context, c *config, arn string) error {
	switch {
	case c.Custom != nil && c.Orchestration != api.OrchestrationTypeCustomOrchestration:
		return invalidField("customOrchestration", "customOrchestration needs the orchestrationType CUSTOM_ORCHESTRATION.")
	case c.Custom == nil && c.Orchestration == api.OrchestrationTypeCustomOrchestration:
		return invalidField("customOrchestration", "The orchestrationType CUSTOM_ORCHESTRATION needs a customOrchestration with a Lambda function.")
	case c.Memory != nil && !slices.Equal(c.Memory.EnabledMemoryTypes, []api.MemoryType{api.MemoryTypeSessionSummary}):
		return invalidField("memoryConfiguration", "memoryConfiguration.enabledMemoryTypes must hold SESSION_SUMMARY alone.")
	}
	_, list, err := prompts(c)
	if err != nil {
		return err
	}
	for i := range list {
		if p := &list[i]; p.Creation == plan.Overridden {
			if err := prompt.Check(p.Step, p.Template); err != nil {
				return err
			}
		}
	}
	if c.Role != "" && r.cfg.Pass != nil {
		return r.cfg.Pass(ctx, c.Role, arn)
	}
	return nil
}

// textNameTaken is the reason of an agent whose name another one has.
const textNameTaken = "Cannot create a new agent as an agent with the same name already exists."

// CreateAgent makes the draft of an agent, and the test alias that shows it.
func (r Agents) CreateAgent(ctx context.Context, in *api.CreateAgentInput) (*api.CreateAgentOutput, error) {
	if in.GuardrailConfiguration != nil {
		return nil, noGuardrails()
	}
	id := arn.NewID()
	c, key := at(ctx, id)
	conf := config{
		Name: in.AgentName, Description: optional.Value(in.Description), Instruction: optional.Value(in.Instruction), Model: optional.Value(in.FoundationModel),
		Role: optional.Value(in.AgentResourceRoleArn), Key: optional.Value(in.CustomerEncryptionKeyArn), TTL: 600,
		Collaboration: cmp.Or(in.AgentCollaboration, api.AgentCollaborationDisabled), Orchestration: cmp.Or(in.OrchestrationType, api.OrchestrationTypeDefault),
		Custom: in.CustomOrchestration, Memory: in.MemoryConfiguration, Prompts: in.PromptOverrideConfiguration, Token: optional.Value(in.ClientToken),
	}
	if in.IdleSessionTTLInSeconds != nil {
		conf.TTL = *in.IdleSessionTTLInSeconds
	}
	arn := agentARN(c, id)
	if err := r.check(ctx, &conf, arn); err != nil {
		return nil, err
	}
	request := *in
	request.ClientToken = nil
	var out *api.CreateAgentOutput
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		out, err = store.Idempotent(tx, token(c, "CreateAgent", in.ClientToken), request, func() (*api.CreateAgentOutput, error) {
			n, err := agents.Count(tx, store.Query{Account: c.Account, Region: c.Region})
			if err != nil {
				return nil, err
			}
			if n >= r.cfg.Quotas.Agents {
				return nil, beyond("agents", r.cfg.Quotas.Agents)
			}
			same, err := agents.Count(tx, store.Query{Account: c.Account, Region: c.Region, NameEquals: conf.Name})
			if err != nil {
				return nil, err
			}
			row := agentRow{Config: conf, Changed: tx.Now, State: lifecycle.Timed[api.AgentStatus]{Now: agentStates.Initial(), Since: tx.Now, Then: api.AgentStatusNotPrepared}}
			if same > 0 {
				row.State.Then = api.AgentStatusFailed
				row.Reasons, row.Recommended = []string{textNameTaken}, []string{"Delete this agent and create one with another name."}
			}
			rec, err := agents.Create(tx, key, row, store.Columns{Name: conf.Name, KeyARN: conf.Key})
			if err != nil {
				return nil, err
			}
			test := aliasRow{Name: "AgentTestAlias", Description: "Test Alias for Agent", Version: draftVersion, State: lifecycle.Timed[api.AgentAliasStatus]{Now: api.AgentAliasStatusPrepared, Since: tx.Now}}
			if _, err := aliases.Create(tx, inside(key, testAlias), test, store.Columns{Name: test.Name, KeyARN: conf.Key}); err != nil {
				return nil, err
			}
			if err := putTags(tx, arn, in.Tags); err != nil {
				return nil, err
			}
			made := r.view(c, &rec)
			made.ClientToken = nil // the service keeps the token, and shows it from the first read on
			return &api.CreateAgentOutput{Agent: made}, nil
		})
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// noGuardrails refuses what would not be applied.
func noGuardrails() error {
	return invalidField("guardrailConfiguration", "Guardrails are not built in Outcrop yet, so an agent cannot have one: leave guardrailConfiguration out.")
}

// GetAgent reads the draft.
func (r Agents) GetAgent(ctx context.Context, in *api.GetAgentInput) (*api.GetAgentOutput, error) {
	c, key := at(ctx, in.AgentId)
	rec, err := r.agent(ctx, key)
	if err != nil {
		return nil, err
	}
	return &api.GetAgentOutput{Agent: r.view(c, rec)}, nil
}

func (r *Room) agent(ctx context.Context, key store.Key) (*store.Record[agentRow], error) {
	var rec store.Record[agentRow]
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = agents.Get(tx, key)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &rec, nil
}

// ListAgents lists the agents, newest first.
func (r Agents) ListAgents(ctx context.Context, in *api.ListAgentsInput) (*api.ListAgentsOutput, error) {
	c := call.From(ctx)
	out := &api.ListAgentsOutput{AgentSummaries: []api.AgentSummary{}}
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		p, err := agents.List(tx, store.Query{
			Account: c.Account, Region: c.Region, Sort: store.ByCreated, Desc: true, Limit: page.Few(in.MaxResults), Cursor: optional.Value(in.NextToken),
		})
		if err != nil {
			return err
		}
		for i := range p.Records {
			rec := &p.Records[i]
			// What a key hides is left out; the agent itself is listed.
			s := api.AgentSummary{AgentId: rec.ID, AgentName: rec.Name, AgentStatus: api.AgentStatusFailed, UpdatedAt: rec.Updated, LatestAgentVersion: new(draftVersion)}
			if rec.Sealed == nil {
				s.AgentStatus, s.UpdatedAt, s.Description = r.status(&rec.Body), rec.Body.Changed, optional.Of(rec.Body.Config.Description)
			}
			if latest, err := latestVersion(tx, rec); err != nil {
				return err
			} else if latest != "" {
				s.LatestAgentVersion = new(latest)
			}
			out.AgentSummaries = append(out.AgentSummaries, s)
		}
		out.NextToken = optional.Of(p.Next)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// UpdateAgent replaces the draft: what is left out goes back to its default.
func (r Agents) UpdateAgent(ctx context.Context, in *api.UpdateAgentInput) (*api.UpdateAgentOutput, error) {
	if in.GuardrailConfiguration != nil {
		return nil, noGuardrails()
	}
	c, key := at(ctx, in.AgentId)
	conf := config{
		Name: in.AgentName, Description: optional.Value(in.Description), Instruction: optional.Value(in.Instruction), Model: in.FoundationModel,
		Role: in.AgentResourceRoleArn, Key: optional.Value(in.CustomerEncryptionKeyArn), TTL: 600,
		Collaboration: cmp.Or(in.AgentCollaboration, api.AgentCollaborationDisabled), Orchestration: cmp.Or(in.OrchestrationType, api.OrchestrationTypeDefault),
		Custom: in.CustomOrchestration, Memory: in.MemoryConfiguration, Prompts: in.PromptOverrideConfiguration,
	}
	if in.IdleSessionTTLInSeconds != nil {
		conf.TTL = *in.IdleSessionTTLInSeconds
	}
	if err := r.check(ctx, &conf, agentARN(c, in.AgentId)); err != nil {
		return nil, err
	}
	var out *api.UpdateAgentOutput
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := agents.Get(tx, key)
		if err != nil {
			return err
		}
		if err := r.move(tx, &rec.Body, "Update", update, settle); err != nil {
			return err
		}
		same, err := agents.List(tx, store.Query{Account: c.Account, Region: c.Region, NameEquals: conf.Name, Clear: true, Limit: 2})
		if err != nil {
			return err
		}
		for _, other := range same.Records {
			if other.ID != rec.ID {
				return taken("An agent", conf.Name)
			}
		}
		conf.Token = rec.Body.Config.Token
		newKey := conf.Key != rec.Body.Config.Key
		rec.Body.Config, rec.Body.Changed, rec.Name, rec.KeyARN = conf, later(tx.Now, rec.Body.Changed), conf.Name, conf.Key
		rec.Body.Edits++
		rec.Body.Reasons, rec.Body.Recommended = nil, nil
		if rec, err = agents.Put(tx, rec); err != nil {
			return err
		}
		if newKey {
			if err := r.reseal(tx, key, conf.Key); err != nil {
				return err
			}
		}
		out = &api.UpdateAgentOutput{Agent: r.view(c, &rec)}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// later is now, or just after an earlier instant that is not before it: what changed
// must be seen to have changed.
func later(now, earlier time.Time) time.Time {
	if now.After(earlier) {
		return now
	}
	return earlier.Add(time.Microsecond)
}

// reseal gives everything that hangs on an agent its new key. Packages and versions
// keep the key they were made with.
func (r *Room) reseal(tx *store.Tx, agent store.Key, key string) error {
	return errors.Join(resealAll(tx, groups, agent, key), resealAll(tx, bases, agent, key), resealAll(tx, collaborators, agent, key), resealAll(tx, aliases, agent, key))
}

func resealAll[T any](tx *store.Tx, k store.Kind[T], agent store.Key, key string) error {
	list, err := all(tx, k, agent)
	if err != nil {
		return err
	}
	for _, rec := range list {
		rec.KeyARN = key
		if _, err := k.Put(tx, rec); err != nil {
			return err
		}
	}
	return nil
}

// DeleteAgent removes an agent with all that hangs on it. Unless told otherwise it
// refuses while aliases show it or other agents lead it; versions do not block.
func (r Agents) DeleteAgent(ctx context.Context, in *api.DeleteAgentInput) (*api.DeleteAgentOutput, error) {
	c, key := at(ctx, in.AgentId)
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := agents.Head(tx, key)
		if err != nil {
			return err
		}
		// With a key that refuses, the agent can still be removed: only its state is unknown.
		if full, err := agents.Get(tx, key); err == nil {
			if s := r.statusIn(&full.Body, tx.Now); !agentStates.Can(s, remove) {
				return refused("Delete", "Agent", s)
			}
		}
		list, err := aliases.List(tx, store.Query{Account: c.Account, Region: c.Region, Parent: key.ID, Limit: 1000, Clear: true})
		if err != nil {
			return err
		}
		for _, a := range list.Records {
			arn := aliasARN(c, key.ID, a.ID)
			if !optional.Value(in.SkipResourceInUseCheck) {
				if a.ID != testAlias {
					return apierr.New(apierr.Conflict, "Agent %s has the alias %s. Delete its aliases first, or set skipResourceInUseCheck.", key.ID, a.ID)
				}
				if err := tx.CheckUnused(arn); err != nil {
					return err
				}
			}
			if err := tx.Forget(arn); err != nil {
				return err
			}
		}
		for _, drop := range []func(*store.Tx, store.Key) (int64, error){groups.DeleteIn, bases.DeleteIn, collaborators.DeleteIn, aliases.DeleteIn, packages.DeleteIn} {
			if _, err := drop(tx, key); err != nil {
				return err
			}
		}
		if err := agents.Delete(tx, rec.Key); err != nil {
			return err
		}
		if err := r.cfg.Forget(tx, c.Account, c.Region, key.ID, ""); err != nil {
			return err
		}
		return tx.Forget(agentARN(c, key.ID))
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.DeleteAgentOutput{AgentId: in.AgentId, AgentStatus: api.AgentStatusDeleting}, nil
}

// edit changes something that hangs on a draft: the agent must be there and in no
// passing state, and its row moves with it.
func (r *Room) edit(ctx context.Context, agentID, operation, resource string, do func(tx *store.Tx, c *call.Call, agent *store.Record[agentRow]) error) error {
	c, key := at(ctx, agentID)
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := agents.Get(tx, key)
		if err != nil {
			return err
		}
		if s := r.statusIn(&rec.Body, tx.Now); passing(s) && s != api.AgentStatusUpdating {
			return refused(operation, resource, s)
		}
		if err := do(tx, c, &rec); err != nil {
			return err
		}
		rec.Body.Edits++
		_, err = agents.Put(tx, rec)
		return err
	})
	return failure(err)
}
