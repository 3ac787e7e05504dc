package knowledge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	titan      = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0"
	throughput = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl"
	cohere     = "arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-english-v3"
	someRole   = "arn:aws:iam::123456789012:role/knowledge"
	otherRole  = "arn:aws:iam::123456789012:role/other"
	keyA       = "arn:aws:kms:us-east-1:123456789012:key/aaaaaaaa-0000-0000-0000-000000000000"
	keyB       = "arn:aws:kms:us-east-1:123456789012:key/bbbbbbbb-0000-0000-0000-000000000000"
	someToken  = "11111111-2222-3333-4444-555555555555"
	passes     = 20 * time.Millisecond
)

// models are two models; the first has two names.
type models struct{}

func (models) Embedding(_ context.Context, model string, dimension int) (Embedding, error) {
	switch model {
	case titan, throughput:
		return Embedding{ARN: model, ID: "amazon.titan-embed-text-v2:0", Local: "small", Hash: "h1" + model[len(model)-3:], Dimension: 3, Wire: max(dimension, 5), Limit: 512, Quota: 8192}, nil
	case cohere:
		return Embedding{ARN: model, ID: "cohere.embed-english-v3", Local: "small", Hash: "h2", Dimension: 3, Wire: 4, Limit: 2000, Quota: 512}, nil
	}
	return Embedding{}, apierr.New(apierr.Validation, "no such model")
}

func (models) Embed(_ context.Context, e Embedding, _ Purpose, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = make([]float32, e.Dimension)
		out[i][len(texts[i])%e.Dimension] = 1
	}
	return out, nil
}

func (models) Ends(context.Context, Embedding, []string) ([][]int, error) { return nil, nil }

func (models) Rerank(context.Context, string, string, []string) ([]float64, error) { return nil, nil }

// gate is a sealer that refuses keys and notes in whose name it was asked.
type gate struct {
	vector.Sealer
	mu     sync.Mutex
	denied map[string]bool
}

func (g *gate) deny(key string, yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied[key] = yes
}

func (g *gate) check(key string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.denied[key] {
		return fmt.Errorf("%w: %w", store.ErrSealed, apierr.New(apierr.AccessDenied, "not authorized to use %s", key))
	}
	return nil
}

func (g *gate) Seal(ctx context.Context, key string, aad, plain []byte) ([]byte, error) {
	if err := g.check(key); err != nil {
		return nil, err
	}
	return g.Sealer.Seal(ctx, "", vector.Bind(key, string(aad)), plain)
}

func (g *gate) Open(ctx context.Context, key string, aad, sealed []byte) ([]byte, error) {
	if err := g.check(key); err != nil {
		return nil, err
	}
	return g.Sealer.Open(ctx, "", vector.Bind(key, string(aad)), sealed)
}

// shelf is Indexes over the embedded store.
type shelf struct {
	store *embedded.Store

	mu       sync.Mutex
	check    error
	create   error
	during   func() // runs once, while an index is made
	open     error
	width    int  // of new indexes, 0 for the model's
	unserved bool // kept and shown
	released []string
	acted    []string        // whose role was taken, for each use
	paused   chan chan error // what asks for documents waits here
}

func (s *shelf) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func name(b *Base) vector.Name { return vector.Name{Account: b.Account, Region: b.Region, ID: b.ID} }

func (s *shelf) note(ctx context.Context, what string) {
	who := "nobody"
	if p := ActingAs(ctx); p != nil {
		who = p.ARN
	}
	s.acted = append(s.acted, what+" "+who)
}

func (s *shelf) Check(ctx context.Context, b *Base) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(ctx, "check")
	return s.check
}

func (s *shelf) Create(ctx context.Context, b *Base) (vector.Index, error) {
	s.mu.Lock()
	during := s.during
	s.during = nil
	s.mu.Unlock()
	if during != nil {
		during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(ctx, "create")
	if s.create != nil {
		return nil, s.create
	}
	d := vector.Definition{Name: name(b), Dimension: b.Model.Dimension, Model: b.Model.Hash, KeyARN: b.KeyARN}
	if s.width > 0 {
		d.Dimension = s.width
	}
	return s.store.Create(ctx, d)
}

func (s *shelf) Open(ctx context.Context, b *Base) (vector.Index, error) {
	s.mu.Lock()
	s.note(ctx, "open")
	err, paused := s.open, s.paused
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	x, err := s.store.Open(ctx, name(b))
	if err != nil || paused == nil {
		return x, err
	}
	return &slow{Index: x, paused: paused}, nil
}

// slow waits before it deletes.
type slow struct {
	vector.Index
	paused chan chan error
}

func (s *slow) Delete(ctx context.Context, ids ...string) error {
	answer := make(chan error)
	select {
	case s.paused <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		if err != nil {
			return err
		}
		return s.Index.Delete(ctx, ids...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shelf) Capabilities(*Base) (vector.Capabilities, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Capabilities(), !s.unserved
}

func (s *shelf) Rekey(ctx context.Context, b *Base) error {
	s.mu.Lock()
	s.note(ctx, "rekey")
	s.mu.Unlock()
	x, err := s.store.Open(ctx, name(b))
	if err != nil {
		return err
	}
	defer x.Close()
	return x.(*embedded.Index).Rekey(ctx, b.KeyARN)
}

func (s *shelf) Release(ctx context.Context, b *Base) error {
	s.mu.Lock()
	s.released = append(s.released, b.ID)
	s.mu.Unlock()
	x, err := s.store.Open(ctx, name(b))
	if errors.Is(err, vector.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	stats, err := x.Stats(ctx)
	_ = x.Close()
	if err != nil || stats.Documents > 0 {
		return err
	}
	return s.store.Drop(ctx, name(b))
}

// roles knows whom nobody may be.
type roles struct {
	mu     sync.Mutex
	passed []string
	taken  int
	during func()           // runs once, while it is asked whether a role may be passed
	denied map[string]error // by verb
}

// assumed is how often the role was asked for.
func (r *roles) assumed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

func (r *roles) refuse(verb string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied[verb] = err
}

func (r *roles) ask(verb string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.denied[verb]
}

func (r *roles) Pass(_ context.Context, role, base string) error {
	r.mu.Lock()
	r.passed = append(r.passed, role+" "+base)
	during := r.during
	r.during = nil
	r.mu.Unlock()
	if during != nil {
		during()
	}
	return r.ask("pass")
}

func (r *roles) Assume(_ context.Context, role, _, account string) (*iam.Principal, error) {
	r.mu.Lock()
	r.taken++
	r.mu.Unlock()
	if err := r.ask("assume"); err != nil {
		return nil, err
	}
	return &iam.Principal{Kind: iam.KindSession, Account: account, ARN: role}, nil
}

func (r *roles) Allow(context.Context, *iam.Principal, string, string) error { return r.ask("allow") }

func (r *roles) Invoke(context.Context, *iam.Principal, string) error { return r.ask("invoke") }

// place is the room on a store of its own, with a clock that the test moves.
type place struct {
	KnowledgeBases
	DataSources
	room   *Room
	dir    string
	store  *store.Store
	shelf  *shelf
	gate   *gate
	roles  *roles
	ctx    context.Context
	mu     sync.Mutex
	now    time.Time
	forgot []string
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(passes)
}

func open(t *testing.T, q Quotas) *place {
	t.Helper()
	p := &place{now: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC), dir: t.TempDir(), roles: &roles{denied: map[string]error{}}}
	p.ctx = call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"})
	local, err := store.NewLocalSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	p.gate = &gate{Sealer: local, denied: map[string]bool{}}
	p.start(t, q)
	return p
}

// start opens the folder, as a process that begins.
func (p *place) start(t *testing.T, q Quotas) {
	t.Helper()
	p.store = storetest.OpenDir(t, p.dir, p.clock)
	x, err := embedded.New(embedded.Config{Dir: filepath.Join(p.dir, "vector"), Sealer: p.gate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	p.shelf = &shelf{store: x}
	p.room = New(Config{
		Store: p.store, Models: models{}, Indexes: p.shelf, Roles: p.roles, Now: p.clock, Transition: passes, Quotas: q,
		Forget: func(tx *store.Tx, account, region, base, source string) error {
			if _, err := sources.Head(tx, store.Key{Account: account, Region: region, Parent: base, ID: source}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("forgot %s while its row is there: %v", source, err)
			}
			tx.OnCommit(func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.forgot = append(p.forgot, base+"/"+source)
			})
			return nil
		},
	})
	p.KnowledgeBases, p.DataSources = KnowledgeBases{p.room}, DataSources{p.room}
}

// work runs the jobs until stop is called.
func (p *place) work(t *testing.T) (stop func()) {
	t.Helper()
	room := p.room
	return p.run(t, Jobs(func() *Room { return room }))
}

// run runs jobs of some kinds until stop is called.
func (p *place) run(t *testing.T, kinds []job.Kind) (stop func()) {
	t.Helper()
	r, err := job.New(job.Config{Store: p.store, Kinds: kinds, Poll: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// until waits for what jobs bring about.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func vectorConfig(model string) *api.KnowledgeBaseConfiguration {
	return &api.KnowledgeBaseConfiguration{Type: api.KnowledgeBaseTypeVector, VectorKnowledgeBaseConfiguration: &api.VectorKnowledgeBaseConfiguration{EmbeddingModelArn: model}}
}

func searchStore(index string) *api.StorageConfiguration {
	return &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypeOpensearchServerless, OpensearchServerlessConfiguration: &api.OpenSearchServerlessConfiguration{
		CollectionArn: "arn:aws:aoss:us-east-1:123456789012:collection/abcdefghij", VectorIndexName: index,
		FieldMapping: &api.OpenSearchServerlessFieldMapping{VectorField: "v", TextField: "t", MetadataField: "m"},
	}}
}

func newBase(name string) *api.CreateKnowledgeBaseInput {
	return &api.CreateKnowledgeBaseInput{
		Name: name, RoleArn: someRole, Description: new("said of it"), KnowledgeBaseConfiguration: vectorConfig(titan), StorageConfiguration: searchStore("i"),
	}
}

// base makes a knowledge base and lets it become ACTIVE.
func (p *place) base(t *testing.T, name string) string {
	t.Helper()
	out, err := p.CreateKnowledgeBase(p.ctx, newBase(name))
	if err != nil {
		t.Fatal(err)
	}
	p.pass()
	return out.KnowledgeBase.KnowledgeBaseId
}

func newSource(base, name string) *api.CreateDataSourceInput {
	return &api.CreateDataSourceInput{KnowledgeBaseId: base, Name: name, DataSourceConfiguration: &api.DataSourceConfiguration{
		Type: api.DataSourceTypeS3, S3Configuration: &api.S3DataSourceConfiguration{BucketArn: "arn:aws:s3:::documents", InclusionPrefixes: []string{"a/"}},
	}}
}

func sealed(key string) *api.ServerSideEncryptionConfiguration {
	if key == "" {
		return nil
	}
	return &api.ServerSideEncryptionConfiguration{KmsKeyArn: new(key)}
}

func (p *place) source(t *testing.T, base, name, key string, policy api.DataDeletionPolicy) string {
	t.Helper()
	in := newSource(base, name)
	in.ServerSideEncryptionConfiguration, in.DataDeletionPolicy = sealed(key), policy
	out, err := p.CreateDataSource(p.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	p.pass() // the age of data sources counts
	return out.DataSource.DataSourceId
}

// got reads a knowledge base.
func (p *place) got(t *testing.T, id string) *Base {
	t.Helper()
	b, err := p.room.Base(p.ctx, "123456789012", "us-east-1", id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fill gives an index n documents of a data source, as a sync does.
func (p *place) fill(t *testing.T, base, source string, n int) {
	t.Helper()
	b := p.got(t, base)
	ctx, who, err := p.room.Acting(p.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	x, err := p.room.Index(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	v, err := p.room.Embed(ctx, b, who, ForStore, []string{"text"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		id := DocumentID(source, fmt.Sprint("s3://documents/a/", i))
		if err := x.Replace(ctx, vector.Document{ID: id, Version: "1"}, []vector.Chunk{{ID: id + "/0", Text: "text", Vector: v[0]}}); err != nil {
			t.Fatal(err)
		}
	}
}

// documents counts those of a data source that are in the index; -1 when it is gone.
func (p *place) documents(t *testing.T, base, source string) int {
	t.Helper()
	x, err := p.shelf.store.Open(p.ctx, vector.Name{Account: "123456789012", Region: "us-east-1", ID: base})
	if errors.Is(err, vector.ErrNotFound) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	list, err := x.Documents(p.ctx, source+"/", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// sealedWith is the key of an index.
func (p *place) sealedWith(t *testing.T, base string) string {
	t.Helper()
	x, err := p.shelf.store.Open(p.ctx, vector.Name{Account: "123456789012", Region: "us-east-1", ID: base})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	return x.Definition().KeyARN
}

// indexes counts those on disk.
func (p *place) indexes(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, "vector", "123456789012", "us-east-1", "*", "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func (p *place) status(t *testing.T, base string) api.KnowledgeBaseStatus {
	t.Helper()
	out, err := p.GetKnowledgeBase(p.ctx, &api.GetKnowledgeBaseInput{KnowledgeBaseId: base})
	if apierr.KindOf(err) == apierr.ResourceNotFound {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.KnowledgeBase.Status
}

func (p *place) sourceStatus(t *testing.T, base, source string) api.DataSourceStatus {
	t.Helper()
	out, err := p.GetDataSource(p.ctx, &api.GetDataSourceInput{KnowledgeBaseId: base, DataSourceId: source})
	if apierr.KindOf(err) == apierr.ResourceNotFound {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.DataSource.Status
}

// want asks for an error of a kind whose text holds part.
func want(t *testing.T, what string, err error, kind apierr.Kind, part string) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Message, part) {
		t.Errorf("%s: %v, want %s with %q", what, err, kind, part)
	}
}

func (p *place) deletedSource(base, source string) error {
	_, err := p.DeleteDataSource(p.ctx, &api.DeleteDataSourceInput{KnowledgeBaseId: base, DataSourceId: source})
	return err
}

func (p *place) deletedBase(base string) error {
	_, err := p.DeleteKnowledgeBase(p.ctx, &api.DeleteKnowledgeBaseInput{KnowledgeBaseId: base})
	return err
}

func (p *place) acted() []string {
	p.shelf.mu.Lock()
	defer p.shelf.mu.Unlock()
	return slices.Clone(p.shelf.acted)
}
