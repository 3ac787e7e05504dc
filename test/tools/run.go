package tools

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// maxSteps bounds the generations of one turn.
const maxSteps = 6

// Generator is the part of an engine that is measured.
type Generator interface {
	Generate(ctx context.Context, req *engine.Request, emit func(engine.Delta) error) (*engine.Result, error)
}

// Outcome is what became of a case.
type Outcome struct {
	Case   *Case
	Tools  int
	Calls  []string // name and arguments, in the order of the model
	Steps  int
	Took   time.Duration
	Input  int // tokens of all steps
	Cached int // of them from the prefix cache
	Output int
	Why    string // what went wrong, "" when nothing did
	Texts  []string
}

// Passed reports whether everything was right.
func (o *Outcome) Passed() bool { return o.Why == "" }

// Run drives one case. The facts follow from the seed and the case's name. The
// error is the engine's; a wrong answer is no error.
func Run(ctx context.Context, g Generator, model string, c *Case, seed uint64) (*Outcome, error) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.ID))
	task := c.Make(rand.New(rand.NewPCG(seed, h.Sum64())))
	o := &Outcome{Case: c, Tools: len(task.Tools)}
	start := time.Now()
	defer func() { o.Took = time.Since(start) }()
	req := &engine.Request{Model: model, System: task.System, Tools: task.Tools,
		Sampling: engine.Sampling{MaxTokens: 300, Temperature: new(0.0)}}
	for i := range task.Turns {
		turn := &task.Turns[i]
		req.Messages = append(req.Messages, engine.Message{Role: engine.User, Parts: []engine.Part{{Text: turn.User}}})
		if err := o.turn(ctx, g, req, turn); err != nil {
			return o, err
		}
		if o.Why != "" {
			return o, nil
		}
	}
	return o, nil
}

// turn goes on until the model answers in text.
func (o *Outcome) turn(ctx context.Context, g Generator, req *engine.Request, turn *Turn) error {
	made := make([]bool, len(turn.Calls))
	for range maxSteps {
		res, err := g.Generate(ctx, req, nil)
		if err != nil {
			return fmt.Errorf("step %d: %w", o.Steps+1, err)
		}
		o.Steps++
		o.Input += res.Usage.Input
		o.Cached += res.Usage.CacheRead
		o.Output += res.Usage.Output
		req.Messages = append(req.Messages, engine.Message{Role: engine.Assistant, Parts: res.Parts})
		var results []engine.Part
		for i := range res.Parts {
			if c := res.Parts[i].ToolCall; c != nil {
				results = append(results, engine.Part{ToolResult: o.answer(c, turn, made)})
			}
		}
		if len(results) > 0 {
			req.Messages = append(req.Messages, engine.Message{Role: engine.User, Parts: results})
			continue
		}
		o.Texts = append(o.Texts, res.Text())
		o.judge(res, turn, made)
		return nil
	}
	o.fail("no answer after %d steps", maxSteps)
	return nil
}

// answer plays the tool.
func (o *Outcome) answer(c *engine.ToolCall, turn *Turn, made []bool) *engine.ToolResult {
	o.Calls = append(o.Calls, c.Name+string(c.Arguments))
	for i := range turn.Calls {
		if w := &turn.Calls[i]; !made[i] && w.matches(c) {
			made[i] = true
			return &engine.ToolResult{ID: c.ID, Name: c.Name, Parts: []engine.Part{{Text: w.Result}}}
		}
	}
	o.fail("wrong call %s%s", c.Name, c.Arguments)
	return &engine.ToolResult{ID: c.ID, Name: c.Name, Error: true, Parts: []engine.Part{{Text: `{"error": "there is no data for this call"}`}}}
}

// judge looks at the end of a turn.
func (o *Outcome) judge(res *engine.Result, turn *Turn, made []bool) {
	for i, ok := range made {
		if !ok {
			o.fail("no call of %s", turn.Calls[i].Tool)
		}
	}
	text := plain(res.Text())
	if strings.TrimSpace(text) == "" {
		o.fail("no text at the end")
	}
	if res.Stop != engine.EndTurn {
		o.fail("ended with %s", res.Stop)
	}
	for _, s := range turn.Says {
		if !strings.Contains(text, plain(s)) {
			o.fail("%q is not in the answer %q", s, res.Text())
		}
	}
}

func plain(s string) string { return strings.ReplaceAll(strings.ToLower(s), ",", "") }

// fail keeps the first reason.
func (o *Outcome) fail(format string, args ...any) {
	if o.Why == "" {
		o.Why = fmt.Sprintf(format, args...)
	}
}

// RunAll drives the cases one after the other and tells each outcome to report.
func RunAll(ctx context.Context, g Generator, model string, cases []Case, seed uint64, report func(*Outcome)) ([]*Outcome, error) {
	var out []*Outcome
	for i := range cases {
		o, err := Run(ctx, g, model, &cases[i], seed)
		if err != nil {
			// An engine that is down says nothing about the model; one that
			// answers nonsense or overflows does.
			ee, ok := errors.AsType[*engine.Error](err)
			if !ok || ee.Kind != engine.BadOutput && ee.Kind != engine.TooLong {
				return out, fmt.Errorf("case %s: %w", cases[i].ID, err)
			}
			o.fail("engine: %v", err) // its failure is the case's failure
		}
		out = append(out, o)
		if report != nil {
			report(o)
		}
	}
	return out, nil
}

// Score counts passed and all outcomes among those that keep says.
func Score(list []*Outcome, keep func(*Outcome) bool) (passed, all int) {
	for _, o := range list {
		if keep == nil || keep(o) {
			all++
			if o.Passed() {
				passed++
			}
		}
	}
	return passed, all
}

// Table writes the outcomes as a Markdown table.
func Table(w io.Writer, list []*Outcome) error {
	var b strings.Builder
	b.WriteString("| task | tools | held out | calls | steps | seconds | prompt tokens (cached) | result |\n|---|---|---|---|---|---|---|---|\n")
	for _, o := range list {
		held, result := "", "right"
		if o.Case.HeldOut {
			held = "yes"
		}
		if !o.Passed() {
			result = "**wrong**: " + strings.NewReplacer("|", "\\|", "\n", " ").Replace(cut(o.Why, 160))
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %d | %d | %.1f | %d (%d) | %s |\n", o.Case.ID, o.Tools, held, len(o.Calls), o.Steps, o.Took.Seconds(), o.Input, o.Cached, result)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}
