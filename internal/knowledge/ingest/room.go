package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Bases knows knowledge bases and works in their name; *knowledge.Room does. The
// errors of its methods are those of the Room.
type Bases interface {
	Base(ctx context.Context, account, region, id string) (*knowledge.Base, error)
	Source(ctx context.Context, b *knowledge.Base, id string) (*knowledge.Source, error)
	Acting(ctx context.Context, b *knowledge.Base) (context.Context, *iam.Principal, error)
	Index(ctx context.Context, b *knowledge.Base) (vector.Index, error)
	MayEmbed(ctx context.Context, b *knowledge.Base, p *iam.Principal) error
	Embed(ctx context.Context, b *knowledge.Base, p *iam.Principal, purpose knowledge.Purpose, texts []string) ([][]float32, error)
	Models() knowledge.Models
	Capabilities(b *knowledge.Base) (vector.Capabilities, bool)
}

var _ Bases = (*knowledge.Room)(nil)

// Parser turns files into text; *parse.Parser does. An error is a *parse.Error, the
// context's, or a fault that may pass.
type Parser interface {
	Parse(ctx context.Context, in parse.Input) (*parse.Document, error)
}

var _ Parser = (*parse.Parser)(nil)

// Functions calls Lambda functions in the name of a service role: the role needs
// lambda:InvokeFunction. An error is an *apierr.Error whose text may be shown; what
// goes wrong inside the function comes back as failed with the error's payload.
type Functions interface {
	CallAs(ctx context.Context, p *iam.Principal, function string, payload []byte) (answer []byte, failed bool, err error)
}

// Config says what the room works with. Knowledge, Store, Files and Parser are needed.
type Config struct {
	Knowledge Bases
	Store     *store.Store
	Files     bucket.Files // buckets, as whoever the caller is
	Parser    Parser
	Functions Functions // nil: custom transformations are refused
	// Region tells in which Region a bucket lies, "" where nobody knows (another
	// endpoint's). Nil knows none.
	Region func(ctx context.Context, bucket string) (string, error)
	Now    func() time.Time // of the service clock; nil is time.Now
	Log    *slog.Logger
	Quotas Quotas

	// Readers is how many documents are read and cut at once, 0 is 3; Batch how many
	// texts are embedded in one call, 0 is 64; Embedders how many such calls run at
	// once, 0 is 2, so that the engine need not wait for this side.
	Readers, Batch, Embedders int
	// Budget bounds the bytes of documents that are in work at once; 0 is 192 MiB.
	Budget int64
	// Every is how often at most rows and statistics are written; 0 is 500 ms.
	Every time.Duration

	// At, if set, is called at the named points of the work (AtTurn …). It is there for
	// crash and fault tests; an error ends the run there, as a lost process would.
	At func(point string) error
}

// Names of the points of Config.At, in the order in which a document passes them.
const (
	AtTurn       = "ingest.turn"       // the job has the turn of its data source
	AtRead       = "ingest.read"       // a document's bytes are here
	AtParsed     = "ingest.parsed"     // and its text
	AtCut        = "ingest.cut"        // and its chunks
	AtEmbed      = "ingest.embed"      // before a batch is embedded
	AtEmbedded   = "ingest.embedded"   // after it
	AtReplace    = "ingest.replace"    // before a document is written to the index
	AtReplaced   = "ingest.replaced"   // it is on disk, no row says so
	AtCheckpoint = "ingest.checkpoint" // before rows and statistics are committed
	AtCommitted  = "ingest.committed"  // after that
	AtDelete     = "ingest.delete"     // before documents are removed from the index
	AtDeleted    = "ingest.deleted"    // after that, their rows are still there
	AtWalked     = "ingest.walked"     // every document is settled
	AtEnd        = "ingest.end"        // all is written, the job does not know it
)

// Quotas are the limits of an account in a Region. Zero fields are AWS's of today.
type Quotas struct {
	Jobs int // that run at once: 5
}

// Room runs ingestion jobs and keeps what is known of documents. The structs of
// operations embed it.
type Room struct {
	cfg Config
}

// Jobs answers the operations on ingestion jobs.
type Jobs struct{ *Room }

// Documents answers the operations on single documents.
type Documents struct{ *Room }

// New returns the room; it starts nothing.
func New(c Config) *Room {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Region == nil {
		c.Region = func(context.Context, string) (string, error) { return "", nil }
	}
	if c.At == nil {
		c.At = func(string) error { return nil }
	}
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Quotas.Jobs = cmp.Or(c.Quotas.Jobs, 5)
	c.Readers, c.Batch, c.Embedders = cmp.Or(c.Readers, 3), cmp.Or(c.Batch, 64), cmp.Or(c.Embedders, 2)
	c.Budget, c.Every = cmp.Or(c.Budget, 192<<20), cmp.Or(c.Every, 500*time.Millisecond)
	return &Room{cfg: c}
}

// Names of the kinds of jobs.
const (
	syncJob      = "knowledge-sync"
	documentsJob = "knowledge-documents"
)

// attempts is how often a job may lose its process before a document of it is settled.
// It is more than usual: a person who stops and starts a server again and again must
// not lose an ingestion, and a document that ends its reader ends a child alone.
const attempts = 20

// Kinds is the work of the room. The job runner is made before the room is, so the
// room is asked for when a job runs.
func Kinds(of func() *Room) []job.Kind {
	return []job.Kind{
		{
			Name: syncJob, Limit: 4, MaxAttempts: attempts,
			Run:  func(ctx context.Context, h *job.Handle) error { return of().sync(ctx, h) },
			Done: func(tx *store.Tx, j job.Job, s job.State, cause error) error { return of().synced(tx, j, s, cause) },
		}, {
			Name: documentsJob, Limit: 4, Forget: true, MaxAttempts: attempts,
			Run:  func(ctx context.Context, h *job.Handle) error { return of().direct(ctx, h) },
			Done: func(tx *store.Tx, j job.Job, s job.State, cause error) error { return of().directed(tx, j, s, cause) },
		},
	}
}

// inside makes the context of a job's work: jobs have no caller, but records and
// functions want an account and a Region.
func (r *Room) inside(ctx context.Context, account, region, operation string) context.Context {
	return call.With(ctx, &call.Call{Account: account, Region: region, Partition: "aws", Service: "bedrock-agent", Operation: operation, Time: r.cfg.Now()})
}

// find answers the knowledge base and the data source that an operation names.
func (r *Room) find(ctx context.Context, base, source string) (*knowledge.Base, *knowledge.Source, error) {
	c := call.From(ctx)
	b, err := r.cfg.Knowledge.Base(ctx, c.Account, c.Region, base)
	if err != nil {
		return nil, nil, err
	}
	s, err := r.cfg.Knowledge.Source(ctx, b, source)
	if err != nil {
		return nil, nil, err
	}
	return b, s, nil
}

func invalid(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }

func conflict(format string, args ...any) error { return apierr.New(apierr.Conflict, format, args...) }

// failure turns what the store answers into what the wire knows.
func failure(err error) error {
	return kms.Failure(err, knowledge.TextMissing, "The data source is being changed by another request. Try again.")
}

func token(c *call.Call, operation string, value *string) store.Token {
	t := store.Token{Account: c.Account, Region: c.Region, Operation: operation}
	if value != nil {
		t.Value = *value
	}
	return t
}

// fatal is why a whole job can go no further, in words that may be shown.
type fatal struct {
	reason string
	err    error
}

func (e *fatal) Error() string {
	if e.err != nil {
		return e.reason + ": " + e.err.Error()
	}
	return e.reason
}

func (e *fatal) Unwrap() error { return e.err }

func dead(cause error, format string, args ...any) error {
	return &fatal{reason: fmt.Sprintf(format, args...), err: cause}
}

// passing says whether an *apierr.Error is one of a moment.
func passing(e *apierr.Error) bool {
	switch e.Kind {
	case apierr.Throttling, apierr.ServiceUnavailable, apierr.ModelNotReady, apierr.ModelTimeout, apierr.InternalServer,
		apierr.BadGateway, apierr.DependencyFailed, apierr.ModelError, apierr.ModelStreamError, apierr.Conflict:
		return true
	default:
		return false
	}
}

// grave turns an error of a port that all documents depend on (the role, the model,
// the index) into a fatal one, unless it may pass: then the job tries again.
func grave(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	if _, ok := errors.AsType[*fatal](err); ok {
		return err
	}
	if refused := kms.Refusal(err); refused != nil {
		return dead(err, "%s: %s", doing, refused.Message)
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok && !passing(e) {
		return dead(err, "%s: %s", doing, e.Message)
	}
	for _, final := range []error{vector.ErrMismatch, vector.ErrModel, vector.ErrUnsupported, vector.ErrNotFound, vector.ErrCorrupt} {
		if errors.Is(err, final) {
			return dead(err, "%s: the vector index cannot be used (%v)", doing, final)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// told words an end that was not a success for those who look at the job.
func told(cause error) string {
	if f, ok := errors.AsType[*fatal](cause); ok {
		return f.reason
	}
	if e, ok := errors.AsType[*apierr.Error](cause); ok {
		return e.Message
	}
	if errors.Is(cause, job.ErrTooManyAttempts) {
		return "The work ended the process that did it at every attempt and was given up."
	}
	switch {
	case errors.Is(cause, vector.ErrFull), errors.Is(cause, store.ErrFull):
		return "The disk is full."
	case errors.Is(cause, vector.ErrTooLarge):
		return "The index would be larger than the memory that it may use."
	}
	return "An internal error occurred. Start the job again; the log of the server tells more."
}
