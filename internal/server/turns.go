package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/schema"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/inference"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/restjson"
)

// bedrockService is the name that trust policies and policies of functions know.
const bedrockService = "bedrock.amazonaws.com"

// agentParts are what the build time of agents gives their run time.
type agentParts interface {
	agent.Aliases
	turn.Plans
}

// makeTurns builds the run time of agents.
func (s *Server) makeTurns(models *inference.Runtime, built agentParts) *agent.Runtime {
	s.makeAfterlife(models, built)
	runner := turn.New(turn.Config{
		Models: models, Chats: agentChats{s, models}, Functions: agentFunctions{s}, Roles: agentRoles{s}, Plans: built, Knowledge: agentKnowledge{s}, Memory: s.memories, Interpreter: s.interpreter, Now: s.clock.Now, Log: s.log,
	})
	return agent.NewRuntime(agent.RuntimeConfig{Aliases: built, Definitions: inlineAgents{roleFiles{s}}, Runner: runner, Sessions: s.sessions, Log: s.log})
}

// inlineAgents reads the agents that come with requests. They have no role: what is in
// S3 is read with the caller's rights.
type inlineAgents struct{ files roleFiles }

var _ agent.Definitions = inlineAgents{}

// Operations implements agent.Definitions.
func (d inlineAgents) Operations(ctx context.Context, group string, in *runtime.APISchema) ([]plan.Action, error) {
	switch {
	case in.Payload != nil:
		return schema.OpenAPI(group, []byte(*in.Payload))
	case in.S3 == nil || in.S3.S3BucketName == nil || in.S3.S3ObjectKey == nil:
		return nil, apierr.New(apierr.Validation, "Action group %s: apiSchema must hold a payload or name an object in S3.", group)
	}
	name, key := *in.S3.S3BucketName, *in.S3.S3ObjectKey
	text, err := d.files.Read(ctx, "", "", name, key, schema.MaxDocument)
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		why := e.Message
		if e.Kind == apierr.AccessDenied {
			why = "access was denied to the caller"
		}
		return nil, apierr.Wrap(e.Kind, err, "The schema of the action group %s could not be read from s3://%s/%s: %s.", group, name, key, why)
	}
	if err != nil {
		return nil, err
	}
	return schema.OpenAPI(group, text)
}

// Prompts implements agent.Definitions.
func (inlineAgents) Prompts(model string, o *runtime.PromptOverrideConfiguration, c plan.Collaboration) (string, []plan.Prompt, error) {
	return agent.Prompts(model, o, c)
}

// agentRoles asks what the service roles of agents may do.
type agentRoles struct{ s *Server }

var _ turn.Roles = agentRoles{}

func (r agentRoles) assume(ctx context.Context, role, source string) (*iam.Principal, error) {
	if role == "" {
		if p, ok := call.From(ctx).Caller.(*iam.Principal); ok {
			return p, nil
		}
		return nil, apierr.New(apierr.AccessDenied, "Nobody asks in whose name the agent could act.")
	}
	in := iam.AssumeServiceInput{Service: bedrockService, RoleARN: role, SourceARN: source}
	if a, err := arn.Parse(source); err == nil {
		in.SourceAccount = a.Account
	}
	return r.s.identity.AssumeService(ctx, in)
}

// Model implements turn.Roles.
func (r agentRoles) Model(ctx context.Context, role, source, model string, streamed bool) error {
	p, err := r.assume(ctx, role, source)
	if err != nil {
		return err
	}
	action := "bedrock:InvokeModel"
	if streamed {
		action = "bedrock:InvokeModelWithResponseStream"
	}
	for _, resource := range r.s.catalog.ResourceARNs(ctx, model) {
		if err := r.s.identity.Authorize(ctx, p, action, resource, nil); err != nil {
			return err
		}
	}
	return nil
}

// Allow implements turn.Roles.
func (r agentRoles) Allow(ctx context.Context, role, source, action, resource string) error {
	p, err := r.assume(ctx, role, source)
	if err != nil {
		return err
	}
	return r.s.identity.Authorize(ctx, p, action, resource, nil)
}

// agentChats answers requests of Converse that custom orchestrators write.
type agentChats struct {
	s      *Server
	models *inference.Runtime
}

var _ turn.Chats = agentChats{}

// Converse implements turn.Chats. The body is the operation's own, with the model's id
// beside its members.
func (c agentChats) Converse(ctx context.Context, role, source, model string, request []byte) ([]byte, error) {
	var named struct {
		Model string `json:"modelId"`
	}
	if err := json.Unmarshal(request, &named); err != nil {
		return nil, apierr.Wrap(apierr.Validation, err, "The request for the model is not JSON.")
	}
	model = cmp.Or(named.Model, model)
	if err := (agentRoles{c.s}).Model(ctx, role, source, model, false); err != nil {
		return nil, err
	}
	op := bedrockruntime.Service.Operation("Converse")
	in, err := restjson.DecodeRequest(&bedrockruntime.Service, op, []string{url.PathEscape(model)}, "", http.Header{}, request)
	if err != nil {
		return nil, err
	}
	out, err := c.models.Converse(ctx, in.(*bedrockruntime.ConverseInput))
	if err != nil {
		return nil, err
	}
	_, _, body, err := restjson.EncodeResponse(&bedrockruntime.Service, op, out, nil)
	return body, err
}

// agentFunctions calls functions for agents, as the functions' own policies allow.
type agentFunctions struct{ s *Server }

var _ turn.Functions = agentFunctions{}

// Call implements turn.Functions.
func (f agentFunctions) Call(ctx context.Context, source, function string, payload []byte) (answer []byte, failed bool, err error) {
	rules, err := f.s.functions.registry.Policies(ctx, function)
	if err != nil {
		return nil, false, err
	}
	q := iam.ServiceQuestion{Service: bedrockService, Action: "lambda:InvokeFunction", Resource: function, SourceARN: source, ResourcePolicies: rules}
	if a, err := arn.Parse(source); err == nil {
		q.SourceAccount = a.Account
	}
	if err := f.s.identity.AllowService(q); err != nil && !f.elsewhere(ctx, function) {
		return nil, false, err
	}
	res, err := f.s.functions.invoker.Invoke(ctx, fn.Invocation{FunctionARN: function, Payload: payload})
	if err != nil {
		return nil, false, functionFault(err)
	}
	return res.Payload, res.FunctionError != "", nil
}

// elsewhere reports a function that the operator has served from elsewhere and that
// has no record here: its policy, if it has one, is not ours to read.
func (f agentFunctions) elsewhere(ctx context.Context, function string) bool {
	if f.s.functions.invoker.Match(function) == nil {
		return false
	}
	_, err := f.s.functions.registry.Function(ctx, function)
	e, ok := errors.AsType[*fn.Error](err)
	return ok && e.Kind == fn.NotFound
}

// functionFault is why a function was not run, in words for the caller of an agent.
func functionFault(err error) error {
	e, ok := errors.AsType[*fn.Error](err)
	if !ok {
		return err
	}
	out := apierr.Wrap(apierr.DependencyFailed, err, "The Lambda function could not be invoked: %s", e.Message)
	out.Detail.ResourceName = "AWS Lambda"
	switch e.Kind {
	case fn.AccessDenied:
		out.Kind = apierr.AccessDenied
	case fn.TooMany:
		out.Kind = apierr.Throttling
	default: // a dependency that failed
	}
	return out
}
