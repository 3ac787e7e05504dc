//go:build unix

package llamacpp

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/enginetest"
	"github.com/outcrop-dev/outcrop/internal/engine/gguf"
	"github.com/outcrop-dev/outcrop/internal/engine/openai"
)

const storyPrompt = "Write a story about a stone that wants to see the sea. Begin with: Once upon a time"

func TestTheRealEngineKeepsTheContract(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		e := realEngine(t, func(c *Config) { c.RerankByEmbedding = true })
		return enginetest.Subject{Engine: e, Prompt: storyPrompt, Exact: true, Tools: true, Tokenizes: true, Embeds: true, Reranks: true, Endless: true}
	})
}

// The same child, seen from outside through OpenAI's dialect.
func TestARealServerKeepsTheContractThroughTheDialect(t *testing.T) {
	local := realEngine(t, func(c *Config) { c.Loopback = true })
	name := local.cfg.ChatModel
	inst, release, err := local.loader.acquire(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		e, err := openai.New(openai.Config{
			BaseURL: "http://127.0.0.1:" + strconv.Itoa(inst.launch.Port) + "/v1", APIKey: inst.launch.Key, NoTools: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return enginetest.Subject{Engine: onlyKnown{e, name}, Prompt: storyPrompt, Exact: true, Tokenizes: true, Endless: true}
	})
}

// onlyKnown refuses other models: llama-server answers to any name.
type onlyKnown struct {
	*openai.Engine
	name string
}

func (o onlyKnown) Generate(ctx context.Context, req *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	if req.Model != "" && req.Model != o.name {
		return nil, &engine.Error{Kind: engine.NoModel, Message: "no such model"}
	}
	return o.Engine.Generate(ctx, req, emit)
}

func TestARealAdapterChangesTheAnswerOnlyWhenItIsNamed(t *testing.T) {
	e := realEngine(t, nil)
	m, err := e.store.Pull(t.Context(), e.cfg.ChatModel)
	if err != nil {
		t.Fatal(err)
	}
	h, err := gguf.ReadFile(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "noise.gguf")
	writeNoise(t, path, h)
	if err := e.SetAdapters(e.cfg.ChatModel, []AdapterFile{{ID: "noise", Model: e.cfg.ChatModel, Path: path}}); err != nil {
		t.Fatal(err)
	}
	ask := func(a ...engine.Adapter) string {
		res, err := e.Generate(t.Context(), &engine.Request{Messages: []engine.Message{user("Name three colours.")}, Adapters: a, Sampling: engine.Sampling{MaxTokens: 16, Temperature: new(0.0)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res.Text()
	}
	base := ask()
	with := ask(engine.Adapter{ID: "noise", Scale: 1})
	if with == base {
		t.Errorf("the adapter does nothing: %q", base)
	}
	if zero := ask(engine.Adapter{ID: "noise", Scale: 0}); zero != base {
		t.Errorf("at scale 0 %q, without %q", zero, base)
	}
	if again := ask(); again != base {
		t.Errorf("it stays behind: %q, before %q", again, base)
	}
	t.Logf("base %q, with noise %q", base, with)
}

// writeNoise makes a LoRA adapter of rank 4 with random numbers for the first
// layer's output projection.
func writeNoise(t *testing.T, path string, base *gguf.Header) {
	t.Helper()
	n := uint64(base.Dimension())
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(count uint64) func(*gguf.Numbers) error {
		return func(w *gguf.Numbers) error {
			for range count {
				w.Put(float32(rng.NormFloat64()))
			}
			return nil
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = gguf.Write(f, []gguf.Pair{
		{Key: "general.type", Value: "adapter"}, {Key: "general.architecture", Value: base.Arch()}, {Key: "adapter.type", Value: "lora"}, {Key: "adapter.lora.alpha", Value: float32(8)},
	}, []gguf.Source{
		{Name: "blk.0.attn_output.weight.lora_a", Shape: []uint64{n, 4}, Fill: noise(4 * n)},
		{Name: "blk.0.attn_output.weight.lora_b", Shape: []uint64{4, n}, Fill: noise(4 * n)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARealChildDiesWithItsServer(t *testing.T) {
	e := realEngine(t, nil)
	inst, release, err := e.loader.acquire(t.Context(), e.cfg.ChatModel)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	// The end of standard input alone must be enough where no kernel helps.
	prog, err := e.findProgram(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := inst.launch
	l.Host = filepath.Join(e.socket, "second.sock")
	cmdline, err := l.command(prog)
	if err != nil {
		t.Fatal(err)
	}
	if len(cmdline.Input) == 0 {
		t.Skip("this program does not watch its input")
	}
	cmd := exec.Command(cmdline.Path, cmdline.Args...)
	cmd.Stdin = strings.NewReader(string(cmdline.Input)) // ends at once
	done := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Error("it outlived its input")
	}
}
