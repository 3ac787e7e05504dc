package insurance

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	agenttypes "github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Agent is the insurance agent as it was made.
type Agent struct{ ID, Alias, Function string }

// maker makes it as any program would: with the SDK's clients.
type maker struct {
	agents *bedrockagent.Client
	iam    *iam.Client
	lambda *lambda.Client
}

// Make makes two roles, the function, the agent with its action group, and an alias.
func Make(ctx context.Context, cfg aws.Config, model string, claims []Claim) (*Agent, error) {
	m := maker{agents: bedrockagent.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), lambda: lambda.NewFromConfig(cfg)}
	function, err := m.function(ctx, claims)
	if err != nil {
		return nil, err
	}
	id, alias, err := m.agent(ctx, model, function)
	if err != nil {
		return nil, err
	}
	return &Agent{ID: id, Alias: alias, Function: function}, nil
}

// Mentions finds a name such as PoliceReport however a sentence writes it: Police
// Report, police report.
func Mentions(text, name string) bool {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "", "'", "", "\u2019s", "", "*", "", "`", "")
	return strings.Contains(strings.ToLower(plain.Replace(text)), strings.ToLower(plain.Replace(name)))
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`

// role makes a role that a service may take, with one policy.
func (m maker) role(ctx context.Context, name, service, policy string) (string, error) {
	out, err := m.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(fmt.Sprintf(trust, service))})
	if err != nil {
		return "", fmt.Errorf("create the role %s: %w", name, err)
	}
	_, err = m.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("demo"), PolicyDocument: &policy})
	if err != nil {
		return "", fmt.Errorf("give the role %s its policy: %w", name, err)
	}
	return *out.Role.Arn, nil
}

// function makes the Lambda function and lets Bedrock call it.
func (m maker) function(ctx context.Context, claims []Claim) (string, error) {
	role, err := m.role(ctx, "insurance-function", "lambda.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`)
	if err != nil {
		return "", err
	}
	zip, err := Zip()
	if err != nil {
		return "", err
	}
	name := aws.String("insurance-claims")
	out, err := m.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: name, Role: &role, Runtime: lambdatypes.RuntimePython312, Handler: aws.String(Handler), Timeout: aws.Int32(20),
		Code: &lambdatypes.FunctionCode{ZipFile: zip}, Environment: &lambdatypes.Environment{Variables: Environment(claims)},
	})
	if err != nil {
		return "", fmt.Errorf("create the function: %w", err)
	}
	wait := lambda.NewFunctionActiveV2Waiter(m.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 100 * time.Millisecond })
	if err := wait.Wait(ctx, &lambda.GetFunctionInput{FunctionName: name}, time.Minute); err != nil {
		return "", fmt.Errorf("wait for the function: %w", err)
	}
	_, err = m.lambda.AddPermission(ctx, &lambda.AddPermissionInput{
		FunctionName: name, StatementId: aws.String("bedrock"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("bedrock.amazonaws.com"),
	})
	if err != nil {
		return "", fmt.Errorf("let Bedrock call the function: %w", err)
	}
	return *out.FunctionArn, nil
}

// agent makes the agent and an alias of it.
func (m maker) agent(ctx context.Context, model, function string) (id, alias string, err error) {
	role, err := m.role(ctx, "AmazonBedrockExecutionRoleForAgents_demo", "bedrock.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel*","Resource":"*"}]}`)
	if err != nil {
		return "", "", err
	}
	made, err := m.agents.CreateAgent(ctx, &bedrockagent.CreateAgentInput{
		AgentName: aws.String("insurance-agent"), FoundationModel: &model, Instruction: aws.String(Instruction), AgentResourceRoleArn: &role,
	})
	if err != nil {
		return "", "", fmt.Errorf("create the agent: %w", err)
	}
	id = *made.Agent.AgentId
	if err := m.settle(ctx, id, agenttypes.AgentStatusNotPrepared); err != nil {
		return "", "", err
	}
	_, err = m.agents.CreateAgentActionGroup(ctx, &bedrockagent.CreateAgentActionGroupInput{
		AgentId: &id, AgentVersion: aws.String("DRAFT"), ActionGroupName: aws.String("claims"), Description: aws.String("Insurance claims and reminders"),
		ActionGroupExecutor: &agenttypes.ActionGroupExecutorMemberLambda{Value: function},
		ApiSchema:           &agenttypes.APISchemaMemberPayload{Value: Schema},
	})
	if err != nil {
		return "", "", fmt.Errorf("create the action group: %w", err)
	}
	if _, err := m.agents.PrepareAgent(ctx, &bedrockagent.PrepareAgentInput{AgentId: &id}); err != nil {
		return "", "", fmt.Errorf("prepare the agent: %w", err)
	}
	if err := m.settle(ctx, id, agenttypes.AgentStatusPrepared); err != nil {
		return "", "", err
	}
	named, err := m.agents.CreateAgentAlias(ctx, &bedrockagent.CreateAgentAliasInput{AgentId: &id, AgentAliasName: aws.String("demo")})
	if err != nil {
		return "", "", fmt.Errorf("create the alias: %w", err)
	}
	alias = *named.AgentAlias.AgentAliasId
	err = m.until(ctx, "the alias", string(agenttypes.AgentAliasStatusPrepared), func() (string, []string, error) {
		out, err := m.agents.GetAgentAlias(ctx, &bedrockagent.GetAgentAliasInput{AgentId: &id, AgentAliasId: &alias})
		if err != nil {
			return "", nil, err
		}
		return string(out.AgentAlias.AgentAliasStatus), out.AgentAlias.FailureReasons, nil
	})
	return id, alias, err
}

func (m maker) settle(ctx context.Context, id string, want agenttypes.AgentStatus) error {
	return m.until(ctx, "the agent", string(want), func() (string, []string, error) {
		out, err := m.agents.GetAgent(ctx, &bedrockagent.GetAgentInput{AgentId: &id})
		if err != nil {
			return "", nil, err
		}
		return string(out.Agent.AgentStatus), out.Agent.FailureReasons, nil
	})
}

// until polls a state, as programs do that have no waiter.
func (m maker) until(ctx context.Context, what, want string, state func() (string, []string, error)) error {
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
