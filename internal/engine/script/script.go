package script

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

var _ engine.Engine = (*Engine)(nil)

// Names of the models that the engine serves.
const (
	ChatModel   = "script-chat"
	EmbedModel  = "script-embed"
	RerankModel = "script-rerank"
	ImageModel  = "script-image"
)

// Config says what the engine answers. The zero value is usable: it repeats what
// the user said.
type Config struct {
	File   string    // path of the YAML file, "" for none
	Reader io.Reader // the file itself; used when File is ""

	Now   func() time.Time                                 // time.Now when nil
	Sleep func(ctx context.Context, d time.Duration) error // waits or returns ctx's error
	Seed  int64                                            // of images, log probabilities and ids

	Dimension int // of vectors when the file names none; 384 when 0
	Context   int // tokens of input and output; 131072 when 0
	Keep      int // requests that Requests remembers; 100 when 0
}

// Engine answers by rules.
type Engine struct {
	cfg  Config
	file *file
	seed string

	mu       sync.Mutex
	seen     []*engine.Request // the latest last
	prefixes prefixes
	closed   bool
}

// New reads the file. What it does not understand is an error that names the line.
func New(cfg Config) (*Engine, error) {
	src := cfg.Reader
	if cfg.File != "" {
		f, err := os.Open(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("open script: %w", err)
		}
		defer f.Close()
		src = f
	}
	if src == nil {
		src = strings.NewReader("")
	}
	f, err := load(src)
	if err != nil {
		if cfg.File != "" {
			err = fmt.Errorf("%s: %w", cfg.File, err)
		}
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	cfg.Dimension = cmp.Or(int(f.Dimension), cfg.Dimension, 384)
	cfg.Context = cmp.Or(cfg.Context, 131072)
	cfg.Keep = cmp.Or(cfg.Keep, 100)
	return &Engine{cfg: cfg, file: f, seed: fmt.Sprint(cfg.Seed)}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Models lists the four models.
func (e *Engine) Models(ctx context.Context) ([]engine.Info, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	return []engine.Info{
		{Name: ChatModel, Kind: engine.Chat, Context: e.cfg.Context, Tools: engine.ToolsNative, Vision: true, Licence: "Apache-2.0", Engine: "script", Loaded: true},
		{Name: EmbedModel, Kind: engine.Embedding, Context: e.cfg.Context, Dimension: e.cfg.Dimension, Licence: "Apache-2.0", Engine: "script", Loaded: true},
		{Name: RerankModel, Kind: engine.Reranker, Context: e.cfg.Context, Licence: "Apache-2.0", Engine: "script", Loaded: true},
		{Name: ImageModel, Kind: engine.Image, Licence: "Apache-2.0", Engine: "script", Loaded: true},
	}, nil
}

// Requests returns copies of the latest requests to Generate, the latest last:
// what a test asserts about prompts.
func (e *Engine) Requests() []*engine.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*engine.Request, len(e.seen))
	for i, r := range e.seen {
		out[i] = clone(r)
	}
	return out
}

// Close makes later calls fail; there is nothing to stop.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

// ready refuses work after Close and for callers that have gone.
func (e *Engine) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return &engine.Error{Kind: engine.Unavailable, Message: "the engine is closed"}
	}
	return nil
}

// model resolves the name of a model of the kind that want is; "" is want.
func (e *Engine) model(name, want string) (string, error) {
	switch name {
	case "", want:
		return want, nil
	case ChatModel, EmbedModel, RerankModel, ImageModel:
		return "", &engine.Error{Kind: engine.Unsupported, Message: fmt.Sprintf("model %s cannot do this, %s can", name, want)}
	}
	return "", &engine.Error{Kind: engine.NoModel, Message: fmt.Sprintf("there is no model %s", name)}
}

// clone copies a request as deep as a caller may change it.
func clone(r *engine.Request) *engine.Request {
	c := *r
	c.Messages = make([]engine.Message, len(r.Messages))
	for i, m := range r.Messages {
		c.Messages[i] = engine.Message{Role: m.Role, Parts: cloneParts(m.Parts)}
	}
	c.Tools = append([]engine.Tool(nil), r.Tools...)
	c.Stop = append([]string(nil), r.Stop...)
	c.Adapters = append([]engine.Adapter(nil), r.Adapters...)
	return &c
}

func cloneParts(parts []engine.Part) []engine.Part {
	out := append([]engine.Part(nil), parts...)
	for i := range out {
		p := &out[i]
		if p.ToolCall != nil {
			p.ToolCall = new(*p.ToolCall)
		}
		if p.ToolResult != nil {
			r := *p.ToolResult
			r.Parts = cloneParts(r.Parts)
			p.ToolResult = &r
		}
		if p.Reasoning != nil {
			p.Reasoning = new(*p.Reasoning)
		}
	}
	return out
}
