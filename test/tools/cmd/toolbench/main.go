// Command toolbench runs the tool-calling tasks of test/tools on an engine,
// prints a table and writes docs/benchmarks-tools.md.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
	"github.com/outcrop-dev/outcrop/test/tools"
)

// options of one run.
type options struct {
	engine, model, file, set, only, out string
	seed                                uint64
	runs, least, threads                int
	limit                               time.Duration
	verbose                             bool
}

func main() {
	var o options
	flag.StringVar(&o.engine, "engine", "llamacpp", "llamacpp or script")
	flag.StringVar(&o.model, "model", "qwen2.5-coder-1.5b", "local name of the chat model")
	flag.StringVar(&o.file, "script", "", "file of the script engine")
	flag.StringVar(&o.set, "set", "all", "all, tuning or heldout")
	flag.StringVar(&o.only, "case", "", "run this case alone")
	flag.StringVar(&o.out, "out", "docs/benchmarks-tools.md", "page to write after a run of all cases, \"\" for none")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of the facts; 0 takes the clock")
	flag.IntVar(&o.runs, "runs", 1, "runs, each with other facts")
	flag.IntVar(&o.least, "least", 90, "per cent of right tasks below which the command fails")
	flag.IntVar(&o.threads, "threads", 0, "threads of the engine; 0 leaves it to the engine")
	flag.DurationVar(&o.limit, "limit", 30*time.Minute, "longest time of everything")
	flag.BoolVar(&o.verbose, "v", false, "print calls and answers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "toolbench:", err)
		stop()
		os.Exit(1)
	}
}

// open makes the engine.
func open(o options) (engine.Engine, error) {
	switch o.engine {
	case "script":
		return script.New(script.Config{File: o.file})
	case "llamacpp":
		return llamacpp.New(llamacpp.Config{ChatModel: o.model, ContextTokens: 8192, Parallel: 1, Threads: o.threads,
			HealthFails: 60, // a machine that is busy otherwise must not spoil the run

			Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Progress: fetch.NewProgress(os.Stderr)})
	}
	return nil, fmt.Errorf("unknown engine %q", o.engine)
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	cases := slices.Clone(tools.Cases)
	cases = slices.DeleteFunc(cases, func(c tools.Case) bool {
		return o.set == "tuning" && c.HeldOut || o.set == "heldout" && !c.HeldOut || o.only != "" && c.ID != o.only
	})
	if len(cases) == 0 || !slices.Contains([]string{"all", "tuning", "heldout"}, o.set) {
		return errors.New("no such cases")
	}
	o.seed = cmp.Or(o.seed, uint64(time.Now().Unix()))
	e, err := open(o)
	if err != nil {
		return fmt.Errorf("open engine: %w", err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if o.engine == "script" {
		o.model = "" // it serves its own
	}
	// The first request loads the model; it is not part of any task's time.
	warm := &engine.Request{Model: o.model, Messages: []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: "Hi"}}}}, Sampling: engine.Sampling{MaxTokens: 1}}
	first, err := warmUp(ctx, e, warm)
	if err != nil {
		return fmt.Errorf("load the model: %w", err)
	}

	var all []*tools.Outcome
	var page bytes.Buffer
	start := time.Now()
	for i := range o.runs {
		seed := o.seed + uint64(i)
		list, err := tools.RunAll(ctx, e, o.model, cases, seed, func(out *tools.Outcome) {
			state := "right"
			if !out.Passed() {
				state = "WRONG: " + out.Why
			}
			fmt.Fprintf(w, "%-24s %5.1fs %s\n", out.Case.ID, out.Took.Seconds(), state)
			if o.verbose {
				for _, c := range out.Calls {
					fmt.Fprintf(w, "      call %s\n", c)
				}
				for _, t := range out.Texts {
					fmt.Fprintf(w, "      text %q\n", t)
				}
			}
		})
		if err != nil {
			return err
		}
		all = append(all, list...)
		fmt.Fprintf(&page, "\n## Facts drawn with seed %d\n\n", seed)
		if err := tools.Table(&page, list); err != nil {
			return err
		}
	}
	passed, total := tools.Score(all, nil)
	summary := summarise(first.Model, o, all, time.Since(start))
	fmt.Fprint(w, "\n", summary)
	if o.out != "" && o.set == "all" && o.only == "" {
		if err := os.WriteFile(o.out, append([]byte(summary), page.Bytes()...), 0o644); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	if passed*100 < o.least*total {
		return fmt.Errorf("%d of %d tasks are right, %d %% are wanted", passed, total, o.least)
	}
	return nil
}

// warmUp repeats the first request while the engine is getting ready.
func warmUp(ctx context.Context, e engine.Engine, req *engine.Request) (*engine.Result, error) {
	for {
		res, err := e.Generate(ctx, req, nil)
		ee, ok := errors.AsType[*engine.Error](err)
		if !ok || ee.Kind != engine.NotReady {
			return res, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func summarise(model string, o options, all []*tools.Outcome, took time.Duration) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Tool calling: %s on %s\n\n", model, o.engine)
	fmt.Fprintf(&b, "Written by `make bench-tools` (`go run ./test/tools/cmd/toolbench -engine %s -model %s`) on %s/%s, %d CPUs, %s. ",
		o.engine, model, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	b.WriteString("A task is right when exactly the wanted calls were made, with the wanted arguments, and the last text holds the facts that the tools answered. " +
		"The facts are drawn anew in every run. The held-out tasks were not looked at while prompts and grammar were tuned. Greedy sampling.\n\n")
	b.WriteString("| tasks | right | of |\n|---|---|---|\n")
	rows := []struct {
		name string
		keep func(*tools.Outcome) bool
	}{
		{"tuning", func(x *tools.Outcome) bool { return !x.Case.HeldOut }},
		{"held out", func(x *tools.Outcome) bool { return x.Case.HeldOut }},
		{"**all**", nil},
	}
	for _, r := range rows {
		passed, total := tools.Score(all, r.keep)
		if total > 0 {
			fmt.Fprintf(&b, "| %s | %d (%.0f %%) | %d |\n", r.name, passed, 100*float64(passed)/float64(total), total)
		}
	}
	var steps, input, cached, output int
	for _, x := range all {
		steps, input, cached, output = steps+x.Steps, input+x.Input, cached+x.Cached, output+x.Output
	}
	fmt.Fprintf(&b, "\n%d generations in %.0f s, %.1f s a task; %d prompt tokens, %.0f %% of them from the prefix cache; %d tokens generated.\n",
		steps, took.Seconds(), took.Seconds()/float64(len(all)), input, 100*float64(cached)/float64(max(input, 1)), output)
	return b.String()
}
