package llamacpp

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine/install"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// Config of an engine. The zero value serves the models that suit this machine
// and fetches what is missing at first use.
type Config struct {
	CacheDir string // default weights.DefaultDir()
	Logger   *slog.Logger

	// Names of the vetted list, or paths of GGUF files. "" chooses by memory and
	// reachability.
	ChatModel      string
	EmbeddingModel string
	RerankModel    string   // "" serves a reranker only when one is in the cache
	Models         []string // served beside these
	Pinned         []string // never unloaded, and started by Prepare

	Threads       int   // of each child; 0 leaves it to the engine
	Parallel      int   // requests that one chat model answers at once; default 2
	ContextTokens int   // of one request; default 16384, no more than the model's
	MemoryLimit   int64 // for all models together, in bytes; 0 is what is free
	PromptCacheMB int   // prompts kept beside the slots; default 512

	IdleUnload   time.Duration // default 15 min; negative never unloads
	LoadTimeout  time.Duration // from start to ready; default 10 min
	LoadWait     time.Duration // how long a request waits for fetching and loading; default 2 min, then NotReady
	QueueLimit   int           // requests that wait for one model; default 64
	QueueTimeout time.Duration // default 5 min
	StallTimeout time.Duration // longest silence within an answer; default 3 min

	HealthEvery   time.Duration // default 1 s
	HealthTimeout time.Duration // default 3 s
	HealthFails   int           // failures in a row after which a child is killed; default 3
	BackoffFirst  time.Duration // before the first restart, doubled each time; default 200 ms
	BackoffMost   time.Duration // default 30 s

	// RerankByEmbedding scores by the cosine of embeddings where no reranker is
	// served; otherwise Rerank answers Unsupported there.
	RerankByEmbedding bool

	// NoInstall forbids fetching an engine program; Offline forbids fetching at all.
	NoInstall bool
	Offline   bool
	Progress  fetch.Progress
	Getenv    func(string) string // default os.Getenv

	// Program is used instead of looking for one.
	Program *install.Program
	// Loopback makes children listen on a loopback port although Unix sockets
	// are there.
	Loopback bool
	Now      func() time.Time

	// obituary is how long a request whose connection broke waits to learn that
	// the child has died; tests that break thousands shorten it.
	obituary time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.Parallel < 0 || c.ContextTokens < 0 || c.MemoryLimit < 0 || c.Threads < 0 {
		return c, fmt.Errorf("engine configuration: negative sizes make no sense")
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler)).With("engine", "llamacpp")
	c.Parallel = cmp.Or(c.Parallel, 2)
	c.ContextTokens = cmp.Or(c.ContextTokens, 16384)
	c.PromptCacheMB = cmp.Or(c.PromptCacheMB, 512)
	c.IdleUnload = cmp.Or(c.IdleUnload, 15*time.Minute)
	c.LoadTimeout = cmp.Or(c.LoadTimeout, 10*time.Minute)
	c.LoadWait = cmp.Or(c.LoadWait, 2*time.Minute)
	c.QueueLimit = cmp.Or(c.QueueLimit, 64)
	c.QueueTimeout = cmp.Or(c.QueueTimeout, 5*time.Minute)
	c.StallTimeout = cmp.Or(c.StallTimeout, 3*time.Minute)
	c.HealthEvery = cmp.Or(c.HealthEvery, time.Second)
	c.HealthTimeout = cmp.Or(c.HealthTimeout, 3*time.Second)
	c.HealthFails = cmp.Or(c.HealthFails, 3)
	c.BackoffFirst = cmp.Or(c.BackoffFirst, 200*time.Millisecond)
	c.BackoffMost = cmp.Or(c.BackoffMost, 30*time.Second)
	c.Loopback = c.Loopback || runtime.GOOS == "windows"
	c.obituary = cmp.Or(c.obituary, 500*time.Millisecond)
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// AdapterFile is a LoRA adapter that requests may name.
type AdapterFile struct {
	ID    string
	Model string // local name of its base model
	Path  string // GGUF
}
