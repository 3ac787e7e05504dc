package llamacpp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
	"github.com/outcrop-dev/outcrop/internal/engine/weights"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// Engine serves local models. Make one with New.
type Engine struct {
	cfg    Config
	store  *weights.Store
	loader *loader
	socket string // folder of Unix sockets, "" for loopback ports
	free   func() // gives it back

	// chosen remembers the default model of each kind; choosing may probe the
	// network and is done once. The one-slot channel makes waiting obey ctx.
	choosing chan struct{}
	mu       sync.Mutex
	chosen   map[engine.Kind]string
	program  *install.Program

	traits sync.Map // model name → traits, learnt at first load
	known  sync.Map // resolved → target: what is cached need not be looked for on each request
	closer sync.Once
}

var _ engine.Engine = (*Engine)(nil)

// New makes an engine. It starts no child and asks no network: both happen at
// first use, or in Prepare.
func New(cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	store, err := weights.New(weights.Config{Dir: cfg.CacheDir, Offline: cfg.Offline, Progress: cfg.Progress, Logger: cfg.Logger, Getenv: cfg.Getenv})
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, store: store, choosing: make(chan struct{}, 1), chosen: map[engine.Kind]string{}, program: cfg.Program}
	for kind, name := range map[engine.Kind]*string{engine.Chat: &cfg.ChatModel, engine.Embedding: &cfg.EmbeddingModel, engine.Reranker: &cfg.RerankModel} {
		if *name == "" {
			continue
		}
		m, err := store.Find(*name)
		if err != nil {
			return nil, fmt.Errorf("%s model: %w", kind, err)
		}
		if m.Kind != kind {
			return nil, fmt.Errorf("%s model: %s is for %s", kind, *name, m.Kind)
		}
		e.chosen[kind] = *name
	}
	if !cfg.Loopback {
		dir, free, err := sockets(os.TempDir())
		switch {
		case err != nil: // loopback ports, then
		case len(dir) > 90: // addresses of Unix sockets are short
			free()
		default:
			e.socket, e.free = dir, free
		}
	}
	seq := 0
	l := &loader{
		cfg: cfg, store: store, program: e.findProgram, memory: func() int64 { return available("/") },
		turn: make(chan struct{}, 1), units: map[string]*unit{}, changed: make(chan struct{}),
		// Starts are one at a time, so the counter needs no lock.
		starter: &starter{cfg: cfg, socket: e.socket, seq: func() int { seq++; return seq }},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	e.loader = l
	l.wg.Go(l.tidy)
	return e, nil
}

// socketLock is the file by which a living server holds its folder of sockets.
const socketLock = ".lock"

// sockets makes a folder for Unix sockets, held until free is called, and
// removes those of servers that were killed.
func sockets(temp string) (dir string, free func(), err error) {
	ended, cancel := context.WithCancel(context.Background())
	cancel() // try once, do not wait
	old, _ := filepath.Glob(filepath.Join(temp, "outcrop-*", socketLock))
	for _, lock := range old {
		if unlock, err := fetch.Lock(ended, lock); err == nil {
			_ = os.RemoveAll(filepath.Dir(lock)) // another user's folder stays
			unlock()
		}
	}
	if dir, err = os.MkdirTemp(temp, "outcrop-"); err != nil {
		return "", nil, err
	}
	unlock, err := fetch.Lock(ended, filepath.Join(dir, socketLock))
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir); unlock() }, nil
}

// Close stops all children, waits for their end and removes the sockets.
func (e *Engine) Close() error {
	e.closer.Do(func() {
		e.loader.close()
		if e.free != nil {
			e.free()
		}
	})
	return nil
}

// Prepare makes everything ready that a first request would otherwise wait for:
// the engine program, the default models, and the pinned ones in memory. The
// progress display shows what is fetched.
func (e *Engine) Prepare(ctx context.Context) error {
	if _, err := e.findProgram(ctx); err != nil {
		return err
	}
	for _, kind := range []engine.Kind{engine.Chat, engine.Embedding} {
		name, err := e.choose(ctx, kind)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(name, ".gguf") {
			if _, err := e.store.Pull(ctx, name); err != nil {
				return err
			}
		}
	}
	for _, name := range e.cfg.Pinned {
		_, release, err := e.loader.acquire(ctx, name)
		if err != nil {
			return fmt.Errorf("pinned model: %w", err)
		}
		release()
	}
	return nil
}

func (e *Engine) findProgram(ctx context.Context) (install.Program, error) {
	e.mu.Lock()
	p := e.program
	e.mu.Unlock()
	if p != nil {
		return *p, nil
	}
	cfg := install.Config{Dir: e.cfg.CacheDir, Offline: e.cfg.Offline, Progress: e.cfg.Progress, Logger: e.cfg.Logger, Getenv: e.cfg.Getenv}
	found, err := install.Find(ctx, cfg)
	if errors.Is(err, install.ErrMissing) && !e.cfg.NoInstall && !e.cfg.Offline {
		found, err = install.Install(ctx, cfg)
	}
	if err != nil {
		return install.Program{}, err
	}
	e.mu.Lock()
	e.program = &found
	e.mu.Unlock()
	return found, nil
}

// choose returns the default model of a kind.
func (e *Engine) choose(ctx context.Context, kind engine.Kind) (string, error) {
	e.mu.Lock()
	name := e.chosen[kind]
	e.mu.Unlock()
	if name != "" {
		return name, nil
	}
	select {
	case e.choosing <- struct{}{}:
		defer func() { <-e.choosing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	e.mu.Lock()
	name = e.chosen[kind]
	e.mu.Unlock()
	if name != "" {
		return name, nil
	}
	memory := e.cfg.MemoryLimit
	if memory == 0 {
		memory = e.loader.memory()
	}
	m, err := e.store.Choose(ctx, kind, memory)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &engine.Error{Kind: engine.Unavailable, Message: fmt.Sprintf("no %s model can be served", kind), Hint: "run `outcrop doctor`, or name a .gguf file", Err: err}
	}
	e.mu.Lock()
	e.chosen[kind] = m.Name
	e.mu.Unlock()
	e.cfg.Logger.Info("default model chosen", "kind", kind, "model", m.Name, "cached", m.Cached)
	return m.Name, nil
}

// Models implements engine.Engine: the defaults, whatever the cache holds, and
// what the configuration names. The default models stand there even when they
// are yet to be fetched.
func (e *Engine) Models(ctx context.Context) ([]engine.Info, error) {
	var names []string
	for _, kind := range []engine.Kind{engine.Chat, engine.Embedding} {
		name, err := e.choose(ctx, kind)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue // such as offline with an empty cache
		}
		names = append(names, name)
	}
	names = append(names, e.cfg.RerankModel)
	names = append(names, e.cfg.Models...)
	names = append(names, e.cfg.Pinned...)
	for _, l := range e.store.List() {
		if l.Cached {
			names = append(names, l.Name)
		}
	}
	var out []engine.Info
	for _, name := range names {
		if name == "" {
			continue
		}
		m, err := e.store.Find(name)
		if err != nil || slices.ContainsFunc(out, func(i engine.Info) bool { return i.Name == m.Name }) {
			continue
		}
		out = append(out, e.info(name, m))
	}
	return out, nil
}

// info describes a model; name is how requests reach it.
func (e *Engine) info(name string, m weights.Local) engine.Info {
	i := engine.Info{
		Name: m.Name, Kind: m.Kind, Context: m.Context, Dimension: m.Dimension, Tools: m.Tools, Vision: m.Vision, Thinking: m.Thinking,
		Hash: m.Sum, Licence: m.Licence, Engine: "llamacpp", Loaded: e.loader.loaded(name),
	}
	if m.Kind == engine.Chat {
		i.Context = min(e.cfg.ContextTokens, cmp.Or(m.Context, e.cfg.ContextTokens))
	}
	if t, ok := e.traits.Load(name); ok {
		t := t.(traits)
		i.Tools, i.Context = t.tools, t.context
	}
	return i
}

// resolve turns Request.Model into the name that the loader knows: a path is
// known by its base name too.
func (e *Engine) resolve(ctx context.Context, name string, kind engine.Kind) (string, weights.Local, error) {
	key := resolved{name, kind}
	if t, ok := e.known.Load(key); ok {
		t := t.(target)
		return t.name, t.model, nil
	}
	name, m, err := e.lookUp(ctx, name, kind)
	if err == nil && m.Cached {
		e.known.Store(key, target{name, m})
	}
	return name, m, err
}

type resolved struct {
	name string
	kind engine.Kind
}

type target struct {
	name  string
	model weights.Local
}

func (e *Engine) lookUp(ctx context.Context, name string, kind engine.Kind) (string, weights.Local, error) {
	if name == "" {
		var err error
		if name, err = e.choose(ctx, kind); err != nil {
			return "", weights.Local{}, err
		}
	}
	e.mu.Lock()
	named := []string{e.chosen[engine.Chat], e.chosen[engine.Embedding], e.chosen[engine.Reranker]}
	e.mu.Unlock()
	for _, p := range slices.Concat(named, e.cfg.Models, e.cfg.Pinned) {
		if strings.HasSuffix(p, ".gguf") && baseName(p) == name {
			name = p
		}
	}
	// A path reaches only files that the configuration names: requests come from
	// strangers.
	if strings.HasSuffix(name, ".gguf") && !slices.Contains(slices.Concat(named, e.cfg.Models, e.cfg.Pinned), name) {
		return "", weights.Local{}, &engine.Error{Kind: engine.NoModel, Message: "no such model: a file is served only when the configuration names it"}
	}
	m, err := e.store.Find(name)
	if err != nil {
		return "", m, &engine.Error{Kind: engine.NoModel, Message: fmt.Sprintf("no such model: %s", name), Err: err}
	}
	if m.Kind != kind {
		return "", m, &engine.Error{Kind: engine.Unsupported, Message: fmt.Sprintf("model %s is for %s, not for %s", m.Name, m.Kind, kind)}
	}
	return name, m, nil
}

func baseName(path string) string {
	path = strings.TrimSuffix(path, ".gguf")
	if i := strings.LastIndexAny(path, `/\`); i >= 0 {
		path = path[i+1:]
	}
	return path
}

// SetAdapters replaces the LoRA adapters that requests to a model may name. The
// model's child is replaced when nobody uses it and somebody needs it.
func (e *Engine) SetAdapters(model string, adapters []AdapterFile) error {
	for i, a := range adapters {
		if a.ID == "" || slices.ContainsFunc(adapters[:i], func(b AdapterFile) bool { return b.ID == a.ID }) {
			return fmt.Errorf("adapter %d of model %s: its id is empty or taken", i, model)
		}
		if _, err := os.Stat(a.Path); err != nil {
			return fmt.Errorf("adapter %s: %w", a.ID, err)
		}
	}
	e.loader.setAdapters(model, slices.Clone(adapters))
	return nil
}

// Paint implements engine.Engine: llama.cpp paints nothing.
func (e *Engine) Paint(context.Context, *engine.PaintRequest) (*engine.PaintResult, error) {
	return nil, &engine.Error{Kind: engine.Unsupported, Message: "no image model is served", Hint: "configure an image endpoint (stable-diffusion.cpp or an OpenAI images endpoint)"}
}
