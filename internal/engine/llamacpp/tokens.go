package llamacpp

import (
	"context"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// tokenize asks the child for tokens with their texts; special adds the model's
// own begin and end marks and reads marks in the text as such.
func (i *instance) tokenize(ctx context.Context, text string, special bool) ([]engine.Token, error) {
	var out struct {
		Tokens []struct {
			ID    int        `json:"id"`
			Piece wire.Piece `json:"piece"`
		} `json:"tokens"`
	}
	body := map[string]any{"content": text, "with_pieces": true, "add_special": special, "parse_special": special}
	if err := i.client.call(ctx, http.MethodPost, "/tokenize", body, &out); err != nil {
		return nil, i.fail(ctx, err)
	}
	tokens := make([]engine.Token, len(out.Tokens))
	for k, t := range out.Tokens {
		tokens[k] = engine.Token{ID: t.ID, Text: string(t.Piece)}
	}
	return tokens, nil
}

// ids is tokenize without texts.
func (i *instance) ids(ctx context.Context, text string, special bool) ([]int, error) {
	var out struct {
		Tokens []int `json:"tokens"`
	}
	body := map[string]any{"content": text, "add_special": special, "parse_special": special && i.launch.Kind == engine.Chat}
	if err := i.client.call(ctx, http.MethodPost, "/tokenize", body, &out); err != nil {
		return nil, i.fail(ctx, err)
	}
	return out.Tokens, nil
}

// Tokenize implements engine.Engine, for models of every kind.
func (e *Engine) Tokenize(ctx context.Context, model, text string) ([]engine.Token, error) {
	kind := engine.Chat
	if m, err := e.store.Find(model); err == nil && model != "" {
		kind = m.Kind
	}
	name, _, err := e.resolve(ctx, model, kind)
	if err != nil {
		return nil, err
	}
	inst, release, err := e.loader.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	defer release()
	return inst.tokenize(ctx, text, false)
}

// CountTokens implements engine.Engine: the conversation is rendered as Generate
// would render it, and the result tokenized.
func (e *Engine) CountTokens(ctx context.Context, req *engine.Request) (int, error) {
	name, m, err := e.resolve(ctx, req.Model, engine.Chat)
	if err != nil {
		return 0, err
	}
	inst, release, err := e.loader.acquire(ctx, name)
	if err != nil {
		return 0, err
	}
	defer release()
	t, err := e.learn(ctx, name, m, inst)
	if err != nil {
		return 0, err
	}
	j := &job{e: e, inst: inst, req: req, tools: t.tools, vision: m.Vision, thinking: m.Thinking, toolText: t.toolText, result: &engine.Result{Model: m.Name}}
	prompt, err := j.template(ctx)
	if err != nil {
		return 0, err
	}
	ids, err := inst.ids(ctx, prompt, true)
	return len(ids), err
}
