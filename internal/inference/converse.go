package inference

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// converseTool is how Converse's tool calls are named.
const converseTool = "tooluse_"

// chat is what Converse and ConverseStream ask alike.
type chat struct {
	messages    []bedrockruntime.Message
	system      []bedrockruntime.SystemContentBlock
	tools       *bedrockruntime.ToolConfiguration
	inference   *bedrockruntime.InferenceConfiguration
	fields      json.RawMessage
	paths       []string
	output      *bedrockruntime.OutputConfig
	performance *bedrockruntime.PerformanceConfiguration
	tier        *bedrockruntime.ServiceTier
	variables   bool
	guardrail   bool
}

// Converse answers a conversation in one form for all models.
func (rt *Runtime) Converse(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
	w, err := rt.begin(ctx, in.ModelId)
	if err != nil {
		return nil, err
	}
	out, err := w.converse(ctx, &chat{
		messages: in.Messages, system: in.System, tools: in.ToolConfig, inference: in.InferenceConfig,
		fields: in.AdditionalModelRequestFields, paths: in.AdditionalModelResponseFieldPaths,
		output: in.OutputConfig, performance: in.PerformanceConfig, tier: in.ServiceTier,
		variables: len(in.PromptVariables) > 0, guardrail: in.GuardrailConfig != nil,
	})
	w.finish()
	if err != nil {
		w.record(ctx, "Converse", in, nil, err)
		return nil, err
	}
	out.Metrics.LatencyMs = family.Milliseconds(w.metrics.Latency)
	w.record(ctx, "Converse", in, out, nil)
	return out, nil
}

func (w *work) converse(ctx context.Context, in *chat) (*bedrockruntime.ConverseOutput, error) {
	r, err := w.request(in)
	if err != nil {
		return nil, err
	}
	result, err := w.generate(ctx, r, converseTool, nil)
	if err != nil {
		return nil, err
	}
	fields, err := w.extra(r, result, in.paths)
	if err != nil {
		return nil, err
	}
	return w.answer(in, result, fields), nil
}

// request checks a conversation and puts it into the neutral form.
func (w *work) request(in *chat) (*engine.Request, error) {
	switch {
	case in.guardrail:
		return nil, invalid("Guardrails are not built yet in Outcrop, so nothing was checked and nothing was invoked: leave guardrailConfig out.")
	case in.variables:
		return nil, invalid("Prompts of prompt management are not built yet in Outcrop: leave promptVariables out and send messages.")
	}
	if err := checkTurns(in.messages, in.tools != nil); err != nil {
		return nil, err
	}
	if err := checkPointers(in.paths); err != nil {
		return nil, err
	}
	if in.tools != nil {
		if err := w.checkTools(); err != nil {
			return nil, err
		}
	}
	r := &engine.Request{}
	var err error
	var systemCached, toolsCached bool
	if r.System, systemCached, err = system(in.system); err != nil {
		return nil, err
	}
	if toolsCached, err = tools(r, in.tools); err != nil {
		return nil, err
	}
	rd := reader{w: w, names: map[string]string{}}
	if r.Messages, err = rd.turns(in.messages); err != nil {
		return nil, err
	}
	if systemCached || toolsCached {
		// The neutral form has cache points in messages only; before the first part
		// it ends the same prefix.
		first := &r.Messages[0]
		first.Parts = append([]engine.Part{{CachePoint: true}}, first.Parts...)
	}
	if c := in.inference; c != nil {
		if c.MaxTokens != nil {
			r.MaxTokens = *c.MaxTokens
		}
		r.Temperature, r.TopP, r.Stop = c.Temperature, c.TopP, c.StopSequences
	}
	if err := resultSchema(r, in.output); err != nil {
		return nil, err
	}
	fields, err := extraFields(in.fields)
	if err != nil {
		return nil, err
	}
	if err := w.complete(r, fields); err != nil {
		return nil, err
	}
	return r, nil
}

// checkTools refuses tools for models that cannot call them.
func (w *work) checkTools() error {
	const text = "This model doesn't support tool use."
	switch {
	case !w.target.Tools:
		return invalid(text)
	case w.target.Info.Tools == engine.ToolsNone:
		return invalid(text+" (%s is served by the local model %s, which does not call tools; map the id to a local model that does.)", w.target.BaseID, w.target.Local)
	}
	return nil
}

// quoted gives the texts of a family's own checks the beginning that Converse
// gives them, unless the check is the service's rather than the model's.
func quoted(err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.Validation || errors.Is(err, family.ErrService) {
		return err
	}
	out := *e
	out.Message = "The model returned the following errors: " + e.Message
	return &out
}

func extraFields(text json.RawMessage) (family.Value, error) {
	if len(text) == 0 {
		return family.Value{}, nil
	}
	v := family.Tree(text)
	switch v.Kind {
	case family.Object:
		return v, nil
	case family.Null, family.Absent:
		return family.Value{}, nil
	default:
		return v, invalid("The format of the additionalModelRequestFields field is invalid. Provide a json object for the field and try again.")
	}
}

func resultSchema(r *engine.Request, c *bedrockruntime.OutputConfig) error {
	if c == nil || c.TextFormat == nil {
		return nil
	}
	f := c.TextFormat
	if f.Structure == nil || f.Structure.JsonSchema == nil {
		return invalid("The outputConfig.textFormat.structure.jsonSchema field must be set when the type is json_schema.")
	}
	text := json.RawMessage(f.Structure.JsonSchema.Schema)
	if !json.Valid(text) || !isObject(text) {
		return invalid("The outputConfig.textFormat.structure.jsonSchema.schema field is not a JSON schema in JSON text.")
	}
	r.ResultSchema = text
	return nil
}

// extra reads the fields of the native answer that the caller asked for.
func (w *work) extra(r *engine.Request, result *engine.Result, paths []string) (json.RawMessage, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	c := &family.Call{
		Model: w.model, Generate: []*engine.Request{r},
		Answer: family.Answer{RequestID: w.call.RequestID, ID: w.rt.newID(24), Time: w.start},
	}
	m := w.metrics
	m.Latency = time.Since(w.start)
	body, err := w.codec.Encode(c, &family.Output{Results: []*engine.Result{result}, Metrics: m})
	if err != nil {
		return nil, err
	}
	return pick(body, paths), nil
}
