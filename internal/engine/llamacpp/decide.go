package llamacpp

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/constrain"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// decide asks the model for the probabilities of its first token, which say
// whether it means to call a tool. The prompt is in the cache then, so the answer
// itself costs one token more and no second reading. counts are those of the
// reading.
func (j *job) decide(ctx context.Context, body map[string]any) (opt constrain.Options, counts wire.Timings, err error) {
	probe := make(map[string]any, len(body)+3)
	for k, v := range body {
		probe[k] = v
	}
	delete(probe, "grammar")
	delete(probe, "stop")
	probe["stream"], probe["n_predict"], probe["n_probs"], probe["temperature"] = true, 1, 20, 0
	var first engine.Token
	done := false
	err = j.stream(ctx, "/completion", probe, func(data []byte) error {
		var k completion
		if err := json.Unmarshal(data, &k); err != nil {
			return &engine.Error{Kind: engine.BadOutput, Message: "the engine's stream cannot be read", Err: err}
		}
		if len(k.Error) > 0 {
			return readAPIError(http.StatusInternalServerError, data)
		}
		if len(k.Probs) > 0 && first.Top == nil {
			first = k.Probs[0].Neutral()
		}
		if k.Timings != nil {
			counts = *k.Timings
		}
		if done = k.Stop; done {
			return wire.ErrDone
		}
		return nil
	}, func() bool { return done })
	return constrain.Decide(first), counts, err
}
