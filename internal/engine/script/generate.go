package script

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Generate answers by the first rule that fits.
func (e *Engine) Generate(ctx context.Context, req *engine.Request, emit func(engine.Delta) error) (*engine.Result, error) {
	start := e.cfg.Now()
	local, prompt, err := e.prompt(ctx, req)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.seen = append(e.seen, clone(req))
	if over := len(e.seen) - e.cfg.Keep; over > 0 {
		e.seen = append(e.seen[:0], e.seen[over:]...)
	}
	e.mu.Unlock()

	v := look(req, local)
	r := e.file.Default
	for i := range e.file.Rules {
		if e.file.Rules[i].match(&v) {
			r = e.file.Rules[i].Reply
			break
		}
	}
	out, err := e.plan(req, r, &v, prompt)
	if err != nil {
		return nil, err
	}
	s := sender{e: e, emit: emit, gap: time.Duration(r.Gap), start: start}
	if err := e.cfg.Sleep(ctx, time.Duration(r.Delay)); err != nil {
		return nil, err
	}
	if r.Error != "" {
		return nil, e.fail(ctx, r, out, &s)
	}
	if err := s.send(ctx, out); err != nil {
		return nil, err
	}
	return e.result(req, local, prompt, out, &s), nil
}

// CountTokens counts the tokens of the rendered request, which is what Generate
// reports as input.
func (e *Engine) CountTokens(ctx context.Context, req *engine.Request) (int, error) {
	_, prompt, err := e.prompt(ctx, req)
	if err != nil {
		return 0, err
	}
	return len(tokenize(prompt)), nil
}

// Tokenize cuts text into the words that are counted.
func (e *Engine) Tokenize(ctx context.Context, model, text string) ([]engine.Token, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	switch model {
	case "", ChatModel, EmbedModel, RerankModel:
		return tokens(tokenize(text)), nil
	}
	_, err := e.model(model, ChatModel)
	return nil, err
}

// prompt checks and renders a request.
func (e *Engine) prompt(ctx context.Context, req *engine.Request) (local, prompt string, err error) {
	if err := e.ready(ctx); err != nil {
		return "", "", err
	}
	if local, err = e.model(req.Model, ChatModel); err != nil {
		return "", "", err
	}
	if len(req.Messages) == 0 {
		return "", "", &engine.Error{Kind: engine.BadRequest, Message: "the request has no messages"}
	}
	for i := range req.Messages {
		for j := range req.Messages[i].Parts {
			if p := &req.Messages[i].Parts[j]; p.Audio != nil || p.Video != nil {
				return "", "", &engine.Error{Kind: engine.Unsupported, Message: "model " + local + " takes text and images only"}
			}
		}
	}
	return local, render(req), nil
}

// planned is an answer before it is sent.
type planned struct {
	pieces []string // of the text, sent one at a time
	calls  []engine.ToolCall
	stop   engine.StopReason
	match  string   // stop sequence
	words  []string // tokens of the text
	output int      // tokens of text and calls
	prompt []string // tokens of the request
	input  int      // their number
}

func (p *planned) text() string { return strings.Join(p.pieces, "") }

// plan makes the answer and applies prefill, stop sequences and the length limit.
func (e *Engine) plan(req *engine.Request, r *reply, v *view, prompt string) (*planned, error) {
	out := &planned{stop: engine.EndTurn, prompt: tokenize(prompt)}
	out.input = len(out.prompt)
	if out.input >= e.cfg.Context {
		return nil, &engine.Error{Kind: engine.TooLong, Message: fmt.Sprintf("the input has %d tokens, the context %d", out.input, e.cfg.Context),
			Limit: e.cfg.Context, Got: out.input}
	}
	template := r.Text
	if template == nil && r.Error == failCrash {
		template = e.file.Default.Text // something to cut
	}
	said := ""
	if template != nil {
		var err error
		if said, err = template.render(v.fields); err != nil {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: "the reply's template failed", Err: err}
		}
	}
	if v.prefill != "" {
		said = strings.TrimPrefix(said, v.prefill)
	}
	for i, c := range r.ToolCalls {
		var w bytes.Buffer
		if err := c.Arguments.root.render(&w, v.fields); err != nil {
			return nil, &engine.Error{Kind: engine.BadOutput, Message: "the template of a tool argument failed", Err: err}
		}
		out.calls = append(out.calls, engine.ToolCall{ID: e.id(prompt, i), Name: c.Name, Arguments: w.Bytes()})
	}
	if len(out.calls) > 0 {
		out.stop = engine.ToolUse
	}
	if r.StopReason != "" {
		out.stop = engine.StopReason(r.StopReason)
		if out.stop == engine.StopSequence && len(req.Stop) > 0 {
			out.match = req.Stop[0]
		}
	}
	if cut, match := cutStop(said, req.Stop); match != "" {
		said, out.calls = cut, nil
		out.stop, out.match = engine.StopSequence, match
	}
	out.words = tokenize(said)
	limit := e.cfg.Context - out.input
	full := engine.ContextFull
	if req.MaxTokens > 0 && req.MaxTokens <= limit {
		limit, full = req.MaxTokens, engine.MaxTokens
	}
	if len(out.words) > limit {
		out.words = out.words[:limit]
		said = strings.Join(out.words, "")
		out.calls, out.stop, out.match = nil, full, ""
	}
	out.output = len(out.words)
	for i, c := range out.calls {
		n := len(tokenize(c.Name + string(c.Arguments)))
		if out.output+n > limit { // a call is whole or missing
			out.calls, out.stop, out.match = out.calls[:i], full, ""
			break
		}
		out.output += n
	}
	if r.Chunks == nil || r.Error == failCrash {
		out.pieces = out.words
	} else {
		out.pieces = split(said, int(*r.Chunks))
	}
	if len(req.ResultSchema) > 0 && out.stop == engine.EndTurn && !satisfies(v.prefill+said, req.ResultSchema) {
		out.stop = engine.MalformedText
	}
	return out, nil
}

// cutStop cuts text before the earliest of the stop sequences; of two that begin
// at one place the one listed first wins.
func cutStop(text string, stops []string) (cut, match string) {
	at := len(text)
	for _, s := range stops {
		if i := strings.Index(text, s); s != "" && i >= 0 && i < at {
			at, match = i, s
		}
	}
	return text[:at], match
}

// split cuts text into n pieces of about as many characters, fewer when it has
// fewer characters.
func split(text string, n int) []string {
	chars := utf8.RuneCountInString(text)
	n = min(max(n, 1), chars)
	var out []string
	for i := range n {
		want := chars*(i+1)/n - chars*i/n
		end := 0
		for range want {
			_, size := utf8.DecodeRuneInString(text[end:])
			end += size
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}

// satisfies reports whether text is JSON that the schema allows. A schema that
// cannot be compiled asks for JSON only.
func satisfies(text string, schema json.RawMessage) bool {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return false
	}
	var s jsonschema.Schema
	if json.Unmarshal(schema, &s) != nil {
		return true
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return true
	}
	return resolved.Validate(v) == nil
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// id is the id of the i-th call of an answer: the same for the same prompt.
func (e *Engine) id(prompt string, i int) string {
	out := []byte("tooluse_")
	of := strconv.FormatUint(hash64(e.seed, prompt, strconv.Itoa(i)), 16)
	for k := range 22 {
		out = append(out, base62[hash64(of, strconv.Itoa(k))%62])
	}
	return string(out)
}

// sender emits deltas one at a time.
type sender struct {
	e     *Engine
	emit  func(engine.Delta) error
	gap   time.Duration
	start time.Time
	sent  int
	first time.Duration
}

func (s *sender) one(ctx context.Context, d engine.Delta) error {
	if s.sent > 0 && s.gap > 0 {
		if err := s.e.cfg.Sleep(ctx, s.gap); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.sent++; s.sent == 1 {
		s.first = s.e.cfg.Now().Sub(s.start)
	}
	if s.emit == nil {
		return nil
	}
	return s.emit(d)
}

// pieces sends texts.
func (s *sender) pieces(ctx context.Context, texts []string) error {
	for _, t := range texts {
		// Invalid UTF-8 comes only from the caller's own request.
		if err := s.one(ctx, engine.Delta{Kind: engine.TextDelta, Text: strings.ToValidUTF8(t, "\ufffd")}); err != nil {
			return err
		}
	}
	return nil
}

// send sends the text and then the calls, their arguments in two pieces.
func (s *sender) send(ctx context.Context, p *planned) error {
	if err := s.pieces(ctx, p.pieces); err != nil {
		return err
	}
	for _, c := range p.calls {
		if err := s.one(ctx, engine.Delta{Kind: engine.ToolStart, Tool: &engine.ToolCall{ID: c.ID, Name: c.Name}}); err != nil {
			return err
		}
		for _, piece := range split(string(c.Arguments), 2) {
			if err := s.one(ctx, engine.Delta{Kind: engine.ToolInput, Text: piece}); err != nil {
				return err
			}
		}
		if err := s.one(ctx, engine.Delta{Kind: engine.ToolEnd}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fail plays the failure of a reply. A crash sends the first chunks of the text
// and breaks off.
func (e *Engine) fail(ctx context.Context, r *reply, p *planned, s *sender) error {
	switch r.Error {
	case failTimeout:
		return &engine.Error{Kind: engine.TimedOut, Message: "the script's engine timed out"}
	case failOverloaded:
		return &engine.Error{Kind: engine.Overloaded, Message: "the script's engine is overloaded"}
	case failNotReady:
		return &engine.Error{Kind: engine.NotReady, Message: "the script's engine is not ready"}
	case failBadOutput:
		return &engine.Error{Kind: engine.BadOutput, Message: "the script's engine answered nonsense"}
	default: // a crash
	}
	n := 0
	if r.Chunks != nil {
		n = int(*r.Chunks)
	}
	if err := s.pieces(ctx, p.pieces[:min(n, len(p.pieces))]); err != nil {
		return err
	}
	return &engine.Error{Kind: engine.Crashed, Message: "the script's engine crashed"}
}

// result repeats what was sent and counts it.
func (e *Engine) result(req *engine.Request, local, prompt string, p *planned, s *sender) *engine.Result {
	res := &engine.Result{Model: local, Stop: p.stop, StopText: p.match}
	var after strings.Builder
	if text := strings.ToValidUTF8(p.text(), "\ufffd"); text != "" {
		res.Parts = append(res.Parts, engine.Part{Text: text})
	}
	for _, c := range p.calls {
		res.Parts = append(res.Parts, engine.Part{ToolCall: new(c)})
	}
	renderParts(&after, res.Parts)

	words := p.prompt
	var all []string
	if strings.HasSuffix(prompt, "\n") { // no token reaches over the end of a line
		all = append(words[:len(words):len(words)], tokenize(after.String())...)
	} else {
		all = tokenize(prompt + after.String())
	}
	e.mu.Lock()
	read := e.prefixes.read(local, words)
	e.prefixes.write(local, all)
	e.mu.Unlock()
	res.Usage = engine.Usage{Input: p.input, Output: p.output, CacheRead: read, CacheWrite: p.input - read}

	if req.TopLogprobs > 0 {
		res.Tokens = tokens(p.words)
		score(res.Tokens, req.TopLogprobs, e.seed)
	}
	if req.EchoTokens {
		res.PromptTokens = tokens(words)
	}
	res.Timing = engine.Timing{FirstToken: s.first, Total: e.cfg.Now().Sub(s.start)}
	return res
}
