package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/demo/handbook"
	"github.com/outcrop-dev/outcrop/internal/library"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// A handbook whose facts are drawn anew in each run is ingested and asked on the
// default models of the package index: an answer holds its facts only if they were
// retrieved, and is right only if it cites the file that says so. The questions were
// written before the first run.
func TestHandbookAnswersWithCitations(t *testing.T) {
	if os.Getenv("OUTCROP_REAL_MODEL") == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1 to run on real models")
	}
	draw(t, consulted)
}

// consulted asks a handbook and answers how many questions came out well.
func consulted(t *testing.T) int {
	s := outcroptest.Start(t, "--engine", "auto", "--chat-model", toolModel, "--embedding-model", embeddingModel)
	cfg := aws.Config{
		Region: s.Getenv("AWS_REGION"), BaseEndpoint: aws.String(s.Endpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.Getenv("AWS_ACCESS_KEY_ID"), s.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	}
	book, err := handbook.Draw()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := book.Write(dir); err != nil {
		t.Fatal(err)
	}
	l := library.New(cfg)
	base, err := l.Make(t.Context(), library.Spec{Name: "handbook"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Upload(t.Context(), base, os.DirFS(dir), nil); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	job, err := l.Sync(t.Context(), base, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := job.Statistics.NumberOfNewDocumentsIndexed; int(n) != len(book.Files) {
		t.Fatalf("%d of %d documents were indexed: %v", n, len(book.Files), job.FailureReasons)
	}
	ingested := time.Since(begin)
	client := bedrockagentruntime.NewFromConfig(cfg)
	ask := func(question string) (*bedrockagentruntime.RetrieveAndGenerateOutput, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		return client.RetrieveAndGenerate(ctx, &bedrockagentruntime.RetrieveAndGenerateInput{
			Input: &types.RetrieveAndGenerateInput{Text: &question},
			RetrieveAndGenerateConfiguration: &types.RetrieveAndGenerateConfiguration{
				Type: types.RetrieveAndGenerateTypeKnowledgeBase, KnowledgeBaseConfiguration: &types.KnowledgeBaseRetrieveAndGenerateConfiguration{
					KnowledgeBaseId: &base.ID, ModelArn: aws.String("arn:aws:bedrock:us-east-1::foundation-model/" + haiku),
				},
			},
		})
	}
	var table strings.Builder
	cell := strings.NewReplacer("\n", " ", "|", "\\|")
	fmt.Fprintf(&table, "| question | answer | cites | time | |\n|---|---|---|---|---|\n")
	passed := 0
	for _, q := range book.Questions {
		begin := time.Now()
		out, err := ask(q.Ask)
		took := time.Since(begin).Round(10 * time.Millisecond)
		mark, answer, files := "✓", "", ""
		if err != nil {
			mark = err.Error()
		} else {
			answer, files = aws.ToString(out.Output.Text), strings.Join(cited(out), ", ")
			if why := judgeCitations(&q, book, out); why != "" {
				mark = why
			} else {
				passed++
			}
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", q.Ask, cell.Replace(answer), files, took, cell.Replace(mark))
	}
	refusal, err := ask(book.Unanswerable)
	if err != nil {
		t.Fatal(err)
	}
	text := aws.ToString(refusal.Output.Text)
	fmt.Fprintf(&table, "| %s | %s | %s | | refused, as nothing answers it |\n", book.Unanswerable, cell.Replace(text), strings.Join(cited(refusal), ", "))
	t.Logf("%d of %d, ingested in %s\n%s", passed, len(book.Questions), ingested, table.String())
	if text != "Sorry, I am unable to assist you with this request." || len(cited(refusal)) > 0 {
		t.Errorf("a question that nothing answers is answered: %q citing %v", text, cited(refusal))
	}
	if to := os.Getenv("OUTCROP_WRITE_RESULTS"); to != "" {
		page := fmt.Sprintf("# A handbook, asked on a real model\n\n%d of %d questions end with an answer that holds the facts and cites the file that says so; spans and references are checked. Models: %s and %s. "+
			"The facts are drawn anew in each run. Written by `go test ./test/real -run TestHandbook` with OUTCROP_REAL_MODEL=1 and OUTCROP_WRITE_RESULTS=DIR.\n\n%s", passed, len(book.Questions), toolModel, embeddingModel, table.String())
		if err := os.WriteFile(filepath.Join(to, "benchmarks-knowledge.md"), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return passed
}

// cited are the files that an answer cites, each once.
func cited(out *bedrockagentruntime.RetrieveAndGenerateOutput) []string {
	var files []string
	for _, c := range out.Citations {
		for _, r := range c.RetrievedReferences {
			uri := ""
			if r.Location != nil && r.Location.S3Location != nil {
				uri = aws.ToString(r.Location.S3Location.Uri)
			}
			name := uri[strings.LastIndexByte(uri, '/')+1:]
			if !strings.Contains(" "+strings.Join(files, " ")+" ", " "+name+" ") {
				files = append(files, name)
			}
		}
	}
	return files
}

// judgeCitations says what is wrong with an answer. A fact must be in a part of the
// answer whose span points at it and whose reference holds it: exchanged references
// fail.
func judgeCitations(q *handbook.Question, book *handbook.Handbook, out *bedrockagentruntime.RetrieveAndGenerateOutput) string {
	answer := aws.ToString(out.Output.Text)
	if missing := q.Missing(answer); len(missing) > 0 {
		return "the answer lacks " + strings.Join(missing, ", ")
	}
	runes := []rune(answer)
	supported := make(map[string]bool)
	for _, c := range out.Citations {
		p := c.GeneratedResponsePart.TextResponsePart
		if p.Span == nil || len(c.RetrievedReferences) == 0 {
			continue
		}
		start, end := int(aws.ToInt32(p.Span.Start)), int(aws.ToInt32(p.Span.End))
		if start < 0 || end >= len(runes) || start > end {
			return fmt.Sprintf("the span %d to %d is not in the answer of %d characters", start, end, len(runes))
		}
		part := string(runes[start : end+1])
		if part != aws.ToString(p.Text) {
			return fmt.Sprintf("the span says %q, the part %q", part, aws.ToString(p.Text))
		}
		for _, r := range c.RetrievedReferences {
			text, uri := aws.ToString(r.Content.Text), aws.ToString(r.Location.S3Location.Uri)
			name := uri[strings.LastIndexByte(uri, '/')+1:]
			if _, ok := book.Files[name]; !ok {
				return "a reference to " + uri + ", which is no file of the handbook"
			}
			for _, f := range q.Facts {
				if name == q.File && strings.Contains(strings.ToLower(part), strings.ToLower(f)) && strings.Contains(strings.ToLower(text), strings.ToLower(f)) {
					supported[f] = true
				}
			}
		}
	}
	for _, f := range q.Facts {
		if !supported[f] {
			return "no citation with " + q.File + " supports " + f
		}
	}
	return ""
}
