package build

import (
	"cmp"
	"context"
	"errors"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func baseView(agentID, version string, rec *store.Record[baseRow]) *api.AgentKnowledgeBase {
	return &api.AgentKnowledgeBase{
		AgentId: agentID, AgentVersion: version, KnowledgeBaseId: rec.ID, Description: rec.Body.Description, KnowledgeBaseState: rec.Body.State,
		CreatedAt: rec.Created, UpdatedAt: rec.Updated,
	}
}

func ofBases(p *packageRow) []store.Record[baseRow] { return p.Bases }

// AssociateAgentKnowledgeBase lets the draft query a knowledge base.
func (r AgentKnowledgeBases) AssociateAgentKnowledgeBase(ctx context.Context, in *api.AssociateAgentKnowledgeBaseInput) (*api.AssociateAgentKnowledgeBaseOutput, error) {
	there := false
	if r.cfg.Bases != nil {
		var err error
		if there, err = r.cfg.Bases.Exists(ctx, in.KnowledgeBaseId); err != nil {
			return nil, err
		}
	}
	row := baseRow{Description: in.Description, State: cmp.Or(in.KnowledgeBaseState, api.KnowledgeBaseStateEnabled)}
	var out *api.AssociateAgentKnowledgeBaseOutput
	err := r.edit(ctx, in.AgentId, "Associate", "AgentKnowledgeBase", func(tx *store.Tx, c *call.Call, agent *store.Record[agentRow]) error {
		if !there {
			return apierr.New(apierr.ResourceNotFound, "The knowledge base %s was not found.", in.KnowledgeBaseId)
		}
		have, err := all(tx, bases, agent.Key)
		if err != nil {
			return err
		}
		rec, err := bases.Create(tx, inside(agent.Key, in.KnowledgeBaseId), row, store.Columns{KeyARN: agent.KeyARN, Name: in.KnowledgeBaseId})
		if errors.Is(err, store.ErrExists) {
			return apierr.New(apierr.Conflict, "The knowledge base %s is associated with the agent already.", in.KnowledgeBaseId)
		}
		if err != nil {
			return err
		}
		if len(have) >= r.cfg.Quotas.KnowledgeBases {
			return beyond("knowledge bases in an agent", r.cfg.Quotas.KnowledgeBases)
		}
		out = &api.AssociateAgentKnowledgeBaseOutput{AgentKnowledgeBase: baseView(agent.ID, draftVersion, &rec)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetAgentKnowledgeBase reads an association of the draft or of a version.
func (r AgentKnowledgeBases) GetAgentKnowledgeBase(ctx context.Context, in *api.GetAgentKnowledgeBaseInput) (*api.GetAgentKnowledgeBaseOutput, error) {
	list, err := readPart(ctx, r.Room, in.AgentId, in.AgentVersion, bases, ofBases)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == in.KnowledgeBaseId {
			return &api.GetAgentKnowledgeBaseOutput{AgentKnowledgeBase: baseView(in.AgentId, in.AgentVersion, &list[i])}, nil
		}
	}
	return nil, missing()
}

// ListAgentKnowledgeBases lists the associations of the draft or of a version.
func (r AgentKnowledgeBases) ListAgentKnowledgeBases(ctx context.Context, in *api.ListAgentKnowledgeBasesInput) (*api.ListAgentKnowledgeBasesOutput, error) {
	list, next, err := listPart(ctx, r.Room, in.AgentId, in.AgentVersion, in.MaxResults, in.NextToken, bases, ofBases)
	if err != nil {
		return nil, err
	}
	out := &api.ListAgentKnowledgeBasesOutput{AgentKnowledgeBaseSummaries: make([]api.AgentKnowledgeBaseSummary, 0, len(list)), NextToken: next}
	for i := range list {
		out.AgentKnowledgeBaseSummaries = append(out.AgentKnowledgeBaseSummaries, api.AgentKnowledgeBaseSummary{
			KnowledgeBaseId: list[i].ID, KnowledgeBaseState: list[i].Body.State, Description: optional.Of(list[i].Body.Description), UpdatedAt: list[i].Updated,
		})
	}
	return out, nil
}

// UpdateAgentKnowledgeBase replaces description and state of an association.
func (r AgentKnowledgeBases) UpdateAgentKnowledgeBase(ctx context.Context, in *api.UpdateAgentKnowledgeBaseInput) (*api.UpdateAgentKnowledgeBaseOutput, error) {
	var out *api.UpdateAgentKnowledgeBaseOutput
	err := r.edit(ctx, in.AgentId, "Update", "AgentKnowledgeBase", func(tx *store.Tx, _ *call.Call, agent *store.Record[agentRow]) error {
		rec, err := bases.Get(tx, inside(agent.Key, in.KnowledgeBaseId))
		if err != nil {
			return err
		}
		// The wire calls the description required when it is read, so an update without
		// one keeps it.
		rec.Body = baseRow{Description: cmp.Or(optional.Value(in.Description), rec.Body.Description), State: cmp.Or(in.KnowledgeBaseState, api.KnowledgeBaseStateEnabled)}
		if rec, err = bases.Put(tx, rec); err != nil {
			return err
		}
		out = &api.UpdateAgentKnowledgeBaseOutput{AgentKnowledgeBase: baseView(agent.ID, draftVersion, &rec)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DisassociateAgentKnowledgeBase takes a knowledge base from the draft.
func (r AgentKnowledgeBases) DisassociateAgentKnowledgeBase(ctx context.Context, in *api.DisassociateAgentKnowledgeBaseInput) (*api.DisassociateAgentKnowledgeBaseOutput, error) {
	err := r.edit(ctx, in.AgentId, "Disassociate", "AgentKnowledgeBase", func(tx *store.Tx, _ *call.Call, agent *store.Record[agentRow]) error {
		return bases.Delete(tx, inside(agent.Key, in.KnowledgeBaseId))
	})
	if err != nil {
		return nil, err
	}
	return &api.DisassociateAgentKnowledgeBaseOutput{}, nil
}
