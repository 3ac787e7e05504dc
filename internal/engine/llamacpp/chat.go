package llamacpp

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// chat is the path of native tool calls and of images: the engine's own template
// and parser.
func (j *job) chat(ctx context.Context) error {
	body, err := j.chatBody()
	if err != nil {
		return err
	}
	c := &wire.Chat{Emit: j.out.Emit, Stops: j.stops}
	err = j.stream(ctx, "/v1/chat/completions", body, func(data []byte) error {
		if string(data) == "[DONE]" {
			return wire.ErrDone
		}
		var k wire.Chunk
		if err := json.Unmarshal(data, &k); err != nil {
			return &engine.Error{Kind: engine.BadOutput, Message: "the engine's stream cannot be read", Err: err}
		}
		if len(k.Error) > 0 {
			return readAPIError(http.StatusInternalServerError, data)
		}
		return c.Add(&k)
	}, c.Finished)
	if err != nil {
		return err
	}
	j.result.Tokens = c.Tokens
	j.result.Stop, err = c.Close(j.req.MaxTokens)
	j.result.Usage = c.Usage()
	return err
}

func (j *job) chatBody() (map[string]any, error) {
	msgs, err := wire.Messages(j.req, wire.Abilities{Vision: j.vision})
	if err != nil {
		return nil, err
	}
	body := map[string]any{
		"messages": msgs, "stream": true, "stream_options": map[string]any{"include_usage": true},
		"timings_per_token": true, "return_progress": true,
	}
	tools := wire.Tools(j.req)
	var choice string
	switch j.req.ToolChoice.Mode {
	case engine.ToolAny:
		choice = "required"
	case engine.ToolNever:
		choice = "none"
	case engine.ToolNamed:
		// The engine knows no named choice: the one tool is offered and required.
		choice = "required"
		named := tools[:0]
		for _, t := range tools {
			if t.Function.Name == j.req.ToolChoice.Name {
				named = append(named, t)
			}
		}
		if tools = named; len(tools) == 0 {
			return nil, &engine.Error{Kind: engine.BadRequest, Message: "the tool that must be called is not offered"}
		}
	default:
		choice = "auto"
	}
	if len(tools) > 0 {
		body["tools"], body["tool_choice"], body["parallel_tool_calls"] = tools, choice, true
	}
	if len(j.req.ResultSchema) > 0 && len(tools) == 0 {
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "result", "schema": j.req.ResultSchema}}
	}
	if j.req.MaxTokens > 0 {
		body["max_tokens"] = j.req.MaxTokens
	}
	if j.req.TopLogprobs > 0 {
		body["logprobs"], body["top_logprobs"] = true, j.req.TopLogprobs
	}
	if t := j.req.Thinking; thinks(j.req) && t.Budget > 0 {
		body["reasoning_budget"] = t.Budget
	}
	j.switchThinking(body)
	return body, j.sampling(body)
}
