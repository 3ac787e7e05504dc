package inference

import (
	"context"
	"encoding/json"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// servedHeader names the local model that answered. It is on every answer.
const servedHeader = "x-outcrop-model"

// work is one call on its way through the engine.
type work struct {
	rt     *Runtime
	call   *call.Call
	target *catalog.Target
	codec  family.Codec // nil when the family has none
	model  family.Model
	start  time.Time
	phase  phase // of an engine's failure before anything was sent

	local   string // model that answers
	first   time.Duration
	metrics family.Metrics
	images  int
}

// begin resolves the model and finds its codec.
func (rt *Runtime) begin(ctx context.Context, modelID string) (*work, error) {
	t, err := rt.resolver.Resolve(ctx, modelID)
	if err != nil {
		return nil, err
	}
	w := &work{
		rt: rt, call: call.From(ctx), target: t, codec: rt.families[t.Family],
		model: modelOf(t), start: time.Now(),
	}
	w.serve(t.Local) // errors say it too
	return w, nil
}

// checkVision refuses images for a model that cannot see.
func (w *work) checkVision(r *engine.Request) error {
	if w.sees() {
		return nil
	}
	for i := range r.Messages {
		for j := range r.Messages[i].Parts {
			p := &r.Messages[i].Parts[j]
			if p.Image != nil {
				return w.blind()
			}
			if p.ToolResult == nil {
				continue
			}
			for k := range p.ToolResult.Parts {
				if p.ToolResult.Parts[k].Image != nil {
					return w.blind()
				}
			}
		}
	}
	return nil
}

// sees reports whether images reach eyes: the advertised model's and the local
// one's.
func (w *work) sees() bool { return w.target.Vision && w.target.Info.Vision }

// blind is the exception for an image that the model cannot see, with the reason
// when only the local model is to blame.
func (w *work) blind() error {
	const text = "This model doesn't support the image content block that you provided. Update the content block and try again."
	if !w.target.Vision {
		return invalid(text)
	}
	return invalid(text+" (%s is served by the local model %s, which does not see images; map the id to a local model that does.)",
		w.target.BaseID, w.target.Local)
}

// generate runs one request on the target's local model, or on the next of its
// chain as long as nothing was emitted. It gives tool calls ids of the form
// prefix and 22 random letters, in the deltas and in the result alike, and
// splits the usage as AWS bills it.
func (w *work) generate(ctx context.Context, r *engine.Request, prefix string, emit func(engine.Delta) error) (*engine.Result, error) {
	r.AWSModel, r.Account, r.Adapters = w.target.BaseID, w.call.Account, w.target.Adapters
	var ids []string
	emitted := false
	var pass func(engine.Delta) error
	if emit != nil {
		pass = func(d engine.Delta) error {
			if !emitted {
				emitted = true
				if w.first == 0 {
					w.first = time.Since(w.start)
				}
			}
			if d.Kind == engine.ToolStart {
				ids = append(ids, prefix+w.rt.newID(22))
				d.Tool = &engine.ToolCall{ID: ids[len(ids)-1], Name: d.Tool.Name}
			}
			return emit(d)
		}
	}
	r.Model = w.target.Local
	var result *engine.Result
	for next := 0; ; next++ {
		if r.Model != w.local {
			w.serve(r.Model)
		}
		var err error
		result, err = w.rt.engine.Generate(ctx, r, pass)
		if err == nil {
			break
		}
		if emitted || next >= len(w.target.Chain) || !another(err) {
			return nil, fault(err, w.phase, w.target, w.codec)
		}
		w.rt.log.WarnContext(ctx, "model failed, asking the next of its chain",
			"model", w.target.BaseID, "local", r.Model, "next", w.target.Chain[next], "err", err)
		r.Model = w.target.Chain[next]
	}
	if result.Model != "" && result.Model != w.local {
		w.serve(result.Model)
	}
	w.account(r, result, ids, prefix)
	return result, nil
}

// serve notes which local model answers.
func (w *work) serve(local string) {
	w.local = local
	w.call.SetHeader(servedHeader, local)
}

// account gives the result's tool calls their ids and splits and sums the usage.
func (w *work) account(r *engine.Request, result *engine.Result, ids []string, prefix string) {
	n := 0
	for i := range result.Parts {
		p := &result.Parts[i]
		if p.ToolCall == nil {
			continue
		}
		if n == len(ids) {
			ids = append(ids, prefix+w.rt.newID(22))
		}
		tool := *p.ToolCall
		tool.ID = ids[n]
		p.ToolCall = &tool
		n++
	}
	u := &result.Usage
	if cachePoints(r) {
		u.Input = max(0, u.Input-u.CacheRead-u.CacheWrite)
	} else {
		u.CacheRead, u.CacheWrite = 0, 0
	}
	w.metrics.InputTokens += u.Input
	w.metrics.OutputTokens += u.Output
	w.metrics.CacheRead += u.CacheRead
	w.metrics.CacheWrite += u.CacheWrite
}

// cachePoints reports whether the caller set any: only then are the engine's own
// cache hits told apart, so that other counts agree with CountTokens.
func cachePoints(r *engine.Request) bool {
	for i := range r.Messages {
		for j := range r.Messages[i].Parts {
			if r.Messages[i].Parts[j].CachePoint {
				return true
			}
		}
	}
	return false
}

// finish closes the books of a call: latencies, and what metrics and logs read.
func (w *work) finish() {
	w.metrics.Latency = time.Since(w.start)
	w.metrics.FirstByte = w.first
	if w.first == 0 {
		w.metrics.FirstByte = w.metrics.Latency
	}
	w.call.SetServed(call.Served{
		Model: w.local, ModelID: w.target.ModelID, Inference: true, Images: w.images,
		InputTokens: w.metrics.InputTokens, OutputTokens: w.metrics.OutputTokens,
		CacheRead: w.metrics.CacheRead, CacheWrite: w.metrics.CacheWrite,
		FirstToken: w.first, Latency: w.metrics.Latency,
	})
}

// record tells the recorder, if there is one.
func (w *work) record(ctx context.Context, operation string, input, output any, err error) {
	if w.rt.recorder == nil {
		return
	}
	// A caller who has gone is no reason not to write down what was done for him.
	w.rt.recorder.Record(context.WithoutCancel(ctx), &Record{
		Operation: operation, Time: w.start, Target: w.target,
		Input: input, Output: output, Metrics: w.metrics, Err: err,
	})
}

// nothing is the result for a request of zero tokens: the prompt is counted, no
// token is made.
func (w *work) nothing(ctx context.Context, r *engine.Request) (*engine.Result, error) {
	r.AWSModel, r.Account, r.Adapters, r.Model = w.target.BaseID, w.call.Account, w.target.Adapters, w.target.Local
	n, err := w.rt.engine.CountTokens(ctx, r)
	if err != nil {
		return nil, fault(err, w.phase, w.target, w.codec)
	}
	result := &engine.Result{Model: r.Model, Stop: engine.MaxTokens, Usage: engine.Usage{Input: n}}
	w.account(r, result, nil, "")
	return result, nil
}

// Generate answers one neutral request with the model that modelID names. It is
// the way for the rooms that speak the neutral form: the defaults of the model's
// family are filled in as Converse does, chains and errors are treated alike.
// emit may be nil.
func (rt *Runtime) Generate(ctx context.Context, modelID string, r *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	return rt.GenerateWith(ctx, modelID, r, nil, emit)
}

// GenerateWith is Generate with fields that only the model's family knows, an object
// as in additionalModelRequestFields of Converse.
func (rt *Runtime) GenerateWith(ctx context.Context, modelID string, r *engine.Request, fields json.RawMessage, emit func(engine.Delta) error) (*engine.Result, error) {
	w, err := rt.begin(ctx, modelID)
	if err != nil {
		return nil, err
	}
	defer w.finish()
	extra, err := extraFields(fields)
	if err != nil {
		return nil, err
	}
	if err := w.complete(r, extra); err != nil {
		return nil, err
	}
	return w.generate(ctx, r, converseTool, emit)
}

// complete lets the family fill its defaults and check what it has no place for.
func (w *work) complete(r *engine.Request, fields family.Value) error {
	if w.target.Kind != engine.Chat {
		return invalid("The model %s does not hold conversations: use InvokeModel with its own body.", w.target.BaseID)
	}
	if w.codec == nil {
		return w.noCodec()
	}
	if err := w.checkVision(r); err != nil {
		return err
	}
	return quoted(w.codec.Converse(r, fields, w.model))
}

func (w *work) noCodec() error {
	return apierr.New(apierr.Validation, "The body format of %s (family %s) is not built in Outcrop.", w.target.BaseID, w.target.Family)
}
