package demo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/demo/handbook"
	"github.com/outcrop-dev/outcrop/internal/library"
)

// knowledge makes a folder of documents a knowledge base and asks a question that only
// they answer. What they say is drawn at random.
func (d *demo) knowledge(ctx context.Context) error {
	book, err := handbook.Draw()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "outcrop-handbook-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := book.Write(dir); err != nil {
		return err
	}
	l := library.New(d.aws)
	d.print("   making a bucket, a role, a knowledge base and its data source\n")
	base, err := l.Make(ctx, library.Spec{Name: "handbook"})
	if err != nil {
		return err
	}
	if _, err := l.Upload(ctx, base, os.DirFS(dir), nil); err != nil {
		return err
	}
	job, err := l.Sync(ctx, base, nil)
	if err != nil {
		return err
	}
	if n := job.Statistics.NumberOfNewDocumentsIndexed; int(n) != len(book.Files) {
		return fmt.Errorf("%d of %d documents were indexed: %s", n, len(book.Files), strings.Join(job.FailureReasons, "; "))
	}
	d.print("   %d documents read, cut, embedded and indexed\n", len(book.Files))
	q := book.Questions[0]
	d.print("   > %s\n", q.Ask)
	model := d.Model
	if !strings.HasPrefix(model, "arn:") {
		model = "arn:aws:bedrock:" + d.Region + "::foundation-model/" + model
	}
	out, err := d.agentRuntime.RetrieveAndGenerate(ctx, &bedrockagentruntime.RetrieveAndGenerateInput{
		Input: &runtimetypes.RetrieveAndGenerateInput{Text: &q.Ask},
		RetrieveAndGenerateConfiguration: &runtimetypes.RetrieveAndGenerateConfiguration{
			Type:                       runtimetypes.RetrieveAndGenerateTypeKnowledgeBase,
			KnowledgeBaseConfiguration: &runtimetypes.KnowledgeBaseRetrieveAndGenerateConfiguration{KnowledgeBaseId: &base.ID, ModelArn: &model},
		},
	})
	if err != nil {
		return err
	}
	answer := aws.ToString(out.Output.Text)
	d.print("   < %s\n", strings.ReplaceAll(answer, "\n", "\n     "))
	cited := false
	for _, c := range out.Citations {
		for _, r := range c.RetrievedReferences {
			where := ""
			if r.Location != nil && r.Location.S3Location != nil {
				where = aws.ToString(r.Location.S3Location.Uri)
			}
			part := aws.ToString(c.GeneratedResponsePart.TextResponsePart.Text)
			if utf8.RuneCountInString(part) > 60 {
				part = string([]rune(part)[:57]) + "…"
			}
			d.print("     “%s” ⟵ %s\n", part, where)
			cited = cited || strings.HasSuffix(where, "/"+q.File)
		}
	}
	switch missing := q.Missing(answer); {
	case len(missing) > 0:
		return fmt.Errorf("the answer does not hold %s, which %s says", strings.Join(missing, ", "), q.File)
	case !cited:
		return fmt.Errorf("the answer does not cite %s, which holds it", q.File)
	}
	return nil
}
