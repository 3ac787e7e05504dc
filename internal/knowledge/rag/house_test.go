package rag

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	haiku   = "anthropic.claude-3-haiku-20240307-v1:0"
	claude2 = "anthropic.claude-v2:1"
	baseID  = "KB00000001"
)

// house is everything around the operations.
type house struct {
	t       *testing.T
	o       *Operations
	store   *store.Store
	account string

	mu       sync.Mutex
	at       time.Time
	results  map[string][]api.KnowledgeBaseRetrievalResult // by query, "" for any other
	asked    []string                                      // queries
	prompts  []engine.Request
	fields   []json.RawMessage
	model    func(r *engine.Request, emit func(engine.Delta) error) error
	denied   map[string]bool // "action resource"
	checked  []string
	baseErr  error
	findErr  error
	objects  map[string]string
	readers  []bucket.Caller
	contexts int
	check    string // what the model says when it is asked whether it can answer
	checks   int
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, account: "123456789012", at: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC), results: map[string][]api.KnowledgeBaseRetrievalResult{}, denied: map[string]bool{}, check: "Yes"}
	h.store = storetest.NewAt(t, h.now)
	h.restart()
	return h
}

// restart is a new process on the same database.
func (h *house) restart() {
	var err error
	h.o, err = New(Config{
		Models: h, Resolver: h, Bases: h, Searcher: h, Permissions: h, Parser: h, Files: h, Now: h.now, OpenAfter: time.Minute,
		Sessions: conversation.New(conversation.Config{Store: h.store}),
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) GenerateWith(_ context.Context, _ string, r *engine.Request, fields json.RawMessage, emit func(engine.Delta) error) (*engine.Result, error) {
	h.mu.Lock()
	h.prompts, h.fields = append(h.prompts, *r), append(h.fields, fields)
	do := h.model
	h.mu.Unlock()
	if do == nil {
		return nil, errors.New("no model was expected to be asked")
	}
	if err := do(r, emit); err != nil {
		return nil, err
	}
	return &engine.Result{}, nil
}

// says makes a model that answers the texts in turn, in pieces of n bytes.
func (h *house) says(n int, texts ...string) {
	h.model = func(r *engine.Request, emit func(engine.Delta) error) error {
		if m := r.Messages[0].Parts[0].Text; strings.HasSuffix(m, checkQuestion) {
			h.checks++
			h.mu.Lock()
			h.prompts = h.prompts[:len(h.prompts)-1]
			h.mu.Unlock()
			return emit(engine.Delta{Text: h.check})
		}
		h.mu.Lock()
		text := texts[0]
		if len(texts) > 1 {
			texts = texts[1:]
		}
		h.mu.Unlock()
		for _, p := range cutRunes(text, n) {
			if err := emit(engine.Delta{Text: p}); err != nil {
				return err
			}
		}
		return nil
	}
}

func cutRunes(s string, n int) []string {
	var out []string
	r := []rune(s)
	for len(r) > 0 {
		k := min(n, len(r))
		out = append(out, string(r[:k]))
		r = r[k:]
	}
	return out
}

func (h *house) Resolve(_ context.Context, id string) (*catalog.Target, error) {
	if strings.Contains(id, "unknown") {
		return nil, apierr.New(apierr.Validation, "The provided model identifier is invalid.")
	}
	base := id[strings.LastIndexByte(id, '/')+1:]
	t := &catalog.Target{ModelID: id, BaseID: base, Kind: engine.Chat, System: base != "amazon.titan-text-lite-v1", ARN: "arn:aws:bedrock:us-east-1::foundation-model/" + base, Context: 200_000}
	t.Info.Context = h.contexts
	if strings.HasPrefix(base, "us.") {
		t.Resources = []string{"arn:profile", "arn:model-a", "arn:model-b"}
	}
	if strings.Contains(base, "embed") {
		t.Kind = engine.Embedding
	}
	return t, nil
}

func (h *house) Active(_ context.Context, id string) (*knowledge.Base, error) {
	if h.baseErr != nil {
		return nil, h.baseErr
	}
	return &knowledge.Base{Account: h.account, Region: "us-east-1", ID: id}, nil
}

func (h *house) Search(_ context.Context, _ *knowledge.Base, text string, _ *api.KnowledgeBaseRetrievalConfiguration) ([]api.KnowledgeBaseRetrievalResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, text)
	if r, ok := h.results[text]; ok {
		return r, h.findErr
	}
	return h.results[""], h.findErr
}

func (h *house) Authorize(_ context.Context, action, resource string) error {
	h.checked = append(h.checked, action+" "+resource)
	if h.denied[action+" "+resource] {
		return apierr.New(apierr.AccessDenied, "no")
	}
	return nil
}

func (h *house) Parse(_ context.Context, in parse.Input) (*parse.Document, error) {
	if strings.HasPrefix(string(in.Data), "BROKEN") {
		return nil, &parse.Error{Reason: "damaged", Message: "it is damaged"}
	}
	d := &parse.Document{Text: string(in.Data)}
	at := 0
	for _, p := range strings.SplitAfter(d.Text, "\n") {
		end := at + len(strings.TrimSuffix(p, "\n"))
		if end > at {
			d.Blocks = append(d.Blocks, parse.Block{Kind: parse.Paragraph, Start: at, End: end})
		}
		at += len(p)
	}
	return d, nil
}

func (h *house) Stat(context.Context, bucket.Caller, bucket.Location) (object.Info, error) {
	return object.Info{}, errors.New("not used")
}

func (h *house) Get(_ context.Context, as bucket.Caller, at bucket.Location, _ object.Range) (*object.Content, error) {
	h.readers = append(h.readers, as)
	text, ok := h.objects[at.URI()]
	switch {
	case text == "DENIED":
		return nil, bucket.ErrDenied
	case !ok:
		return nil, object.ErrNotFound
	}
	return &object.Content{Info: object.Info{Size: int64(len(text))}, Length: int64(len(text)), Body: nopCloser{strings.NewReader(text)}}, nil
}

func (h *house) List(context.Context, bucket.Caller, bucket.Location, object.ListOptions) (object.Page, error) {
	return object.Page{}, errors.New("not used")
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

// ctx is a call of a client; attempt may be "".
func (h *house) ctx(attempt string) context.Context {
	return call.With(h.t.Context(), &call.Call{
		Account: h.account, Region: "us-east-1", Principal: "arn:aws:iam::" + h.account + ":user/u", Service: "bedrock-agent-runtime", Attempt: attempt,
		Caller: &iam.Principal{ARN: "arn:aws:iam::" + h.account + ":user/u", Account: h.account},
	})
}

// found makes results of texts; each lies in s3://b/N.txt.
func found(texts ...string) []api.KnowledgeBaseRetrievalResult {
	var out []api.KnowledgeBaseRetrievalResult
	for i, t := range texts {
		uri := "s3://b/" + string(rune('a'+i)) + ".txt"
		out = append(out, api.KnowledgeBaseRetrievalResult{
			Content:  &api.RetrievalResultContent{Text: new(t), Type: api.RetrievalResultContentTypeText},
			Location: &api.RetrievalResultLocation{Type: api.RetrievalResultLocationTypeS3, S3Location: &api.RetrievalResultS3Location{Uri: new(uri)}},
			Metadata: map[string]json.RawMessage{"x-amz-bedrock-kb-chunk-id": json.RawMessage(`"` + t + `"`)}, Score: new(0.5),
		})
	}
	return out
}

// ask makes a request; change may alter it.
func ask(text string, change ...func(*api.RetrieveAndGenerateInput)) *api.RetrieveAndGenerateInput {
	in := &api.RetrieveAndGenerateInput{
		Input: &api.RetrieveAndGenerateInputStructure{Text: text},
		RetrieveAndGenerateConfiguration: &api.RetrieveAndGenerateConfiguration{
			Type: api.RetrieveAndGenerateTypeKnowledgeBase,
			KnowledgeBaseConfiguration: &api.KnowledgeBaseRetrieveAndGenerateConfiguration{
				KnowledgeBaseId: baseID, ModelArn: haiku, GenerationConfiguration: &api.GenerationConfiguration{},
			},
		},
	}
	for _, c := range change {
		c(in)
	}
	return in
}

func inSession(id string) func(*api.RetrieveAndGenerateInput) {
	return func(in *api.RetrieveAndGenerateInput) { in.SessionId = &id }
}

func withTemplate(text string) func(*api.RetrieveAndGenerateInput) {
	return func(in *api.RetrieveAndGenerateInput) {
		in.RetrieveAndGenerateConfiguration.KnowledgeBaseConfiguration.GenerationConfiguration.PromptTemplate = &api.PromptTemplate{TextPromptTemplate: &text}
	}
}

func withModel(id string) func(*api.RetrieveAndGenerateInput) {
	return func(in *api.RetrieveAndGenerateInput) {
		in.RetrieveAndGenerateConfiguration.KnowledgeBaseConfiguration.ModelArn = id
	}
}

func (h *house) must(in *api.RetrieveAndGenerateInput) *api.RetrieveAndGenerateOutput {
	h.t.Helper()
	out, err := h.o.RetrieveAndGenerate(h.ctx(""), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// fails wants an exception of the kind whose text holds a word.
func (h *house) fails(in *api.RetrieveAndGenerateInput, kind apierr.Kind, word string) {
	h.t.Helper()
	_, err := h.o.RetrieveAndGenerate(h.ctx(""), in)
	if err == nil || apierr.KindOf(err) != kind || !strings.Contains(err.Error(), word) {
		h.t.Errorf("it answered %v, want %s with %q", err, kind, word)
	}
}

// prompt is the last request to the model.
func (h *house) prompt() *engine.Request { return &h.prompts[len(h.prompts)-1] }

// wire is the client's side of a stream.
type wire struct {
	mu     sync.Mutex
	head   *api.RetrieveAndGenerateStreamOutput
	events []*api.RetrieveAndGenerateStreamEvent
	heard  func()
	fail   error
}

func (w *wire) Open(head any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head != nil {
		return errors.New("opened twice")
	}
	w.head = head.(*api.RetrieveAndGenerateStreamOutput)
	return nil
}

func (w *wire) Send(e any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == nil {
		return errors.New("sent before it was opened")
	}
	if w.fail != nil {
		return w.fail
	}
	w.events = append(w.events, e.(*api.RetrieveAndGenerateStreamEvent))
	if w.heard != nil {
		w.heard()
	}
	return nil
}

func (w *wire) Recv() (any, error) { return nil, errors.New("nothing comes in") }

func (w *wire) text() string {
	var b strings.Builder
	for _, e := range w.events {
		if e.Output != nil {
			b.WriteString(e.Output.Text)
		}
	}
	return b.String()
}

func (h *house) stream(in *api.RetrieveAndGenerateInput, w *wire) error { return h.streamAs("", in, w) }

func (h *house) streamAs(attempt string, in *api.RetrieveAndGenerateInput, w *wire) error {
	return h.o.RetrieveAndGenerateStream(h.ctx(attempt), &api.RetrieveAndGenerateStreamInput{
		Input: in.Input, RetrieveAndGenerateConfiguration: in.RetrieveAndGenerateConfiguration, SessionConfiguration: in.SessionConfiguration, SessionId: in.SessionId,
	}, &api.RetrieveAndGenerateStreamWriter{Raw: w})
}
