package rag

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

// Models ask language models; inference.Runtime is one. Errors are *apierr.Errors, an
// error of emit comes back as it is.
type Models interface {
	GenerateWith(ctx context.Context, modelID string, r *engine.Request, fields json.RawMessage, emit func(engine.Delta) error) (*engine.Result, error)
}

// Bases finds knowledge bases; knowledge.Room is one.
type Bases interface {
	// Active finds a knowledge base of the caller that can be queried.
	Active(ctx context.Context, id string) (*knowledge.Base, error)
}

// Searcher searches a knowledge base as Retrieve does.
type Searcher interface {
	// Search answers the results for a text, the best first. c may be nil.
	Search(ctx context.Context, b *knowledge.Base, text string, c *api.KnowledgeBaseRetrievalConfiguration) ([]api.KnowledgeBaseRetrievalResult, error)
}

// Parser reads documents; parse.Parser is one.
type Parser interface {
	Parse(ctx context.Context, in parse.Input) (*parse.Document, error)
}

// Permissions ask what the caller of ctx may do.
type Permissions interface {
	// Authorize answers AccessDenied where the caller may not do it.
	Authorize(ctx context.Context, action, resource string) error
}

// Config says what the operations work with. Models, Resolver, Bases, Searcher and
// Sessions are needed.
type Config struct {
	Models   Models
	Resolver catalog.Resolver
	Bases    Bases
	Searcher Searcher
	Sessions *conversation.Sessions
	// Parser and Files serve documents that come with requests; nil refuses them.
	Parser Parser
	Files  bucket.Reader
	// Permissions nil allows everything.
	Permissions Permissions
	// Idle is how long a session lives without a turn; 0 is an hour.
	Idle time.Duration
	// OpenAfter is how long a stream waits for its first event before its head is
	// sent without one; 0 is 5 s.
	OpenAfter time.Duration
	// Language of the stems that sentences and passages are compared by; "" is English.
	Language string
	Now      func() time.Time // of the service clock; nil is time.Now
	Log      *slog.Logger
}

// Operations answer RetrieveAndGenerate and RetrieveAndGenerateStream.
type Operations struct {
	cfg       Config
	terms     *analyse.Analyser
	generic   map[string]bool // terms
	templates templates
}

// New makes the operations; it starts nothing. The error is a language that is not
// known.
func New(c Config) (*Operations, error) {
	a, err := analyse.New(c.Language)
	if err != nil {
		return nil, err
	}
	c.Idle = cmp.Or(c.Idle, time.Hour)
	c.OpenAfter = cmp.Or(c.OpenAfter, 5*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Operations{cfg: c, terms: a, generic: genericTerms(a)}, nil
}

// RetrieveAndGenerate answers a question from what is found for it.
func (o *Operations) RetrieveAndGenerate(ctx context.Context, in *api.RetrieveAndGenerateInput) (*api.RetrieveAndGenerateOutput, error) {
	w := new(collector)
	session, err := o.answer(ctx, request{input: in.Input, config: in.RetrieveAndGenerateConfiguration, session: in.SessionConfiguration, id: in.SessionId}, w)
	if err != nil {
		return nil, err
	}
	return &api.RetrieveAndGenerateOutput{
		SessionId: session, Output: &api.RetrieveAndGenerateOutputStructure{Text: w.text.String()}, Citations: w.cites,
	}, nil
}

// RetrieveAndGenerateStream does the same piece by piece.
func (o *Operations) RetrieveAndGenerateStream(ctx context.Context, in *api.RetrieveAndGenerateStreamInput, w *api.RetrieveAndGenerateStreamWriter) error {
	s := &events{out: w}
	_, err := o.answer(ctx, request{input: in.Input, config: in.RetrieveAndGenerateConfiguration, session: in.SessionConfiguration, id: in.SessionId}, s)
	return err
}

// audience is where an answer goes.
type audience interface {
	sink
	// Open is called once the session is known and nothing is left that is refused
	// before a model is asked. It may be called again.
	Open(session string) error
	// Streamed reports whether the head can be sent before the answer.
	Streamed() bool
}

// collector keeps an answer whole.
type collector struct {
	text  strings.Builder
	cites []api.Citation
}

var _ audience = (*collector)(nil)

func (c *collector) Open(string) error          { return nil }
func (c *collector) Streamed() bool             { return false }
func (c *collector) Text(s string) error        { c.text.WriteString(s); return nil }
func (c *collector) Cite(x *api.Citation) error { c.cites = append(c.cites, *x); return nil }

// events writes an answer as a stream.
type events struct {
	out    *api.RetrieveAndGenerateStreamWriter
	opened bool
}

var _ audience = (*events)(nil)

func (s *events) Streamed() bool { return true }

func (s *events) Open(session string) error {
	if s.opened {
		return nil
	}
	s.opened = true
	return s.out.Open(&api.RetrieveAndGenerateStreamOutput{SessionId: session})
}

func (s *events) Text(t string) error {
	return s.out.Send(&api.RetrieveAndGenerateStreamEvent{Output: &api.RetrieveAndGenerateOutputEvent{Text: t}})
}

// Cite sends the citation in both of the places that clients read: the member that
// the service model calls deprecated, and those that followed it.
func (s *events) Cite(c *api.Citation) error {
	return s.out.Send(&api.RetrieveAndGenerateStreamEvent{Citation: &api.CitationEvent{
		Citation: c, GeneratedResponsePart: c.GeneratedResponsePart, RetrievedReferences: c.RetrievedReferences,
	}})
}
