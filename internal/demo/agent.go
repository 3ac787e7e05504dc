package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	agenttypes "github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/outcrop-dev/outcrop/internal/demo/insurance"
	"github.com/outcrop-dev/outcrop/internal/tracetree"
)

// agent builds the insurance agent as a user would, roles and function included,
// and asks it. The documents that are missing are drawn at random: they stand in
// the answer only if the agent called the function.
func (d *demo) agent(ctx context.Context) error {
	if _, err := exec.LookPath("python3"); err != nil {
		return errors.New("this step runs a Lambda function in Python: install Python 3 and try again")
	}
	claims := insurance.Draw(3)
	d.print("   making two roles, a Lambda function, and an agent with an action group\n")
	function, err := d.function(ctx, claims)
	if err != nil {
		return err
	}
	id, alias, err := d.insuranceAgent(ctx, function)
	if err != nil {
		return err
	}
	ask := "Which documents are missing for " + claims[0].ID + "?"
	d.print("   > %s\n", ask)
	out, err := d.agentRuntime.InvokeAgent(ctx, &bedrockagentruntime.InvokeAgentInput{
		AgentId: &id, AgentAliasId: &alias, SessionId: aws.String("demo"), InputText: &ask, EnableTrace: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	tree := tracetree.Tree{Out: d.Out, Indent: "   "}
	tree.Start()
	var text strings.Builder
	stream := out.GetStream()
	defer stream.Close()
	for e := range stream.Events() {
		switch e := e.(type) {
		case *runtimetypes.ResponseStreamMemberTrace:
			tree.Trace(&e.Value)
		case *runtimetypes.ResponseStreamMemberChunk:
			text.Write(e.Value.Bytes)
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	d.print("   < %s\n", strings.TrimSpace(text.String()))
	in, made, calls, actions := tree.Totals()
	d.print("   %d calls of the model, %d of the function, %d tokens in, %d out\n", calls, actions, in, made)
	if actions == 0 {
		return errors.New("the agent answered without calling its function")
	}
	for doc := range strings.SplitSeq(claims[0].Documents, ", ") {
		if !mentions(text.String(), doc) {
			return fmt.Errorf("the answer does not name %s, which the function returned", doc)
		}
	}
	return nil
}

// mentions finds a name such as PoliceReport however a sentence writes it: Police
// Report, police report.
func mentions(text, name string) bool {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "", "'", "", "’s", "", "*", "", "`", "")
	return strings.Contains(strings.ToLower(plain.Replace(text)), strings.ToLower(name))
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`

// role makes a role that a service may take, with one policy.
func (d *demo) role(ctx context.Context, name, service, policy string) (string, error) {
	out, err := d.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(fmt.Sprintf(trust, service))})
	if err != nil {
		return "", fmt.Errorf("create the role %s: %w", name, err)
	}
	_, err = d.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("demo"), PolicyDocument: &policy})
	if err != nil {
		return "", fmt.Errorf("give the role %s its policy: %w", name, err)
	}
	return *out.Role.Arn, nil
}

// function makes the Lambda function and lets Bedrock call it.
func (d *demo) function(ctx context.Context, claims []insurance.Claim) (string, error) {
	role, err := d.role(ctx, "insurance-function", "lambda.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`)
	if err != nil {
		return "", err
	}
	zip, err := insurance.Zip()
	if err != nil {
		return "", err
	}
	name := aws.String("insurance-claims")
	out, err := d.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: name, Role: &role, Runtime: lambdatypes.RuntimePython312, Handler: aws.String(insurance.Handler), Timeout: aws.Int32(20),
		Code: &lambdatypes.FunctionCode{ZipFile: zip}, Environment: &lambdatypes.Environment{Variables: insurance.Environment(claims)},
	})
	if err != nil {
		return "", fmt.Errorf("create the function: %w", err)
	}
	wait := lambda.NewFunctionActiveV2Waiter(d.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 100 * time.Millisecond })
	if err := wait.Wait(ctx, &lambda.GetFunctionInput{FunctionName: name}, time.Minute); err != nil {
		return "", fmt.Errorf("wait for the function: %w", err)
	}
	_, err = d.lambda.AddPermission(ctx, &lambda.AddPermissionInput{
		FunctionName: name, StatementId: aws.String("bedrock"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("bedrock.amazonaws.com"),
	})
	if err != nil {
		return "", fmt.Errorf("let Bedrock call the function: %w", err)
	}
	return *out.FunctionArn, nil
}

// insuranceAgent makes the agent and an alias of it.
func (d *demo) insuranceAgent(ctx context.Context, function string) (id, alias string, err error) {
	role, err := d.role(ctx, "AmazonBedrockExecutionRoleForAgents_demo", "bedrock.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel*","Resource":"*"}]}`)
	if err != nil {
		return "", "", err
	}
	made, err := d.agents.CreateAgent(ctx, &bedrockagent.CreateAgentInput{
		AgentName: aws.String("insurance-agent"), FoundationModel: &d.Model, Instruction: aws.String(insurance.Instruction), AgentResourceRoleArn: &role,
	})
	if err != nil {
		return "", "", fmt.Errorf("create the agent: %w", err)
	}
	id = *made.Agent.AgentId
	if err := d.settle(ctx, id, agenttypes.AgentStatusNotPrepared); err != nil {
		return "", "", err
	}
	_, err = d.agents.CreateAgentActionGroup(ctx, &bedrockagent.CreateAgentActionGroupInput{
		AgentId: &id, AgentVersion: aws.String("DRAFT"), ActionGroupName: aws.String("claims"), Description: aws.String("Insurance claims and reminders"),
		ActionGroupExecutor: &agenttypes.ActionGroupExecutorMemberLambda{Value: function},
		ApiSchema:           &agenttypes.APISchemaMemberPayload{Value: insurance.Schema},
	})
	if err != nil {
		return "", "", fmt.Errorf("create the action group: %w", err)
	}
	if _, err := d.agents.PrepareAgent(ctx, &bedrockagent.PrepareAgentInput{AgentId: &id}); err != nil {
		return "", "", fmt.Errorf("prepare the agent: %w", err)
	}
	if err := d.settle(ctx, id, agenttypes.AgentStatusPrepared); err != nil {
		return "", "", err
	}
	named, err := d.agents.CreateAgentAlias(ctx, &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("demo")})
	if err != nil {
		return "", "", fmt.Errorf("create the alias: %w", err)
	}
	alias = *named.AgentAlias.AgentAliasId
	err = d.until(ctx, "the alias", string(agenttypes.AgentAliasStatusPrepared), func() (string, []string, error) {
		out, err := d.agents.GetAgentAlias(ctx, &bedrockagent.GetAgentAliasInput{AgentId: &id, AgentAliasId: &alias})
		if err != nil {
			return "", nil, err
		}
		return string(out.AgentAlias.AgentAliasStatus), out.AgentAlias.FailureReasons, nil
	})
	return id, alias, err
}

func (d *demo) settle(ctx context.Context, id string, want agenttypes.AgentStatus) error {
	return d.until(ctx, "the agent", string(want), func() (string, []string, error) {
		out, err := d.agents.GetAgent(ctx, &bedrockagent.GetAgentInput{AgentId: &id})
		if err != nil {
			return "", nil, err
		}
		return string(out.Agent.AgentStatus), out.Agent.FailureReasons, nil
	})
}

// until polls a state, as programs do that have no waiter.
func (d *demo) until(ctx context.Context, what, want string, state func() (string, []string, error)) error {
	for end := time.Now().Add(time.Minute); ; {
		got, reasons, err := state()
		switch {
		case err != nil:
			return err
		case got == want:
			return nil
		case got == "FAILED" || time.Now().After(end):
			return fmt.Errorf("%s is %s, not %s: %s", what, got, want, cmp.Or(strings.Join(reasons, "; "), "no reason given"))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
