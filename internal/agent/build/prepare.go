package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/schema"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// actions reads what a group can do.
func (r *Room) actions(ctx context.Context, arn, role string, g *groupRow) ([]plan.Action, error) {
	switch {
	case g.Functions != nil:
		return schema.Functions(g.Name, g.Functions)
	case g.API == nil:
		return nil, nil
	case g.API.Payload != nil:
		return schema.OpenAPI(g.Name, []byte(*g.API.Payload))
	case g.API.S3 == nil:
		return nil, invalidField("apiSchema", "apiSchema must hold a payload or name an object in S3.")
	case r.cfg.Objects == nil:
		return nil, invalid("Schemas in S3 cannot be read by this server.")
	case role == "":
		return nil, invalid("The agent has no agentResourceRoleArn, with whose rights the schema in S3 could be read.")
	}
	bucket, key := optional.Value(g.API.S3.S3BucketName), optional.Value(g.API.S3.S3ObjectKey)
	text, err := r.cfg.Objects.Read(ctx, role, arn, bucket, key, schema.MaxDocument)
	if err != nil {
		if e, ok := errors.AsType[*apierr.Error](err); ok {
			return nil, apierr.Wrap(apierr.Validation, err, "The schema of the action group %s could not be read from s3://%s/%s: %s", g.Name, bucket, key, e.Message)
		}
		return nil, err
	}
	return schema.OpenAPI(g.Name, text)
}

// draft is what hangs together in an agent's draft at one instant.
type draft struct {
	agent         store.Record[agentRow]
	groups        []store.Record[groupRow]
	bases         []store.Record[baseRow]
	collaborators []store.Record[collaboratorRow]
}

func (r *Room) draft(ctx context.Context, key store.Key) (*draft, error) {
	d := new(draft)
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		if d.agent, err = agents.Get(tx, key); err != nil {
			return err
		}
		if d.groups, err = all(tx, groups, key); err != nil {
			return err
		}
		if d.bases, err = all(tx, bases, key); err != nil {
			return err
		}
		d.collaborators, err = all(tx, collaborators, key)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return d, nil
}

// problem is why a draft cannot be prepared, and what to do about it.
type problem struct{ reason, advice string }

// pack makes the package of a draft, or says what stands in its way.
func (r *Room) pack(ctx context.Context, d *draft, arn string) (*packageRow, string, []problem, error) {
	c := &d.agent.Body.Config
	var wrong []problem
	lacks := func(what, member string) {
		wrong = append(wrong, problem{"The agent has no " + what + ".", "Set " + member + " with UpdateAgent and prepare the agent again."})
	}
	if c.Role == "" {
		lacks("service role", "agentResourceRoleArn")
	}
	if c.Model == "" {
		lacks("foundation model", "foundationModel")
	}
	if c.Instruction == "" {
		lacks("instruction", "instruction")
	}
	if c.Collaboration != api.AgentCollaborationDisabled && len(d.collaborators) == 0 {
		return nil, "", nil, invalid("This agent cannot be prepared. The AgentCollaboration attribute is set to %s but no agent collaborators are added.", c.Collaboration)
	}
	p := &plan.Plan{
		AgentID: d.agent.ID, Name: c.Name, ARN: arn, Model: c.Model, Instruction: c.Instruction, Role: c.Role, Key: c.Key, IdleTTL: plan.Span(c.TTL),
		Orchestration: plan.Orchestration(c.Orchestration), Collaboration: plan.Collaboration(c.Collaboration),
	}
	if c.Custom != nil && c.Custom.Executor != nil {
		p.Orchestrator = optional.Value(c.Custom.Executor.Lambda)
	}
	if m := c.Memory; m != nil {
		p.Memory = &plan.Memory{Days: 30, Recent: 20}
		if m.StorageDays != nil {
			p.Memory.Days = *m.StorageDays
		}
		if s := m.SessionSummaryConfiguration; s != nil && s.MaxRecentSessions != nil {
			p.Memory.Recent = *s.MaxRecentSessions
		}
	}
	var err error
	if p.Parser, p.Prompts, err = prompts(c); err != nil {
		return nil, "", nil, err
	}
	for i := range d.groups {
		g := &d.groups[i].Body
		if g.State != api.ActionGroupStateEnabled {
			continue
		}
		out := plan.Group{ID: d.groups[i].ID, Name: g.Name, Description: g.Description, Signature: string(g.Signature), Params: g.Params}
		if g.Signature == "" {
			if g.Executor == nil || g.Executor.Lambda == nil && g.Executor.CustomControl == "" {
				wrong = append(wrong, problem{
					"The action group " + g.Name + " has no executor.", "Give it a Lambda function or RETURN_CONTROL with UpdateAgentActionGroup, or disable it.",
				})
				continue
			}
			out.Lambda = optional.Value(g.Executor.Lambda)
			if out.Actions, err = r.actions(ctx, arn, c.Role, g); err != nil {
				e, ok := errors.AsType[*apierr.Error](err)
				if !ok {
					return nil, "", nil, err
				}
				wrong = append(wrong, problem{e.Message, "Correct the schema of the action group " + g.Name + " and prepare the agent again."})
				continue
			}
		}
		p.Groups = append(p.Groups, out)
	}
	for i := range d.bases {
		if b := &d.bases[i].Body; b.State == api.KnowledgeBaseStateEnabled {
			p.Knowledge = append(p.Knowledge, plan.KnowledgeBase{ID: d.bases[i].ID, Description: b.Description})
		}
	}
	for i := range d.collaborators {
		b := &d.collaborators[i].Body
		p.Collaborators = append(p.Collaborators, plan.Collaborator{
			ID: d.collaborators[i].ID, Name: b.Name, Alias: b.Alias, Instruction: b.Instruction, Relay: b.Relay == api.RelayConversationHistoryToCollaborator,
		})
	}
	if len(wrong) > 0 {
		return nil, "", wrong, nil
	}
	row := &packageRow{Plan: p, Groups: d.groups, Bases: d.bases, Collaborators: d.collaborators}
	b, err := json.Marshal(row)
	if err != nil {
		return nil, "", nil, fmt.Errorf("encode the package of agent %s: %w", d.agent.ID, err)
	}
	sum := sha256.Sum256(b)
	return row, hex.EncodeToString(sum[:]), nil, nil
}

// errEdited says that a draft was edited while its package was made.
var errEdited = fmt.Errorf("the draft was edited meanwhile: %w", store.ErrConflict)

// keep stores a package under its address, once.
func keep(tx *store.Tx, agent *store.Record[agentRow], address string, row *packageRow) error {
	key := inside(agent.Key, address)
	if _, err := packages.Head(tx, key); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err := packages.Create(tx, key, *row, store.Columns{Name: address, KeyARN: agent.KeyARN})
	return err
}

// packed makes the package of a draft outside any transaction and runs do with it in
// one; when the draft was edited between, it starts again.
func (r *Room) packed(ctx context.Context, agentID string, do func(tx *store.Tx, agent *store.Record[agentRow], address string, row *packageRow, wrong []problem) error) error {
	c, key := at(ctx, agentID)
	for try := 0; ; try++ {
		d, err := r.draft(ctx, key)
		if err != nil {
			return err
		}
		row, address, wrong, err := r.pack(ctx, d, agentARN(c, agentID))
		if err != nil {
			return err
		}
		err = r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
			rec, err := agents.Get(tx, key)
			if err != nil {
				return err
			}
			if rec.Body.Edits != d.agent.Body.Edits {
				return errEdited
			}
			return do(tx, &rec, address, row, wrong)
		})
		if errors.Is(err, errEdited) && try < 5 {
			continue
		}
		return failure(err)
	}
}

// PrepareAgent freezes the draft into the package that the test alias serves. When
// something stands in the way, all of it is said, and the package before serves on.
func (r Agents) PrepareAgent(ctx context.Context, in *api.PrepareAgentInput) (*api.PrepareAgentOutput, error) {
	out := &api.PrepareAgentOutput{AgentId: in.AgentId, AgentVersion: draftVersion, AgentStatus: api.AgentStatusPreparing}
	// A state that does not take it is told before anything is read from S3.
	_, key := at(ctx, in.AgentId)
	rec, err := r.agent(ctx, key)
	if err != nil {
		return nil, err
	}
	if s := r.status(&rec.Body); !agentStates.Can(s, prepare) {
		return nil, refused("Prepare", "Agent", s)
	}
	err = r.packed(ctx, in.AgentId, func(tx *store.Tx, agent *store.Record[agentRow], address string, row *packageRow, wrong []problem) error {
		a := &agent.Body
		// All that can go wrong is known now. Programs wait for PREPARED without an end, so
		// a refusal serves them better than a state that they do not look for.
		if len(wrong) > 0 {
			return invalid("The agent cannot be prepared: %s", reasons(wrong))
		}
		if err := r.move(tx, a, "Prepare", prepare, settle); err != nil {
			return err
		}
		out.PreparedAt = later(tx.Now, a.Changed)
		a.Reasons, a.Recommended, a.Prepared, a.Package = nil, nil, out.PreparedAt, address
		if err := keep(tx, agent, address, row); err != nil {
			return err
		}
		_, err := agents.Put(tx, *agent)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func reasons(wrong []problem) string {
	list := make([]string, len(wrong))
	for i := range wrong {
		list[i] = wrong[i].reason + " " + wrong[i].advice
	}
	return strings.Join(list, " ")
}
