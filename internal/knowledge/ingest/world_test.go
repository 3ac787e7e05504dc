package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/object/dir"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	baseID  = "KNOWLEDGE1"
	srcID   = "DATASOURC1"
)

var model = knowledge.Embedding{ARN: "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0", Hash: "weights", Dimension: 16, Limit: 512, Quota: 8192}

// world is a house around one knowledge base: a real store, a real index and real
// buckets, and a model that counts.
type world struct {
	t       testing.TB
	store   *store.Store
	vectors *embedded.Store
	objects object.Store
	files   bucket.Files
	keys    *keys
	room    *Room
	cfg     Config

	mu       sync.Mutex
	base     knowledge.Base
	source   knowledge.Source
	gone     bool  // the knowledge base is deleted
	role     error // the service role cannot be taken
	may      error // whether the role may invoke the model
	refuse   func(text string) error
	calls    int            // of Embed
	embedded map[string]int // how often each text was
	at       func(point string) error
	slow     time.Duration // of one call of Embed
	widest   int           // texts in the largest call
}

var _ Bases = (*world)(nil)

type shelf map[string]bucket.Record

func (s shelf) Lookup(_ context.Context, name string) (bucket.Record, error) {
	r, ok := s[name]
	if !ok {
		return r, object.ErrNoBucket
	}
	return r, nil
}

func newWorld(t testing.TB, change ...func(*world)) *world {
	t.Helper()
	folder := t.TempDir()
	w := &world{t: t, embedded: map[string]int{}}
	w.base = knowledge.Base{Account: account, Region: region, ID: baseID, Role: "arn:aws:iam::123456789012:role/kb", Status: bedrockagent.KnowledgeBaseStatusActive, Model: model}
	w.source = knowledge.Source{Base: baseID, ID: srcID, Status: bedrockagent.DataSourceStatusAvailable, Deletion: bedrockagent.DataDeletionPolicyDelete,
		Config: bedrockagent.DataSourceConfiguration{Type: bedrockagent.DataSourceTypeS3, S3Configuration: &bedrockagent.S3DataSourceConfiguration{BucketArn: "arn:aws:s3:::docs"}}}
	sealer, err := store.NewLocalSealer(make([]byte, 32))
	must(t, err)
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: folder})
	must(t, err)
	w.keys = &keys{LocalSealer: sealer, sealed: map[string]int{}}
	w.store, err = store.Open(t.Context(), store.Config{Driver: d, Sealer: w.keys})
	must(t, err)
	w.vectors, err = embedded.New(embedded.Config{Dir: filepath.Join(folder, "indexes"), Sealer: sealer})
	must(t, err)
	w.objects, err = dir.Open(t.Context(), dir.Config{Dir: filepath.Join(folder, "objects")})
	must(t, err)
	t.Cleanup(func() {
		for _, c := range []func() error{w.objects.Close, w.vectors.Close, w.store.Close} {
			if err := c(); err != nil {
				t.Error(err)
			}
		}
	})
	x, err := w.vectors.Create(t.Context(), vector.Definition{Name: vector.Name{Account: account, Region: region, ID: baseID}, Dimension: model.Dimension, Model: model.Hash})
	must(t, err)
	must(t, x.Close())
	names := shelf{}
	for _, name := range []string{"docs", "between"} {
		names[name] = bucket.Record{Place: object.Bucket{Account: account, Region: region, Name: name}}
		must(t, w.objects.CreateBucket(t.Context(), names[name].Place))
	}
	w.files, err = bucket.New(bucket.Config{Objects: w.objects, Directory: names})
	must(t, err)
	w.cfg = Config{Knowledge: w, Store: w.store, Files: w.files, Parser: plainParser{}, At: w.point, Every: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(w)
	}
	w.room = New(w.cfg)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) point(name string) error {
	w.mu.Lock()
	at := w.at
	w.mu.Unlock()
	if at == nil {
		return nil
	}
	return at(name)
}

// Base implements Bases.
func (w *world) Base(_ context.Context, a, r, id string) (*knowledge.Base, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a != account || r != region || id != baseID || w.gone {
		return nil, apierr.New(apierr.ResourceNotFound, knowledge.TextMissing)
	}
	b := w.base
	return &b, nil
}

// Source implements Bases.
func (w *world) Source(_ context.Context, _ *knowledge.Base, id string) (*knowledge.Source, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id != srcID {
		return nil, apierr.New(apierr.ResourceNotFound, knowledge.TextMissing)
	}
	s := w.source
	return &s, nil
}

// Acting implements Bases.
func (w *world) Acting(ctx context.Context, _ *knowledge.Base) (context.Context, *iam.Principal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return ctx, &iam.Principal{Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/kb/s"}, w.role
}

// MayEmbed implements Bases.
func (w *world) MayEmbed(context.Context, *knowledge.Base, *iam.Principal) error { return w.may }

// Index implements Bases.
func (w *world) Index(ctx context.Context, _ *knowledge.Base) (vector.Index, error) {
	return w.vectors.Open(ctx, vector.Name{Account: account, Region: region, ID: baseID})
}

// Capabilities implements Bases.
func (w *world) Capabilities(*knowledge.Base) (vector.Capabilities, bool) {
	return w.vectors.Capabilities(), true
}

// Models implements Bases.
func (w *world) Models() knowledge.Models { return words{} }

// words are models whose tokens are words.
type words struct{ knowledge.Models }

func (words) Ends(_ context.Context, _ knowledge.Embedding, texts []string) ([][]int, error) {
	out := make([][]int, len(texts))
	for i, s := range texts {
		in := false
		for k := range len(s) {
			space := s[k] == ' ' || s[k] == '\n'
			if in && space {
				out[i] = append(out[i], k)
			}
			in = !space
		}
		if in {
			out[i] = append(out[i], len(s))
		}
	}
	return out, nil
}

// Embed implements Bases.
func (w *world) Embed(ctx context.Context, _ *knowledge.Base, p *iam.Principal, purpose knowledge.Purpose, texts []string) ([][]float32, error) {
	if p == nil || purpose != knowledge.ForStore {
		return nil, fmt.Errorf("embed for %q as %v", purpose, p)
	}
	w.mu.Lock()
	w.calls++
	w.widest = max(w.widest, len(texts))
	slow, refuse := w.slow, w.refuse
	w.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	out := make([][]float32, len(texts))
	for i, s := range texts {
		if refuse != nil {
			if err := refuse(s); err != nil {
				return nil, err
			}
		}
		out[i] = vectorOf(s)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range texts {
		w.embedded[s]++
	}
	return out, nil
}

// vectorOf is of unit length and different for different texts.
func vectorOf(s string) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	v, sum := make([]float32, model.Dimension), 0.0
	for i := range v {
		x := r.NormFloat64()
		v[i], sum = float32(x), sum+x*x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// plainParser reads everything as text; what begins with BROKEN is damaged, and a CSV
// with records has one on each line.
type plainParser struct{}

func (plainParser) Parse(_ context.Context, in parse.Input) (*parse.Document, error) {
	text := string(in.Data)
	if in.Scope != baseID {
		return nil, fmt.Errorf("scope %q", in.Scope)
	}
	if _, ok := parse.FormatOf(in.Name); !ok {
		if _, ok := parse.FormatOfMediaType(in.MediaType); !ok {
			return nil, &parse.Error{Reason: parse.Unsupported, Message: "it is of no known format"}
		}
	}
	switch {
	case text == "":
		return nil, &parse.Error{Reason: parse.Empty, Message: "it is empty"}
	case strings.HasPrefix(text, "BROKEN"):
		return nil, &parse.Error{Reason: parse.Damaged, Message: "its parts do not fit together"}
	case strings.HasPrefix(text, "NOJAIL"):
		return nil, &parse.Error{Reason: parse.NoJail, Message: "the kernel has no namespaces"}
	}
	d := &parse.Document{Format: parse.Text, Text: text, Pages: 1}
	for at := 0; at < len(text); {
		end := at + len(text[at:])
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i
		}
		if end > at {
			d.Blocks = append(d.Blocks, parse.Block{Start: at, End: end, Page: 1})
			if in.Records != nil {
				d.Records = append(d.Records, parse.Record{Start: at, End: end, Attributes: map[string]parse.Value{"row": {Type: parse.StringValue, String: fmt.Sprint(len(d.Records) + 1)}}})
			}
		}
		at = end + 1
	}
	return d, nil
}

// runner runs jobs until the test ends it.
type runner struct {
	stop context.CancelFunc
	done chan error
}

func (w *world) run() *runner {
	w.t.Helper()
	r, err := job.New(job.Config{Store: w.store, Kinds: Kinds(func() *Room { return w.room })})
	must(w.t, err)
	ctx, stop := context.WithCancel(context.Background())
	x := &runner{stop: stop, done: make(chan error, 1)}
	go func() { x.done <- r.Run(ctx) }()
	return x
}

func (r *runner) end(t testing.TB) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		must(t, err)
	case <-time.After(2 * time.Minute):
		t.Fatal("the runner does not end")
	}
}

func (w *world) ctx() context.Context {
	return call.With(w.t.Context(), &call.Call{Account: account, Region: region, Partition: "aws"})
}

func (w *world) file(key, text string) {
	w.t.Helper()
	_, err := w.files.Put(w.t.Context(), bucket.Caller{}, bucket.Location{Bucket: "docs", Key: key}, strings.NewReader(text), object.PutOptions{})
	must(w.t, err)
}

func (w *world) unlink(key string) {
	w.t.Helper()
	must(w.t, w.files.Delete(w.t.Context(), bucket.Caller{}, bucket.Location{Bucket: "docs", Key: key}))
}

func (w *world) start() string {
	w.t.Helper()
	out, err := Jobs{w.room}.StartIngestionJob(w.ctx(), &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID})
	must(w.t, err)
	return out.IngestionJob.IngestionJobId
}

func (w *world) get(id string) *bedrockagent.IngestionJob {
	w.t.Helper()
	out, err := Jobs{w.room}.GetIngestionJob(w.ctx(), &bedrockagent.GetIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID, IngestionJobId: id})
	must(w.t, err)
	return out.IngestionJob
}

// wait waits until a job has ended.
func (w *world) wait(id string) *bedrockagent.IngestionJob {
	w.t.Helper()
	var j *bedrockagent.IngestionJob
	w.until(func() bool { j = w.get(id); return Lifecycle.Final(j.Status) })
	return j
}

func (w *world) until(ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.t.Fatal("it does not happen")
}

// sync runs one whole job.
func (w *world) sync() *bedrockagent.IngestionJob {
	w.t.Helper()
	r := w.run()
	defer r.end(w.t)
	return w.wait(w.start())
}

func numbers(j *bedrockagent.IngestionJob) [7]int64 {
	s := j.Statistics
	return [7]int64{
		*s.NumberOfDocumentsScanned, *s.NumberOfMetadataDocumentsScanned, *s.NumberOfNewDocumentsIndexed, *s.NumberOfModifiedDocumentsIndexed,
		*s.NumberOfMetadataDocumentsModified, *s.NumberOfDocumentsDeleted, *s.NumberOfDocumentsFailed,
	}
}

// complete demands that a job completed with these numbers.
func complete(t testing.TB, j *bedrockagent.IngestionJob, want [7]int64) {
	t.Helper()
	if got := numbers(j); j.Status != bedrockagent.IngestionJobStatusComplete || got != want {
		t.Fatalf("%s %v, want COMPLETE %v; %q", j.Status, got, want, j.FailureReasons)
	}
}

// content is all that the index holds, by document.
func (w *world) content() map[string][]vector.Chunk {
	w.t.Helper()
	x, err := w.Index(w.t.Context(), nil)
	must(w.t, err)
	defer func() { must(w.t, x.Close()) }()
	out := map[string][]vector.Chunk{}
	for after := ""; ; {
		docs, err := x.Documents(w.t.Context(), "", after, 500)
		must(w.t, err)
		if len(docs) == 0 {
			return out
		}
		for _, d := range docs {
			after = d.ID
			chunks, err := x.Chunks(w.t.Context(), d.ID)
			must(w.t, err)
			var ids []string
			for _, c := range chunks {
				ids = append(ids, c.ID)
			}
			if chunks, err = x.Get(w.t.Context(), ids, true); err != nil {
				w.t.Fatal(err)
			}
			out[d.ID+" "+d.Version] = chunks
		}
	}
}

// texts are those of the index, of a document or of all ("").
func (w *world) texts(place string) []string {
	w.t.Helper()
	var out []string
	for _, chunks := range w.content() {
		for _, c := range chunks {
			var p knowledge.Passage
			must(w.t, json.Unmarshal(c.Source, &p))
			if place == "" || p.Place.String() == place {
				out = append(out, c.Text)
			}
		}
	}
	return out
}

func (w *world) chunks(place string) []vector.Chunk {
	w.t.Helper()
	for _, chunks := range w.content() {
		for _, c := range chunks {
			var p knowledge.Passage
			must(w.t, json.Unmarshal(c.Source, &p))
			if p.Place.String() == place {
				return chunks
			}
		}
	}
	return nil
}

func (w *world) embeds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// prose is n words.
func prose(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 2))
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "w%d", r.IntN(100000))
		if i%11 == 10 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// kind demands an exception.
func kind(t testing.TB, err error, want apierr.Kind) {
	t.Helper()
	if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Kind != want {
		t.Fatalf("%v, want %s", err, want)
	}
}

// between answers what is in the intermediate bucket.
func (w *world) read(name, key string) []byte {
	w.t.Helper()
	b, _, err := bucket.ReadAll(w.t.Context(), w.files, bucket.Caller{}, bucket.Location{Bucket: name, Key: key}, 1<<20)
	must(w.t, err)
	return bytes.Clone(b)
}
