package inference

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// CountTokens says how many input tokens a body or a conversation would cost,
// counted by the model's own tokenizer.
func (rt *Runtime) CountTokens(ctx context.Context, in *bedrockruntime.CountTokensInput) (*bedrockruntime.CountTokensOutput, error) {
	w, err := rt.begin(ctx, in.ModelId)
	if err != nil {
		return nil, err
	}
	w.phase = counting
	r, err := w.countable(in.Input)
	if err != nil {
		return nil, err
	}
	r.Model, r.AWSModel, r.Account, r.Adapters = w.target.Local, w.target.BaseID, w.call.Account, w.target.Adapters
	n, err := rt.engine.CountTokens(ctx, r)
	if err != nil {
		return nil, fault(err, counting, w.target, w.codec)
	}
	return &bedrockruntime.CountTokensOutput{InputTokens: n}, nil
}

func (w *work) countable(in *bedrockruntime.CountTokensInputUnion) (*engine.Request, error) {
	switch {
	case in != nil && in.InvokeModel != nil:
		c, err := w.decode(in.InvokeModel.Body)
		if err != nil {
			return nil, err
		}
		if len(c.Generate) == 0 {
			return nil, invalid("The provided model doesn't support counting tokens.")
		}
		return c.Generate[0], nil
	case in != nil && in.Converse != nil:
		q := in.Converse
		return w.request(&chat{messages: q.Messages, system: q.System, tools: q.ToolConfig, fields: q.AdditionalModelRequestFields})
	}
	return nil, invalid("The input field holds neither invokeModel nor converse.")
}
