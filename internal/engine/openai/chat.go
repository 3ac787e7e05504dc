package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// Generate implements engine.Engine.
func (e *Engine) Generate(ctx context.Context, req *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	begin := e.cfg.Now()
	body, err := e.chatBody(ctx, req)
	if err != nil {
		return nil, err
	}
	out := &wire.Collector{Pass: emit, Begin: begin, Now: e.cfg.Now}
	stops := wire.NewStops(req.Stop)
	c := &wire.Chat{Emit: out.Emit, Stops: stops}
	if err := e.stream(ctx, body, c); err != nil {
		return nil, err
	}
	res := &engine.Result{Model: body["model"].(string), Tokens: c.Tokens}
	if res.Stop, err = c.Close(req.MaxTokens); err != nil {
		return nil, err
	}
	res.Parts = out.Parts()
	if res.Stop == engine.StopSequence {
		res.StopText = stops.Hit
	}
	if res.Usage = c.Usage(); !c.HasUsage() {
		res.Usage = estimateUsage(body, res)
	}
	res.Timing = engine.Timing{FirstToken: out.First, Total: e.cfg.Now().Sub(begin)}
	return res, nil
}

// estimateUsage guesses four bytes of text a token, for endpoints that count
// nothing and for answers that were cut at a stop text before the count came.
func estimateUsage(body map[string]any, res *engine.Result) engine.Usage {
	b, err := json.Marshal([]any{body["messages"], body["tools"]})
	if err != nil {
		b = nil
	}
	out := 0
	for i := range res.Parts {
		p := &res.Parts[i]
		out += utf8.RuneCountInString(p.Text)
		if p.ToolCall != nil {
			out += len(p.ToolCall.Name) + len(p.ToolCall.Arguments)
		}
		if p.Reasoning != nil {
			out += utf8.RuneCountInString(p.Reasoning.Text)
		}
	}
	return engine.Usage{Input: max(1, len(b)/4), Output: (out + 3) / 4, Estimated: true}
}

func (e *Engine) chatBody(ctx context.Context, req *engine.Request) (map[string]any, error) {
	model, err := e.pick(ctx, req.Model, engine.Chat, e.cfg.ChatModel)
	if err != nil {
		return nil, err
	}
	if e.base == "" {
		return nil, &engine.Error{Kind: engine.Unavailable, Message: "no chat endpoint is configured"}
	}
	switch {
	case len(req.Adapters) > 0:
		return nil, &engine.Error{Kind: engine.BadRequest, Message: fmt.Sprintf("the endpoint knows no adapter %q", req.Adapters[0].ID)}
	case req.EchoTokens:
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint does not tell the tokens of a prompt"}
	case len(req.Tools) > 0 && e.cfg.Tools == engine.ToolsNone:
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint's model calls no tools"}
	case len(req.LogitBias) > 0:
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint knows tokens by number only, so no bias can be given by text"}
	case req.Thinking != nil && req.Thinking.Enabled && !e.cfg.Thinking:
		return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint's model has no reasoning to show"}
	}
	msgs, err := wire.Messages(req, wire.Abilities{Vision: e.cfg.Vision})
	if err != nil {
		return nil, err
	}
	body := map[string]any{"model": model, "messages": msgs, "stream": true, "stream_options": map[string]any{"include_usage": true}}
	if wire.Prefilled(req) {
		switch e.flavour(ctx) {
		case "vllm", "sglang":
			body["continue_final_message"], body["add_generation_prompt"] = true, false
		case "llamacpp", "library": // they go on by themselves
		default:
			return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint cannot continue an answer that was begun"}
		}
	}
	if tools := wire.Tools(req); len(tools) > 0 {
		body["tools"] = tools
		switch req.ToolChoice.Mode {
		case engine.ToolAny:
			body["tool_choice"] = "required"
		case engine.ToolNever:
			body["tool_choice"] = "none"
		case engine.ToolNamed:
			body["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": req.ToolChoice.Name}}
		default:
			body["tool_choice"] = "auto"
		}
	}
	if len(req.ResultSchema) > 0 {
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "result", "schema": req.ResultSchema, "strict": true}}
	}
	if e.cfg.Thinking {
		body["chat_template_kwargs"] = map[string]any{"enable_thinking": req.Thinking != nil && req.Thinking.Enabled}
	}
	if req.MaxTokens > 0 {
		body["max_tokens"] = req.MaxTokens
	}
	for key, v := range map[string]*float64{
		"temperature": req.Temperature, "top_p": req.TopP, "min_p": req.MinP,
		"presence_penalty": req.PresencePenalty, "frequency_penalty": req.FrequencyPenalty, "repetition_penalty": req.RepeatPenalty,
	} {
		if v != nil {
			body[key] = *v
		}
	}
	if req.TopK != nil && *req.TopK > 0 {
		body["top_k"] = *req.TopK
	}
	if req.Seed != nil {
		body["seed"] = *req.Seed
	}
	// Stop texts are looked for here, for the endpoint does not tell which one it
	// met; they are not sent, so that the first match is seen.
	if req.TopLogprobs > 0 {
		body["logprobs"], body["top_logprobs"] = true, req.TopLogprobs
	}
	return body, nil
}

// stream sends the request and feeds c; a stream without a finish reason is cut.
func (e *Engine) stream(ctx context.Context, body map[string]any, c *wire.Chat) error {
	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // closes the connection: the endpoint stops generating
	watch := time.AfterFunc(e.cfg.StallTimeout, func() { cancel(errStalled) })
	defer watch.Stop()
	fail := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return e.fail(sctx, err)
	}
	resp, err := e.do(sctx, http.MethodPost, "/chat/completions", body)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	var own error
	err = wire.Events(resp.Body, func(data []byte) error {
		watch.Reset(e.cfg.StallTimeout)
		if string(data) == "[DONE]" {
			own = wire.ErrDone
			return own
		}
		own = chunk(data, c)
		return own
	})
	switch {
	case err == nil && (c.Finished() || c.Stops.Hit != ""):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		if c.Finished() {
			return nil
		}
		return fail(io.ErrUnexpectedEOF)
	case own != nil:
		return own
	}
	return fail(err)
}

func chunk(data []byte, c *wire.Chat) error {
	var k wire.Chunk
	if err := json.Unmarshal(data, &k); err != nil {
		return &engine.Error{Kind: engine.BadOutput, Message: "the endpoint's stream cannot be read", Err: err}
	}
	if len(k.Error) > 0 && string(k.Error) != "null" {
		return refused(http.StatusInternalServerError, data)
	}
	return c.Add(&k)
}

// CountTokens implements engine.Engine: the endpoint is asked for one token and
// tells what the prompt was worth. There is no cheaper question that every
// endpoint answers.
func (e *Engine) CountTokens(ctx context.Context, req *engine.Request) (int, error) {
	one := *req
	one.MaxTokens, one.Stop, one.TopLogprobs, one.ResultSchema = 1, nil, 0, nil
	body, err := e.chatBody(ctx, &one)
	if err != nil {
		return 0, err
	}
	body["stream"] = false
	delete(body, "stream_options")
	if len(one.Tools) > 0 {
		body["tool_choice"] = "auto"
	}
	var k wire.Chunk
	if err := e.call(ctx, http.MethodPost, "/chat/completions", body, &k); err != nil {
		return 0, err
	}
	if k.Usage == nil || k.Usage.Prompt == 0 {
		return 0, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint does not count tokens"}
	}
	return k.Usage.Prompt, nil
}

// Tokenize implements engine.Engine with the tokenizer route that llama-server
// and vLLM have beside OpenAI's dialect.
func (e *Engine) Tokenize(ctx context.Context, model, text string) ([]engine.Token, error) {
	name, err := e.pick(ctx, model, engine.Chat, e.cfg.ChatModel)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Tokens  []json.RawMessage `json:"tokens"`
		Strings []string          `json:"token_strs"`
	}
	body := map[string]any{
		"content": text, "with_pieces": true, // llama-server
		"model": name, "prompt": text, "add_special_tokens": false, "return_token_strs": true, // vLLM
	}
	if err := e.call(ctx, http.MethodPost, e.root()+"/tokenize", body, &doc); err != nil {
		if x, ok := errors.AsType[*engine.Error](err); ok && (x.Kind == engine.NoModel || x.Kind == engine.Unsupported) {
			return nil, &engine.Error{Kind: engine.Unsupported, Message: "the endpoint has no tokenizer route", Err: err}
		}
		return nil, err
	}
	out := make([]engine.Token, len(doc.Tokens))
	for i, raw := range doc.Tokens {
		var t struct {
			ID    int        `json:"id"`
			Piece wire.Piece `json:"piece"`
		}
		if json.Unmarshal(raw, &t.ID) != nil {
			if err := json.Unmarshal(raw, &t); err != nil {
				return nil, &engine.Error{Kind: engine.BadOutput, Message: "the endpoint's tokens cannot be read", Err: err}
			}
		}
		out[i] = engine.Token{ID: t.ID, Text: string(t.Piece)}
		if i < len(doc.Strings) {
			out[i].Text = doc.Strings[i]
		}
	}
	return out, nil
}

// root is the base without its version.
func (e *Engine) root() string {
	if n := len(e.base); n > 3 && e.base[n-3:] == "/v1" {
		return e.base[:n-3]
	}
	return e.base
}
