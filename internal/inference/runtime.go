package inference

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Config says what a Runtime works with. Engine, Resolver and Families are needed.
type Config struct {
	Engine   engine.Engine
	Resolver catalog.Resolver
	// Families holds the codec of each native body format. A family without one
	// cannot be invoked, but Converse refuses it in the same words.
	Families map[catalog.Family]family.Codec
	// Recorder learns of every call when it has ended; nil for none.
	Recorder Recorder
	// NewID returns n random letters and digits; nil uses crypto/rand.
	NewID func(n int) string
	// OpenAfter is how long a stream waits for its first event before its head is
	// sent without one; 0 is 5 s. Clients give up on a silent connection after 60 s.
	OpenAfter time.Duration
	Log       *slog.Logger
}

// Runtime answers the inference operations of bedrock-runtime.
type Runtime struct {
	engine    engine.Engine
	resolver  catalog.Resolver
	families  map[catalog.Family]family.Codec
	recorder  Recorder
	newID     func(int) string
	openAfter time.Duration
	log       *slog.Logger

	untokenized sync.Map // local models for which the engine has no tokenizer
}

// New returns a Runtime. It starts nothing.
func New(c Config) *Runtime {
	rt := &Runtime{
		engine: c.Engine, resolver: c.Resolver, families: c.Families, recorder: c.Recorder,
		newID: c.NewID, openAfter: cmp.Or(c.OpenAfter, 5*time.Second), log: cmp.Or(c.Log, slog.Default()),
	}
	if rt.newID == nil {
		rt.newID = randomID
	}
	return rt
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomID returns n random letters and digits. The slight favour that the
// remainder gives the first of them does not matter: ids need only be unique.
func randomID(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// A Recorder learns of calls: it is how invocation logging sees them. Record is
// called once for each call that reached a model or was refused by its body's
// checks, after the answer was written; it must not block.
type Recorder interface {
	Record(ctx context.Context, r *Record)
}

// Record is one inference call. Nothing in it may be changed.
type Record struct {
	Operation string // Converse, InvokeModel …
	Time      time.Time
	Target    *catalog.Target
	// Input is the []byte of a native body, a *bedrockruntime.ConverseInput or a
	// *bedrockruntime.ConverseStreamInput.
	Input any
	// Output is the []byte of a native body, a [][]byte of a native stream's
	// chunks, or a *bedrockruntime.ConverseOutput (also for ConverseStream); nil
	// when there was none.
	Output  any
	Metrics family.Metrics
	Err     error // why the call failed, nil for success
}

// modelOf is what a codec may know of a target.
func modelOf(t *catalog.Target) family.Model {
	m := family.Model{
		ID: t.BaseID, Family: string(t.Family), Context: t.Context, MaxOutput: t.MaxOutput,
		Tools: t.Tools, System: t.System, Vision: t.Vision, Custom: t.CustomARN != "",
	}
	if e := t.Embedding; e != nil {
		m.Dimension, m.Dimensions, m.EmbedsImages = e.Default, e.Allowed, e.Images
	}
	return m
}
