package constrain

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// A Parser recognises tool calls in the text of a model while it comes.
//
//	start ──▶ text ◀──▶ candidate ──▶ arguments ──▶ tail ──▶ between ──▶ candidate | text
//	   └─▶ thought ─▶ start
//
// The same text gives the same deltas, joined by kind, however it is cut. Text
// passes at once; only what may be the beginning of a call waits. A ToolStart is
// emitted when the name is known, except where the call may repeat another one.
// A call that the model repeats within one answer is dropped. Besides what
// [Grammar] allows it takes what models write on their own: other tags, fences
// without a language, lists of calls, "parameters" for "arguments", arguments as
// a string, calls after a line of text.
//
// A Parser serves one answer and one goroutine.
type Parser struct {
	// Random is where the ids of calls come from; crypto/rand when nil.
	Random io.Reader
	// ForbidCalls, as in Options, passes everything as text.
	ForbidCalls bool

	req     *engine.Request
	tools   bool            // calls are looked for
	offered map[string]bool // names
	repeats map[string]bool // names of which a call has a result in this turn

	state   state
	partial []byte // incomplete UTF-8 at the end of the last piece
	buf     []byte // text not yet decided, valid UTF-8
	last    byte   // last byte of text emitted, '\n' at the beginning
	all     []byte // the whole text, kept for an answer after a schema

	open   wrapper
	strict bool // the candidate stands after text: only an unmistakable call counts
	tagged bool // the candidate began with a tag

	call      engine.ToolCall // running call
	known     bool            // its name is known
	held      []engine.Delta  // its deltas while it may be a repetition
	holding   bool
	scan      scanner // of the arguments
	tail      scanner // of what follows them
	object    scanner // of an object that must be read as a whole
	scanned   int     // how much of it was
	done      []engine.ToolCall
	malformed bool
	dropped   bool // a call that repeats another one was left out
	broken    error
}

type state uint8

const (
	atStart state = iota
	inThought
	inText
	inCandidate
	inArguments
	inTail
	afterCall
)

// wrapper is what stands around the running call.
type wrapper struct {
	fence, tag, list bool
	doubled          bool // the call stands in doubled braces
}

// The tags that models put around calls.
var openTags = [][]byte{
	[]byte("<tool_call>"), []byte("<tool_calls>"), []byte("<tools>"), []byte("<tool>"),
	[]byte("<function_call>"), []byte("<function_calls>"),
}

var closeTags = [][]byte{
	[]byte("</tool_call>"), []byte("</tool_calls>"), []byte("</tools>"), []byte("</tool>"),
	[]byte("</function_call>"), []byte("</function_calls>"),
}

var (
	thinkTag    = []byte("<think>")
	thinkEndTag = []byte("</think>")
	fenceMark   = []byte("```")
)

// NewParser returns a parser for the answer to req.
func NewParser(req *engine.Request) *Parser {
	p := &Parser{req: req, tools: callable(req), last: '\n', offered: map[string]bool{}, repeats: map[string]bool{}}
	for i := range req.Tools {
		p.offered[req.Tools[i].Name] = true
	}
	for _, c := range answered(req) {
		p.repeats[c.Name] = true
	}
	if !p.tools && !(req.Thinking != nil && req.Thinking.Enabled) {
		p.state = inText
	}
	if text := prefill(req); text != "" {
		p.state, p.last = inText, text[len(text)-1]
	}
	return p
}

// Calls returns the calls that were emitted so far.
func (p *Parser) Calls() []engine.ToolCall { return slices.Clone(p.done) }

// Dropped reports whether the text holds a call that was not emitted because it
// repeats another one of the same answer.
func (p *Parser) Dropped() bool { return p.dropped }

// Write takes the next piece of the model's text, cut anywhere, and emits what
// is certain by now. An error from emit, and ErrRefused, end the parser: every
// later call returns the same error.
func (p *Parser) Write(text string, emit func(engine.Delta) error) error {
	if p.broken != nil {
		return p.broken
	}
	p.take(text)
	p.broken = p.run(emit)
	return p.broken
}

// take appends text to the buffer, whole characters only; a byte that is no
// UTF-8 becomes U+FFFD, for deltas are valid on their own.
func (p *Parser) take(text string) {
	from := len(p.buf)
	if len(p.partial) == 0 && utf8.ValidString(text) {
		p.buf = append(p.buf, text...)
	} else {
		b := append(p.partial, text...)
		for len(b) > 0 && utf8.FullRune(b) {
			r, n := utf8.DecodeRune(b)
			p.buf = utf8.AppendRune(p.buf, r)
			b = b[n:]
		}
		p.partial = append([]byte(nil), b...)
	}
	if len(p.req.ResultSchema) > 0 {
		p.all = append(p.all, p.buf[from:]...)
	}
}

// Close ends the answer: it emits what was held back and says why the answer
// ended as far as its text tells: ToolUse, MalformedTool for a call that is cut
// or unusable, MalformedText for an answer that is no JSON where a schema was
// asked for, else EndTurn. The engine, which knows whether the length limit cut
// the answer, overrides it then. A call that is cut still gets its ToolEnd.
func (p *Parser) Close(emit func(engine.Delta) error) (engine.StopReason, error) {
	if p.broken != nil {
		return "", p.broken
	}
	for range p.partial {
		p.buf = utf8.AppendRune(p.buf, utf8.RuneError)
	}
	p.partial = nil
	err := p.run(emit)
	if err == nil {
		err = p.finish(emit)
	}
	if p.broken = err; err != nil {
		return "", err
	}
	switch {
	case p.malformed:
		return engine.MalformedTool, nil
	case len(p.done) > 0:
		return engine.ToolUse, nil
	case len(p.req.ResultSchema) > 0 && !json.Valid(p.all):
		return engine.MalformedText, nil
	}
	return engine.EndTurn, nil
}

func (p *Parser) finish(emit func(engine.Delta) error) error {
	rest := p.buf
	p.buf = nil
	switch p.state {
	case inThought:
		return p.send(emit, engine.ReasoningDelta, rest)
	case inCandidate:
		if p.known && !p.strict {
			return p.cut(emit)
		}
		p.malformed = p.malformed || p.tagged
		return p.send(emit, engine.TextDelta, rest)
	case inArguments:
		return p.cut(emit)
	case inTail, afterCall:
		return nil
	default:
		return p.send(emit, engine.TextDelta, rest)
	}
}

// cut ends a call that will not be complete.
func (p *Parser) cut(emit func(engine.Delta) error) error {
	p.malformed = true
	if p.holding {
		p.held, p.holding = nil, false
		return nil
	}
	p.known = false
	return emit(engine.Delta{Kind: engine.ToolEnd})
}

func (p *Parser) send(emit func(engine.Delta) error, kind engine.DeltaKind, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if kind == engine.TextDelta {
		p.last = b[len(b)-1]
	}
	return emit(engine.Delta{Kind: kind, Text: string(b)})
}

// run moves through the buffer until nothing more can be decided.
func (p *Parser) run(emit func(engine.Delta) error) error {
	for {
		var more bool
		var err error
		switch p.state {
		case atStart:
			more = p.start()
		case inThought:
			more, err = p.thought(emit)
		case inText:
			more, err = p.text(emit)
		case inCandidate:
			more, err = p.candidate(emit)
		case inArguments:
			more, err = p.arguments(emit)
		case inTail:
			more = p.afterArguments()
		case afterCall:
			more = p.betweenCalls()
		}
		if err != nil || !more {
			return err
		}
	}
}

// drop removes n bytes from the front of the buffer.
func (p *Parser) drop(n int) { p.buf = append(p.buf[:0], p.buf[n:]...) }

// pass emits the first n bytes of the buffer as text.
func (p *Parser) pass(emit func(engine.Delta) error, n int) error {
	err := p.send(emit, engine.TextDelta, p.buf[:n])
	p.drop(n)
	return err
}

// start decides by the first character that is no space.
func (p *Parser) start() bool {
	i := skipSpace(p.buf, 0)
	if i == len(p.buf) {
		return false
	}
	rest := p.buf[i:]
	if full, part := match(rest, thinkTag); full || part {
		if full {
			p.drop(i + len(thinkTag))
			p.state = inThought
		}
		return full
	}
	p.state = inText
	if !p.tools || p.ForbidCalls {
		return true
	}
	bare := rest[0] == '{' || rest[0] == '[' || rest[0] == '`'
	if bare && len(p.req.ResultSchema) > 0 {
		return true // a bare object is the result
	}
	full, part := matchAny(rest, openTags)
	if part && !full {
		p.state = atStart
		return false
	}
	if bare || full {
		p.drop(i)
		p.begin(false)
	}
	return true
}

// begin makes the front of the buffer a candidate.
func (p *Parser) begin(strict bool) {
	p.state, p.strict, p.tagged = inCandidate, strict, false
	p.known, p.object, p.scanned = false, scanner{}, 0
}

func (p *Parser) thought(emit func(engine.Delta) error) (bool, error) {
	i := bytes.Index(p.buf, thinkEndTag)
	if i < 0 {
		n := len(p.buf) - overlap(p.buf, thinkEndTag)
		err := p.send(emit, engine.ReasoningDelta, p.buf[:n])
		p.drop(n)
		return false, err
	}
	err := p.send(emit, engine.ReasoningDelta, p.buf[:i])
	p.drop(i + len(thinkEndTag))
	p.state = atStart
	return true, err
}

// text passes text through up to what may begin a call.
func (p *Parser) text(emit func(engine.Delta) error) (bool, error) {
	if !p.tools || p.ForbidCalls {
		return false, p.pass(emit, len(p.buf))
	}
	for i := 0; ; i++ {
		j := bytes.IndexAny(p.buf[i:], "<`{")
		if j < 0 {
			return false, p.pass(emit, len(p.buf))
		}
		i += j
		before := p.last
		if i > 0 {
			before = p.buf[i-1]
		}
		if p.buf[i] != '<' && (before != '\n' || len(p.req.ResultSchema) > 0) {
			continue
		}
		full, part := true, false
		switch p.buf[i] {
		case '<':
			full, part = matchAny(p.buf[i:], openTags)
		case '`':
			full, part = match(p.buf[i:], fenceMark)
		}
		if !full && !part {
			continue
		}
		if err := p.pass(emit, i); err != nil {
			return false, err
		}
		if full {
			p.begin(true)
		}
		return full, nil
	}
}

// verdict on a candidate.
type verdict uint8

const (
	undecided verdict = iota
	noCall
	aCall
)

// candidate looks at the front of the buffer, which may be a call with its
// wrapper.
func (p *Parser) candidate(emit func(engine.Delta) error) (bool, error) {
	w, at, v := p.wrapper()
	if v == aCall {
		var n int
		var err error
		n, v, err = p.head(emit, at)
		if err != nil {
			return false, err
		}
		if v == noCall && p.known { // its ToolStart is out: the rest of it is no text
			err, v = p.cut(emit), aCall
			p.state, p.known = afterCall, false
		}
		if v == aCall {
			p.open = w
			p.drop(n)
			return true, err
		}
	}
	if v == undecided {
		return false, nil
	}
	p.malformed = p.malformed || p.tagged
	p.state, p.open = inText, wrapper{}
	// The first character is text; what follows is looked at again.
	_, size := utf8.DecodeRune(p.buf)
	return true, p.pass(emit, size)
}

// wrapper reads what stands before the brace of a call and returns where that
// brace is. The wrapper of an earlier call may be open still.
func (p *Parser) wrapper() (w wrapper, at int, v verdict) {
	w = p.open
	b := p.buf
	if b[0] == '`' {
		full, part := match(b, fenceMark)
		if !full {
			return w, 0, pending(part)
		}
		i := len(fenceMark)
		for i < len(b) && (b[i] >= 'a' && b[i] <= 'z' || b[i] >= 'A' && b[i] <= 'Z' || b[i] == '_') {
			i++
		}
		if i == len(b) {
			return w, 0, pending(i < 20)
		}
		switch string(bytes.ToLower(b[len(fenceMark):i])) {
		case "", "json", "tool_call", "tool_calls", "tool":
		default:
			return w, 0, noCall
		}
		w.fence, at = true, i
	} else if b[0] == '<' {
		for _, t := range openTags {
			if bytes.HasPrefix(b, t) {
				w.tag, p.tagged, at = true, true, len(t)
			}
		}
		if at == 0 {
			_, part := matchAny(b, openTags)
			return w, 0, pending(part)
		}
	}
	at = skipSpace(b, at)
	if at < len(b) && b[at] == '[' && !p.strict {
		w.list = true
		at = skipSpace(b, at+1)
	}
	switch {
	case at == len(b):
		return w, 0, undecided
	case b[at] == '{' && at+1 == len(b):
		return w, 0, undecided
	case b[at] == '{' && b[at+1] == '{':
		w.doubled = true
		return w, at + 1, aCall
	case b[at] == '{':
		return w, at, aCall
	}
	return w, 0, noCall
}

func pending(part bool) verdict {
	if part {
		return undecided
	}
	return noCall
}

// betweenCalls follows the end of a call: another one, the end of the wrapper,
// or text.
func (p *Parser) betweenCalls() bool {
	i := skipSpace(p.buf, 0)
	if p.open.doubled && i < len(p.buf) && p.buf[i] == '}' {
		p.open.doubled = false
		i = skipSpace(p.buf, i+1)
	}
	for p.open != (wrapper{}) && i < len(p.buf) && (p.buf[i] == ',' || p.buf[i] == ';' || p.open.list && p.buf[i] == ']') {
		if p.buf[i] == ']' {
			p.open.list = false
		}
		i = skipSpace(p.buf, i+1)
	}
	p.drop(i)
	if len(p.buf) == 0 {
		return false
	}
	if full, part := matchAny(p.buf, closeTags); full || part {
		if full {
			p.drop(bytes.IndexByte(p.buf, '>') + 1)
			p.open.tag = false
		}
		return full
	}
	if p.open.fence {
		if full, part := match(p.buf, fenceMark); full || part {
			if full {
				p.drop(len(fenceMark))
				p.open.fence = false
			}
			return full
		}
	}
	full, part := matchAny(p.buf, openTags)
	bare := p.buf[0] == '{' || p.buf[0] == '`' || p.buf[0] == '['
	switch {
	case full || bare && (len(p.req.ResultSchema) == 0 || p.open.tag):
		p.begin(false)
	case part:
		return false
	default:
		p.open = wrapper{}
		p.state = inText
	}
	return true
}

// ended closes the running call.
func (p *Parser) ended(emit func(engine.Delta) error) error {
	p.known = false
	if !json.Valid(p.call.Arguments) {
		p.malformed = true
		if p.holding {
			p.held, p.holding = nil, false
			return nil
		}
		return emit(engine.Delta{Kind: engine.ToolEnd})
	}
	if p.holding {
		p.holding = false
		if p.repeats[p.call.Name] && Refused(p.req, p.call) {
			return ErrRefused
		}
		for i := range p.done {
			if p.done[i].Name == p.call.Name && sameJSON(p.done[i].Arguments, p.call.Arguments) {
				p.held, p.dropped = nil, true
				return nil
			}
		}
		for _, d := range p.held {
			if err := emit(d); err != nil {
				return err
			}
		}
		p.held = nil
	}
	p.done = append(p.done, p.call)
	return emit(engine.Delta{Kind: engine.ToolEnd})
}

// named begins a call.
func (p *Parser) named(emit func(engine.Delta) error, name string) error {
	id, err := p.id()
	if err != nil {
		return err
	}
	p.call = engine.ToolCall{ID: id, Name: name}
	p.known = true
	p.holding = p.repeats[name]
	for i := range p.done {
		p.holding = p.holding || p.done[i].Name == name
	}
	return p.deliver(emit, engine.Delta{Kind: engine.ToolStart, Tool: &engine.ToolCall{ID: id, Name: name}})
}

// input adds to the arguments of the running call.
func (p *Parser) input(emit func(engine.Delta) error, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p.call.Arguments = append(p.call.Arguments, b...)
	return p.deliver(emit, engine.Delta{Kind: engine.ToolInput, Text: string(b)})
}

func (p *Parser) deliver(emit func(engine.Delta) error, d engine.Delta) error {
	if p.holding {
		p.held = append(p.held, d)
		return nil
	}
	return emit(d)
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// id makes a tool use id in AWS's form.
func (p *Parser) id() (string, error) {
	src := p.Random
	if src == nil {
		src = rand.Reader
	}
	out := []byte("tooluse_")
	var b [32]byte
	for len(out) < len("tooluse_")+22 {
		if _, err := io.ReadFull(src, b[:]); err != nil {
			return "", fmt.Errorf("read randomness for a tool use id: %w", err)
		}
		for _, c := range b {
			// 248 is the largest multiple of 62 in a byte: no letter is likelier.
			if c < 248 && len(out) < len("tooluse_")+22 {
				out = append(out, base62[c%62])
			}
		}
	}
	return string(out), nil
}
