package llamacpp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/constrain"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// errStalled is the cause of a generation that was cut for silence.
var errStalled = errors.New("no data for too long")

// job is one generation on its way.
type job struct {
	e        *Engine
	inst     *instance
	req      *engine.Request
	tools    engine.ToolMode
	vision   bool
	thinking bool // the model can think
	toolText bool // its template shows no tools
	out      *wire.Collector
	stops    *wire.Stops
	result   *engine.Result
	written  string // the answer as the model wrote it, when it is calls
}

// Generate implements engine.Engine.
func (e *Engine) Generate(ctx context.Context, req *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	arrived := e.cfg.Now()
	name, m, err := e.resolve(ctx, req.Model, engine.Chat)
	if err != nil {
		return nil, err
	}
	if req.Thinking != nil && req.Thinking.Enabled && !m.Thinking {
		return nil, &engine.Error{Kind: engine.Unsupported, Message: fmt.Sprintf("model %s has no reasoning to show", m.Name)}
	}
	// What the model can never take is refused before anything is loaded.
	if _, err := wire.Messages(req, wire.Abilities{Vision: m.Vision}); err != nil {
		return nil, err
	}
	inst, release, err := e.loader.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	defer release()
	t, err := e.learn(ctx, name, m, inst)
	if err != nil {
		return nil, err
	}
	if err := inst.queue.acquire(ctx, req.Account, e.cfg.QueueTimeout); err != nil {
		return nil, err
	}
	defer inst.queue.release()

	begin := e.cfg.Now()
	j := &job{
		e: e, inst: inst, req: req, tools: t.tools, vision: m.Vision, thinking: m.Thinking, toolText: t.toolText,
		out:    &wire.Collector{Pass: emit, Begin: begin, Now: e.cfg.Now},
		stops:  wire.NewStops(req.Stop),
		result: &engine.Result{Model: m.Name, Timing: engine.Timing{Queued: begin.Sub(arrived)}},
	}
	if len(req.Tools) > 0 && t.tools == engine.ToolsNative || wire.HasImages(req) {
		err = j.chat(ctx)
	} else {
		err = j.complete(ctx)
	}
	if err != nil {
		return nil, err
	}
	j.result.Parts = j.out.Parts()
	for i := range j.result.Parts {
		if c := j.result.Parts[i].ToolCall; c != nil {
			c.Written = j.written
			break
		}
	}
	j.result.StopText = j.stopText()
	j.result.Timing.FirstToken = j.out.First
	j.result.Timing.Total = e.cfg.Now().Sub(begin)
	return j.result, nil
}

func (j *job) stopText() string {
	if j.result.Stop != engine.StopSequence {
		return ""
	}
	if j.stops.Hit != "" {
		return j.stops.Hit
	}
	return j.result.StopText
}

// constrained reports whether this request's output is held to a grammar of
// ours. A prohibition of calls is kept by the grammar too, so that the prompt,
// and with it the prefix cache, stays the same.
func (j *job) constrained() bool {
	if len(j.req.Tools) > 0 {
		return j.tools != engine.ToolsNative
	}
	return len(j.req.ResultSchema) > 0
}

// sampling writes what both endpoints understand.
func (j *job) sampling(body map[string]any) error {
	r := j.req
	set := func(key string, v *float64) {
		if v != nil {
			body[key] = *v
		}
	}
	set("temperature", r.Temperature)
	set("top_p", r.TopP)
	set("min_p", r.MinP)
	set("presence_penalty", r.PresencePenalty)
	set("frequency_penalty", r.FrequencyPenalty)
	set("repeat_penalty", r.RepeatPenalty)
	if r.TopK != nil {
		body["top_k"] = *r.TopK
	}
	if r.Seed != nil {
		// The engine's seeds have 32 bits, and the largest means "choose one".
		body["seed"] = uint32(*r.Seed) & 0x7fffffff
	}
	if len(r.LogitBias) > 0 {
		bias := make([][2]any, 0, len(r.LogitBias))
		for text, b := range r.LogitBias {
			if b <= -100 {
				bias = append(bias, [2]any{text, false})
			} else {
				bias = append(bias, [2]any{text, b})
			}
		}
		body["logit_bias"] = bias
	}
	lora, err := j.adapters()
	if err != nil {
		return err
	}
	if lora != nil {
		body["lora"] = lora
	}
	body["cache_prompt"] = true
	return nil
}

// adapters writes a scale for every adapter of the child: those that are not
// named would otherwise keep the scale they have.
func (j *job) adapters() ([]map[string]any, error) {
	scales := make([]float64, len(j.inst.adapters))
	for _, a := range j.req.Adapters {
		found := false
		for i, id := range j.inst.adapters {
			if id == a.ID {
				scales[i], found = a.Scale, true
			}
		}
		if !found {
			return nil, &engine.Error{Kind: engine.BadRequest, Message: fmt.Sprintf("model %s has no adapter %q", j.result.Model, a.ID)}
		}
	}
	var out []map[string]any
	for i, s := range scales {
		out = append(out, map[string]any{"id": i, "scale": s})
	}
	return out, nil
}

// thinks says whether reasoning is switched on.
func thinks(req *engine.Request) bool { return req.Thinking != nil && req.Thinking.Enabled }

// template renders the conversation as the model wants it.
func (j *job) template(ctx context.Context) (string, error) {
	can := wire.Abilities{Vision: j.vision, ToolText: j.toolText, Written: true}
	if j.constrained() && len(j.req.Tools) > 0 {
		can.Reminder = constrain.Reminder()
		can.Rule = constrain.Rule() // also where calls are forbidden: one prefix for all steps
	}
	msgs, err := wire.Messages(j.req, can)
	if err != nil {
		return "", err
	}
	body := map[string]any{"messages": msgs}
	if len(j.req.Tools) > 0 && !j.toolText {
		body["tools"] = wire.Tools(j.req)
	}
	j.switchThinking(body)
	var out struct {
		Prompt string `json:"prompt"`
	}
	err = j.inst.client.call(ctx, http.MethodPost, "/apply-template", body, &out)
	if _, refused := errors.AsType[*apiError](err); refused && j.alters(can) {
		// A template may insist on calls before results: then it has its own words.
		can.Written = false
		if body["messages"], err = wire.Messages(j.req, can); err != nil {
			return "", err
		}
		err = j.inst.client.call(ctx, http.MethodPost, "/apply-template", body, &out)
	}
	if err != nil {
		return "", j.inst.fail(ctx, err)
	}
	return out.Prompt, nil
}

// alters reports whether the model's own words stand in the conversation.
func (j *job) alters(can wire.Abilities) bool {
	if !can.Written {
		return false
	}
	for i := range j.req.Messages {
		for k := range j.req.Messages[i].Parts {
			if c := j.req.Messages[i].Parts[k].ToolCall; c != nil && c.Written != "" {
				return true
			}
		}
	}
	return false
}

func (j *job) switchThinking(body map[string]any) {
	if j.thinking {
		// A prefill is an answer already begun: no thought can precede it.
		on := thinks(j.req) && !wire.Prefilled(j.req)
		body["chat_template_kwargs"] = map[string]any{"enable_thinking": on}
	}
}

// completion is one event of /completion; the last one has Stop set.
type completion struct {
	Content   string           `json:"content"`
	Stop      bool             `json:"stop"`
	StopType  string           `json:"stop_type"`
	StopWord  string           `json:"stopping_word"`
	Truncated bool             `json:"truncated"`
	Predicted int              `json:"tokens_predicted"`
	Evaluated int              `json:"tokens_evaluated"`
	Timings   *wire.Timings    `json:"timings"`
	Probs     []wire.TokenProb `json:"completion_probabilities"`
	Error     json.RawMessage  `json:"error"`
}

// complete is the path of text and of constrained calls.
func (j *job) complete(ctx context.Context) error {
	prompt, err := j.template(ctx)
	if err != nil {
		return err
	}
	if j.req.EchoTokens {
		if j.result.PromptTokens, err = j.inst.tokenize(ctx, prompt, true); err != nil {
			return err
		}
	}
	body := map[string]any{"prompt": prompt, "stream": true, "n_predict": -1, "timings_per_token": true, "return_progress": true}
	if j.req.MaxTokens > 0 {
		body["n_predict"] = j.req.MaxTokens
	}
	if j.req.TopLogprobs > 0 {
		body["n_probs"] = j.req.TopLogprobs
		// A stream tells no probabilities of tokens that wait for the rest of a
		// character or of a possible stop text.
		body["stream"] = j.out.Pass != nil
	}
	if err := j.sampling(body); err != nil {
		return err
	}
	opt := constrain.Options{ForbidCalls: j.req.ToolChoice.Mode == engine.ToolNever}
	var read *wire.Timings // of the prompt, when it was read to decide
	if j.constrained() && constrain.Undecided(j.req) {
		decided, counts, err := j.decide(ctx, body)
		if err != nil {
			return err
		}
		opt, read = decided, &counts
	}
	if j.constrained() {
		grammar, err := constrain.Grammar(j.req, opt)
		if err != nil {
			return &engine.Error{Kind: engine.BadRequest, Message: err.Error(), Err: err}
		}
		body["grammar"] = grammar
	} else if len(j.req.Stop) > 0 && !thinks(j.req) {
		// The engine may look for stop texts itself, so that its counts are exact;
		// in calls and thoughts they would cut what is no answer.
		body["stop"] = j.req.Stop
	}

	err = j.run(ctx, body, j.req)
	if read != nil { // what the cache held before the decision
		j.result.Usage.CacheRead, j.result.Usage.CacheWrite = read.CacheN, read.PromptN
	}
	if !errors.Is(err, constrain.ErrRefused) {
		return err
	}
	// The model wants to repeat a call that has its answer already: the step is
	// run again with text as the only way.
	j.e.cfg.Logger.Debug("repeated tool call refused", "model", j.result.Model)
	grammar, err := constrain.Grammar(j.req, constrain.Options{ForbidCalls: true})
	if err != nil {
		return &engine.Error{Kind: engine.BadRequest, Message: err.Error(), Err: err}
	}
	body["grammar"] = grammar
	silent := *j.req
	silent.ToolChoice = engine.ToolChoice{Mode: engine.ToolNever}
	spent := j.result.Usage
	j.inst.settle(ctx)
	err = j.run(ctx, body, &silent)
	j.result.Usage.Output += spent.Output
	return err
}

// run sends one completion and passes its text through the parser. After
// budget, reasoning is cut and the answer asked for.
func (j *job) run(ctx context.Context, body map[string]any, req *engine.Request) error {
	parser := constrain.NewParser(req)
	var thought, written strings.Builder
	reasoning := 0 // tokens of reasoning, as far as they can be told
	emit := func(d engine.Delta) error {
		if d.Kind == engine.ReasoningDelta {
			thought.WriteString(d.Text)
		}
		if d.Kind != engine.TextDelta {
			return j.out.Emit(d)
		}
		d.Text = j.stops.Write(d.Text)
		if err := j.out.Emit(d); err != nil {
			return err
		}
		if j.stops.Hit != "" {
			return wire.ErrDone
		}
		return nil
	}
	var last completion
	err := j.stream(ctx, "/completion", body, func(data []byte) error {
		var k completion
		if err := json.Unmarshal(data, &k); err != nil {
			return &engine.Error{Kind: engine.BadOutput, Message: "the engine's stream cannot be read", Err: err}
		}
		if len(k.Error) > 0 {
			return readAPIError(http.StatusInternalServerError, data)
		}
		for _, p := range k.Probs {
			j.result.Tokens = append(j.result.Tokens, p.Neutral())
		}
		before := thought.Len()
		content := k.Content
		k.Content = ""
		if k.Timings == nil {
			k.Timings = last.Timings
		}
		if k.Predicted == 0 {
			k.Predicted = last.Predicted
		}
		last = k
		written.WriteString(content)
		if err := parser.Write(content, emit); err != nil {
			return err
		}
		if thought.Len() > before {
			reasoning++
		}
		if t := req.Thinking; t != nil && t.Budget > 0 && reasoning > t.Budget {
			return errBudget
		}
		if last.Stop {
			return wire.ErrDone
		}
		return nil
	}, func() bool { return last.Stop })
	j.count(&last)
	if errors.Is(err, errBudget) {
		return j.answerNow(ctx, body, req, thought.String())
	}
	if err != nil {
		return err
	}
	if j.stops.Hit != "" {
		j.result.Stop = engine.StopSequence
		return nil
	}
	reason, err := parser.Close(emit)
	switch {
	case errors.Is(err, wire.ErrDone):
		j.result.Stop = engine.StopSequence
		return nil
	case err != nil:
		return err
	}
	if err := j.out.Emit(engine.Delta{Text: j.stops.Flush()}); err != nil {
		return err
	}
	j.result.Stop = j.reason(&last, reason)
	if j.result.Stop == engine.ToolUse && !parser.Dropped() && thought.Len() == 0 && j.tools == engine.ToolsConstrained {
		j.written = strings.TrimSpace(written.String())
	}
	return nil
}

// errBudget ends a stream whose reasoning has used up its budget.
var errBudget = errors.New("reasoning budget is used up")

// answerNow goes on after the reasoning was cut: the prompt, the thought so far
// and its end mark are one prefix, which the cache holds but for the mark.
func (j *job) answerNow(ctx context.Context, body map[string]any, req *engine.Request, thought string) error {
	prompt, _ := body["prompt"].(string)
	if !strings.HasSuffix(strings.TrimSpace(prompt), "<think>") {
		prompt += "<think>\n"
	}
	body["prompt"] = prompt + thought + "\n</think>\n\n"
	plain := *req
	plain.Thinking = nil
	spent := j.result.Usage
	if n, ok := body["n_predict"].(int); ok && n > 0 {
		body["n_predict"] = max(1, n-spent.Output)
	}
	if _, held := body["grammar"]; held {
		grammar, err := constrain.Grammar(&plain, constrain.Options{ForbidCalls: plain.ToolChoice.Mode == engine.ToolNever})
		if err != nil {
			return &engine.Error{Kind: engine.BadRequest, Message: err.Error(), Err: err}
		}
		body["grammar"] = grammar
	}
	j.inst.settle(ctx)
	err := j.run(ctx, body, &plain)
	j.result.Usage.Input, j.result.Usage.CacheRead, j.result.Usage.CacheWrite = spent.Input, spent.CacheRead, spent.CacheWrite
	j.result.Usage.Output += spent.Output
	return err
}

// count takes the token counts of the latest event.
func (j *job) count(k *completion) {
	u := &j.result.Usage
	*u = engine.Usage{Input: k.Evaluated, Output: k.Predicted}
	if t := k.Timings; t != nil {
		u.CacheRead, u.CacheWrite = t.CacheN, t.PromptN
		if u.Input == 0 {
			u.Input = t.CacheN + t.PromptN
		}
	}
}

// reason joins what the engine and what the text say about the end.
func (j *job) reason(k *completion, text engine.StopReason) engine.StopReason {
	switch k.StopType {
	case "word":
		j.result.StopText = k.StopWord
		return engine.StopSequence
	case "limit":
		if j.req.MaxTokens > 0 && k.Predicted >= j.req.MaxTokens {
			if text == engine.ToolUse {
				return text // the call was whole before the limit
			}
			return engine.MaxTokens
		}
		return engine.ContextFull
	}
	return text
}

// stream posts body and calls handle for each event. A stream that ends before
// finished is a crash; silence longer than the stall time-out ends it.
func (j *job) stream(ctx context.Context, path string, body map[string]any, handle func([]byte) error, finished func() bool) error {
	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // closes the connection, which cancels the generation
	stall := j.e.cfg.StallTimeout
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watch.Stop()
	translate := func(err error) error {
		if errors.Is(context.Cause(sctx), errStalled) && ctx.Err() == nil {
			return &engine.Error{Kind: engine.TimedOut, Message: fmt.Sprintf("the engine gave no answer for %s", stall), Err: err}
		}
		return j.inst.fail(ctx, err)
	}
	resp, err := j.inst.client.do(sctx, http.MethodPost, path, body)
	if err != nil {
		return translate(err)
	}
	defer resp.Body.Close()
	if body["stream"] == false {
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return translate(err)
		}
		if err := handle(b); err != nil && !errors.Is(err, wire.ErrDone) {
			return j.own(ctx, err)
		}
		return nil
	}
	var own error // of handle: not an error of the connection
	err = wire.Events(resp.Body, func(data []byte) error {
		watch.Reset(stall)
		own = handle(data)
		return own
	})
	switch {
	case err == nil:
		return nil
	case own != nil:
		return j.own(ctx, own)
	case finished():
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return translate(err)
}

// own passes errors of the consumer unchanged and translates those that the
// stream itself carried.
func (j *job) own(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*apiError](err); ok {
		return j.inst.fail(ctx, e)
	}
	return err
}
