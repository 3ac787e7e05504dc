package build_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/build"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// room is the build time on a store of its own, with a clock that the test moves.
type room struct {
	build.Agents
	build.ActionGroups
	build.AgentAliases
	build.AgentKnowledgeBases
	build.AgentCollaborators
	room  *build.Room
	store *store.Store
	ctx   context.Context
	mu    sync.Mutex
	now   time.Time
	// schemas in S3, by key; asked counts the reads.
	schemas map[string]string
	asked   int
}

func (r *room) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *room) pass() {
	r.mu.Lock()
	r.now = r.now.Add(time.Second)
	r.mu.Unlock()
}

// Read implements build.Objects.
func (r *room) Read(_ context.Context, role, _, bucket, key string, _ int64) ([]byte, error) {
	r.asked++
	if role != someRole {
		return nil, fmt.Errorf("read as %q", role)
	}
	if text, ok := r.schemas[bucket+"/"+key]; ok {
		return []byte(text), nil
	}
	return nil, apierr.New(apierr.Validation, "there is no such object")
}

// Exists implements build.Bases.
func (*room) Exists(_ context.Context, id string) (bool, error) {
	return strings.HasPrefix(id, "KB"), nil
}

const (
	someRole = "arn:aws:iam::123456789012:role/agents"
	haiku    = "anthropic.claude-3-haiku-20240307-v1:0"
	told     = "You are an agent of the tests, and you do what they say."
	lambda   = "arn:aws:lambda:us-east-1:123456789012:function:f"
)

func open(t *testing.T, change func(*build.Config)) *room {
	t.Helper()
	r := &room{now: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC), schemas: map[string]string{}}
	r.ctx = call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"})
	r.store = storetest.NewAt(t, r.clock)
	c := build.Config{Store: r.store, Now: r.clock, Transition: time.Second, Objects: r, Bases: r}
	if change != nil {
		change(&c)
	}
	b := build.New(c)
	r.room = b
	r.Agents, r.ActionGroups, r.AgentAliases = build.Agents{Room: b}, build.ActionGroups{Room: b}, build.AgentAliases{Room: b}
	r.AgentKnowledgeBases, r.AgentCollaborators = build.AgentKnowledgeBases{Room: b}, build.AgentCollaborators{Room: b}
	return r
}

func (r *room) create(t *testing.T, name string, collaboration api.AgentCollaboration) string {
	t.Helper()
	out, err := r.CreateAgent(r.ctx, &api.CreateAgentInput{
		AgentName: name, FoundationModel: new(haiku), Instruction: new(told), AgentResourceRoleArn: new(someRole), AgentCollaboration: collaboration,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.pass()
	return out.Agent.AgentId
}

func (r *room) prepare(t *testing.T, id string) {
	t.Helper()
	if _, err := r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id}); err != nil {
		t.Fatal(err)
	}
	r.pass()
}

func (r *room) alias(t *testing.T, id, name string) string {
	t.Helper()
	out, err := r.CreateAgentAlias(r.ctx, &api.CreateAgentAliasInput{AgentId: id, AgentAliasName: name})
	if err != nil {
		t.Fatal(err)
	}
	r.pass()
	return out.AgentAlias.AgentAliasId
}

func (r *room) group(id, name string, change func(*api.CreateAgentActionGroupInput)) error {
	in := &api.CreateAgentActionGroupInput{
		AgentId: id, AgentVersion: "DRAFT", ActionGroupName: name, ActionGroupExecutor: &api.ActionGroupExecutor{Lambda: new(lambda)},
		FunctionSchema: &api.FunctionSchema{Functions: []api.Function{{Name: "f"}}},
	}
	if change != nil {
		change(in)
	}
	_, err := r.CreateAgentActionGroup(r.ctx, in)
	return err
}

func refused(t *testing.T, err error, kind apierr.Kind, text string) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want %s with %q", err, kind, text)
	}
}

func TestStatesPassByThemselvesAndRefuseWhatCannotBe(t *testing.T) {
	r := open(t, nil)
	out, err := r.CreateAgent(r.ctx, &api.CreateAgentInput{AgentName: "a", FoundationModel: new(haiku), Instruction: new(told), AgentResourceRoleArn: new(someRole)})
	if err != nil {
		t.Fatal(err)
	}
	id := out.Agent.AgentId
	status := func() api.AgentStatus {
		t.Helper()
		got, err := r.GetAgent(r.ctx, &api.GetAgentInput{AgentId: id})
		if err != nil {
			t.Fatal(err)
		}
		return got.Agent.AgentStatus
	}
	_, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id})
	refused(t, err, apierr.Validation, "operation can't be performed on Agent when it is in Creating state.")
	refused(t, r.group(id, "g", nil), apierr.Validation, "when Agent is in Creating state. Retry your request after the Agent is created")
	if s := status(); s != "CREATING" {
		t.Errorf("status %s", s)
	}
	r.pass()
	if s := status(); s != "NOT_PREPARED" {
		t.Errorf("status %s", s)
	}
	if _, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id}); err != nil {
		t.Fatal(err)
	}
	if s := status(); s != "PREPARING" {
		t.Errorf("status %s", s)
	}
	_, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id})
	refused(t, err, apierr.Validation, "operation can't be performed on Agent when it is in Preparing state. Retry the request when the agent is in a valid state.")
	r.pass()
	if _, err := r.CreateAgentAlias(r.ctx, &api.CreateAgentAliasInput{AgentId: id, AgentAliasName: "live"}); err != nil {
		t.Fatal(err)
	}
	if s := status(); s != "VERSIONING" {
		t.Errorf("status %s", s)
	}
	_, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id})
	refused(t, err, apierr.Validation, "in Versioning state.")
	r.pass()
	if s := status(); s != "PREPARED" {
		t.Errorf("status %s", s)
	}
}

func TestThePackageServesUntilTheNextPreparation(t *testing.T) {
	r := open(t, nil)
	id := r.create(t, "a", "")
	_, err := r.room.Invocable(r.ctx, id, "TSTALIASID")
	refused(t, err, apierr.Validation, "not prepared")
	r.prepare(t, id)
	first, err := r.room.Invocable(r.ctx, id, "TSTALIASID")
	if err != nil || len(first.Plan.Groups) != 0 || first.Version != "DRAFT" {
		t.Fatalf("%+v, %v", first, err)
	}
	if err := r.group(id, "g", nil); err != nil {
		t.Fatal(err)
	}
	if still, err := r.room.Invocable(r.ctx, id, "TSTALIASID"); err != nil || len(still.Plan.Groups) != 0 {
		t.Errorf("the draft serves before it is prepared: %+v, %v", still, err)
	}
	live := r.alias(t, id, "live") // prepares on the way
	for _, a := range []string{"TSTALIASID", live} {
		got, err := r.room.Invocable(r.ctx, id, a)
		if err != nil || len(got.Plan.Groups) != 1 || got.Plan.Groups[0].Lambda != lambda || got.Plan.Groups[0].Actions[0].Function != "f" {
			t.Errorf("%s: %+v, %v", a, got, err)
		}
	}
	// Version 1 keeps its group when the draft loses it.
	list, err := r.ListAgentActionGroups(r.ctx, &api.ListAgentActionGroupsInput{AgentId: id, AgentVersion: "DRAFT"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.DeleteAgentActionGroup(r.ctx, &api.DeleteAgentActionGroupInput{AgentId: id, AgentVersion: "DRAFT", ActionGroupId: list.ActionGroupSummaries[0].ActionGroupId, SkipResourceInUseCheck: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	r.prepare(t, id)
	for version, want := range map[string]int{"DRAFT": 0, "1": 1} {
		got, err := r.ListAgentActionGroups(r.ctx, &api.ListAgentActionGroupsInput{AgentId: id, AgentVersion: version})
		if err != nil || len(got.ActionGroupSummaries) != want {
			t.Errorf("version %s has %+v, %v", version, got, err)
		}
	}
	_, err = r.ListAgentActionGroups(r.ctx, &api.ListAgentActionGroupsInput{AgentId: id, AgentVersion: "7"})
	refused(t, err, apierr.ResourceNotFound, "doesn't exist")
}

func TestWhatStandsInTheWayOfAPreparationIsSaid(t *testing.T) {
	r := open(t, nil)
	out, err := r.CreateAgent(r.ctx, &api.CreateAgentInput{AgentName: "bare"})
	if err != nil {
		t.Fatal(err)
	}
	r.pass()
	id := out.Agent.AgentId
	if err := r.group(id, "idle", func(in *api.CreateAgentActionGroupInput) { in.ActionGroupExecutor = nil }); err != nil {
		t.Fatal(err)
	}
	_, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id})
	for _, want := range []string{"service role", "foundation model", "instruction", "idle has no executor"} {
		refused(t, err, apierr.Validation, want)
	}
	lead := r.create(t, "lead", "SUPERVISOR")
	_, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: lead})
	refused(t, err, apierr.Validation, "This agent cannot be prepared. The AgentCollaboration attribute is set to SUPERVISOR but no agent collaborators are added.")
}

func TestASchemaInS3IsReadAtEachPreparation(t *testing.T) {
	r := open(t, nil)
	id := r.create(t, "a", "")
	const doc = `{"openapi":"3.0.0","info":{"title":"x","version":"1"},"paths":{"/x":{"get":{"operationId":"%s","description":"does x","responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"object"}}}}}}}}}`
	from := func(in *api.CreateAgentActionGroupInput) {
		in.FunctionSchema, in.ApiSchema = nil, &api.APISchema{S3: &api.S3Identifier{S3BucketName: new("schemas"), S3ObjectKey: new("x.json")}}
	}
	refused(t, r.group(id, "x", from), apierr.Validation, "s3://schemas/x.json: there is no such object")
	r.schemas["schemas/x.json"] = fmt.Sprintf(doc, "first")
	if err := r.group(id, "x", from); err != nil {
		t.Fatal(err)
	}
	r.schemas["schemas/x.json"] = fmt.Sprintf(doc, "second")
	r.prepare(t, id)
	got, err := r.room.Invocable(r.ctx, id, "TSTALIASID")
	if err != nil || got.Plan.Groups[0].Actions[0].OperationID != "second" || r.asked != 3 {
		t.Errorf("%+v, %v after %d reads", got, err, r.asked)
	}
	delete(r.schemas, "schemas/x.json")
	_, err = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id})
	refused(t, err, apierr.Validation, "there is no such object")
	if _, err := r.room.Invocable(r.ctx, id, "TSTALIASID"); err != nil {
		t.Errorf("the package before does not serve on: %v", err)
	}
}

func TestQuotasAreCounted(t *testing.T) {
	r := open(t, func(c *build.Config) { c.Quotas = build.Quotas{Agents: 2, Aliases: 1, Groups: 1, KnowledgeBases: 1} })
	id := r.create(t, "a", "")
	r.create(t, "b", "")
	_, err := r.CreateAgent(r.ctx, &api.CreateAgentInput{AgentName: "c"})
	refused(t, err, apierr.ServiceQuotaExceeded, "2 agents")
	if err := r.group(id, "g", nil); err != nil {
		t.Fatal(err)
	}
	refused(t, r.group(id, "h", nil), apierr.ServiceQuotaExceeded, "1 action groups")
	associate := func(kb string) error {
		_, err := r.AssociateAgentKnowledgeBase(r.ctx, &api.AssociateAgentKnowledgeBaseInput{AgentId: id, AgentVersion: "DRAFT", KnowledgeBaseId: kb, Description: "d"})
		return err
	}
	refused(t, associate("NONE"), apierr.ResourceNotFound, "NONE")
	if err := associate("KB1"); err != nil {
		t.Fatal(err)
	}
	refused(t, associate("KB1"), apierr.Conflict, "already")
	refused(t, associate("KB2"), apierr.ServiceQuotaExceeded, "1 knowledge bases")
	r.prepare(t, id)
	if got, err := r.room.Invocable(r.ctx, id, "TSTALIASID"); err != nil || len(got.Plan.Knowledge) != 1 || got.Plan.Knowledge[0].ID != "KB1" {
		t.Errorf("%+v, %v", got, err)
	}
	r.alias(t, id, "one")
	_, err = r.CreateAgentAlias(r.ctx, &api.CreateAgentAliasInput{AgentId: id, AgentAliasName: "two"})
	refused(t, err, apierr.ServiceQuotaExceeded, "1 aliases")
}

func TestAgentsDoNotLeadEachOther(t *testing.T) {
	r := open(t, nil)
	lead, helper := r.create(t, "lead", "SUPERVISOR"), r.create(t, "helper", "SUPERVISOR")
	plain := r.create(t, "plain", "")
	r.prepare(t, plain)
	arn := func(id, alias string) *api.AgentDescriptor {
		return &api.AgentDescriptor{AliasArn: new("arn:aws:bedrock:us-east-1:123456789012:agent-alias/" + id + "/" + alias)}
	}
	associate := func(id, name string, who *api.AgentDescriptor) error {
		_, err := r.AssociateAgentCollaborator(r.ctx, &api.AssociateAgentCollaboratorInput{AgentId: id, AgentVersion: "DRAFT", AgentDescriptor: who, CollaboratorName: name, CollaborationInstruction: "help"})
		return err
	}
	at := r.alias(t, plain, "live")
	if err := associate(helper, "plain", arn(plain, at)); err != nil {
		t.Fatal(err)
	}
	refused(t, associate(helper, "plain", arn(plain, at)), apierr.Conflict, "plain")
	r.prepare(t, helper)
	of := r.alias(t, helper, "live")
	if err := associate(lead, "helper", arn(helper, of)); err != nil {
		t.Fatal(err)
	}
	r.prepare(t, lead)
	top := r.alias(t, lead, "live")
	refused(t, associate(helper, "circle", arn(lead, top)), apierr.Validation, "lead each other")
	refused(t, associate(lead, "self", arn(lead, top)), apierr.Validation, "its own collaborator")
	refused(t, associate(lead, "test", arn(helper, "TSTALIASID")), apierr.Validation, "test alias")
	refused(t, associate(lead, "gone", arn(helper, "ABCDEFGHIJ")), apierr.ResourceNotFound, "doesn't exist")
	refused(t, associate(plain, "none", arn(helper, of)), apierr.Validation, "leads no other agents")
	// What collaborates cannot be removed under its supervisor.
	_, err := r.DeleteAgentAlias(r.ctx, &api.DeleteAgentAliasInput{AgentId: helper, AgentAliasId: of})
	refused(t, err, apierr.Validation, "Disassociate it there first")
	if _, err := r.room.Alias(r.ctx, *arn(helper, of).AliasArn); err != nil {
		t.Errorf("the refused deletion took the alias away: %v", err)
	}
}

func TestListsInsideAnAgentContinue(t *testing.T) {
	r := open(t, nil)
	id := r.create(t, "a", "")
	for i := range 7 {
		if err := r.group(id, fmt.Sprintf("g%d", i), nil); err != nil {
			t.Fatal(err)
		}
		r.pass()
	}
	var names []string
	in := &api.ListAgentActionGroupsInput{AgentId: id, AgentVersion: "DRAFT", MaxResults: new(3)}
	for range 10 {
		out, err := r.ListAgentActionGroups(r.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.ActionGroupSummaries {
			names = append(names, g.ActionGroupName)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if got := strings.Join(names, " "); got != "g0 g1 g2 g3 g4 g5 g6" {
		t.Errorf("pages: %s", got)
	}
	in.NextToken = new("nonsense")
	_, err := r.ListAgentActionGroups(r.ctx, in)
	refused(t, err, apierr.Validation, "nextToken")
}

func TestAnEditWhileAPackageIsMadeIsNotLost(t *testing.T) {
	r := open(t, nil)
	id := r.create(t, "a", "")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := r.group(id, fmt.Sprintf("g%d", i), nil); err != nil && apierr.KindOf(err) != apierr.Conflict && !strings.Contains(err.Error(), "Preparing") {
				t.Error(err)
			}
		})
		wg.Go(func() { _, _ = r.PrepareAgent(r.ctx, &api.PrepareAgentInput{AgentId: id}) })
	}
	wg.Wait()
	r.pass()
	list, err := r.ListAgentActionGroups(r.ctx, &api.ListAgentActionGroupsInput{AgentId: id, AgentVersion: "DRAFT", MaxResults: new(100)})
	if err != nil {
		t.Fatal(err)
	}
	r.prepare(t, id)
	got, err := r.room.Invocable(r.ctx, id, "TSTALIASID")
	if err != nil || len(got.Plan.Groups) != len(list.ActionGroupSummaries) {
		t.Errorf("the package has %d groups, the draft %d (%v)", len(got.Plan.Groups), len(list.ActionGroupSummaries), err)
	}
}

func TestAProvisionedModelOfAnotherBaseFailsTheAlias(t *testing.T) {
	r := open(t, func(c *build.Config) {
		c.Base = func(_ context.Context, model string) (string, error) {
			if strings.Contains(model, "provisioned-model/other") {
				return "amazon.titan-text-express-v1", nil
			}
			return haiku, nil
		}
	})
	id := r.create(t, "a", "")
	r.prepare(t, id)
	r.alias(t, id, "plain")
	for name, want := range map[string]api.AgentAliasStatus{"other": "FAILED", "right": "PREPARED"} {
		arn := "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/" + name
		out, err := r.CreateAgentAlias(r.ctx, &api.CreateAgentAliasInput{
			AgentId: id, AgentAliasName: name, RoutingConfiguration: []api.AgentAliasRoutingConfigurationListItem{{AgentVersion: new("1"), ProvisionedThroughput: new(arn)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.pass()
		got, err := r.GetAgentAlias(r.ctx, &api.GetAgentAliasInput{AgentId: id, AgentAliasId: out.AgentAlias.AgentAliasId})
		if err != nil || got.AgentAlias.AgentAliasStatus != want {
			t.Errorf("%s: %+v, %v", name, got.AgentAlias, err)
		}
		inv, err := r.room.Invocable(r.ctx, id, out.AgentAlias.AgentAliasId)
		switch want {
		case "FAILED":
			refused(t, err, apierr.Validation, "FAILED")
		default:
			if err != nil || inv.Plan.Model != arn {
				t.Errorf("%+v, %v", inv, err)
			}
		}
	}
}

func TestATemplateThatCannotBeReadIsRefused(t *testing.T) {
	r := open(t, nil)
	create := func(template string) error {
		_, err := r.CreateAgent(r.ctx, &api.CreateAgentInput{AgentName: "t", PromptOverrideConfiguration: &api.PromptOverrideConfiguration{PromptConfigurations: []api.PromptConfiguration{
			{PromptType: "ORCHESTRATION", PromptCreationMode: "OVERRIDDEN", PromptState: "ENABLED", BasePromptTemplate: new(template)},
		}}})
		return err
	}
	refused(t, create(`{"system": "$instruction$", "messages": [{"role": "user"`), apierr.Validation, "The overridden prompt that you provided is incorrectly formatted. Prompt ORCHESTRATION")
	for _, good := range []string{"$instruction$ $tools$ $question$ $agent_scratchpad$", `{"system": "$instruction$", "messages": [{"role": "user", "content": "$question$"}, {"role": "assistant", "content": "$agent_scratchpad$"}]}`} {
		if err := create(good); err != nil {
			t.Error(err)
		}
	}
}
