package build

import (
	"context"
	"errors"
	"slices"
	"strconv"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func (r *Room) aliasStatus(a *aliasRow) api.AgentAliasStatus {
	return a.State.At(r.cfg.Now(), r.cfg.Transition)
}

func routing(version, throughput string) []api.AgentAliasRoutingConfigurationListItem {
	if version == "" {
		return []api.AgentAliasRoutingConfigurationListItem{}
	}
	return []api.AgentAliasRoutingConfigurationListItem{{AgentVersion: new(version), ProvisionedThroughput: optional.Of(throughput)}}
}

func (r *Room) aliasView(c *call.Call, rec *store.Record[aliasRow], agentID string) *api.AgentAlias {
	a := &rec.Body
	s := r.aliasStatus(a)
	out := &api.AgentAlias{
		AgentAliasArn: aliasARN(c, agentID, rec.ID), AgentAliasId: rec.ID, AgentAliasName: a.Name, AgentAliasStatus: s, AgentId: agentID,
		AliasInvocationState: invocationState(a), ClientToken: optional.Of(a.Token), CreatedAt: rec.Created, UpdatedAt: rec.Updated, Description: optional.Of(a.Description),
		RoutingConfiguration: routing(a.Version, a.Throughput), AgentAliasHistoryEvents: a.History,
	}
	if a.Making && s == a.State.Now && a.State.Then != "" {
		// The version is being made and has no number to show yet.
		out.RoutingConfiguration, out.AgentAliasHistoryEvents = []api.AgentAliasRoutingConfigurationListItem{{}}, nil
	}
	if s == api.AgentAliasStatusFailed {
		out.FailureReasons = a.Reasons
	}
	return out
}

func invocationState(a *aliasRow) api.AliasInvocationState {
	if a.Paused {
		return api.AliasInvocationStateRejectInvocations
	}
	return api.AliasInvocationStateAcceptInvocations
}

// route reads the routing configuration of a request: an existing version, or "" for
// a new one.
func route(list []api.AgentAliasRoutingConfigurationListItem) (version, throughput string, err error) {
	if len(list) == 0 {
		return "", "", nil
	}
	version, throughput = optional.Value(list[0].AgentVersion), optional.Value(list[0].ProvisionedThroughput)
	if version == draftVersion {
		return "", "", invalidField("routingConfiguration", "An alias cannot point at %s. Name a numbered version, or leave routingConfiguration out to make one.", draftVersion)
	}
	return version, throughput, nil
}

// point moves an alias to a version at an instant and notes it.
func (a *aliasRow) point(tx *store.Tx, version, throughput string) {
	if a.Version == version && a.Throughput == throughput && len(a.History) > 0 {
		return
	}
	if n := len(a.History); n > 0 && a.History[n-1].EndDate == nil {
		a.History[n-1].EndDate = new(tx.Now)
	}
	a.Version, a.Throughput = version, throughput
	a.History = append(a.History, api.AgentAliasHistoryEvent{RoutingConfiguration: routing(version, throughput), StartDate: new(tx.Now)})
	if len(a.History) > 10 {
		a.History = a.History[len(a.History)-10:]
	}
}

// fits says why a provisioned model cannot serve an agent's package; "" when it can.
func (r *Room) fits(ctx context.Context, model, throughput string) string {
	if throughput == "" || r.cfg.Base == nil {
		return ""
	}
	want, err := r.cfg.Base(ctx, model)
	if err != nil {
		return "The model " + model + " of the agent cannot be resolved."
	}
	have, err := r.cfg.Base(ctx, throughput)
	switch {
	case err != nil:
		return "The provisioned model " + throughput + " cannot be used: " + err.Error()
	case have != want:
		return "The provisioned model " + throughput + " serves " + have + ", the agent uses " + want + "."
	}
	return ""
}

// aim gives an alias the version that a request asks for, making one where it names
// none, and moves its state.
func (r *Room) aim(ctx context.Context, tx *store.Tx, agent *store.Record[agentRow], a *aliasRow, version, throughput, address string, row *packageRow, wrong []problem) error {
	model := agent.Body.Config.Model
	a.Making = version == ""
	if version == "" {
		if len(wrong) > 0 {
			return invalid("The agent cannot be prepared, so no version of it can be made: %s", reasons(wrong))
		}
		// The draft as it stands becomes the version, and what the test alias serves.
		if err := keep(tx, agent, address, row); err != nil {
			return err
		}
		if agent.Body.Package != address {
			agent.Body.Package, agent.Body.Prepared = address, later(tx.Now, agent.Body.Changed)
		}
		agent.Body.State = lifecycle.Timed[api.AgentStatus]{Now: api.AgentStatusVersioning, Since: tx.Now, Then: api.AgentStatusPrepared}
		rec, err := agents.Put(tx, *agent)
		if err != nil {
			return err
		}
		*agent = rec
		body := agentRow{
			Config: agent.Body.Config, Changed: tx.Now, Prepared: agent.Body.Prepared, Package: address,
			State: lifecycle.Timed[api.AgentStatus]{Now: api.AgentStatusPrepared, Since: tx.Now},
		}
		made, err := agents.NewVersion(tx, agent.Key, body, store.Columns{Name: agent.Name, KeyARN: agent.KeyARN})
		if err != nil {
			return err
		}
		version = made.Version
	} else {
		key := agent.Key
		key.Version = version
		rec, err := agents.Get(tx, key)
		if errors.Is(err, store.ErrNotFound) {
			return apierr.New(apierr.ResourceNotFound, "Agent %s has no version %s.", agent.ID, version)
		}
		if err != nil {
			return err
		}
		model = rec.Body.Config.Model
	}
	a.point(tx, version, throughput)
	a.Reasons = nil
	if why := r.fits(ctx, model, throughput); why != "" {
		a.Reasons, a.State.Then = []string{why}, api.AgentAliasStatusFailed
	}
	return nil
}

// CreateAgentAlias names a version of an agent; unless told which, a new one of the
// draft.
func (r AgentAliases) CreateAgentAlias(ctx context.Context, in *api.CreateAgentAliasInput) (*api.CreateAgentAliasOutput, error) {
	version, throughput, err := route(in.RoutingConfiguration)
	if err != nil {
		return nil, err
	}
	c := call.From(ctx)
	request := *in
	request.ClientToken = nil
	id := arn.NewID()
	var out *api.CreateAgentAliasOutput
	err = r.released(ctx, in.AgentId, version != "", func(tx *store.Tx, agent *store.Record[agentRow], address string, row *packageRow, wrong []problem) (err error) {
		out, err = store.Idempotent(tx, token(c, "CreateAgentAlias", in.ClientToken), request, func() (*api.CreateAgentAliasOutput, error) {
			s := r.statusIn(&agent.Body, tx.Now)
			switch {
			case passing(s):
				return nil, refused("Create", "AgentAlias", s)
			case agent.Body.Package == "":
				return nil, refused("Create", "AgentAlias", s)
			}
			n, err := aliases.Count(tx, store.Query{Account: c.Account, Region: c.Region, Parent: agent.ID})
			if err != nil {
				return nil, err
			}
			if n > r.cfg.Quotas.Aliases { // the test alias does not count
				return nil, beyond("aliases of an agent", r.cfg.Quotas.Aliases)
			}
			a := aliasRow{
				Name: in.AgentAliasName, Description: optional.Value(in.Description), Token: optional.Value(in.ClientToken),
				State: lifecycle.Timed[api.AgentAliasStatus]{Now: aliasStates.Initial(), Since: tx.Now, Then: api.AgentAliasStatusPrepared},
			}
			if err := r.aim(ctx, tx, agent, &a, version, throughput, address, row, wrong); err != nil {
				return nil, err
			}
			rec, err := aliases.Create(tx, inside(agent.Key, id), a, store.Columns{Name: a.Name, KeyARN: agent.KeyARN})
			if errors.Is(err, store.ErrExists) {
				return nil, taken("An alias", a.Name)
			}
			if err != nil {
				return nil, err
			}
			if err := putTags(tx, aliasARN(c, agent.ID, id), in.Tags); err != nil {
				return nil, err
			}
			return &api.CreateAgentAliasOutput{AgentAlias: r.aliasView(c, &rec, agent.ID)}, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// released runs do with the package of the draft, or without one when an existing
// version is meant: a draft that cannot be prepared stands not in the way of those.
func (r *Room) released(ctx context.Context, agentID string, existing bool, do func(tx *store.Tx, agent *store.Record[agentRow], address string, row *packageRow, wrong []problem) error) error {
	_, key := at(ctx, agentID)
	rec, err := r.agent(ctx, key)
	if err != nil {
		return err
	}
	if !existing && rec.Body.Package != "" && !passing(r.status(&rec.Body)) {
		return r.packed(ctx, agentID, do)
	}
	return failure(r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := agents.Get(tx, key)
		if err != nil {
			return err
		}
		if !existing && rec.Body.Package != "" && !passing(r.statusIn(&rec.Body, tx.Now)) {
			return store.ErrConflict // it settled between the two looks
		}
		return do(tx, &rec, "", nil, nil)
	}))
}

// GetAgentAlias reads an alias.
func (r AgentAliases) GetAgentAlias(ctx context.Context, in *api.GetAgentAliasInput) (*api.GetAgentAliasOutput, error) {
	c, key := at(ctx, in.AgentId)
	var rec store.Record[aliasRow]
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = aliases.Get(tx, inside(key, in.AgentAliasId))
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.GetAgentAliasOutput{AgentAlias: r.aliasView(c, &rec, in.AgentId)}, nil
}

// ListAgentAliases lists the aliases of an agent, the test alias among them.
func (r AgentAliases) ListAgentAliases(ctx context.Context, in *api.ListAgentAliasesInput) (*api.ListAgentAliasesOutput, error) {
	c, key := at(ctx, in.AgentId)
	out := &api.ListAgentAliasesOutput{AgentAliasSummaries: []api.AgentAliasSummary{}}
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		if _, err := agents.Head(tx, key); err != nil {
			return err
		}
		p, err := aliases.List(tx, store.Query{
			Account: c.Account, Region: c.Region, Parent: key.ID, Sort: store.ByCreated, Desc: true, Limit: page.Few(in.MaxResults), Cursor: optional.Value(in.NextToken),
		})
		if err != nil {
			return err
		}
		for i := range p.Records {
			rec := &p.Records[i]
			if rec.Sealed != nil {
				return rec.Sealed
			}
			v := r.aliasView(c, rec, key.ID)
			out.AgentAliasSummaries = append(out.AgentAliasSummaries, api.AgentAliasSummary{
				AgentAliasId: v.AgentAliasId, AgentAliasName: v.AgentAliasName, AgentAliasStatus: v.AgentAliasStatus, AliasInvocationState: v.AliasInvocationState,
				CreatedAt: v.CreatedAt, Description: v.Description, RoutingConfiguration: v.RoutingConfiguration, UpdatedAt: v.UpdatedAt,
			})
		}
		out.NextToken = optional.Of(p.Next)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// UpdateAgentAlias replaces what an alias says. Without a routing configuration it
// makes a new version, as a creation does. The next turn of a running session uses
// the new version.
func (r AgentAliases) UpdateAgentAlias(ctx context.Context, in *api.UpdateAgentAliasInput) (*api.UpdateAgentAliasOutput, error) {
	if in.AgentAliasId == testAlias {
		return nil, invalid("The test alias %s always shows the prepared draft and cannot be changed.", testAlias)
	}
	version, throughput, err := route(in.RoutingConfiguration)
	if err != nil {
		return nil, err
	}
	c := call.From(ctx)
	var out *api.UpdateAgentAliasOutput
	err = r.released(ctx, in.AgentId, version != "", func(tx *store.Tx, agent *store.Record[agentRow], address string, row *packageRow, wrong []problem) error {
		rec, err := aliases.Get(tx, inside(agent.Key, in.AgentAliasId))
		if err != nil {
			return err
		}
		if s := r.statusIn(&agent.Body, tx.Now); passing(s) || agent.Body.Package == "" {
			return refused("Update", "AgentAlias", s)
		}
		a := &rec.Body
		now := r.aliasStatus(a)
		next, err := aliasStates.Next(now, update)
		if err != nil {
			return invalid("Update operation can't be performed on AgentAlias when it is in %s state. Retry the request when the alias is in a valid state.", now)
		}
		a.State = lifecycle.Timed[api.AgentAliasStatus]{Now: next, Since: tx.Now, Then: api.AgentAliasStatusPrepared}
		a.Name, a.Description, rec.Name = in.AgentAliasName, optional.Value(in.Description), in.AgentAliasName
		a.Paused = in.AliasInvocationState == api.AliasInvocationStateRejectInvocations
		if err := r.aim(ctx, tx, agent, a, version, throughput, address, row, wrong); err != nil {
			return err
		}
		if rec, err = aliases.Put(tx, rec); errors.Is(err, store.ErrExists) {
			return taken("An alias", in.AgentAliasName)
		} else if err != nil {
			return err
		}
		out = &api.UpdateAgentAliasOutput{AgentAlias: r.aliasView(c, &rec, agent.ID)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteAgentAlias removes an alias and its sessions.
func (r AgentAliases) DeleteAgentAlias(ctx context.Context, in *api.DeleteAgentAliasInput) (*api.DeleteAgentAliasOutput, error) {
	if in.AgentAliasId == testAlias {
		return nil, invalid("The test alias %s cannot be deleted.", testAlias)
	}
	c, key := at(ctx, in.AgentId)
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := agents.Head(tx, key); err != nil {
			return err
		}
		arn := aliasARN(c, in.AgentId, in.AgentAliasId)
		if err := aliases.Delete(tx, inside(key, in.AgentAliasId)); err != nil {
			return err
		}
		if err := tx.CheckUnused(arn); err != nil {
			// The operation models no conflict.
			return apierr.Wrap(apierr.Validation, err, "The alias %s collaborates in another agent. Disassociate it there first.", in.AgentAliasId)
		}
		if err := r.cfg.Forget(tx, c.Account, c.Region, in.AgentId, in.AgentAliasId); err != nil {
			return err
		}
		return tx.Forget(arn)
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.DeleteAgentAliasOutput{AgentAliasId: in.AgentAliasId, AgentAliasStatus: api.AgentAliasStatusDeleting, AgentId: in.AgentId}, nil
}

// latestVersion is the highest number that is there, "" for none.
func latestVersion(tx *store.Tx, rec *store.Record[agentRow]) (string, error) {
	for n := rec.LastVersion; n > 0; n-- {
		key := rec.Key
		key.Version = strconv.Itoa(n)
		_, err := agents.Head(tx, key)
		if err == nil {
			return key.Version, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	return "", nil
}

// versions are the numbers that are there, rising.
func versions(tx *store.Tx, rec *store.Record[agentRow]) ([]store.Record[agentRow], error) {
	var out []store.Record[agentRow]
	for n := 1; n <= rec.LastVersion; n++ {
		key := rec.Key
		key.Version = strconv.Itoa(n)
		v, err := agents.Get(tx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	slices.Reverse(out)
	return out, nil
}
