package llamacpp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
	"github.com/outcrop-dev/outcrop/internal/engine/weights"
)

// traits is what is learnt about a model when it is first loaded.
type traits struct {
	tools   engine.ToolMode
	context int
	// toolText says that the chat template shows no tools, so that they are
	// written into the text.
	toolText bool
}

// learn returns the traits of a loaded model. How models of the vetted list call
// tools is written there; a stranger is tried once and the result is kept in the
// cache with the file's size and time.
func (e *Engine) learn(ctx context.Context, name string, m weights.Local, inst *instance) (traits, error) {
	if t, ok := e.traits.Load(name); ok {
		return t.(traits), nil
	}
	t := traits{tools: m.Tools, context: inst.context}
	if m.Tools == engine.ToolsNone && m.Source == "local file" {
		mode, err := e.probeTools(ctx, m, inst)
		if err != nil {
			return t, err
		}
		t.tools = mode
	}
	if t.tools != engine.ToolsNative {
		shown, err := inst.showsTools(ctx)
		if err != nil {
			return t, err
		}
		t.toolText = !shown
	}
	e.traits.Store(name, t)
	return t, nil
}

func (e *Engine) probeTools(ctx context.Context, m weights.Local, inst *instance) (engine.ToolMode, error) {
	st, err := os.Stat(m.Path)
	if err != nil {
		return "", inst.fail(ctx, err)
	}
	note := filepath.Join(e.store.Dir(), "probes", fmt.Sprintf("%s-%d-%d.json", m.Name, st.Size(), st.ModTime().Unix()))
	var kept struct {
		Tools engine.ToolMode `json:"tools"`
	}
	if b, err := os.ReadFile(note); err == nil && json.Unmarshal(b, &kept) == nil && kept.Tools != "" {
		return kept.Tools, nil
	}
	ask := map[string]any{
		"messages": []wire.Message{{Role: "user", Content: "What time is it in Lima? Use the tool."}},
		"tools": []wire.Tool{{Type: "function", Function: wire.ToolFunction{
			Name: "get_time", Description: "Tells the time in a city.",
			Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
		}}},
		"temperature": 0, "max_tokens": 64, "chat_template_kwargs": map[string]any{"enable_thinking": false},
	}
	var answer struct {
		Choices []struct {
			Message struct {
				ToolCalls []wire.ToolCall `json:"tool_calls"`
			} `json:"message"`
		} `json:"choices"`
	}
	mode := engine.ToolsConstrained
	switch err := inst.client.call(ctx, http.MethodPost, "/v1/chat/completions", ask, &answer); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil && !inst.alive():
		return "", inst.fail(ctx, err)
	case err == nil && len(answer.Choices) > 0 && len(answer.Choices[0].Message.ToolCalls) == 1 && answer.Choices[0].Message.ToolCalls[0].Function.Name == "get_time":
		mode = engine.ToolsNative
	}
	kept.Tools = mode
	if b, err := json.Marshal(kept); err == nil && os.MkdirAll(filepath.Dir(note), 0o755) == nil {
		if err := os.WriteFile(note, b, 0o644); err != nil {
			e.cfg.Logger.Debug("probe result is not kept", "err", err)
		}
	}
	e.cfg.Logger.Info("model tried for tool calls", "model", m.Name, "tools", mode)
	return mode, nil
}

// showsTools asks whether the model's template renders a tool with an unlikely
// name.
func (i *instance) showsTools(ctx context.Context) (bool, error) {
	const name = "quartzite_probe"
	body := map[string]any{
		"messages": []wire.Message{{Role: "user", Content: "Hello"}},
		"tools":    []wire.Tool{{Type: "function", Function: wire.ToolFunction{Name: name, Parameters: json.RawMessage(`{"type":"object","properties":{}}`)}}},
	}
	var out struct {
		Prompt string `json:"prompt"`
	}
	err := i.client.call(ctx, http.MethodPost, "/apply-template", body, &out)
	if e, ok := errors.AsType[*apiError](err); ok && e.Status < 600 {
		return false, nil // a template that refuses tools shows none
	}
	if err != nil {
		return false, i.fail(ctx, err)
	}
	return strings.Contains(out.Prompt, name), nil
}
