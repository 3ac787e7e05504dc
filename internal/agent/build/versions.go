package build

import (
	"context"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// GetAgentVersion reads a numbered version.
func (r Agents) GetAgentVersion(ctx context.Context, in *api.GetAgentVersionInput) (*api.GetAgentVersionOutput, error) {
	c, key := at(ctx, in.AgentId)
	key.Version = in.AgentVersion
	rec, err := r.agent(ctx, key)
	if err != nil {
		return nil, err
	}
	a := &rec.Body
	return &api.GetAgentVersionOutput{AgentVersion: &api.AgentVersion{
		AgentArn: agentARN(c, in.AgentId), AgentCollaboration: a.Config.Collaboration, AgentId: in.AgentId, AgentName: a.Config.Name,
		AgentResourceRoleArn: a.Config.Role, AgentStatus: r.status(a), CreatedAt: rec.Created, UpdatedAt: rec.Updated,
		CustomerEncryptionKeyArn: optional.Of(a.Config.Key), Description: optional.Of(a.Config.Description), FoundationModel: optional.Of(a.Config.Model),
		IdleSessionTTLInSeconds: a.Config.TTL, Instruction: optional.Of(a.Config.Instruction), MemoryConfiguration: a.Config.Memory,
		PromptOverrideConfiguration: shown(&a.Config), Version: rec.Version,
	}}, nil
}

// ListAgentVersions lists the draft and the numbered versions, newest first.
func (r Agents) ListAgentVersions(ctx context.Context, in *api.ListAgentVersionsInput) (*api.ListAgentVersionsOutput, error) {
	_, key := at(ctx, in.AgentId)
	var list []store.Record[agentRow]
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		head, err := agents.Get(tx, key)
		if err != nil {
			return err
		}
		if list, err = versions(tx, &head); err != nil {
			return err
		}
		list = append(list, head)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &api.ListAgentVersionsOutput{AgentVersionSummaries: []api.AgentVersionSummary{}}
	binding := []byte("versions\x00" + in.AgentId)
	if in.NextToken != nil {
		raw, err := cursors.Open(binding, *in.NextToken)
		if err != nil {
			return nil, failure(store.ErrBadCursor)
		}
		for len(list) > 1 && (len(list[0].Version) > len(raw) || len(list[0].Version) == len(raw) && list[0].Version >= string(raw)) {
			list = list[1:]
		}
	}
	size := page.Few(in.MaxResults)
	for i := range list {
		v := &list[i]
		s := api.AgentVersionSummary{
			AgentName: v.Body.Config.Name, AgentStatus: r.status(&v.Body), AgentVersion: v.Version, CreatedAt: v.Created, UpdatedAt: v.Updated,
			Description: optional.Of(v.Body.Config.Description),
		}
		if s.AgentVersion == "" {
			s.AgentVersion, s.UpdatedAt = draftVersion, v.Body.Changed
		}
		if len(out.AgentVersionSummaries) == size {
			out.NextToken = new(cursors.Seal(binding, []byte(list[i-1].Version)))
			break
		}
		out.AgentVersionSummaries = append(out.AgentVersionSummaries, s)
	}
	return out, nil
}

// DeleteAgentVersion removes a numbered version; one that an alias shows only when
// told not to mind, and the alias is then DISSOCIATED.
func (r Agents) DeleteAgentVersion(ctx context.Context, in *api.DeleteAgentVersionInput) (*api.DeleteAgentVersionOutput, error) {
	_, key := at(ctx, in.AgentId)
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		version := key
		version.Version = in.AgentVersion
		if _, err := agents.Head(tx, version); err != nil {
			return err
		}
		list, err := all(tx, aliases, key)
		if err != nil {
			return err
		}
		for _, rec := range list {
			if rec.Body.Version != in.AgentVersion {
				continue
			}
			if !optional.Value(in.SkipResourceInUseCheck) {
				return apierr.New(apierr.Conflict, "Version %s of agent %s is shown by the alias %s. Point the alias at another version first, or set skipResourceInUseCheck.", in.AgentVersion, in.AgentId, rec.ID)
			}
			rec.Body.point(tx, "", "")
			rec.Body.State = lifecycle.Timed[api.AgentAliasStatus]{Now: api.AgentAliasStatusDissociated, Since: tx.Now}
			rec.Body.Making = false
			if _, err := aliases.Put(tx, rec); err != nil {
				return err
			}
		}
		return agents.Delete(tx, version)
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.DeleteAgentVersionOutput{AgentId: in.AgentId, AgentVersion: in.AgentVersion, AgentStatus: api.AgentStatusDeleting}, nil
}
