package corpus

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/library"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// asian are documents with a question each; the fact is in one sentence of many, and
// the vectors of the test say nothing, so that the words must find it.
var asian = []struct{ name, filler, fact, question, want string }{
	{"korean.txt", "이 문장은 회사의 일반적인 안내입니다. ", "서울 사무소의 비상 연락처는 등대지기 팀입니다. ", "비상 연락처는 어느 팀입니까?", "등대지기"},
	{"japanese.txt", "この文は会社の一般的な案内です。", "京都支店の金庫番号は紫陽花係が管理しています。", "金庫番号を管理しているのは誰ですか?", "紫陽花係"},
	{"chinese.txt", "这句话是公司的一般说明。", "杭州仓库的备用钥匙由翡翠小组保管。", "备用钥匙由谁保管?", "翡翠小组"},
}

// flatEngine is an endpoint whose vectors tell texts apart but know no meaning.
func flatEngine(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"text-embed","object":"model","owned_by":"test"}]}`)) // the server tells of a failure
	})
	mux.HandleFunc("POST /v1/embeddings", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Input []string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var data []any
		for i, s := range in.Input {
			h := fnv.New64a()
			_, _ = h.Write([]byte(s)) // a hash takes everything
			v, sum := make([]float64, 32), h.Sum64()
			for k := range v {
				v[k] = float64(sum>>k&1)*2 - 1
			}
			data = append(data, map[string]any{"index": i, "embedding": v})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]int{"prompt_tokens": len(in.Input)}}) // as above
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/v1"
}

// TestTheCorpusIsIngested syncs whole and damaged files with a real server: every whole
// one is indexed, every damaged one is indexed or failed with a reason, and the
// statistics are true to both.
func TestTheCorpusIsIngested(t *testing.T) {
	sources := files(t)
	step, damaged := 6, 40
	if all {
		step, damaged = 1, 2000
	}
	dir := t.TempDir()
	for _, sub := range []string{"whole", "damaged"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := 0
	for i := 0; i < len(sources); i += step {
		data, err := os.ReadFile(sources[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		write(fmt.Sprintf("whole/%04d-%s", i, filepath.Base(sources[i].Path)), data)
		whole++
	}
	for _, a := range asian {
		write("whole/"+a.name, []byte(strings.Repeat(a.filler, 60)+a.fact+strings.Repeat(a.filler, 60)))
		whole++
	}
	for i := range damaged {
		f := sources[(i*37)%len(sources)]
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		bad, _ := Damage(data, f.Format, uint64(i))
		write(fmt.Sprintf("damaged/%04d.%s", i, f.Format), bad)
	}

	s := outcroptest.Start(t, "--engine", flatEngine(t))
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	cfg := aws.Config{
		Region: s.Getenv("AWS_REGION"), BaseEndpoint: aws.String(s.Endpoint), HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider(s.Getenv("AWS_ACCESS_KEY_ID"), s.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	}
	l, agents := library.New(cfg), bedrockagent.NewFromConfig(cfg)
	base, err := l.Make(t.Context(), library.Spec{Name: "corpus", Tokens: 120, Overlap: 10})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := l.Upload(t.Context(), base, os.DirFS(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.Skipped) > 0 || sent.Sent != whole+damaged {
		t.Fatalf("%d of %d files were sent, %v were left out", sent.Sent, whole+damaged, sent.Skipped)
	}
	began := time.Now()
	job, err := l.Sync(t.Context(), base, nil) // anything but COMPLETE is an error
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	indexed, failed := int64(0), int64(0)
	pages := bedrockagent.NewListKnowledgeBaseDocumentsPaginator(agents, &bedrockagent.ListKnowledgeBaseDocumentsInput{KnowledgeBaseId: &base.ID, DataSourceId: &base.Source})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range p.DocumentDetails {
			uri, reason := aws.ToString(d.Identifier.S3.Uri), aws.ToString(d.StatusReason)
			switch d.Status {
			case "INDEXED":
				indexed++
			case "FAILED":
				failed++
				if strings.Contains(uri, "/whole/") || reason == "" {
					t.Errorf("%s failed: %q", uri, reason)
				}
			default:
				t.Errorf("%s is %s: %q", uri, d.Status, reason)
			}
		}
	}
	st := job.Statistics
	if st.NumberOfDocumentsScanned != int64(whole+damaged) || st.NumberOfNewDocumentsIndexed != indexed || st.NumberOfDocumentsFailed != failed || indexed+failed != int64(whole+damaged) {
		t.Errorf("statistics %+v; %d files, %d are listed as indexed and %d as failed", *st, whole+damaged, indexed, failed)
	}
	if failed == 0 || indexed <= int64(whole) {
		t.Errorf("%d of %d damaged files failed: the damage damages nothing, or everything", failed, damaged)
	}
	t.Logf("%d whole and %d damaged files in %s: %d indexed, %d failed", whole, damaged, took.Round(time.Millisecond), indexed, failed)

	for _, a := range asian {
		found, err := l.Search(t.Context(), library.Question{Base: base.ID, Text: a.question, Results: 5, Mode: runtimetypes.SearchTypeHybrid})
		if err != nil {
			t.Fatal(err)
		}
		hit := false
		for i, f := range found {
			text := aws.ToString(f.Content.Text)
			if i < 3 && strings.Contains(text, a.want) {
				hit = true
				if end := strings.TrimSpace(text); !strings.HasSuffix(end, ".") && !strings.HasSuffix(end, "。") {
					t.Errorf("%s: a chunk ends inside a sentence: …%q", a.name, end[max(0, len(end)-60):])
				}
				if len(text) > 60*len(a.filler) {
					t.Errorf("%s: a chunk of %d bytes: it was not cut", a.name, len(text))
				}
			}
		}
		if !hit {
			t.Errorf("%s: %q is not among the first three", a.name, a.want)
		}
	}
}
