package build

import (
	"cmp"
	"context"
	"errors"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func groupView(agentID, version string, rec *store.Record[groupRow]) *api.AgentActionGroup {
	g := &rec.Body
	return &api.AgentActionGroup{
		ActionGroupExecutor: g.Executor, ActionGroupId: rec.ID, ActionGroupName: g.Name, ActionGroupState: g.State, AgentId: agentID, AgentVersion: version,
		ApiSchema: g.API, ClientToken: optional.Of(g.Token), CreatedAt: rec.Created, Description: optional.Of(g.Description), FunctionSchema: g.Functions,
		ParentActionGroupSignatureParams: g.Params, ParentActionSignature: g.Signature, UpdatedAt: rec.Updated,
	}
}

// checkGroup validates a group by itself; its schema is read with the rights of the
// agent's role when it lies in S3.
func (r *Room) checkGroup(ctx context.Context, agent *store.Record[agentRow], g *groupRow) error {
	if g.Signature != "" {
		switch {
		case g.Description != "":
			return invalidField("description", "description must be blank for an action group with the parentActionGroupSignature %s.", g.Signature)
		case g.API != nil || g.Functions != nil:
			return invalidField("apiSchema", "apiSchema and functionSchema must be blank for an action group with the parentActionGroupSignature %s.", g.Signature)
		case g.Executor != nil:
			return invalidField("actionGroupExecutor", "actionGroupExecutor must be blank for an action group with the parentActionGroupSignature %s.", g.Signature)
		}
		return nil
	}
	if (g.API == nil) == (g.Functions == nil) {
		return invalid("Failed to create or update ActionGroup. Try providing either apiSchema or functionSchema")
	}
	_, err := r.actions(ctx, agentARN(call.From(ctx), agent.ID), agent.Body.Config.Role, g)
	return err
}

// groupOf makes the row of a group as a create says it, or an update, which says the
// same but for its token, and validates it.
func (r *Room) groupOf(ctx context.Context, in *api.CreateAgentActionGroupInput) (groupRow, error) {
	row := groupRow{
		Name: in.ActionGroupName, Description: optional.Value(in.Description), State: cmp.Or(in.ActionGroupState, api.ActionGroupStateEnabled), Executor: in.ActionGroupExecutor,
		API: in.ApiSchema, Functions: in.FunctionSchema, Signature: in.ParentActionGroupSignature, Params: in.ParentActionGroupSignatureParams, Token: optional.Value(in.ClientToken),
	}
	_, key := at(ctx, in.AgentId)
	agent, err := r.agent(ctx, key)
	if err != nil {
		return row, err
	}
	return row, r.checkGroup(ctx, agent, &row)
}

// CreateAgentActionGroup adds an action group to the draft.
func (r ActionGroups) CreateAgentActionGroup(ctx context.Context, in *api.CreateAgentActionGroupInput) (*api.CreateAgentActionGroupOutput, error) {
	row, err := r.groupOf(ctx, in)
	if err != nil {
		return nil, err
	}
	request := *in
	request.ClientToken = nil
	var out *api.CreateAgentActionGroupOutput
	err = r.edit(ctx, in.AgentId, "Create", "AgentActionGroup", func(tx *store.Tx, c *call.Call, agent *store.Record[agentRow]) (err error) {
		out, err = store.Idempotent(tx, token(c, "CreateAgentActionGroup", in.ClientToken), request, func() (*api.CreateAgentActionGroupOutput, error) {
			have, err := all(tx, groups, agent.Key)
			if err != nil {
				return nil, err
			}
			if len(have) >= r.cfg.Quotas.Groups {
				return nil, beyond("action groups in an agent", r.cfg.Quotas.Groups)
			}
			for i := range have {
				if row.Signature != "" && have[i].Body.Signature == row.Signature {
					return nil, apierr.New(apierr.Conflict, "The agent has an action group with the parentActionGroupSignature %s already.", row.Signature)
				}
			}
			rec, err := groups.Create(tx, inside(agent.Key, arn.NewID()), row, store.Columns{Name: row.Name, KeyARN: agent.KeyARN})
			if errors.Is(err, store.ErrExists) {
				return nil, taken("An action group", row.Name)
			}
			if err != nil {
				return nil, err
			}
			return &api.CreateAgentActionGroupOutput{AgentActionGroup: groupView(agent.ID, draftVersion, &rec)}, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetAgentActionGroup reads a group of the draft or of a version.
func (r ActionGroups) GetAgentActionGroup(ctx context.Context, in *api.GetAgentActionGroupInput) (*api.GetAgentActionGroupOutput, error) {
	list, err := readPart(ctx, r.Room, in.AgentId, in.AgentVersion, groups, func(p *packageRow) []store.Record[groupRow] { return p.Groups })
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == in.ActionGroupId {
			return &api.GetAgentActionGroupOutput{AgentActionGroup: groupView(in.AgentId, in.AgentVersion, &list[i])}, nil
		}
	}
	return nil, missing()
}

// ListAgentActionGroups lists the groups of the draft or of a version.
func (r ActionGroups) ListAgentActionGroups(ctx context.Context, in *api.ListAgentActionGroupsInput) (*api.ListAgentActionGroupsOutput, error) {
	list, next, err := listPart(ctx, r.Room, in.AgentId, in.AgentVersion, in.MaxResults, in.NextToken, groups, func(p *packageRow) []store.Record[groupRow] { return p.Groups })
	if err != nil {
		return nil, err
	}
	out := &api.ListAgentActionGroupsOutput{ActionGroupSummaries: make([]api.ActionGroupSummary, 0, len(list)), NextToken: next}
	for i := range list {
		g := &list[i]
		out.ActionGroupSummaries = append(out.ActionGroupSummaries, api.ActionGroupSummary{
			ActionGroupId: g.ID, ActionGroupName: g.Body.Name, ActionGroupState: g.Body.State, Description: optional.Of(g.Body.Description), UpdatedAt: g.Updated,
		})
	}
	return out, nil
}

// UpdateAgentActionGroup replaces a group of the draft.
func (r ActionGroups) UpdateAgentActionGroup(ctx context.Context, in *api.UpdateAgentActionGroupInput) (*api.UpdateAgentActionGroupOutput, error) {
	row, err := r.groupOf(ctx, &api.CreateAgentActionGroupInput{
		AgentId: in.AgentId, ActionGroupName: in.ActionGroupName, Description: in.Description, ActionGroupState: in.ActionGroupState, ActionGroupExecutor: in.ActionGroupExecutor,
		ApiSchema: in.ApiSchema, FunctionSchema: in.FunctionSchema, ParentActionGroupSignature: in.ParentActionGroupSignature, ParentActionGroupSignatureParams: in.ParentActionGroupSignatureParams,
	})
	if err != nil {
		return nil, err
	}
	var out *api.UpdateAgentActionGroupOutput
	err = r.edit(ctx, in.AgentId, "Update", "AgentActionGroup", func(tx *store.Tx, _ *call.Call, agent *store.Record[agentRow]) error {
		rec, err := groups.Get(tx, inside(agent.Key, in.ActionGroupId))
		if err != nil {
			return err
		}
		row.Token = rec.Body.Token
		rec.Body, rec.Name = row, row.Name
		rec, err = groups.Put(tx, rec)
		if errors.Is(err, store.ErrExists) {
			return taken("An action group", row.Name)
		}
		out = &api.UpdateAgentActionGroupOutput{AgentActionGroup: groupView(agent.ID, draftVersion, &rec)}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteAgentActionGroup removes a group of the draft; an enabled one only when told
// not to mind.
func (r ActionGroups) DeleteAgentActionGroup(ctx context.Context, in *api.DeleteAgentActionGroupInput) (*api.DeleteAgentActionGroupOutput, error) {
	err := r.edit(ctx, in.AgentId, "Delete", "AgentActionGroup", func(tx *store.Tx, _ *call.Call, agent *store.Record[agentRow]) error {
		rec, err := groups.Get(tx, inside(agent.Key, in.ActionGroupId))
		if err != nil {
			return err
		}
		if rec.Body.State == api.ActionGroupStateEnabled && !optional.Value(in.SkipResourceInUseCheck) {
			return apierr.New(apierr.Conflict, "The action group %s is enabled. Disable it first, or set skipResourceInUseCheck.", rec.Body.Name)
		}
		return groups.Delete(tx, rec.Key)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteAgentActionGroupOutput{}, nil
}
