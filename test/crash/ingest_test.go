//go:build unix

package crash

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/document"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/library"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

const (
	shelfFiles  = 150 // documents of the bucket, of which every 25th is damaged
	shelfBroken = 6
	embedBatch  = 64 // texts in one call of the engine
)

// embedder is an endpoint with one embedding model that remembers what it was asked.
type embedder struct {
	URL   string
	calls chan struct{} // one for each call, dropped when nobody looks

	mu    sync.Mutex
	pause time.Duration
	texts map[string]int // how often each was embedded
}

func newEmbedder(t *testing.T) *embedder {
	t.Helper()
	e := &embedder{calls: make(chan struct{}, 1000), texts: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"text-embed","object":"model","owned_by":"test"}]}`)) // the caller may be dead
	})
	mux.HandleFunc("POST /v1/embeddings", e.embed)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	e.URL = srv.URL + "/v1"
	return e
}

// embed counts the words of a text by their hash: the same text, the same vector.
func (e *embedder) embed(w http.ResponseWriter, r *http.Request) {
	var in struct{ Input []string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	pause := e.pause
	for _, s := range in.Input {
		e.texts[s]++
	}
	e.mu.Unlock()
	select {
	case e.calls <- struct{}{}:
	default:
	}
	time.Sleep(pause)
	var data []any
	total := 0
	for i, s := range in.Input {
		v := make([]float64, 64)
		for _, word := range strings.Fields(s) {
			h := fnv.New32a()
			_, _ = h.Write([]byte(word)) // a hash takes everything
			v[h.Sum32()%64]++
			total++
		}
		data = append(data, map[string]any{"index": i, "embedding": v})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]int{"prompt_tokens": total}}) // the caller may be dead
}

// taken answers what was embedded, by document, and begins anew.
func (e *embedder) taken() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]int{}
	for s, n := range e.texts {
		if m := shelfMark.FindString(s); m != "" {
			out[m] += n
		}
	}
	e.texts = map[string]int{}
	return out
}

// times is how often texts of a document were embedded.
func (e *embedder) times(mark string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s, k := range e.texts {
		if strings.Contains(s, mark) {
			n += k
		}
	}
	return n
}

// shelfMark is in every sentence of a document.
var shelfMark = regexp.MustCompile(`doc[0-9]{4}`)

func shelfName(i int) string {
	return fmt.Sprintf("part%d/doc%04d.%s", i%3, i, []string{"txt", "md", "html", "csv"}[i%4])
}

// shelfFile writes a document of some chunks; each sentence names it and the revision.
func shelfFile(t *testing.T, dir string, i, revision int) {
	t.Helper()
	var b strings.Builder
	for k := range 12 {
		s := fmt.Sprintf("Sentence%d of doc%04d in revision%d tells about topic%d and thing%d at length.", k, i, revision, (i*7+k)%40, (i+k*k)%90)
		switch i % 4 {
		case 1:
			fmt.Fprintf(&b, "%s\n\n", s)
		case 2:
			fmt.Fprintf(&b, "<p>%s</p>\n", s)
		case 3:
			fmt.Fprintf(&b, "%d,%s\n", k, s)
		default:
			fmt.Fprintf(&b, "%s ", s)
		}
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if i%25 == 7 {
		write(fmt.Sprintf("broken/doc%04d.docx", i), b.String()) // no archive
		return
	}
	write(shelfName(i), b.String())
	if i%10 == 3 {
		write(shelfName(i)+".metadata.json", fmt.Sprintf(`{"metadataAttributes":{"number":%d,"genre":"g%d"}}`, i, i%4))
	}
}

// reading is a running server with its knowledge base.
type reading struct {
	server *outcroptest.Server
	client *http.Client
	lib    *library.Library
	agents *bedrockagent.Client
	base   *library.Base
}

func openReading(t *testing.T, dir string, e *embedder) *reading {
	t.Helper()
	return openMortal(t, dir, e, "")
}

// openMortal opens one that dies at a failpoint.
func openMortal(t *testing.T, dir string, e *embedder, point string) *reading {
	t.Helper()
	s, err := outcroptest.LaunchMortal(dir, point, "--engine", e.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := &reading{server: s, client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
	t.Cleanup(func() { r.kill() }) // an error path; a second kill does nothing
	// Attempts are as many as by default. The SDK (smithy-go 1.28.9) breaks a connection
	// now and then whose answer comes before it has looked whether the request's body has
	// ended: safeWriteToReadCloser.WriteTo answers io.EOF then. Answers of more than 4 KiB
	// are lost with it, and the SDK asks again.
	cfg := aws.Config{
		Region: s.Getenv("AWS_REGION"), BaseEndpoint: aws.String(s.Endpoint), HTTPClient: r.client,
		Credentials: credentials.NewStaticCredentialsProvider(s.Getenv("AWS_ACCESS_KEY_ID"), s.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	}
	r.lib, r.agents = library.New(cfg), bedrockagent.NewFromConfig(cfg)
	if r.base, err = r.lib.Make(t.Context(), library.Spec{Name: "shelf", Tokens: 60, Overlap: 10}); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	return r
}

func (r *reading) kill() {
	r.server.Kill()
	r.client.CloseIdleConnections()
}

// stop ends the server as its owner does.
func (r *reading) stop(t *testing.T) {
	t.Helper()
	if code := r.server.Stop(); code != 0 {
		t.Errorf("the server ended with %d:\n%s", code, r.server.Log())
	}
	r.client.CloseIdleConnections()
}

func (r *reading) upload(t *testing.T, dir string) {
	t.Helper()
	if _, err := r.lib.Upload(t.Context(), r.base, os.DirFS(dir), nil); err != nil {
		t.Fatal(err)
	}
}

func (r *reading) start(t *testing.T) string {
	t.Helper()
	out, err := r.agents.StartIngestionJob(t.Context(), &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: &r.base.ID, DataSourceId: &r.base.Source})
	if err != nil {
		t.Fatal(err)
	}
	return *out.IngestionJob.IngestionJobId
}

func (r *reading) job(t *testing.T, id string) *types.IngestionJob {
	t.Helper()
	out, err := r.agents.GetIngestionJob(t.Context(), &bedrockagent.GetIngestionJobInput{KnowledgeBaseId: &r.base.ID, DataSourceId: &r.base.Source, IngestionJobId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return out.IngestionJob
}

// moved waits until the job has counted another document or has ended.
func (r *reading) moved(t *testing.T, id string) {
	t.Helper()
	count := func(s *types.IngestionJobStatistics) int64 {
		return s.NumberOfNewDocumentsIndexed + s.NumberOfModifiedDocumentsIndexed
	}
	before := count(r.job(t, id).Statistics)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		j := r.job(t, id)
		if count(j.Statistics) > before || j.Status == types.IngestionJobStatusComplete {
			return
		}
		if j.Status == types.IngestionJobStatusFailed {
			break
		}
	}
	t.Fatalf("the job does not move: %q", r.job(t, id).FailureReasons)
}

// found names documents that the index has, some of the first.
func (r *reading) found(t *testing.T) (marks []string) {
	t.Helper()
	for n := range 4 {
		found, err := r.lib.Search(t.Context(), library.Question{Base: r.base.ID, Text: fmt.Sprintf("topic%d tells about thing%d", n*9, n*20), Results: 100, Mode: runtimetypes.SearchTypeSemantic})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			marks = append(marks, shelfMark.FindString(aws.ToString(f.Content.Text)))
		}
	}
	return marks
}

// unembedded demands that nothing that was found was embedded again since.
func unembedded(t *testing.T, e *embedder, safe map[string]int) {
	t.Helper()
	for m, n := range safe {
		if got := e.times(m); got != n {
			t.Errorf("%s was found, and embedded again after a kill: %d texts, then %d", m, n, got)
		}
	}
}

// complete waits for a job and demands its numbers.
func (r *reading) complete(t *testing.T, id string, want types.IngestionJobStatistics) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		j := r.job(t, id)
		switch {
		case j.Status == types.IngestionJobStatusComplete:
			s, w := *j.Statistics, want
			got := []int64{s.NumberOfDocumentsScanned, s.NumberOfMetadataDocumentsScanned, s.NumberOfNewDocumentsIndexed, s.NumberOfModifiedDocumentsIndexed, s.NumberOfMetadataDocumentsModified, s.NumberOfDocumentsDeleted, s.NumberOfDocumentsFailed}
			wanted := []int64{w.NumberOfDocumentsScanned, w.NumberOfMetadataDocumentsScanned, w.NumberOfNewDocumentsIndexed, w.NumberOfModifiedDocumentsIndexed, w.NumberOfMetadataDocumentsModified, w.NumberOfDocumentsDeleted, w.NumberOfDocumentsFailed}
			if !slices.Equal(got, wanted) {
				t.Errorf("statistics %v, want %v: %q", got, wanted, j.FailureReasons)
			}
			return
		case j.Status == types.IngestionJobStatusFailed || time.Now().After(end):
			t.Fatalf("the job is %s: %q\n%s", j.Status, j.FailureReasons, r.server.Log())
		}
	}
}

// states are those of all documents, by their addresses.
func (r *reading) states(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	pages := bedrockagent.NewListKnowledgeBaseDocumentsPaginator(r.agents, &bedrockagent.ListKnowledgeBaseDocumentsInput{KnowledgeBaseId: &r.base.ID, DataSourceId: &r.base.Source})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range p.DocumentDetails {
			out[*d.Identifier.S3.Uri] = string(d.Status)
		}
	}
	return out
}

// content is all that can be retrieved: the chunks of each document, found by a filter
// on its address, without the ids that differ from one data folder to the next.
func (r *reading) content(t *testing.T, states map[string]string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for uri := range states {
		found, err := r.lib.Search(t.Context(), library.Question{
			Base: r.base.ID, Text: "topic7 thing9 at length", Results: 100, Mode: runtimetypes.SearchTypeSemantic,
			Filter: &runtimetypes.RetrievalFilterMemberEquals{Value: runtimetypes.FilterAttribute{Key: aws.String("x-amz-bedrock-kb-source-uri"), Value: document.NewLazyDocument(uri)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			meta := map[string]any{}
			for k, v := range f.Metadata {
				if k == "x-amz-bedrock-kb-data-source-id" || k == "x-amz-bedrock-kb-chunk-id" {
					continue
				}
				var x any
				if err := v.UnmarshalSmithyDocument(&x); err != nil {
					t.Fatal(err)
				}
				meta[k] = fmt.Sprint(x)
			}
			out[uri] = append(out[uri], fmt.Sprintf("%.6f %s %v", aws.ToFloat64(f.Score), aws.ToString(f.Content.Text), meta))
		}
		slices.Sort(out[uri])
	}
	return out
}

// TestIngestionSurvivesKills kills the whole server again and again while it ingests.
// Every kill follows a call of the embedding model by up to half a second, so that
// it falls before, into and after the writing of the index and of the rows. What
// comes out is what an undisturbed server makes of the same files.
func TestIngestionSurvivesKills(t *testing.T) {
	kills := min(env("OUTCROP_CRASH_KILLS", 6), 50)
	rng := rand.New(rand.NewPCG(11, uint64(kills)))
	files, dir := t.TempDir(), t.TempDir()
	e := newEmbedder(t)
	metadata := int64(0)
	for i := range shelfFiles {
		shelfFile(t, files, i, 1)
		if i%10 == 3 && i%25 != 7 {
			metadata++
		}
	}
	want := types.IngestionJobStatistics{NumberOfDocumentsScanned: shelfFiles, NumberOfMetadataDocumentsScanned: metadata,
		NumberOfNewDocumentsIndexed: shelfFiles - shelfBroken, NumberOfDocumentsFailed: shelfBroken}
	r := openReading(t, dir, e)
	r.upload(t, files)
	e.mu.Lock()
	e.pause = 300 * time.Millisecond
	e.mu.Unlock()
	id := r.start(t)
	inside, again, revision, seen := 0, 0, 1, 0
	safe := map[string]int{} // documents that were found, and how often their texts were embedded then
	for k := range kills {
		if r.job(t, id).Status == types.IngestionJobStatusComplete { // all is done: a new revision of everything
			r.complete(t, id, want)
			revision++
			for i := range shelfFiles {
				shelfFile(t, files, i, revision)
			}
			r.upload(t, files)
			want.NumberOfModifiedDocumentsIndexed, want.NumberOfNewDocumentsIndexed = shelfFiles-shelfBroken, 0
			unembedded(t, e, safe)
			clear(safe)
			e.taken()
			id = r.start(t)
		}
		for len(e.calls) > 0 {
			<-e.calls
		}
		for range 1 + rng.IntN(2) {
			select {
			case <-e.calls:
			case <-time.After(3 * time.Second): // nothing is left to embed
			}
		}
		// The job is given up when five processes die without a step between them, as
		// it should be: every third one lives until its rows are written.
		if k%3 == 1 {
			r.moved(t, id)
		}
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
		if r.job(t, id).Status == types.IngestionJobStatusInProgress {
			inside++
		}
		// What can be found is on disk, whether its row says so or not.
		if revision == 1 {
			for _, m := range r.found(t) {
				if _, ok := safe[m]; !ok {
					safe[m], seen = e.times(m), seen+1
				}
			}
		}
		r.kill()
		r = openReading(t, dir, e)
	}
	e.mu.Lock()
	e.pause = 0
	e.mu.Unlock()
	r.complete(t, id, want)
	unembedded(t, e, safe)
	e.mu.Lock()
	distinct := len(e.texts)
	for _, n := range e.texts {
		again += n - 1
	}
	e.mu.Unlock()
	// Two calls run at once; about as much waits to be written, or for its document.
	if limit := kills * 3 * embedBatch; again > limit {
		t.Errorf("%d texts were embedded again, %d are the most that %d kills can lose", again, limit, kills)
	}
	if seen == 0 {
		t.Error("no kill came after a document was found: the test shows little")
	}
	if inside*2 < kills {
		t.Errorf("only %d of %d kills hit a job in work", inside, kills)
	}
	t.Logf("%d kills, %d inside the work, %d revisions; in the last %d texts, %d embedded again", kills, inside, revision, distinct, again)

	states := r.states(t)
	chunks := r.content(t, states)
	other := newEmbedder(t)
	calm := openReading(t, t.TempDir(), other)
	calm.upload(t, files)
	calm.complete(t, calm.start(t), types.IngestionJobStatistics{NumberOfDocumentsScanned: shelfFiles, NumberOfMetadataDocumentsScanned: metadata,
		NumberOfNewDocumentsIndexed: shelfFiles - shelfBroken, NumberOfDocumentsFailed: shelfBroken})
	calmStates := calm.states(t)
	if diff := cmp.Diff(calmStates, states); diff != "" {
		t.Errorf("documents (-undisturbed +killed):\n%s", diff)
	}
	calmChunks := calm.content(t, calmStates)
	if diff := cmp.Diff(calmChunks, chunks); diff != "" {
		t.Errorf("chunks (-undisturbed +killed):\n%s", diff)
	}
	total := 0
	for _, c := range calmChunks {
		total += len(c)
	}
	if len(calmChunks) != shelfFiles-shelfBroken || total < 3*len(calmChunks) {
		t.Errorf("%d chunks of %d documents: the comparison shows little", total, len(calmChunks))
	}
	t.Logf("%d chunks of %d documents are equal", total, len(calmChunks))
	calm.stop(t)

	// A sync without a change embeds nothing, one with changes only these.
	e.taken()
	r.complete(t, r.start(t), types.IngestionJobStatistics{NumberOfDocumentsScanned: shelfFiles, NumberOfMetadataDocumentsScanned: metadata, NumberOfDocumentsFailed: shelfBroken})
	if got := e.taken(); len(got) > 0 {
		t.Errorf("embedded without a change: %v", got)
	}
	for _, i := range []int{4, 40} {
		shelfFile(t, files, i, revision+1)
	}
	shelfFile(t, files, shelfFiles, 1)
	if err := os.Remove(filepath.Join(files, shelfName(8))); err != nil {
		t.Fatal(err)
	}
	r.upload(t, files)
	r.complete(t, r.start(t), types.IngestionJobStatistics{NumberOfDocumentsScanned: shelfFiles, NumberOfMetadataDocumentsScanned: metadata,
		NumberOfNewDocumentsIndexed: 1, NumberOfModifiedDocumentsIndexed: 2, NumberOfDocumentsDeleted: 1, NumberOfDocumentsFailed: shelfBroken})
	if got := slices.Sorted(maps.Keys(e.taken())); !slices.Equal(got, []string{"doc0004", "doc0040", "doc0150"}) {
		t.Errorf("embedded %v after two changes and one new file", got)
	}
	if left := r.content(t, map[string]string{"s3://" + r.base.Bucket + "/" + shelfName(8): ""}); len(left) > 0 {
		t.Errorf("of a deleted file is left %v", left)
	}
	r.stop(t)
}
