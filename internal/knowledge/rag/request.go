package rag

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// request is what both operations ask alike.
type request struct {
	input   *api.RetrieveAndGenerateInputStructure
	config  *api.RetrieveAndGenerateConfiguration
	session *api.RetrieveAndGenerateSessionConfiguration
	id      *string
}

// Texts of the service.
const (
	textUnknownSession = "Session with Id %s is not valid. Please check and try again."
	textGuardrail      = "Guardrails are not built yet in Outcrop, so nothing was checked and nothing was generated: leave guardrailConfiguration out."
	maxQuestion        = 1000
	maxAnswer          = 2048 // tokens, where the request says nothing
)

// task is a request that was found possible.
type task struct {
	question string
	target   *catalog.Target
	model    string // as the request names it
	single   bool   // the model takes one text, no system prompt and messages

	base    *knowledge.Base // nil: sources
	search  *api.KnowledgeBaseRetrievalConfiguration
	sources []api.ExternalSource

	prompt  *template
	cited   bool // the prompt asks for the house's format
	answer  settings
	prepare *template // of the request, nil for the house's own
	before  settings  // of the model that prepares questions
	split   bool
	keyARN  string
}

// settings are those of one use of a model.
type settings struct {
	inference *api.TextInferenceConfig
	fields    json.RawMessage
}

// plan checks a request. What it costs no permission to refuse is refused first.
func (o *Operations) plan(ctx context.Context, q *request) (*task, error) {
	t := &task{}
	if q.input != nil {
		t.question = q.input.Text
	}
	switch n := utf8.RuneCountInString(t.question); {
	case strings.TrimSpace(t.question) == "":
		return nil, invalid("input.text is empty: ask a question.")
	case n > maxQuestion:
		return nil, invalid("input.text has %d characters; at most %d are allowed.", n, maxQuestion)
	case q.config == nil:
		return nil, invalid("retrieveAndGenerateConfiguration is missing: it names what to search and which model answers.")
	}
	if q.session != nil {
		t.keyARN = q.session.KmsKeyArn
	}
	k, x := q.config.KnowledgeBaseConfiguration, q.config.ExternalSourcesConfiguration
	switch q.config.Type {
	case api.RetrieveAndGenerateTypeKnowledgeBase:
		if k == nil || x != nil {
			return nil, invalid("A retrieveAndGenerateConfiguration of type KNOWLEDGE_BASE has knowledgeBaseConfiguration and nothing else.")
		}
		t.model, t.search = k.ModelArn, k.RetrievalConfiguration
		if k.KnowledgeBaseId == "" || t.model == "" {
			return nil, invalid("knowledgeBaseConfiguration needs knowledgeBaseId and modelArn.")
		}
		return t, o.planBase(ctx, t, k)
	case api.RetrieveAndGenerateTypeExternalSources:
		if x == nil || k != nil {
			return nil, invalid("A retrieveAndGenerateConfiguration of type EXTERNAL_SOURCES has externalSourcesConfiguration and nothing else.")
		}
		t.model, t.sources = x.ModelArn, x.Sources
		if t.model == "" || len(t.sources) == 0 {
			return nil, invalid("externalSourcesConfiguration needs modelArn and sources.")
		}
		for i := range t.sources {
			if err := checkSource(&t.sources[i]); err != nil {
				return nil, err
			}
		}
		var g api.GenerationConfiguration
		if c := x.GenerationConfiguration; c != nil {
			g = api.GenerationConfiguration{
				AdditionalModelRequestFields: c.AdditionalModelRequestFields, GuardrailConfiguration: c.GuardrailConfiguration,
				InferenceConfig: c.InferenceConfig, PerformanceConfig: c.PerformanceConfig, PromptTemplate: c.PromptTemplate,
			}
		}
		if g.GuardrailConfiguration != nil {
			return nil, invalid(textGuardrail)
		}
		if o.cfg.Parser == nil {
			return nil, apierr.New(apierr.Validation, "This server reads no documents that come with requests (EXTERNAL_SOURCES).")
		}
		if err := o.planModel(ctx, t); err != nil {
			return nil, err
		}
		return t, o.planPrompts(t, &g, nil)
	}
	return nil, invalid("The type %q of retrieveAndGenerateConfiguration is not known.", q.config.Type)
}

func (o *Operations) planBase(ctx context.Context, t *task, k *api.KnowledgeBaseRetrieveAndGenerateConfiguration) error {
	g := optional.Value(k.GenerationConfiguration)
	if g.GuardrailConfiguration != nil {
		return invalid(textGuardrail)
	}
	// Whoever may not search it does not learn whether it is there.
	if err := o.allow(ctx, "bedrock:Retrieve", call.From(ctx).ARN("knowledge-base/"+k.KnowledgeBaseId)); err != nil {
		return err
	}
	var err error
	if t.base, err = o.cfg.Bases.Active(ctx, k.KnowledgeBaseId); err != nil {
		return err
	}
	if err := o.planModel(ctx, t); err != nil {
		return err
	}
	return o.planPrompts(t, &g, k.OrchestrationConfiguration)
}

func (o *Operations) allow(ctx context.Context, action, resource string) error {
	if o.cfg.Permissions == nil {
		return nil
	}
	return o.cfg.Permissions.Authorize(ctx, action, resource)
}

// planModel finds the model and asks whether the caller may use it.
func (o *Operations) planModel(ctx context.Context, t *task) error {
	target, err := o.cfg.Resolver.Resolve(ctx, t.model)
	if err != nil {
		return modelFault(err, t.model)
	}
	resources := target.Resources
	if len(resources) == 0 {
		resources = []string{target.ARN}
	}
	for _, r := range resources {
		if err := o.allow(ctx, "bedrock:InvokeModel", r); err != nil {
			return err
		}
	}
	if target.Kind != engine.Chat {
		return invalid("The model %s does not make text: choose another modelArn.", target.BaseID)
	}
	t.target = target
	t.single = !target.System || strings.HasPrefix(target.BaseID, "anthropic.claude-v2") || strings.HasPrefix(target.BaseID, "anthropic.claude-instant")
	return nil
}

func (o *Operations) planPrompts(t *task, g *api.GenerationConfiguration, c *api.OrchestrationConfiguration) error {
	var err error
	if t.answer, err = settingsOf(g.InferenceConfig, g.AdditionalModelRequestFields); err != nil {
		return err
	}
	text := chatPrompt
	if t.single {
		text = textPrompt
	}
	if p := g.PromptTemplate; p != nil && p.TextPromptTemplate != nil {
		text = *p.TextPromptTemplate
		needed := []string{holdResults}
		if t.single {
			needed = append(needed, holdQuery)
		}
		if t.prompt, err = o.templates.checked(text, "generationConfiguration.promptTemplate.textPromptTemplate", needed...); err != nil {
			return err
		}
	} else {
		t.prompt = o.templates.get(text)
	}
	t.cited = t.prompt.holds[holdFormat]
	if c == nil {
		return nil
	}
	if t.before, err = settingsOf(c.InferenceConfig, c.AdditionalModelRequestFields); err != nil {
		return err
	}
	if p := c.PromptTemplate; p != nil && p.TextPromptTemplate != nil {
		needed := []string{holdHistory, holdFormat}
		if t.single {
			needed = append(needed, holdQuery)
		}
		if t.prepare, err = o.templates.checked(*p.TextPromptTemplate, "orchestrationConfiguration.promptTemplate.textPromptTemplate", needed...); err != nil {
			return err
		}
	}
	if q := c.QueryTransformationConfiguration; q != nil {
		if q.Type != api.QueryTransformationTypeQueryDecomposition {
			return invalid("The type %q of queryTransformationConfiguration is not known.", q.Type)
		}
		t.split = true
	}
	return nil
}

func settingsOf(c *api.InferenceConfig, fields map[string]json.RawMessage) (settings, error) {
	var s settings
	if c != nil {
		s.inference = c.TextInferenceConfig
	}
	if len(fields) > 0 {
		var err error
		if s.fields, err = json.Marshal(fields); err != nil {
			return s, fmt.Errorf("write additionalModelRequestFields: %w", err)
		}
	}
	return s, nil
}

// request makes a generation of a filled prompt: the system text and the question, or
// all in one text.
func (t *task) request(filled, question string, s settings, most int) *engine.Request {
	r := &engine.Request{}
	text := question
	if t.single {
		text = filled
	} else {
		r.System = filled
	}
	r.Messages = []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: text}}}}
	if c := s.inference; c != nil {
		r.Temperature, r.TopP, r.Stop = c.Temperature, c.TopP, slices.Clone(c.StopSequences)
		r.MaxTokens = optional.Value(c.MaxTokens)
	}
	if r.Temperature == nil && r.TopP == nil {
		r.Temperature = new(0.0)
	}
	if r.MaxTokens == 0 {
		r.MaxTokens = most
		if m := t.target.MaxOutput; m > 0 {
			r.MaxTokens = min(r.MaxTokens, m)
		}
	}
	return r
}

// generate asks the model and passes the text on.
func (o *Operations) generate(ctx context.Context, t *task, r *engine.Request, s settings, emit func(string) error) error {
	var sent bool
	result, err := o.cfg.Models.GenerateWith(ctx, t.model, r, s.fields, func(d engine.Delta) error {
		if d.Kind != engine.TextDelta || d.Text == "" {
			return nil
		}
		sent = true
		return emit(d.Text)
	})
	if err != nil {
		return modelFault(err, t.target.ARN)
	}
	if !sent && result != nil { // an engine that only answers whole
		if text := result.Text(); text != "" {
			return emit(text)
		}
	}
	return nil
}
