package vector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
)

// The sentinels are the errors that a caller may have to tell apart. An error of
// the Sealer (a key that is disabled or refused) comes through as it is, wrapped.
var (
	// ErrNotFound: there is no such index.
	ErrNotFound = errors.New("vector: no such index")
	// ErrMismatch: the index exists with another dimension, metric or model.
	ErrMismatch = errors.New("vector: the index was made with another definition")
	// ErrModel: the query was embedded by another model than the chunks.
	ErrModel = errors.New("vector: the embedding model of the index is another one")
	// ErrInvalid: the arguments break the contract; the text says how.
	ErrInvalid = errors.New("vector: invalid argument")
	// ErrUnsupported: this store cannot do that (see *UnsupportedError).
	ErrUnsupported = errors.New("vector: not supported by this store")
	// ErrTooLarge: the index does not fit into the configured memory.
	ErrTooLarge = errors.New("vector: the index is larger than the memory it may use")
	// ErrBusy: another writer held the index too long.
	ErrBusy = errors.New("vector: busy")
	// ErrFull: no space is left on the device.
	ErrFull = errors.New("vector: disk full")
	// ErrIO: the disk reported a fault.
	ErrIO = errors.New("vector: input/output error")
	// ErrCorrupt: the file is damaged, or the key is another one.
	ErrCorrupt = errors.New("vector: index damaged")
	// ErrClosed: the index or its store has been closed.
	ErrClosed = errors.New("vector: closed")
)

// Invalid makes an error that wraps ErrInvalid; adapters use it for their own rules.
func Invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Name says whose index it is. Each part is 1 to 64 letters, digits, '-' and '_'.
type Name struct{ Account, Region, ID string }

var namePart = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// Check answers ErrInvalid for a name that could not be a folder.
func (n Name) Check() error {
	for _, part := range []string{n.Account, n.Region, n.ID} {
		if !namePart.MatchString(part) {
			return Invalid("%q in the name of an index", part)
		}
	}
	return nil
}

func (n Name) String() string { return n.Account + "/" + n.Region + "/" + n.ID }

// Metric says what near means.
type Metric string

// The two metrics of the stores that Bedrock knows.
const (
	Cosine    Metric = "cosine"
	Euclidean Metric = "euclidean"
)

// MaxDimension is the largest dimension an index may have; S3 Vectors has the same bound.
const MaxDimension = 4096

// Definition is what an index is made with and keeps for its life.
type Definition struct {
	Name
	// Dimension is the count of numbers in each vector, the model's own one.
	Dimension int
	// Metric is Cosine if empty.
	Metric Metric
	// Model is the hash of the embedding model's content.
	Model string
	// Language of words in Latin letters, for stems and stop words: a name of
	// analyse.Languages, English if empty.
	Language string
	// KeyARN is the customer key that seals the index, empty for the house's own.
	KeyARN string
}

// Check answers ErrInvalid for a definition that no index can have.
func (d Definition) Check() error {
	if err := d.Name.Check(); err != nil {
		return err
	}
	switch {
	case d.Dimension < 1 || d.Dimension > MaxDimension:
		return Invalid("dimension %d; 1 to %d are possible", d.Dimension, MaxDimension)
	case d.Metric != "" && d.Metric != Cosine && d.Metric != Euclidean:
		return Invalid("metric %q", d.Metric)
	}
	return nil
}

// Document is what an index knows of a document as a whole.
type Document struct {
	// ID names it in the index, 1 to 1024 bytes.
	ID string
	// Version is the caller's: an etag, a checksum of content and attributes. It is
	// committed with the chunks, so an ingestion that was killed can tell what is
	// done already.
	Version string
	// Chunks is how many it has, set by Documents.
	Chunks int
}

// Chunk is a piece of a document.
type Chunk struct {
	// ID is unique in the index, 1 to 1024 bytes.
	ID string
	// Document owns it; set by the index on the way out.
	Document string
	// Ordinal is its place in the document.
	Ordinal int
	// Parent is the id of the chunk around it (hierarchical chunking), else empty.
	Parent string
	Text   string
	// Metadata is what filters see.
	Metadata Metadata
	// Source is JSON of the caller: location, page, offsets. No filter sees it.
	Source json.RawMessage
	// Vector has Dimension finite numbers. A chunk without one, such as a parent, is
	// kept and got but never found by a search, neither by words nor by similarity.
	Vector []float32
}

// Whole is a document with all its chunks, for stores that write several at once.
type Whole struct {
	Document Document
	Chunks   []Chunk
}

// Mode says what a search looks at.
type Mode string

// The modes, named as the API names them. The empty mode is Semantic.
const (
	Semantic Mode = "SEMANTIC"
	Hybrid   Mode = "HYBRID"
)

// MaxResults bounds Query.K.
const MaxResults = 10_000

// Query is one search.
type Query struct {
	// Vector is the embedded question.
	Vector []float32
	// Model, if set, is the hash of the model that embedded it; another one than the
	// index's is refused with ErrModel.
	Model string
	// Text is the question in words, used by Hybrid only.
	Text string
	Mode Mode
	// K is how many hits are wanted, 1 to MaxResults.
	K int
	// Filter, if set, is what a chunk must fulfil to be a candidate.
	Filter *Filter
	// Fusion says how Hybrid joins its two lists; the zero value is the default.
	Fusion Fusion
}

// Hit is a chunk that was found.
type Hit struct {
	// Chunk comes without its vector.
	Chunk Chunk
	// Score orders the hits, in [0,1], higher is nearer. Its scale is the mode's and
	// the metric's own; only the order of one answer has a meaning across stores.
	Score float64
	// Similarity is the cosine, in [-1,1], or the squared Euclidean distance.
	Similarity float64
	// Words is the BM25 score, 0 without a common term and in a semantic search.
	Words float64
}

// Stats says what an index holds now.
type Stats struct {
	Documents int
	// Chunks counts all, Vectors those that a search can find.
	Chunks, Vectors int
	// DiskBytes and MemoryBytes are 0 where a store cannot tell.
	DiskBytes, MemoryBytes int64
	// Loaded says that the memory part stands; it is built by the first search.
	Loaded bool
	// Sequence counts the committed changes.
	Sequence int64
	// Recall is what the two-stage scan was measured to find of the exact top ten,
	// 0 while every search is exact.
	Recall float64
	// Rescored is how many candidates the first stage hands to the second, 0 while
	// every search is exact.
	Rescored int
}

// Store makes and opens indexes of one kind. It is safe for concurrent use.
type Store interface {
	// Capabilities says what its indexes can do.
	Capabilities() Capabilities
	// Create makes the index, or opens it if it is there already with an equal
	// definition; with another one it answers ErrMismatch.
	Create(ctx context.Context, d Definition) (Index, error)
	// Open opens an index, ErrNotFound if there is none. It reads no vector: what is
	// kept in memory is built by the first search.
	Open(ctx context.Context, n Name) (Index, error)
	// Drop removes the index and all it holds; one that is not there is no error.
	Drop(ctx context.Context, n Name) error
	// Close ends all that the store started and closes its indexes.
	Close() error
}

// Index is one open index. It is safe for concurrent use, and several openers of
// one index see each other's writes.
//
// When a write answers nil it is on disk and the next search sees it; when it
// answers an error, nothing of it is seen, except after an error of the commit
// itself. No search sees half of a write.
type Index interface {
	Definition() Definition
	// Replace makes chunks the whole of the document, in one transaction: they come,
	// those it had go. Without chunks the document is there and empty where the store
	// has a place for such (Capabilities.EmptyDocuments).
	Replace(ctx context.Context, d Document, chunks []Chunk) error
	// Delete removes documents with their chunks; unknown ones are passed over.
	Delete(ctx context.Context, documents ...string) error
	// Search answers up to q.K hits, best first; equal scores come in a fixed order.
	Search(ctx context.Context, q Query) ([]Hit, error)
	// Get answers the chunks with these ids that exist, in the order of ids; with
	// vectors, also their vectors as they were written, within what a float32 of the
	// store's keeps.
	Get(ctx context.Context, ids []string, vectors bool) ([]Chunk, error)
	// Chunks answers the chunks of a document by their ordinal, none for an unknown one.
	Chunks(ctx context.Context, document string) ([]Chunk, error)
	// Documents answers up to limit documents with ids after the given one that begin
	// with prefix, in byte order of their ids.
	Documents(ctx context.Context, prefix, after string, limit int) ([]Document, error)
	Stats(ctx context.Context) (Stats, error)
	// Close gives this handle back. The index stays open for others.
	Close() error
}

// CheckReplace is the part of Replace's contract that no store needs a look at its
// data for.
func CheckReplace(d Definition, doc Document, chunks []Chunk) error {
	if err := checkID("document", doc.ID); err != nil {
		return err
	}
	seen := make(map[string]struct{}, len(chunks))
	for i := range chunks {
		c := &chunks[i]
		if err := checkID("chunk", c.ID); err != nil {
			return err
		}
		if _, twice := seen[c.ID]; twice {
			return Invalid("two chunks with the id %q", c.ID)
		}
		seen[c.ID] = struct{}{}
		if c.Document != "" && c.Document != doc.ID {
			return Invalid("chunk %q belongs to document %q", c.ID, c.Document)
		}
		if c.Source != nil && !json.Valid(c.Source) {
			return Invalid("the source of chunk %q is not JSON", c.ID)
		}
		if c.Vector != nil {
			if err := checkVector(d, c.Vector); err != nil {
				return fmt.Errorf("chunk %q: %w", c.ID, err)
			}
		}
		if err := c.Metadata.check(); err != nil {
			return fmt.Errorf("chunk %q: %w", c.ID, err)
		}
	}
	return nil
}

// CheckQuery is the part of Search's contract that no store needs a look at its
// data for. It answers *UnsupportedError for what c lacks.
func CheckQuery(d Definition, c Capabilities, q Query) error {
	if q.K < 1 || q.K > MaxResults {
		return Invalid("%d results; 1 to %d can be asked for", q.K, MaxResults)
	}
	if q.Model != "" && q.Model != d.Model {
		return fmt.Errorf("%w: %s", ErrModel, d.Model)
	}
	if err := checkVector(d, q.Vector); err != nil {
		return err
	}
	switch q.Mode {
	case "", Semantic:
	case Hybrid:
		if !c.Hybrid {
			return &UnsupportedError{Store: c.Store, What: "hybrid search"}
		}
	default:
		return Invalid("search mode %q", q.Mode)
	}
	if err := q.Fusion.check(); err != nil {
		return err
	}
	if q.Filter == nil {
		return nil
	}
	if err := q.Filter.Check(); err != nil {
		return err
	}
	return c.CheckFilter(q.Filter)
}

func checkID(what, id string) error {
	if id == "" || len(id) > 1024 {
		return Invalid("the id of a %s has %d bytes; 1 to 1024 are possible", what, len(id))
	}
	return nil
}

func checkVector(d Definition, v []float32) error {
	if len(v) != d.Dimension {
		return Invalid("a vector of %d numbers in an index of dimension %d", len(v), d.Dimension)
	}
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	switch {
	case math.IsNaN(sum) || math.IsInf(sum, 0):
		return Invalid("a vector with a number that is not finite")
	case sum == 0 && d.Metric != Euclidean:
		return Invalid("a vector of length zero has no direction")
	}
	return nil
}
