package llamacpp

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
)

//go:embed serve.py
var serveScript string

// launch is everything that one child is told.
type launch struct {
	Model     string // weight file
	Projector string // image projector, "" for none
	Alias     string // name that the child answers with
	Unit      string // name that the loader knows it by: a path for a file
	Kind      engine.Kind
	Host      string // path of a Unix socket, or an address
	Port      int    // with an address
	Key       string // every request must carry it
	Context   int    // tokens of one slot
	Slots     int
	Threads   int // 0 leaves it to the engine
	CacheMB   int // prompt cache beside the slots
	Adapters  []string
}

// batch is the physical batch: an encoder must see a whole input in one.
func (l *launch) batch() int {
	if l.Kind == engine.Chat {
		return 512
	}
	return max(512, l.Context)
}

// command writes l for the program at hand.
func (l *launch) command(p install.Program) (Command, error) {
	if p.Form == install.Wheel {
		return l.python(p)
	}
	args := []string{
		"--model", l.Model, "--alias", l.Alias, "--host", l.Host,
		"--ctx-size", strconv.Itoa(l.Context * l.Slots), "--parallel", strconv.Itoa(l.Slots),
		"--ubatch-size", strconv.Itoa(l.batch()), "--batch-size", strconv.Itoa(max(2048, l.batch())),
		"--metrics", "--slots", "--no-webui", "--jinja", "--no-context-shift",
	}
	if l.Port > 0 {
		args = append(args, "--port", strconv.Itoa(l.Port))
	}
	if l.Threads > 0 {
		args = append(args, "--threads", strconv.Itoa(l.Threads))
	}
	if l.Projector != "" {
		args = append(args, "--mmproj", l.Projector)
	}
	switch l.Kind {
	case engine.Embedding:
		args = append(args, "--embeddings")
	case engine.Reranker:
		args = append(args, "--reranking")
	default:
		args = append(args, "--cache-ram", strconv.Itoa(l.CacheMB))
	}
	for _, a := range l.Adapters {
		args = append(args, "--lora-scaled", a+":0")
	}
	if len(l.Adapters) > 0 {
		args = append(args, "--lora-init-without-apply")
	}
	// The environment is readable by this user only, the command line by all.
	return Command{Path: p.Path, Args: args, Env: append(waiting(), "LLAMA_API_KEY="+l.Key)}, nil
}

func (l *launch) python(p install.Program) (Command, error) {
	params := map[string]any{
		"hostnames": []string{l.Host}, "port": l.Port, "model_alias": []string{l.Alias}, "api_keys": []string{l.Key},
		"n_ctx": l.Context * l.Slots, "n_parallel": l.Slots, "n_ubatch": l.batch(), "n_batch": max(2048, l.batch()),
		"endpoint_metrics": true, "endpoint_slots": true, "ui": false, "use_jinja": true, "offline": true,
		"ctx_shift": false, "cache_ram_mib": l.CacheMB,
	}
	cfg := map[string]any{"lib": p.Lib, "model": l.Model, "mmproj": l.Projector, "threads": l.Threads, "lora": l.Adapters, "params": params}
	switch l.Kind {
	case engine.Embedding:
		params["embedding"] = true
	case engine.Reranker:
		params["embedding"], cfg["pooling"] = true, "RANK"
	default: // a chat model generates, which needs no flag
	}
	line, err := json.Marshal(cfg)
	if err != nil {
		return Command{}, fmt.Errorf("configuration of the engine: %w", err)
	}
	return Command{Path: p.Path, Args: []string{"-I", "-u", "-c", serveScript}, Env: waiting(), Input: append(line, '\n')}, nil
}

// waiting makes the child's compute threads sleep while they wait for each
// other. Spinning, their default, is the end of all speed where other programs
// want the processors, too: with two busy loops beside it on two cores a 0.5B
// model gave less than 4 tokens a second spinning and 42 sleeping, which is what
// it gives on an idle machine.
func waiting() []string {
	if os.Getenv("OMP_WAIT_POLICY") != "" {
		return nil
	}
	return []string{"OMP_WAIT_POLICY=passive"}
}
