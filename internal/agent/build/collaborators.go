package build

import (
	"cmp"
	"context"
	"errors"
	"strings"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	names "github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func collaboratorView(agentID, version string, rec *store.Record[collaboratorRow]) api.AgentCollaborator {
	c := &rec.Body
	return api.AgentCollaborator{
		AgentDescriptor: &api.AgentDescriptor{AliasArn: new(c.Alias)}, AgentId: agentID, AgentVersion: version, ClientToken: optional.Of(c.Token),
		CollaborationInstruction: c.Instruction, CollaboratorId: rec.ID, CollaboratorName: c.Name, CreatedAt: rec.Created, LastUpdatedAt: rec.Updated,
		RelayConversationHistory: c.Relay,
	}
}

func ofCollaborators(p *packageRow) []store.Record[collaboratorRow] { return p.Collaborators }

// splitAlias cuts the ARN of an alias of the caller's account and Region.
func splitAlias(c *call.Call, alias string) (agentID, aliasID string, ok bool) {
	name, err := names.Parse(alias)
	if err != nil || name.Service != "bedrock" || name.Account != c.Account || name.Region != c.Region {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(name.Resource, "agent-alias/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// checkCollaborator validates an agent that a supervisor shall lead.
func (r *Room) checkCollaborator(tx *store.Tx, c *call.Call, supervisor *store.Record[agentRow], alias string) error {
	if supervisor.Body.Config.Collaboration == api.AgentCollaborationDisabled {
		return invalid("Agent %s leads no other agents: set its agentCollaboration to SUPERVISOR or SUPERVISOR_ROUTER first.", supervisor.ID)
	}
	agentID, aliasID, ok := splitAlias(c, alias)
	switch {
	case !ok:
		return invalidField("agentDescriptor.aliasArn", "agentDescriptor.aliasArn must be the ARN of an agent's alias in this account and Region.")
	case aliasID == testAlias:
		return invalidField("agentDescriptor.aliasArn", "The test alias %s cannot collaborate. Create an alias of the agent.", testAlias)
	case agentID == supervisor.ID:
		return invalidField("agentDescriptor.aliasArn", "An agent cannot be its own collaborator.")
	}
	key := store.Key{Account: c.Account, Region: c.Region, ID: agentID}
	if _, err := aliases.Head(tx, inside(key, aliasID)); err != nil {
		return err
	}
	return r.checkCycle(tx, c, supervisor.ID, key, map[string]bool{})
}

// checkCycle refuses a collaborator that leads, directly or not, its own supervisor.
func (r *Room) checkCycle(tx *store.Tx, c *call.Call, supervisor string, agent store.Key, seen map[string]bool) error {
	if seen[agent.ID] {
		return nil
	}
	seen[agent.ID] = true
	list, err := all(tx, collaborators, agent)
	if err != nil {
		return err
	}
	for i := range list {
		id, _, ok := splitAlias(c, list[i].Body.Alias)
		if !ok {
			continue
		}
		if id == supervisor {
			return invalid("The agents would lead each other: %s leads %s already.", agent.ID, supervisor)
		}
		next := agent
		next.ID = id
		if err := r.checkCycle(tx, c, supervisor, next, seen); err != nil {
			return err
		}
	}
	return nil
}

func descriptor(d *api.AgentDescriptor) string {
	if d == nil {
		return ""
	}
	return optional.Value(d.AliasArn)
}

// AssociateAgentCollaborator lets a supervisor's draft lead another agent.
func (r AgentCollaborators) AssociateAgentCollaborator(ctx context.Context, in *api.AssociateAgentCollaboratorInput) (*api.AssociateAgentCollaboratorOutput, error) {
	row := collaboratorRow{
		Name: in.CollaboratorName, Alias: descriptor(in.AgentDescriptor), Instruction: in.CollaborationInstruction,
		Relay: cmp.Or(in.RelayConversationHistory, api.RelayConversationHistoryDisabled), Token: optional.Value(in.ClientToken),
	}
	request := *in
	request.ClientToken = nil
	var out *api.AssociateAgentCollaboratorOutput
	err := r.edit(ctx, in.AgentId, "Associate", "AgentCollaborator", func(tx *store.Tx, c *call.Call, agent *store.Record[agentRow]) (err error) {
		out, err = store.Idempotent(tx, token(c, "AssociateAgentCollaborator", in.ClientToken), request, func() (*api.AssociateAgentCollaboratorOutput, error) {
			if err := r.checkCollaborator(tx, c, agent, row.Alias); err != nil {
				return nil, err
			}
			have, err := all(tx, collaborators, agent.Key)
			if err != nil {
				return nil, err
			}
			if len(have) >= r.cfg.Quotas.Collaborators {
				return nil, beyond("collaborators of an agent", r.cfg.Quotas.Collaborators)
			}
			rec, err := collaborators.Create(tx, inside(agent.Key, names.NewID()), row, store.Columns{Name: row.Name, Target: row.Alias, KeyARN: agent.KeyARN})
			if errors.Is(err, store.ErrExists) {
				return nil, taken("A collaborator", row.Name)
			}
			if err != nil {
				return nil, err
			}
			if err := refer(tx, c, agent.Key); err != nil {
				return nil, err
			}
			v := collaboratorView(agent.ID, draftVersion, &rec)
			return &api.AssociateAgentCollaboratorOutput{AgentCollaborator: &v}, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// refer notes which aliases a supervisor's draft leads: they are in use.
func refer(tx *store.Tx, c *call.Call, agent store.Key) error {
	list, err := all(tx, collaborators, agent)
	if err != nil {
		return err
	}
	to := make([]string, len(list))
	for i := range list {
		to[i] = list[i].Body.Alias
	}
	return tx.SetReferences(agentARN(c, agent.ID), to)
}

// GetAgentCollaborator reads a collaborator of the draft or of a version.
func (r AgentCollaborators) GetAgentCollaborator(ctx context.Context, in *api.GetAgentCollaboratorInput) (*api.GetAgentCollaboratorOutput, error) {
	list, err := readPart(ctx, r.Room, in.AgentId, in.AgentVersion, collaborators, ofCollaborators)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == in.CollaboratorId {
			v := collaboratorView(in.AgentId, in.AgentVersion, &list[i])
			return &api.GetAgentCollaboratorOutput{AgentCollaborator: &v}, nil
		}
	}
	return nil, missing()
}

// ListAgentCollaborators lists the collaborators of the draft or of a version.
func (r AgentCollaborators) ListAgentCollaborators(ctx context.Context, in *api.ListAgentCollaboratorsInput) (*api.ListAgentCollaboratorsOutput, error) {
	list, next, err := listPart(ctx, r.Room, in.AgentId, in.AgentVersion, in.MaxResults, in.NextToken, collaborators, ofCollaborators)
	if err != nil {
		return nil, err
	}
	out := &api.ListAgentCollaboratorsOutput{AgentCollaboratorSummaries: make([]api.AgentCollaboratorSummary, 0, len(list)), NextToken: next}
	for i := range list {
		v := collaboratorView(in.AgentId, in.AgentVersion, &list[i])
		out.AgentCollaboratorSummaries = append(out.AgentCollaboratorSummaries, api.AgentCollaboratorSummary{
			AgentDescriptor: v.AgentDescriptor, AgentId: v.AgentId, AgentVersion: v.AgentVersion, CollaborationInstruction: v.CollaborationInstruction,
			CollaboratorId: v.CollaboratorId, CollaboratorName: v.CollaboratorName, CreatedAt: v.CreatedAt, LastUpdatedAt: v.LastUpdatedAt, RelayConversationHistory: v.RelayConversationHistory,
		})
	}
	return out, nil
}

// UpdateAgentCollaborator replaces a collaborator of the draft.
func (r AgentCollaborators) UpdateAgentCollaborator(ctx context.Context, in *api.UpdateAgentCollaboratorInput) (*api.UpdateAgentCollaboratorOutput, error) {
	row := collaboratorRow{
		Name: in.CollaboratorName, Alias: descriptor(in.AgentDescriptor), Instruction: in.CollaborationInstruction,
		Relay: cmp.Or(in.RelayConversationHistory, api.RelayConversationHistoryDisabled),
	}
	var out *api.UpdateAgentCollaboratorOutput
	err := r.edit(ctx, in.AgentId, "Update", "AgentCollaborator", func(tx *store.Tx, c *call.Call, agent *store.Record[agentRow]) error {
		rec, err := collaborators.Get(tx, inside(agent.Key, in.CollaboratorId))
		if err != nil {
			return err
		}
		if err := r.checkCollaborator(tx, c, agent, row.Alias); err != nil {
			return err
		}
		row.Token = rec.Body.Token
		rec.Body, rec.Name, rec.Target = row, row.Name, row.Alias
		if rec, err = collaborators.Put(tx, rec); errors.Is(err, store.ErrExists) {
			return taken("A collaborator", row.Name)
		} else if err != nil {
			return err
		}
		v := collaboratorView(agent.ID, draftVersion, &rec)
		out = &api.UpdateAgentCollaboratorOutput{AgentCollaborator: &v}
		return refer(tx, c, agent.Key)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DisassociateAgentCollaborator takes a collaborator from the draft.
func (r AgentCollaborators) DisassociateAgentCollaborator(ctx context.Context, in *api.DisassociateAgentCollaboratorInput) (*api.DisassociateAgentCollaboratorOutput, error) {
	err := r.edit(ctx, in.AgentId, "Disassociate", "AgentCollaborator", func(tx *store.Tx, c *call.Call, agent *store.Record[agentRow]) error {
		if err := collaborators.Delete(tx, inside(agent.Key, in.CollaboratorId)); err != nil {
			return err
		}
		return refer(tx, c, agent.Key)
	})
	if err != nil {
		return nil, err
	}
	return &api.DisassociateAgentCollaboratorOutput{}, nil
}
