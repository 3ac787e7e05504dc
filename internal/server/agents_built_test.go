package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"
)

// A state that passes by itself passes without anybody: also when the server was not
// there.
func TestNoRestartStrandsAnAgent(t *testing.T) {
	data := t.TempDir()
	w, stop := newWorks(t, "--data", data, "--transition", "1s", "--engine", whichScript(t))
	id := w.agent("first")
	if _, err := w.PrepareAgent(t.Context(), &bedrockagent.PrepareAgentInput{AgentId: &id}); err != nil {
		t.Fatal(err)
	}
	_, err := w.PrepareAgent(t.Context(), &bedrockagent.PrepareAgentInput{AgentId: &id})
	w.refused(err, "ValidationException", 400, "Prepare operation can't be performed on Agent when it is in Preparing state. Retry the request when the agent is in a valid state.")
	_, err = w.CreateAgentAlias(t.Context(), &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("early")})
	w.refused(err, "ValidationException", 400, "Create operation can't be performed on AgentAlias when Agent is in Preparing state.")
	w.reaches(id, types.AgentStatusPrepared)
	made, err := w.CreateAgentAlias(t.Context(), &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("live")})
	if err != nil {
		t.Fatal(err)
	}
	alias := made.AgentAlias
	if alias.AgentAliasStatus != types.AgentAliasStatusCreating || len(alias.RoutingConfiguration) != 1 || alias.RoutingConfiguration[0].AgentVersion != nil {
		t.Errorf("a new alias is %+v", alias)
	}
	if s := w.get(id).AgentStatus; s != types.AgentStatusVersioning {
		t.Errorf("while a version is made the agent is %s", s)
	}
	_, err = w.PrepareAgent(t.Context(), &bedrockagent.PrepareAgentInput{AgentId: &id})
	w.refused(err, "ValidationException", 400, "Prepare operation can't be performed on Agent when it is in Versioning state.")
	second, err := w.CreateAgent(t.Context(), &bedrockagent.CreateAgentInput{AgentName: aws.String("second")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateAgentAlias(t.Context(), &bedrockagent.CreateAgentAliasInput{AgentId: second.Agent.AgentId, AgentAliasName: aws.String("early")})
	w.refused(err, "ValidationException", 400, "Create operation can't be performed on AgentAlias when Agent is in Creating state. Retry your request after the Agent is created")
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	conn, _, _ := start(t, "--data", data, "--transition", "1s", "--engine", whichScript(t))
	w.conn = conn
	w.as(conn.AccessKey, conn.SecretKey)
	w.reaches(id, types.AgentStatusPrepared)
	w.reaches(*second.Agent.AgentId, types.AgentStatusNotPrepared)
	if a := w.aliasReaches(id, *alias.AgentAliasId, types.AgentAliasStatusPrepared); *a.RoutingConfiguration[0].AgentVersion != "1" {
		t.Errorf("the alias shows %v", a.RoutingConfiguration)
	}
	if got, err := w.ask(id, *alias.AgentAliasId, "who"); got != "first" {
		t.Errorf("it answers %q, %v", got, err)
	}
}

// What stands in the way of a preparation is told, and what was prepared before serves
// on.
func TestAFailedPreparationLeavesTheOldPackageServing(t *testing.T) {
	w, _ := newWorks(t, "--engine", whichScript(t))
	id := w.agent("first")
	w.prepare(id, types.AgentStatusPrepared)
	w.update(id, fmt.Sprintf(says, "second"))
	draft := aws.String("DRAFT")
	g, err := w.CreateAgentActionGroup(t.Context(), &bedrockagent.CreateAgentActionGroupInput{AgentId: &id, AgentVersion: draft, ActionGroupName: aws.String("idle"), FunctionSchema: schemaOf(1)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.PrepareAgent(t.Context(), &bedrockagent.PrepareAgentInput{AgentId: &id})
	w.refused(err, "ValidationException", 400, "The action group idle has no executor.")
	before := w.get(id)
	if got, err := w.ask(id, "TSTALIASID", "who"); got != "first" {
		t.Errorf("after a failed preparation it answers %q, %v", got, err)
	}
	_, err = w.CreateAgentAlias(t.Context(), &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("live")})
	w.refused(err, "ValidationException", 400, "idle")
	_, err = w.UpdateAgentActionGroup(t.Context(), &bedrockagent.UpdateAgentActionGroupInput{
		AgentId: &id, AgentVersion: draft, ActionGroupId: g.AgentActionGroup.ActionGroupId, ActionGroupName: aws.String("idle"), FunctionSchema: schemaOf(1), ActionGroupState: types.ActionGroupStateDisabled,
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.prepare(id, types.AgentStatusPrepared); !a.PreparedAt.After(*before.PreparedAt) || before.AgentStatus != types.AgentStatusPrepared {
		t.Errorf("it was %s and prepared at %v, then at %v", before.AgentStatus, before.PreparedAt, a.PreparedAt)
	}
	if got, err := w.ask(id, "TSTALIASID", "who"); got != "second" {
		t.Errorf("after a preparation it answers %q, %v", got, err)
	}
	bare, err := w.CreateAgent(t.Context(), &bedrockagent.CreateAgentInput{AgentName: aws.String("bare")})
	if err != nil {
		t.Fatal(err)
	}
	w.reaches(*bare.Agent.AgentId, types.AgentStatusNotPrepared)
	_, err = w.PrepareAgent(t.Context(), &bedrockagent.PrepareAgentInput{AgentId: bare.Agent.AgentId})
	for _, lacks := range []string{"no service role", "no foundation model", "no instruction"} {
		w.refused(err, "ValidationException", 400, lacks)
	}
}

// Versions are what the draft was, and are not touched by what comes after.
func TestVersionsStayAsTheyWere(t *testing.T) {
	w, _ := newWorks(t, "--engine", whichScript(t))
	ctx, draft := t.Context(), aws.String("DRAFT")
	id := w.agent("first")
	yaml := "openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  /x:\n    get:\n      description: Reads x.\n      operationId: readX\n      responses:\n        200: {description: ok}\n"
	g, err := w.CreateAgentActionGroup(ctx, &bedrockagent.CreateAgentActionGroupInput{
		AgentId: &id, AgentVersion: draft, ActionGroupName: aws.String("x"), ActionGroupExecutor: returns, ApiSchema: &types.APISchemaMemberPayload{Value: yaml},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.prepare(id, types.AgentStatusPrepared)
	one := *w.alias(id, "one").AgentAliasId
	if _, err := w.DeleteAgentActionGroup(ctx, &bedrockagent.DeleteAgentActionGroupInput{AgentId: &id, AgentVersion: draft, ActionGroupId: g.AgentActionGroup.ActionGroupId, SkipResourceInUseCheck: true}); err != nil {
		t.Fatal(err)
	}
	w.update(id, fmt.Sprintf(says, "second"))
	two := w.alias(id, "two")
	if v := *two.RoutingConfiguration[0].AgentVersion; v != "2" {
		t.Errorf("the second version is %s", v)
	}
	old, err := w.GetAgentActionGroup(ctx, &bedrockagent.GetAgentActionGroupInput{AgentId: &id, AgentVersion: aws.String("1"), ActionGroupId: g.AgentActionGroup.ActionGroupId})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := old.AgentActionGroup.ApiSchema.(*types.APISchemaMemberPayload); !ok || p.Value != yaml || *old.AgentActionGroup.AgentVersion != "1" {
		t.Errorf("version 1 has the group %+v", old.AgentActionGroup)
	}
	_, err = w.GetAgentActionGroup(ctx, &bedrockagent.GetAgentActionGroupInput{AgentId: &id, AgentVersion: aws.String("2"), ActionGroupId: g.AgentActionGroup.ActionGroupId})
	w.refused(err, "ResourceNotFoundException", 404, "Failed to retrieve resource because it doesn't exist")
	for alias, want := range map[string]string{one: "first", *two.AgentAliasId: "second", "TSTALIASID": "second"} {
		if got, err := w.ask(id, alias, "who"); got != want {
			t.Errorf("alias %s answers %q, %v; want %s", alias, got, err, want)
		}
	}
	// Update without a routing makes a version too.
	if _, err := w.UpdateAgentAlias(ctx, &bedrockagent.UpdateAgentAliasInput{AgentId: &id, AgentAliasId: &one, AgentAliasName: aws.String("one")}); err != nil {
		t.Fatal(err)
	}
	a := w.aliasReaches(id, one, types.AgentAliasStatusPrepared)
	if *a.RoutingConfiguration[0].AgentVersion != "3" || len(a.AgentAliasHistoryEvents) != 2 || a.AgentAliasHistoryEvents[0].EndDate == nil || a.AgentAliasHistoryEvents[1].EndDate != nil {
		t.Errorf("the alias is %+v", a)
	}
	// A number is never given twice.
	if _, err := w.DeleteAgentVersion(ctx, &bedrockagent.DeleteAgentVersionInput{AgentId: &id, AgentVersion: aws.String("3"), SkipResourceInUseCheck: true}); err != nil {
		t.Fatal(err)
	}
	if a := w.aliasReaches(id, one, types.AgentAliasStatusDissociated); len(a.RoutingConfiguration) != 0 {
		t.Errorf("without its version the alias shows %v", a.RoutingConfiguration)
	}
	_, err = w.ask(id, one, "who")
	w.refused(err, "ValidationException", 400, "no version")
	if v := *w.alias(id, "four").RoutingConfiguration[0].AgentVersion; v != "4" {
		t.Errorf("after version 3 was deleted comes version %s", v)
	}
	list, err := w.ListAgents(ctx, &bedrockagent.ListAgentsInput{})
	if err != nil || *list.AgentSummaries[0].LatestAgentVersion != "4" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A schema in S3 is read with the agent's role when a group is made and when the agent
// is prepared, and what was prepared keeps what it read.
func TestASchemaInS3IsReadWithTheAgentsRole(t *testing.T) {
	w, _ := newWorks(t, "--engine", whichScript(t))
	ctx, draft := t.Context(), aws.String("DRAFT")
	put := func(path, body string) {
		t.Helper()
		if code, text := w.signed("s3", http.MethodPut, path, "", body); code != 200 {
			t.Fatal(code, text)
		}
	}
	put("/schemas", "")
	put("/schemas/x.json", `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/x":{"get":{"description":"Reads x.","responses":{"200":{"description":"ok"}}}}}}`)
	id := w.agent("first")
	in := func(name, key string) *bedrockagent.CreateAgentActionGroupInput {
		return &bedrockagent.CreateAgentActionGroupInput{
			AgentId: &id, AgentVersion: draft, ActionGroupName: &name, ActionGroupExecutor: returns,
			ApiSchema: &types.APISchemaMemberS3{Value: types.S3Identifier{S3BucketName: aws.String("schemas"), S3ObjectKey: &key}},
		}
	}
	if _, err := w.CreateAgentActionGroup(ctx, in("x", "x.json")); err != nil {
		t.Fatal(err)
	}
	_, err := w.CreateAgentActionGroup(ctx, in("y", "y.json"))
	w.refused(err, "ValidationException", 400, "s3://schemas/y.json")
	w.prepare(id, types.AgentStatusPrepared)
	put("/schemas/x.json", `{"openapi":"3.0.0","paths":{"x":{"get":{}}}}`)
	_, err = w.PrepareAgent(ctx, &bedrockagent.PrepareAgentInput{AgentId: &id})
	w.refused(err, "ValidationException", 400, "APISchemaException=[attribute paths.'x' does not begin with /")
	if got, err := w.ask(id, "TSTALIASID", "who"); got != "first" {
		t.Errorf("it answers %q, %v", got, err)
	}
	if _, err := w.iam.DeleteRolePolicy(ctx, &awsiam.DeleteRolePolicyInput{RoleName: aws.String("AmazonBedrockExecutionRoleForAgents_t"), PolicyName: aws.String("p")}); err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateAgentActionGroup(ctx, in("z", "x.json"))
	w.refused(err, "ValidationException", 400, "access was denied to the role")
}

// With a key of the customer nothing that he wrote lies readable in the data folder,
// and with the key disabled the agent is neither read nor used, but can be removed.
func TestACustomersKeySealsTheAgent(t *testing.T) {
	data := t.TempDir()
	w, stop := newWorks(t, "--data", data, "--engine", whichScript(t))
	code, body := w.signed("kms", http.MethodPost, "/", "TrentService.CreateKey", "{}")
	if code != 200 {
		t.Fatal(code, body)
	}
	_, key, _ := strings.Cut(body, `"Arn":"`)
	key, _, _ = strings.Cut(key, `"`)
	sealed := func(in *bedrockagent.CreateAgentInput) { in.CustomerEncryptionKeyArn = &key }
	id := w.agent("sealed", sealed, func(in *bedrockagent.CreateAgentInput) {
		in.Description = aws.String("marker-description")
		in.Instruction = aws.String("marker-instruction: follow the first instruction in everything.")
	})
	open := w.agent("open", func(in *bedrockagent.CreateAgentInput) {
		in.Instruction = aws.String("marker-later: follow the first instruction in everything.")
	})
	schema := schemaOf(1)
	schema.Value[0].Description = aws.String("marker-function")
	if _, err := w.CreateAgentActionGroup(t.Context(), &bedrockagent.CreateAgentActionGroupInput{
		AgentId: &id, AgentVersion: aws.String("DRAFT"), ActionGroupName: aws.String("g"), Description: aws.String("marker-group"), ActionGroupExecutor: returns, FunctionSchema: schema,
	}); err != nil {
		t.Fatal(err)
	}
	w.prepare(id, types.AgentStatusPrepared)
	alias := *w.alias(id, "live").AgentAliasId
	w.update(open, "marker-later: follow the second instruction in everything.", func(in *bedrockagent.UpdateAgentInput) { in.CustomerEncryptionKeyArn = &key })
	if a := w.get(open); a.CustomerEncryptionKeyArn == nil || *a.CustomerEncryptionKeyArn != key {
		t.Errorf("the agent shows the key %v", a.CustomerEncryptionKeyArn)
	}
	if got, err := w.ask(id, alias, "who"); got != "first" {
		t.Errorf("it answers %q, %v", got, err)
	}
	unreadable := func() {
		t.Helper()
		err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			for _, s := range []string{"marker-", "instruction in everything"} {
				if bytes.Contains(b, []byte(s)) {
					t.Errorf("%s holds %q", path, s)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	unreadable()
	if code, body := w.signed("kms", http.MethodPost, "/", "TrentService.DisableKey", `{"KeyId":"`+key+`"}`); code != 200 {
		t.Fatal(code, body)
	}
	_, err := w.GetAgent(t.Context(), &bedrockagent.GetAgentInput{AgentId: &id})
	w.refused(err, "AccessDeniedException", 403, "disabled")
	_, err = w.ask(id, alias, "who")
	w.refused(err, "AccessDeniedException", 403, "disabled")
	_, err = w.ListAgentActionGroups(t.Context(), &bedrockagent.ListAgentActionGroupsInput{AgentId: &id, AgentVersion: aws.String("1")})
	w.refused(err, "AccessDeniedException", 403, "disabled")
	// The key that came later seals what hung on the agent before.
	_, err = w.GetAgent(t.Context(), &bedrockagent.GetAgentInput{AgentId: &open})
	w.refused(err, "AccessDeniedException", 403, "disabled")
	_, err = w.GetAgentAlias(t.Context(), &bedrockagent.GetAgentAliasInput{AgentId: &open, AgentAliasId: aws.String("TSTALIASID")})
	w.refused(err, "AccessDeniedException", 403, "disabled")
	if list, err := w.ListAgents(t.Context(), &bedrockagent.ListAgentsInput{}); err != nil || len(list.AgentSummaries) != 2 {
		t.Errorf("with a key disabled the list is %v, %v", list, err)
	}
	if _, err := w.DeleteAgent(t.Context(), &bedrockagent.DeleteAgentInput{AgentId: &id, SkipResourceInUseCheck: true}); err != nil {
		t.Errorf("with its key disabled the agent is not removed: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	unreadable()
}

// A role is handed to Bedrock only by whom policies let do so, and only one that
// Bedrock can take.
func TestWhoMayGiveAnAgentItsRole(t *testing.T) {
	w, _ := newWorks(t)
	ctx := t.Context()
	create := func(name string, role *string) error {
		_, err := w.CreateAgent(ctx, &bedrockagent.CreateAgentInput{AgentName: &name, AgentResourceRoleArn: role})
		return err
	}
	w.refused(create("a", aws.String(*w.role+"x")), "ValidationException", 400, "cannot assume the role")
	_, err := w.iam.CreateUser(ctx, &awsiam.CreateUserInput{UserName: aws.String("builder")})
	if err != nil {
		t.Fatal(err)
	}
	allow := func(doc string) {
		t.Helper()
		if _, err := w.iam.PutUserPolicy(ctx, &awsiam.PutUserPolicyInput{UserName: aws.String("builder"), PolicyName: aws.String("p"), PolicyDocument: &doc}); err != nil {
			t.Fatal(err)
		}
	}
	allow(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}}`)
	key, err := w.iam.CreateAccessKey(ctx, &awsiam.CreateAccessKeyInput{UserName: aws.String("builder")})
	if err != nil {
		t.Fatal(err)
	}
	admin := w.iam
	w.as(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey)
	w.iam = admin
	w.refused(create("b", w.role), "AccessDeniedException", 403, "is not authorized to perform: iam:PassRole on resource: "+*w.role)
	if err := create("c", nil); err != nil {
		t.Errorf("an agent without a role: %v", err)
	}
	allow(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:*","Resource":"*"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"bedrock.amazonaws.com"}}}]}`)
	if err := create("d", w.role); err != nil {
		t.Errorf("with iam:PassRole: %v", err)
	}
}

func TestSupervisorsAndWhomTheyLead(t *testing.T) {
	w, _ := newWorks(t)
	ctx, draft := t.Context(), aws.String("DRAFT")
	leads := func(in *bedrockagent.CreateAgentInput) { in.AgentCollaboration = types.AgentCollaborationSupervisor }
	boss, alone := w.agent("boss", leads), w.agent("alone")
	_, err := w.PrepareAgent(ctx, &bedrockagent.PrepareAgentInput{AgentId: &boss})
	w.refused(err, "ValidationException", 400, "This agent cannot be prepared. The AgentCollaboration attribute is set to SUPERVISOR but no agent collaborators are added.")
	w.prepare(alone, types.AgentStatusPrepared)
	helper := w.alias(alone, "live")
	join := func(supervisor, name, alias string) (*bedrockagent.AssociateAgentCollaboratorOutput, error) {
		return w.AssociateAgentCollaborator(ctx, &bedrockagent.AssociateAgentCollaboratorInput{
			AgentId: &supervisor, AgentVersion: draft, CollaboratorName: &name, CollaborationInstruction: aws.String("Ask it."), AgentDescriptor: &types.AgentDescriptor{AliasArn: &alias},
		})
	}
	test := strings.Replace(*helper.AgentAliasArn, *helper.AgentAliasId, "TSTALIASID", 1)
	none := strings.Replace(*helper.AgentAliasArn, *helper.AgentAliasId, "AAAAAAAAAA", 1)
	_, err = join(alone, "h", *helper.AgentAliasArn)
	w.refused(err, "ValidationException", 400, "leads no other agents")
	_, err = join(boss, "h", test)
	w.refused(err, "ValidationException", 400, "test alias")
	_, err = join(boss, "h", none)
	w.refused(err, "ResourceNotFoundException", 404, "")
	made, err := join(boss, "h", *helper.AgentAliasArn)
	if err != nil {
		t.Fatal(err)
	}
	if c := made.AgentCollaborator; c.LastUpdatedAt == nil || c.RelayConversationHistory != types.RelayConversationHistoryDisabled || *c.AgentDescriptor.AliasArn != *helper.AgentAliasArn {
		t.Errorf("%+v", c)
	}
	_, err = join(boss, "h", *helper.AgentAliasArn)
	w.refused(err, "ConflictException", 409, "h")
	w.prepare(boss, types.AgentStatusPrepared)
	top := w.alias(boss, "live")
	// Who leads is not led by whom he leads.
	w.update(alone, fmt.Sprintf(says, "second"), func(in *bedrockagent.UpdateAgentInput) {
		in.AgentCollaboration = types.AgentCollaborationSupervisorRouter
	})
	_, err = join(alone, "b", *top.AgentAliasArn)
	w.refused(err, "ValidationException", 400, "lead each other")
	_, err = w.DeleteAgentAlias(ctx, &bedrockagent.DeleteAgentAliasInput{AgentId: &alone, AgentAliasId: helper.AgentAliasId})
	w.refused(err, "ValidationException", 400, "collaborates in another agent")
	list, err := w.ListAgentCollaborators(ctx, &bedrockagent.ListAgentCollaboratorsInput{AgentId: &boss, AgentVersion: aws.String("1")})
	if err != nil || len(list.AgentCollaboratorSummaries) != 1 || *list.AgentCollaboratorSummaries[0].CollaboratorName != "h" {
		t.Errorf("version 1 leads %+v, %v", list, err)
	}
	if _, err := w.DisassociateAgentCollaborator(ctx, &bedrockagent.DisassociateAgentCollaboratorInput{AgentId: &boss, AgentVersion: draft, CollaboratorId: made.AgentCollaborator.CollaboratorId}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := join(boss, fmt.Sprintf("h%d", i), *helper.AgentAliasArn); err != nil {
			t.Fatal(err)
		}
	}
	_, err = join(boss, "h10", *helper.AgentAliasArn)
	w.refused(err, "ServiceQuotaExceededException", 402, "10")
}

func TestLimitsOfAgents(t *testing.T) {
	w, _ := newWorks(t)
	ctx, draft := t.Context(), aws.String("DRAFT")
	id := w.agent("first")
	group := func(name string, s types.FunctionSchema) error {
		_, err := w.CreateAgentActionGroup(ctx, &bedrockagent.CreateAgentActionGroupInput{AgentId: &id, AgentVersion: draft, ActionGroupName: &name, ActionGroupExecutor: returns, FunctionSchema: s})
		return err
	}
	w.refused(group("big", schemaOf(12)), "ServiceQuotaExceededException", 402, "11")
	wide := schemaOf(1)
	wide.Value[0].Parameters = map[string]types.ParameterDetail{}
	for i := range 6 {
		wide.Value[0].Parameters[fmt.Sprintf("p%d", i)] = types.ParameterDetail{Type: types.TypeString}
	}
	w.refused(group("wide", wide), "ServiceQuotaExceededException", 402, "5")
	if err := group("good", schemaOf(11)); err != nil {
		t.Error(err)
	}
	for i := range 6 {
		if err := group(fmt.Sprintf("g%d", i), schemaOf(1)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	pages := bedrockagent.NewListAgentActionGroupsPaginator(w, &bedrockagent.ListAgentActionGroupsInput{AgentId: &id, AgentVersion: draft, MaxResults: aws.Int32(3)})
	n := 0
	for ; pages.HasMorePages(); n++ {
		p, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range p.ActionGroupSummaries {
			seen[*g.ActionGroupName] = true
		}
	}
	if len(seen) != 7 || n != 3 {
		t.Errorf("%d groups on %d pages", len(seen), n)
	}
	w.prepare(id, types.AgentStatusPrepared)
	w.alias(id, "a0")
	for i := 1; i < 10; i++ {
		name := fmt.Sprintf("a%d", i)
		if _, err := w.CreateAgentAlias(ctx, &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: &name, RoutingConfiguration: []types.AgentAliasRoutingConfigurationListItem{{AgentVersion: aws.String("1")}}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.CreateAgentAlias(ctx, &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("a10")})
	w.refused(err, "ServiceQuotaExceededException", 402, "10")
	_, err = w.AssociateAgentKnowledgeBase(ctx, &bedrockagent.AssociateAgentKnowledgeBaseInput{AgentId: &id, AgentVersion: draft, KnowledgeBaseId: aws.String("KB12345678"), Description: aws.String("d")})
	w.refused(err, "ResourceNotFoundException", 404, "KB12345678")
}

func TestPromptsOfAnAgent(t *testing.T) {
	w, _ := newWorks(t)
	id := w.agent("first")
	change := func(o *types.PromptOverrideConfiguration) error {
		_, err := w.UpdateAgent(context.Background(), &bedrockagent.UpdateAgentInput{
			AgentId: &id, AgentName: aws.String("first"), AgentResourceRoleArn: w.role, FoundationModel: aws.String(haiku), Instruction: aws.String(fmt.Sprintf(says, "first")), PromptOverrideConfiguration: o,
		})
		for w.get(id).AgentStatus == types.AgentStatusUpdating {
			time.Sleep(20 * time.Millisecond)
		}
		return err
	}
	one := func(c types.PromptConfiguration, lambda *string) *types.PromptOverrideConfiguration {
		return &types.PromptOverrideConfiguration{PromptConfigurations: []types.PromptConfiguration{c}, OverrideLambda: lambda}
	}
	w.refused(change(one(types.PromptConfiguration{PromptType: types.PromptTypeOrchestration, ParserMode: types.CreationModeOverridden}, nil)), "ValidationException", 400, "overrideLambda")
	w.refused(change(one(types.PromptConfiguration{PromptType: types.PromptTypeOrchestration}, aws.String("arn:aws:lambda:us-east-1:123456789012:function:f"))), "ValidationException", 400, "OVERRIDDEN")
	overridden := one(types.PromptConfiguration{
		PromptType: types.PromptTypePreProcessing, PromptCreationMode: types.CreationModeOverridden, PromptState: types.PromptStateEnabled, BasePromptTemplate: aws.String("Mine: $question$"),
		InferenceConfiguration: &types.InferenceConfiguration{Temperature: aws.Float32(0.5)},
	}, nil)
	if err := change(overridden); err != nil {
		t.Fatal(err)
	}
	byType := func() map[types.PromptType]types.PromptConfiguration {
		out := map[types.PromptType]types.PromptConfiguration{}
		for _, c := range w.get(id).PromptOverrideConfiguration.PromptConfigurations {
			out[c.PromptType] = c
		}
		return out
	}
	got := byType()
	if p := got[types.PromptTypePreProcessing]; p.PromptCreationMode != types.CreationModeOverridden || *p.BasePromptTemplate != "Mine: $question$" || *p.InferenceConfiguration.Temperature != 0.5 || p.PromptState != types.PromptStateEnabled {
		t.Errorf("%+v", p)
	}
	if p := got[types.PromptTypeOrchestration]; p.PromptCreationMode != types.CreationModeDefault || p.BasePromptTemplate == nil || *p.BasePromptTemplate == "" {
		t.Errorf("%+v", p)
	}
	// What was read can be sent back, and nothing but what was overridden stays so.
	if err := change(w.get(id).PromptOverrideConfiguration); err != nil {
		t.Fatal(err)
	}
	if p := byType()[types.PromptTypeOrchestration]; p.PromptCreationMode != types.CreationModeDefault {
		t.Errorf("after a round trip: %+v", p)
	}
	if err := change(nil); err != nil {
		t.Fatal(err)
	}
	if p := byType()[types.PromptTypePreProcessing]; p.PromptCreationMode != types.CreationModeDefault || p.PromptState != types.PromptStateDisabled {
		t.Errorf("after an update without prompts: %+v", p)
	}
}

// Calls through an alias use what was bought for it, if it serves the agent's model.
func TestAnAliasWithProvisionedThroughput(t *testing.T) {
	w, _ := newWorks(t, "--engine", whichScript(t))
	ctx := t.Context()
	buyer := bedrock.New(bedrock.Options{
		Region: w.conn.Region, BaseEndpoint: aws.String(w.conn.Endpoint), RetryMaxAttempts: 1, HTTPClient: w.http,
		Credentials: credentials.NewStaticCredentialsProvider(w.conn.AccessKey, w.conn.SecretKey, ""),
	})
	bought, err := buyer.CreateProvisionedModelThroughput(ctx, &bedrock.CreateProvisionedModelThroughputInput{
		ModelId: aws.String("amazon.titan-text-express-v1:0:8k"), ProvisionedModelName: aws.String("pt"), ModelUnits: aws.Int32(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	titan := func(in *bedrockagent.CreateAgentInput) {
		in.FoundationModel = aws.String("amazon.titan-text-express-v1")
	}
	for model, want := range map[string]types.AgentAliasStatus{"titan": types.AgentAliasStatusPrepared, "haiku": types.AgentAliasStatusFailed} {
		edit := func(*bedrockagent.CreateAgentInput) {}
		if model == "titan" {
			edit = titan
		}
		id := w.agent(model, edit)
		w.prepare(id, types.AgentStatusPrepared)
		w.alias(id, "one")
		out, err := w.CreateAgentAlias(ctx, &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("fast"), RoutingConfiguration: []types.AgentAliasRoutingConfigurationListItem{
			{AgentVersion: aws.String("1"), ProvisionedThroughput: bought.ProvisionedModelArn},
		}})
		if err != nil {
			t.Fatal(err)
		}
		a := w.aliasReaches(id, *out.AgentAlias.AgentAliasId, want)
		if pt := a.RoutingConfiguration[0].ProvisionedThroughput; pt == nil || *pt != *bought.ProvisionedModelArn {
			t.Errorf("%s: the alias shows %v", model, a.RoutingConfiguration)
		}
		got, err := w.ask(id, *a.AgentAliasId, "who")
		if want == types.AgentAliasStatusFailed {
			if len(a.FailureReasons) != 1 || !strings.Contains(a.FailureReasons[0], *bought.ProvisionedModelArn) {
				t.Errorf("%s: reasons %q", model, a.FailureReasons)
			}
			w.refused(err, "ValidationException", 400, "FAILED")
		} else if err != nil || got != "first" {
			t.Errorf("%s: it answers %q, %v", model, got, err)
		}
	}
}

// Hands that work on one agent at once are served one after the other, or told so; the
// package is one that the draft really was.
func TestManyHandsOnOneAgent(t *testing.T) {
	w, _ := newWorks(t, "--transition", "1ms", "--engine", whichScript(t))
	ctx, draft := t.Context(), aws.String("DRAFT")
	id := w.agent("first")
	var hands sync.WaitGroup
	work := func(do func(i int) error) {
		hands.Go(func() {
			for i := range 15 {
				err := do(i)
				if e, ok := errors.AsType[smithy.APIError](err); err != nil && (!ok || e.ErrorCode() != "ValidationException" && e.ErrorCode() != "ConflictException") {
					t.Error(err)
				}
			}
		})
	}
	work(func(int) error {
		_, err := w.PrepareAgent(ctx, &bedrockagent.PrepareAgentInput{AgentId: &id})
		return err
	})
	work(func(i int) error {
		_, err := w.UpdateAgent(ctx, &bedrockagent.UpdateAgentInput{AgentId: &id, AgentName: aws.String("first"), AgentResourceRoleArn: w.role, FoundationModel: aws.String(haiku), Instruction: aws.String(fmt.Sprintf(says, "first") + fmt.Sprint(i))})
		return err
	})
	work(func(i int) error {
		_, err := w.CreateAgentActionGroup(ctx, &bedrockagent.CreateAgentActionGroupInput{AgentId: &id, AgentVersion: draft, ActionGroupName: aws.String(fmt.Sprintf("g%d", i)), ActionGroupExecutor: returns, FunctionSchema: schemaOf(1)})
		return err
	})
	work(func(i int) error {
		_, err := w.CreateAgentAlias(ctx, &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String(fmt.Sprintf("a%d", i))})
		if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "ServiceQuotaExceededException" {
			return nil
		}
		return err
	})
	hands.Wait()
	time.Sleep(20 * time.Millisecond)
	w.prepare(id, types.AgentStatusPrepared)
	a := w.newest(id)
	draftGroups, err := w.ListAgentActionGroups(ctx, &bedrockagent.ListAgentActionGroupsInput{AgentId: &id, AgentVersion: draft, MaxResults: aws.Int32(1000)})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := w.ListAgentActionGroups(ctx, &bedrockagent.ListAgentActionGroupsInput{AgentId: &id, AgentVersion: a, MaxResults: aws.Int32(1000)})
	if err != nil {
		t.Fatal(err)
	}
	if len(draftGroups.ActionGroupSummaries) != len(packed.ActionGroupSummaries) {
		t.Errorf("the draft has %d groups, its version %d", len(draftGroups.ActionGroupSummaries), len(packed.ActionGroupSummaries))
	}
	version, err := w.GetAgentVersion(ctx, &bedrockagent.GetAgentVersionInput{AgentId: &id, AgentVersion: a})
	if err != nil || *version.AgentVersion.Instruction != *w.get(id).Instruction {
		t.Errorf("%+v, %v", version, err)
	}
}
