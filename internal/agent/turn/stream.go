package turn

import (
	"strings"
	"unicode/utf8"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// holdBack is how much text is kept while a model that has tools may still call one:
// a sentence before a call is not the answer. Longer text goes out as it comes.
const holdBack = 200

// streamer sends the final answer in pieces as the model writes it. The newest piece
// is always kept until the turn is on disk, so that the last event comes after it.
type streamer struct {
	sink    Sink
	pending strings.Builder
	sent    strings.Builder
	tools   bool // a call may come
	called  bool
	flowing bool
	lost    error
}

func newStreamer(sink Sink, tools bool) *streamer { return &streamer{sink: sink, tools: tools} }

// delta takes a piece of a model's answer.
func (s *streamer) delta(d engine.Delta) error {
	switch d.Kind {
	case engine.ToolStart:
		s.called = true
	case engine.TextDelta:
		if s.called || d.Text == "" {
			return nil
		}
		if s.flowing && s.pending.Len() > 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if !s.flowing && s.sent.Len() == 0 && s.pending.Len() == 0 {
			d.Text = strings.TrimLeft(d.Text, " \n\t")
		}
		s.pending.WriteString(d.Text)
		if !s.flowing && s.sent.Len() == 0 && !s.unthought() {
			return nil
		}
		if !s.tools || s.pending.Len() > holdBack {
			s.flowing = s.flowing || s.pending.Len() > 0
		}
	default: // reasoning is not shown, calls are the loop's
	}
	return nil
}

// unthought takes away the thinking that an answer may begin with; false while it may
// still go on.
func (s *streamer) unthought() bool {
	const begin, end = "<thinking>", "</thinking>"
	text := s.pending.String()
	switch {
	case strings.HasPrefix(text, begin):
		_, after, ok := strings.Cut(text, end)
		if ok {
			s.pending.Reset()
			s.pending.WriteString(strings.TrimLeft(after, " \n\t"))
		}
		return ok
	default:
		return !strings.HasPrefix(begin, text)
	}
}

func (s *streamer) flush() error {
	text := s.pending.String()
	s.pending.Reset()
	if text == "" {
		return nil
	}
	s.sent.WriteString(text)
	if err := s.sink.Chunk(&runtime.PayloadPart{Bytes: []byte(text)}); err != nil {
		s.lost = err
		return err
	}
	return nil
}

// last sends the end of an answer: all of it when nothing was streamed, else what is
// still missing.
func (s *streamer) last(sink Sink, c *runtime.PayloadPart) error {
	if s != nil && s.sent.Len() > 0 {
		rest, ok := strings.CutPrefix(string(c.Bytes), s.sent.String())
		if !ok { // the answer was trimmed, or words before a call went out with it
			rest = s.pending.String()
		}
		if rest == "" && c.Attribution == nil {
			return nil
		}
		return chunks(sink, rest, c.Attribution)
	}
	return chunks(sink, string(c.Bytes), c.Attribution)
}

// maxChunk is the most bytes of one event.
const maxChunk = 1_000_000

// chunks sends text in as few events as it fits into, cut between characters.
func chunks(sink Sink, text string, a *runtime.Attribution) error {
	for len(text) > maxChunk {
		n := maxChunk
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		if err := sink.Chunk(&runtime.PayloadPart{Bytes: []byte(text[:n])}); err != nil {
			return err
		}
		text = text[n:]
	}
	return sink.Chunk(&runtime.PayloadPart{Bytes: []byte(text), Attribution: a})
}
