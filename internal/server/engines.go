package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
	"github.com/outcrop-dev/outcrop/internal/engine/openai"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// openEngine makes the engine that the settings name.
func openEngine(ctx context.Context, c *config.Config, log *slog.Logger, o *Options) (engine.Engine, error) {
	e, err := textEngine(ctx, c, log, o)
	if err != nil || c.ImageEngine == "" || strings.HasPrefix(c.Engine, "http") {
		return e, err
	}
	images, err := openai.New(openai.Config{Images: imagesOf(c), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--image-engine: %w", err)
	}
	return &painting{Engine: e, images: images}, nil
}

func textEngine(ctx context.Context, c *config.Config, log *slog.Logger, o *Options) (engine.Engine, error) {
	switch kind, rest, _ := strings.Cut(c.Engine, ":"); kind {
	case "script":
		return script.New(script.Config{File: rest})
	case "http", "https":
		return openai.New(openai.Config{
			BaseURL: apiRoot(c.Engine), APIKey: c.EngineKey, ChatModel: c.ChatModel, EmbeddingModel: c.EmbeddingModel,
			Images: imagesOf(c), Logger: log,
		})
	}
	e, err := llamacpp.New(llamacpp.Config{
		CacheDir: c.Cache, Logger: log, ChatModel: c.ChatModel, EmbeddingModel: c.EmbeddingModel,
		Models: aliased(c), Threads: c.Threads, Parallel: c.Parallel, ContextTokens: c.Context, MemoryLimit: c.Memory,
		IdleUnload: c.IdleUnload, Offline: c.Offline, Progress: progress(o),
	})
	if err != nil {
		return nil, err
	}
	if o.Fetch {
		if err := e.Prepare(ctx); err != nil {
			return nil, fmt.Errorf("prepare the engine: %w", errors.Join(err, e.Close()))
		}
	}
	return e, nil
}

// apiRoot completes an address without a path: people give HOST:PORT, and the
// API of every such endpoint stands under /v1.
func apiRoot(address string) string {
	if u, err := url.Parse(address); err == nil && strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1"
		return u.String()
	}
	return address
}

// aliased are the local models that aliases name: the engine must serve them too.
func aliased(c *config.Config) []string {
	var out []string
	for _, m := range c.Aliases {
		out = append(out, m)
	}
	return out
}

func imagesOf(c *config.Config) *openai.Images {
	if c.ImageEngine == "" {
		return nil
	}
	d := openai.StableDiffusion
	if strings.HasSuffix(strings.TrimRight(c.ImageEngine, "/"), "/v1") {
		d = openai.OpenAIImages
	}
	return &openai.Images{BaseURL: c.ImageEngine, APIKey: c.EngineKey, Dialect: d}
}

// progress shows what is fetched where a person can see it.
func progress(o *Options) fetch.Progress {
	if o.Terminal == nil {
		return nil
	}
	return fetch.NewProgress(o.Terminal)
}

// painting is an engine for text with another one for images beside it.
type painting struct {
	engine.Engine
	images engine.Engine
}

func (p *painting) Models(ctx context.Context) ([]engine.Info, error) {
	text, err := p.Engine.Models(ctx)
	if err != nil {
		return nil, err
	}
	images, err := p.images.Models(ctx)
	if err != nil {
		return nil, err
	}
	return append(text, images...), nil
}

func (p *painting) Paint(ctx context.Context, r *engine.PaintRequest) (*engine.PaintResult, error) {
	return p.images.Paint(ctx, r)
}

func (p *painting) Close() error { return errors.Join(p.images.Close(), p.Engine.Close()) }
