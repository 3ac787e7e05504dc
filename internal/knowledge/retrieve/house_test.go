package retrieve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"unicode"

	"go.uber.org/goleak"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/restjson"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	dimension = 64
	modelHash = "5f0c"
	baseID    = "KB12345678"
	account   = "123456789012"
	roleARN   = "arn:aws:iam::123456789012:role/kb"
	rerankARN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"
)

// house is a knowledge base in a real embedded index, with a model of hashed words.
type house struct {
	t     testing.TB
	room  *retrieve.Room
	ops   retrieve.Operations
	base  *knowledge.Base
	index vector.Index
	log   bytes.Buffer

	mu       sync.Mutex
	asked    []string // what was asked of ports, in order
	reranked [][]string
	caps     *vector.Capabilities
	err      map[string]error // by what is asked
	hook     func(x vector.Index) vector.Index
	score    func(question, text string) float64
}

type actingKey struct{}

// masked is no encryption: it is enough that nothing is read as it was written.
type masked struct{}

func (masked) Seal(_ context.Context, _ string, _, plain []byte) ([]byte, error) {
	return mask(plain), nil
}
func (masked) Open(_ context.Context, _ string, _, sealed []byte) ([]byte, error) {
	return mask(sealed), nil
}

func mask(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= 0x5a
	}
	return out
}

func newHouse(t testing.TB) *house {
	t.Helper()
	st, err := embedded.New(embedded.Config{Dir: t.TempDir(), Sealer: masked{}, UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	x, err := st.Create(t.Context(), vector.Definition{Name: vector.Name{Account: account, Region: "us-east-1", ID: baseID}, Dimension: dimension, Model: modelHash})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	h := &house{t: t, index: x, err: map[string]error{}}
	caps := st.Capabilities()
	h.caps = &caps
	h.base = &knowledge.Base{Account: account, Region: "us-east-1", ID: baseID, Role: roleARN, Model: knowledge.Embedding{ARN: "embed", Hash: modelHash, Dimension: dimension}}
	h.room = retrieve.New(retrieve.Config{Bases: h, Roles: roles{h}, Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	h.ops = retrieve.Operations{Room: h.room}
	return h
}

func (h *house) ask(what string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, what)
	return h.err[what]
}

func (h *house) Active(_ context.Context, id string) (*knowledge.Base, error) {
	if id != baseID {
		return nil, apierr.New(apierr.ResourceNotFound, "no such knowledge base")
	}
	return h.base, h.ask("active")
}

func (h *house) Acting(ctx context.Context, b *knowledge.Base) (context.Context, *iam.Principal, error) {
	return context.WithValue(ctx, actingKey{}, b.Role), &iam.Principal{}, h.ask("acting")
}

// acting fails the test when a port is used in another name than the role's.
func (h *house) acting(ctx context.Context) {
	if ctx.Value(actingKey{}) != roleARN {
		h.t.Error("a port was asked outside the service role")
	}
}

func (h *house) Index(ctx context.Context, _ *knowledge.Base) (vector.Index, error) {
	h.acting(ctx)
	if err := h.ask("index"); err != nil {
		return nil, err
	}
	x := vector.Index(open{h.index})
	if h.hook != nil {
		x = h.hook(x)
	}
	return x, nil
}

// open is a handle whose Close leaves the test's own alone.
type open struct{ vector.Index }

func (open) Close() error { return nil }

func (h *house) Embed(ctx context.Context, b *knowledge.Base, p *iam.Principal, purpose knowledge.Purpose, texts []string) ([][]float32, error) {
	h.acting(ctx)
	if p == nil || b != h.base || purpose != knowledge.ForSearch {
		h.t.Errorf("embed as %v for %q", p, purpose)
	}
	var out [][]float32
	for _, s := range texts {
		out = append(out, embed(s))
	}
	return out, h.ask("embed")
}

func (h *house) Models() knowledge.Models { return models{h} }

func (h *house) Capabilities(*knowledge.Base) (vector.Capabilities, bool) {
	if h.caps == nil {
		return vector.Capabilities{}, false
	}
	return *h.caps, true
}

type models struct{ *house }

func (models) Embedding(context.Context, string, int) (knowledge.Embedding, error) {
	panic("not asked")
}
func (models) Embed(context.Context, knowledge.Embedding, knowledge.Purpose, []string) ([][]float32, error) {
	panic("the room is asked, not the models")
}
func (models) Ends(context.Context, knowledge.Embedding, []string) ([][]int, error) {
	panic("not asked")
}

func (m models) Rerank(_ context.Context, model, question string, texts []string) ([]float64, error) {
	m.reranked = append(m.reranked, texts)
	if err := m.ask("rerank " + model); err != nil {
		return nil, err
	}
	out := make([]float64, len(texts))
	for i, s := range texts {
		out[i] = m.score(question, s)
	}
	return out, nil
}

type roles struct{ *house }

func (r roles) Pass(context.Context, string, string) error { panic("not asked") }
func (r roles) Assume(context.Context, string, string, string) (*iam.Principal, error) {
	panic("the room assumes")
}
func (r roles) Allow(_ context.Context, p *iam.Principal, action, resource string) error {
	return r.ask(fmt.Sprintf("may %s %s", action, resource))
}
func (r roles) Invoke(_ context.Context, p *iam.Principal, model string) error {
	return r.ask("may invoke " + model)
}

// embed hashes words, and pairs of letters where words are not set apart.
func embed(s string) []float32 {
	v := make([]float64, dimension)
	add := func(w string) {
		f := fnv.New64a()
		f.Write([]byte(w))
		n := f.Sum64() * 0x9e3779b97f4a7c15
		sign := float64(1)
		if n>>63 == 1 {
			sign = -1
		}
		v[n>>32%dimension] += sign
	}
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r := []rune(w)
		if r[0] < 0x1100 {
			add(w)
			continue
		}
		for i := range r {
			add(string(r[i:min(len(r), i+2)]))
		}
	}
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	out := make([]float32, dimension)
	if sum == 0 {
		out[0] = 1
		return out
	}
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(sum))
	}
	return out
}

// chunk is a passage of a document in S3, or with custom of one that was given.
func chunk(id, text string, m vector.Metadata) vector.Chunk {
	p := knowledge.Passage{DataSource: "DS12345678", Place: knowledge.Place{S3: "s3://docs/" + id + ".txt"}, Page: 3, End: len(text)}
	if strings.HasPrefix(id, "custom") {
		p.Place = knowledge.Place{Custom: id}
	}
	return vector.Chunk{ID: id, Text: text, Metadata: m, Vector: embed(text), Source: p.Encode()}
}

// put makes each chunk a document of its own.
func (h *house) put(chunks ...vector.Chunk) {
	h.t.Helper()
	for _, c := range chunks {
		h.document(c.ID, c)
	}
}

func (h *house) document(id string, chunks ...vector.Chunk) {
	h.t.Helper()
	sum := sha256.Sum256([]byte(id))
	if err := h.index.Replace(h.t.Context(), vector.Document{ID: fmt.Sprintf("%x", sum[:8]), Version: "1"}, chunks); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) ctx() context.Context {
	return call.With(h.t.Context(), &call.Call{Account: account, Region: "us-east-1", Caller: &iam.Principal{}})
}

// request reads the body of a request as the gateway does, checks included.
func (h *house) request(body string) (*api.RetrieveInput, error) {
	in := new(api.RetrieveInput)
	err := restjson.DecodeBody(&api.Service, operation("Retrieve").Input, in, []byte(body))
	in.KnowledgeBaseId = baseID
	if err != nil && !strings.Contains(err.Error(), "knowledgeBaseId") { // stands in the path
		return nil, err
	}
	return in, nil
}

// retrieve asks the operation with the wire's body.
func (h *house) retrieve(body string) (*api.RetrieveOutput, error) {
	h.t.Helper()
	in, err := h.request(body)
	if err != nil {
		return nil, err
	}
	out, err := h.ops.Retrieve(h.ctx(), in)
	return out, modelled(h.t, "Retrieve", err)
}

func (h *house) must(body string) *api.RetrieveOutput {
	h.t.Helper()
	out, err := h.retrieve(body)
	if err != nil {
		h.t.Fatal(err)
	}
	last := math.Inf(1)
	for _, r := range out.RetrievalResults {
		if *r.Score > last || *r.Score < 0 || *r.Score > 1 {
			h.t.Errorf("score %v after %v", *r.Score, last)
		}
		last = *r.Score
	}
	return out
}

func (h *house) texts(body string) []string {
	h.t.Helper()
	var out []string
	for _, r := range h.must(body).RetrievalResults {
		out = append(out, *r.Content.Text)
	}
	return out
}

// wants fails unless err is of the kind and says the words.
func (h *house) wants(err error, kind apierr.Kind, words ...string) {
	h.t.Helper()
	if err == nil {
		h.t.Fatalf("no error, want %s %q", kind, words)
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != kind {
		h.t.Fatalf("error %v, want %s", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			h.t.Errorf("message %q does not say %q", e.Message, w)
		}
	}
}

// modelled fails for an exception that the operation does not have.
func modelled(t testing.TB, op string, err error) error {
	t.Helper()
	if e, ok := errors.AsType[*apierr.Error](err); ok && restjson.AnsweredKind(&api.Service, operation(op), e.Kind) != e.Kind {
		t.Errorf("%s has no %s: %v", op, e.Kind, err)
	}
	return err
}

// pg is what pgvector can do.
func pg() *vector.Capabilities {
	c := new(pgvector.Store).Capabilities()
	return &c
}
