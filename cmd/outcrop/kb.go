package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"github.com/outcrop-dev/outcrop/internal/library"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

const kbUsage = `usage: outcrop kb list
       outcrop kb ingest [FLAGS] FOLDER         make the documents of a folder a knowledge base; again: what changed
       outcrop kb search [FLAGS] NAME QUESTION  ask a knowledge base, by name or id`

// kbVerb works with the knowledge bases of a running server, over the wire like any
// other client.
func kbVerb(ctx context.Context, e *env, args []string) error {
	what := "list"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		what, args = args[0], args[1:]
	}
	fs := e.flags("kb " + what)
	fs.Usage = func() { fmt.Fprintln(e.stderr, kbUsage); fs.PrintDefaults() }
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	v := kb{e: e}
	switch what {
	case "list":
	case "ingest":
		fs.StringVar(&v.spec.Name, "name", "", "name of the knowledge base (default: the folder's)")
		fs.StringVar(&v.spec.Model, "model", library.DefaultModel, "embedding model of a new one")
		fs.IntVar(&v.spec.Tokens, "tokens", 0, "tokens of a chunk, for a new one (default: the service's)")
		fs.IntVar(&v.spec.Overlap, "overlap", 20, "overlap of chunks in percent, with -tokens")
	case "search":
		fs.IntVar(&v.question.Results, "results", 5, "how many results")
		fs.StringVar(&v.mode, "mode", "", "hybrid or semantic (default: the best that the store can do)")
		fs.StringVar(&v.filter, "filter", "", `what documents must be, as the API has it: {"equals":{"key":"year","value":2024}}`)
		fs.BoolVar(&v.whole, "whole", false, "print passages uncut")
	default:
		return usage("%q is neither list, ingest nor search\n%s", what, kbUsage)
	}
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	client, err := connect(*data)
	if err != nil {
		return err
	}
	v.library = library.New(client)
	switch what {
	case "ingest":
		if fs.NArg() != 1 {
			return usage("name one folder\n%s", kbUsage)
		}
		return v.ingest(ctx, fs.Arg(0))
	case "search":
		if fs.NArg() < 2 {
			return usage("name a knowledge base and a question\n%s", kbUsage)
		}
		return v.search(ctx, fs.Arg(0), strings.Join(fs.Args()[1:], " "))
	}
	return listBases(ctx, e, bedrockagent.NewFromConfig(client))
}

// kb is one run of the verb.
type kb struct {
	e            *env
	library      *library.Library
	spec         library.Spec
	question     library.Question
	mode, filter string
	whole        bool
}

func listBases(ctx context.Context, e *env, client *bedrockagent.Client) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tSTATUS\tUPDATED")
	pages := bedrockagent.NewListKnowledgeBasesPaginator(client, &bedrockagent.ListKnowledgeBasesInput{})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range p.KnowledgeBaseSummaries {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", aws.ToString(b.KnowledgeBaseId), aws.ToString(b.Name), b.Status, aws.ToTime(b.UpdatedAt).Local().Format("2006-01-02 15:04:05"))
		}
	}
	return t.Flush()
}

func (v *kb) ingest(ctx context.Context, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if v.spec.Name == "" {
		whole, err := filepath.Abs(folder)
		if err != nil {
			return err
		}
		v.spec.Name = library.Name(filepath.Base(whole))
	}
	b, err := v.library.Make(ctx, v.spec)
	if err != nil {
		return err
	}
	state := "found"
	if b.Made {
		state = "made"
	}
	fmt.Fprintf(v.e.stdout, "knowledge base %s (%s), %s\n", b.Name, b.ID, state)
	bar := v.bar("upload")
	sent, err := v.library.Upload(ctx, b, root.FS(), bar.step)
	bar.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(v.e.stdout, "%d files: %d sent to s3://%s, %d removed, %d of other kinds or too large left out\n", sent.Files, sent.Sent, b.Bucket, sent.Removed, len(sent.Skipped))
	bar = v.bar("ingest")
	job, err := v.library.Sync(ctx, b, func(s *types.IngestionJobStatistics) {
		done := s.NumberOfNewDocumentsIndexed + s.NumberOfModifiedDocumentsIndexed + s.NumberOfDocumentsFailed
		bar.step(int(done), int(max(done, s.NumberOfDocumentsScanned)))
	})
	bar.end()
	if err != nil {
		return err
	}
	s := job.Statistics
	fmt.Fprintf(v.e.stdout, "%d documents: %d new, %d changed, %d metadata changed, %d deleted, %d failed\n", s.NumberOfDocumentsScanned,
		s.NumberOfNewDocumentsIndexed, s.NumberOfModifiedDocumentsIndexed, s.NumberOfMetadataDocumentsModified, s.NumberOfDocumentsDeleted, s.NumberOfDocumentsFailed)
	for _, reason := range job.FailureReasons {
		fmt.Fprintf(v.e.stderr, "  %s\n", reason)
	}
	return nil
}

func (v *kb) search(ctx context.Context, name, text string) error {
	v.question.Text, v.question.Mode = text, runtimetypes.SearchType(strings.ToUpper(v.mode))
	if v.filter != "" {
		f, err := library.Filter(json.RawMessage(v.filter))
		if err != nil {
			return usage("--filter: %v", err)
		}
		v.question.Filter = f
	}
	var err error
	if v.question.Base, err = v.library.Find(ctx, name); err != nil {
		return err
	}
	results, err := v.library.Search(ctx, v.question)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return errors.New("nothing was found")
	}
	words, err := analyse.New("")
	if err != nil {
		return err
	}
	for i, r := range results {
		fmt.Fprintf(v.e.stdout, "%d  %.3f  %s\n", i+1, aws.ToFloat64(r.Score), library.Where(&r))
		passage := aws.ToString(r.Content.Text)
		marks := words.Marks(passage, text)
		start, end := 0, len(passage)
		if !v.whole {
			start, end = window(passage, marks, 400)
		}
		fmt.Fprintf(v.e.stdout, "   %s\n\n", v.light(passage, marks, start, end))
	}
	return nil
}

// window chooses the part of a passage, of about size bytes, that has the most marks.
func window(text string, marks []analyse.Span, size int) (start, end int) {
	if len(text) <= size {
		return 0, len(text)
	}
	best := -1
	for i, m := range marks {
		n := 0
		for _, o := range marks[i:] {
			if o.End > m.Start+size*3/4 {
				break
			}
			n += o.End - o.Start
		}
		if n > best {
			best, start = n, max(0, m.Start-size/8)
		}
	}
	end = min(len(text), start+size)
	start = max(0, end-size)
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	// Whole words, where there are any near.
	if i := strings.IndexByte(text[start:end], ' '); start > 0 && i >= 0 && i < 24 {
		start += i + 1
	}
	if i := strings.LastIndexByte(text[start:end], ' '); end < len(text) && i >= 0 && end-start-i < 24 {
		end = start + i
	}
	return start, end
}

// light is a part of a passage on lines of its own, with its marks in bold where the
// output is a terminal.
func (v *kb) light(text string, marks []analyse.Span, start, end int) string {
	on, off := "", ""
	if f, ok := v.e.stdout.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		on, off = "\x1b[1m", "\x1b[0m"
	}
	var b strings.Builder
	if start > 0 {
		b.WriteString("… ")
	}
	at := start
	for _, m := range marks {
		if m.Start < at || m.End > end {
			continue
		}
		b.WriteString(printable(text[at:m.Start]) + on + printable(text[m.Start:m.End]) + off)
		at = m.End
	}
	b.WriteString(printable(text[at:end]))
	if end < len(text) {
		b.WriteString(" …")
	}
	return strings.ReplaceAll(b.String(), "\n", "\n   ")
}

// printable takes control characters out of a document's text: none of them may reach
// a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

// meter is a progress bar, or nothing where there is no terminal.
type meter struct{ bar *progressbar.ProgressBar }

func (v *kb) bar(label string) *meter {
	if v.e.terminal == nil || !isatty.IsTerminal(v.e.terminal.Fd()) {
		return &meter{}
	}
	return &meter{progressbar.NewOptions(1, progressbar.OptionSetWriter(v.e.terminal), progressbar.OptionSetDescription(label),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish())}
}

func (m *meter) step(done, all int) {
	if m.bar == nil || all == 0 {
		return
	}
	m.bar.ChangeMax(all)
	_ = m.bar.Set(done)
}

func (m *meter) end() {
	if m.bar != nil {
		_ = m.bar.Finish()
	}
}
