package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

func TestMain(m *testing.M) {
	if sandbox.Main() || parse.Main() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestTheTableOfTheGuide(t *testing.T) {
	w := newWorld(t)
	w.file("a.txt", "alpha one")
	w.file("a.txt.metadata.json", `{"metadataAttributes":{"genre":"film","year":2024,"draft":true,"tags":["x","y"]}}`)
	w.file("b.txt", "beta two")
	w.file("folder/c.md", "gamma three")
	w.file("folder/", "")
	complete(t, w.sync(), [7]int64{3, 1, 3, 0, 0, 0, 0})

	chunks := w.chunks("s3://docs/a.txt")
	if len(chunks) != 1 || chunks[0].Text != "alpha one" {
		t.Fatalf("%+v", chunks)
	}
	m := chunks[0].Metadata
	for key, want := range map[string]vector.Value{
		"genre": vector.StringValue("film"), "year": vector.NumberValue(2024), "draft": vector.BoolValue(true), "tags": vector.ListValue("x", "y"),
		knowledge.AttributeURI: vector.StringValue("s3://docs/a.txt"), knowledge.AttributeSource: vector.StringValue(srcID),
		knowledge.AttributeChunk: vector.StringValue(chunks[0].ID), knowledge.AttributePage: vector.NumberValue(1),
	} {
		if !m[key].Equal(want) {
			t.Errorf("%s is %v", key, m[key].Any())
		}
	}

	calls, rows := w.embeds(), w.details("s3://docs/a.txt", "s3://docs/b.txt")
	w.set(func() {
		w.at = func(p string) error {
			if p == AtRead {
				t.Error("a file without a change was read")
			}
			return nil
		}
	})
	complete(t, w.sync(), [7]int64{3, 1, 0, 0, 0, 0, 0})
	if w.embeds() != calls {
		t.Errorf("%d embed calls without a change", w.embeds()-calls)
	}
	if diff := cmp.Diff(rows, w.details("s3://docs/a.txt", "s3://docs/b.txt")); diff != "" {
		t.Errorf("rows were written without a change: %s", diff)
	}
	w.set(func() { w.at = nil })

	w.file("b.txt", "beta changed")
	complete(t, w.sync(), [7]int64{3, 1, 0, 1, 0, 0, 0})
	if got := w.texts("s3://docs/b.txt"); !slices.Equal(got, []string{"beta changed"}) {
		t.Errorf("%q", got)
	}
	if w.embedded["alpha one"] != 1 || w.embedded["beta changed"] != 1 {
		t.Errorf("embedded %v", w.embedded)
	}

	w.file("a.txt.metadata.json", `{"metadataAttributes":{"genre":"book"}}`)
	complete(t, w.sync(), [7]int64{3, 1, 0, 0, 1, 0, 0})
	if m := w.chunks("s3://docs/a.txt")[0].Metadata; m["genre"].Str() != "book" || m["year"].Kind() != vector.None {
		t.Errorf("%v", m)
	}

	w.unlink("folder/c.md")
	complete(t, w.sync(), [7]int64{2, 1, 0, 0, 0, 1, 0})
	if got := w.texts("s3://docs/folder/c.md"); len(got) != 0 {
		t.Errorf("still %q", got)
	}

	w.file("c.txt", "gamma again")
	w.file("x.exe", "MZ")
	j := w.sync()
	complete(t, j, [7]int64{4, 1, 1, 0, 0, 0, 1})
	want := []string{"Ignored 1 files as their file format was not supported. [Files: s3://docs/x.exe]"}
	if diff := cmp.Diff(want, j.FailureReasons); diff != "" {
		t.Error(diff)
	}
	complete(t, w.sync(), [7]int64{4, 1, 0, 0, 0, 0, 1}) // tried again

	w.unlink("x.exe") // never indexed, so not deleted
	w.unlink("a.txt.metadata.json")
	complete(t, w.sync(), [7]int64{3, 0, 0, 0, 1, 0, 0})
	w.file("a.txt.metadata.json", `{"metadataAttributes":{"genre":"new"}}`)
	complete(t, w.sync(), [7]int64{3, 1, 0, 0, 1, 0, 0})
	w.unlink("a.txt")
	w.unlink("a.txt.metadata.json")
	complete(t, w.sync(), [7]int64{2, 0, 0, 0, 1, 1, 0})
}

func TestWhatFailsIsToldByReason(t *testing.T) {
	w := newWorld(t)
	w.file("good.txt", "fine")
	w.file("a.exe", "x")
	w.file("b.json", "{}")
	w.file("c.htm", "<p>")
	w.file("bad1.txt", "BROKEN 1")
	w.file("bad2.txt", "BROKEN 2")
	w.file("empty.txt", "")
	w.file("huge.txt", strings.Repeat("x", parse.MaxFile+1))
	w.file("m.txt", "with too much metadata")
	w.file("m.txt.metadata.json", `{"metadataAttributes":{"a":"`+strings.Repeat("x", 11<<10)+`"}}`)
	w.file("n.txt", "with a nested value")
	w.file("n.txt.metadata.json", `{"metadataAttributes":{"a":{"b":1}}}`)
	w.file("o.txt", "with broken metadata")
	w.file("o.txt.metadata.json", `{`)
	w.file("reserved.txt", "with a reserved name")
	w.file("reserved.txt.metadata.json", `{"metadataAttributes":{"x-amz-bedrock-kb-source-uri":"fake","own":1}}`)
	w.file("alone.metadata.json", `{"metadataAttributes":{}}`)
	j := w.sync()
	complete(t, j, [7]int64{12, 5, 5, 0, 0, 0, 7})
	got := strings.Join(j.FailureReasons, "\n")
	for _, want := range []string{
		"Ignored 3 files as their file format was not supported. [Files: s3://docs/a.exe, s3://docs/b.json, s3://docs/c.htm]",
		"Ignored 2 files as they could not be read: its parts do not fit together. [Files: s3://docs/bad1.txt, s3://docs/bad2.txt]",
		"Ignored 1 files as they could not be read: it is empty. [Files: s3://docs/empty.txt]",
		"Ignored 1 files as they were larger than 50 MB. [Files: s3://docs/huge.txt]",
		"Ignored 1 metadata files as they were larger than the 10240 bytes that are allowed. [Files: s3://docs/m.txt.metadata.json]",
		"[Files: s3://docs/n.txt.metadata.json]", "[Files: s3://docs/o.txt.metadata.json]",
		"Ignored 1 metadata files as they have attributes that begin with x-amz-bedrock-kb-, which were left out. [Files: s3://docs/reserved.txt.metadata.json]",
		"Ignored 1 metadata files as no file of the data source has their name. [Files: s3://docs/alone.metadata.json]",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	m := w.chunks("s3://docs/reserved.txt")[0].Metadata
	if m[knowledge.AttributeURI].Str() != "s3://docs/reserved.txt" || m["own"].Num() != 1 {
		t.Errorf("%v", m)
	}
	// A file that fails keeps what was indexed of its former content.
	w.file("good.txt", "BROKEN now")
	complete(t, w.sync(), [7]int64{12, 5, 0, 0, 0, 0, 8})
	if got := w.texts("s3://docs/good.txt"); !slices.Equal(got, []string{"fine"}) {
		t.Errorf("%q", got)
	}
	w.file("good.txt", "mended")
	complete(t, w.sync(), [7]int64{12, 5, 0, 1, 0, 0, 7})
	// And is a failure still, until it is mended or goes.
	for _, key := range []string{"a.exe", "b.json", "c.htm", "bad1.txt", "bad2.txt", "empty.txt", "huge.txt"} {
		w.unlink(key)
	}
	complete(t, w.sync(), [7]int64{5, 5, 0, 0, 0, 0, 0})
}

func TestWhatIsEmbedded(t *testing.T) {
	w := newWorld(t)
	w.file("a.txt", "the text")
	w.file("a.txt.metadata.json", `{"metadataAttributes":{"genre":{"value":{"type":"STRING","stringValue":"film"},"includeForEmbedding":true},"year":2024}}`)
	w.file("rows.csv", "one\ntwo")
	w.file("rows.csv.metadata.json", `{"metadataAttributes":{"of":"csv"},"documentStructureConfiguration":{"type":"RECORD_BASED_STRUCTURE_METADATA","recordBasedStructureMetadata":{"contentFields":[{"fieldName":"text"}]}}}`)
	complete(t, w.sync(), [7]int64{2, 2, 2, 0, 0, 0, 0})
	if got := w.chunks("s3://docs/a.txt")[0]; got.Text != "the text" || w.embedded["genre: film\nthe text"] != 1 {
		t.Errorf("%q, embedded %v", got.Text, w.embedded)
	}
	rows := w.chunks("s3://docs/rows.csv")
	if len(rows) != 2 || rows[1].Text != "two" || rows[1].Metadata["row"].Str() != "2" || rows[1].Metadata["of"].Str() != "csv" {
		t.Errorf("%+v", rows)
	}
}

func TestStrategies(t *testing.T) {
	text := prose(1, 1000)
	for _, c := range []struct {
		name   string
		config *bedrockagent.ChunkingConfiguration
		check  func(t *testing.T, w *world, chunks []vector.Chunk)
	}{
		{"default", nil, func(t *testing.T, _ *world, chunks []vector.Chunk) {
			if len(chunks) < 4 {
				t.Errorf("%d chunks of 1,000 tokens", len(chunks))
			}
			for _, c := range chunks {
				if n := len(strings.Fields(c.Text)); n > 300 {
					t.Errorf("%d tokens", n)
				}
			}
		}},
		{"fixed", &bedrockagent.ChunkingConfiguration{ChunkingStrategy: bedrockagent.ChunkingStrategyFixedSize, FixedSizeChunkingConfiguration: &bedrockagent.FixedSizeChunkingConfiguration{MaxTokens: 100, OverlapPercentage: 20}},
			func(t *testing.T, _ *world, chunks []vector.Chunk) {
				if len(chunks) < 12 {
					t.Errorf("%d chunks", len(chunks))
				}
				for _, c := range chunks {
					if n := len(strings.Fields(c.Text)); n > 100 {
						t.Errorf("%d tokens", n)
					}
				}
			}},
		{"hierarchical", &bedrockagent.ChunkingConfiguration{ChunkingStrategy: bedrockagent.ChunkingStrategyHierarchical, HierarchicalChunkingConfiguration: &bedrockagent.HierarchicalChunkingConfiguration{
			OverlapTokens: 10, LevelConfigurations: []bedrockagent.HierarchicalChunkingLevelConfiguration{{MaxTokens: 400}, {MaxTokens: 100}}}},
			func(t *testing.T, _ *world, chunks []vector.Chunk) {
				by := map[string]vector.Chunk{}
				for _, c := range chunks {
					by[c.ID] = c
				}
				children := 0
				for _, c := range chunks {
					if c.Parent == "" {
						if c.Vector != nil {
							t.Error("a parent with a vector")
						}
						continue
					}
					children++
					if p, ok := by[c.Parent]; !ok || !strings.Contains(p.Text, c.Text) || c.Vector == nil {
						t.Errorf("%q is not in its parent", c.Text)
					}
				}
				if children < 9 || len(chunks)-children < 3 {
					t.Errorf("%d children of %d", children, len(chunks))
				}
			}},
		{"semantic", &bedrockagent.ChunkingConfiguration{ChunkingStrategy: bedrockagent.ChunkingStrategySemantic, SemanticChunkingConfiguration: &bedrockagent.SemanticChunkingConfiguration{MaxTokens: 200, BufferSize: 0, BreakpointPercentileThreshold: 80}},
			func(t *testing.T, w *world, chunks []vector.Chunk) {
				if len(chunks) < 5 {
					t.Errorf("%d chunks", len(chunks))
				}
				if w.calls < 2 {
					t.Error("no sentence was embedded")
				}
			}},
		{"none", &bedrockagent.ChunkingConfiguration{ChunkingStrategy: bedrockagent.ChunkingStrategyNone}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.source.Ingestion = &bedrockagent.VectorIngestionConfiguration{ChunkingConfiguration: c.config}
			})
			w.file("a.txt", text)
			j := w.sync()
			if c.check == nil { // longer than the model takes
				complete(t, j, [7]int64{1, 0, 0, 0, 0, 0, 1})
				if want := "Ignored 1 files as their text has more than the 512 tokens that the embedding model takes at once. [Files: s3://docs/a.txt]"; j.FailureReasons[0] != want {
					t.Errorf("%q", j.FailureReasons)
				}
				w.file("a.txt", prose(2, 400))
				complete(t, w.sync(), [7]int64{1, 0, 1, 0, 0, 0, 0})
				if n := len(w.chunks("s3://docs/a.txt")); n != 1 {
					t.Errorf("%d chunks", n)
				}
				return
			}
			complete(t, j, [7]int64{1, 0, 1, 0, 0, 0, 0})
			c.check(t, w, w.chunks("s3://docs/a.txt"))
		})
	}
}

func TestOneJobAtATimeAndStop(t *testing.T) {
	w := newWorld(t, func(w *world) { w.slow, w.cfg.Embedders, w.cfg.Batch = 20*time.Millisecond, 1, 1 })
	for i := range 200 {
		w.file(fmt.Sprintf("%03d.txt", i), fmt.Sprintf("text %d", i))
	}
	r := w.run()
	defer r.end(t)
	id := w.start()
	if j := w.get(id); numbers(j) != [7]int64{} && j.Status == bedrockagent.IngestionJobStatusStarting {
		t.Errorf("%v", numbers(j))
	}
	_, err := Jobs{w.room}.StartIngestionJob(w.ctx(), &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID})
	kind(t, err, apierr.Conflict)
	w.until(func() bool {
		j := w.get(id)
		return j.Status == bedrockagent.IngestionJobStatusInProgress && numbers(j)[2] > 2
	})
	first := numbers(w.get(id))[2]
	w.until(func() bool { return numbers(w.get(id))[2] > first }) // it moves
	out, err := Jobs{w.room}.StopIngestionJob(w.ctx(), &bedrockagent.StopIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID, IngestionJobId: id})
	must(t, err)
	if out.IngestionJob.Status != bedrockagent.IngestionJobStatusStopping {
		t.Errorf("%s", out.IngestionJob.Status)
	}
	j := w.wait(id)
	if n := numbers(j); j.Status != bedrockagent.IngestionJobStatusStopped || n[2] == 0 || n[2] > 190 {
		t.Fatalf("%s %v", j.Status, n)
	}
	_, err = Jobs{w.room}.StopIngestionJob(w.ctx(), &bedrockagent.StopIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID, IngestionJobId: id})
	kind(t, err, apierr.Conflict)
	// What it did stays: the next job does the rest. Documents that were on their way
	// when it was stopped may be in the index without a row, so they count as new too.
	w.set(func() { w.slow = 0 })
	before := numbers(j)[2]
	complete(t, w.wait(w.start()), [7]int64{200, 0, 200 - before, 0, 0, 0, 0})
}

func TestWhatMakesAJobFail(t *testing.T) {
	denied := apierr.New(apierr.AccessDenied, "Bedrock may not assume the role.")
	for _, c := range []struct {
		name   string
		change func(w *world)
		want   string
	}{
		{"no bucket", func(w *world) { w.source.Config.S3Configuration.BucketArn = "arn:aws:s3:::nowhere" }, "The bucket nowhere does not exist."},
		{"another Region", func(w *world) {
			w.cfg.Region = func(_ context.Context, _ string) (string, error) { return "eu-west-1", nil }
		}, "The bucket docs is in the Region eu-west-1. A data source must be in the Region of its knowledge base, us-east-1."},
		{"another owner", func(w *world) { w.source.Config.S3Configuration.BucketOwnerAccountId = new("999999999999") }, "may not list the bucket docs"},
		{"no jail", func(w *world) { w.file("jail.txt", "NOJAIL") }, "Documents cannot be read on this machine: the kernel has no namespaces"},
		{"role gone in the middle", func(w *world) {
			w.at = func(p string) error {
				if p == AtCut {
					w.set(func() { w.role = denied })
				}
				return nil
			}
		}, "The service role of the knowledge base cannot be taken: Bedrock may not assume the role."},
		{"model refuses all", func(w *world) {
			w.refuse = func(string) error { return apierr.New(apierr.Validation, "The weights have changed.") }
		}, "The documents cannot be embedded: The weights have changed."},
		{"knowledge base is deleted", func(w *world) {
			w.at = func(p string) error {
				if p == AtReplaced {
					w.set(func() { w.base.Status = bedrockagent.KnowledgeBaseStatusDeleting })
				}
				return nil
			}
		}, "The knowledge base is being deleted."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.file("a.txt", "alpha")
			w.file("b.txt", "beta")
			c.change(w)
			w.room = New(w.cfg)
			j := w.sync()
			if j.Status != bedrockagent.IngestionJobStatusFailed || len(j.FailureReasons) != 1 || !strings.Contains(j.FailureReasons[0], c.want) {
				t.Errorf("%s %q", j.Status, j.FailureReasons)
			}
		})
	}
}

func TestATextThatTheModelRefusesFailsAlone(t *testing.T) {
	w := newWorld(t)
	w.refuse = func(s string) error {
		if s == "poison" {
			return apierr.New(apierr.Validation, "Not this text.")
		}
		return nil
	}
	for i := range 20 {
		w.file(fmt.Sprintf("%02d.txt", i), fmt.Sprintf("text %d", i))
	}
	w.file("10p.txt", "poison")
	j := w.sync()
	complete(t, j, [7]int64{21, 0, 20, 0, 0, 0, 1})
	if want := "Ignored 1 files as the embedding model refuses their text: Not this text. [Files: s3://docs/10p.txt]"; j.FailureReasons[0] != strings.Replace(want, "text. [", "text.. [", 1) {
		t.Errorf("%q", j.FailureReasons)
	}
}

func TestATransientFaultIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	var once sync.Once
	w.refuse = func(string) (err error) {
		once.Do(func() { err = apierr.New(apierr.Throttling, "Slow down.") })
		return err
	}
	w.file("a.txt", "alpha")
	complete(t, w.sync(), [7]int64{1, 0, 1, 0, 0, 0, 0})
}

func TestStartIsRefused(t *testing.T) {
	w := newWorld(t)
	in := &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID}
	try := func(want apierr.Kind, text string) {
		t.Helper()
		_, err := Jobs{w.room}.StartIngestionJob(w.ctx(), in)
		kind(t, err, want)
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v", err)
		}
	}
	w.base.Status = bedrockagent.KnowledgeBaseStatusCreating
	try(apierr.Conflict, "CREATING")
	w.base.Status = bedrockagent.KnowledgeBaseStatusActive
	w.source.Status = bedrockagent.DataSourceStatusDeleting
	try(apierr.Conflict, "DELETING")
	w.source.Status = bedrockagent.DataSourceStatusAvailable
	w.source.Config.Type = bedrockagent.DataSourceTypeCustom
	try(apierr.Validation, "CUSTOM")
	w.source.Config.Type = bedrockagent.DataSourceTypeS3
	w.may = apierr.New(apierr.Validation, "no InvokeModel")
	try(apierr.Validation, "no InvokeModel")
	w.may = nil
	in.KnowledgeBaseId = "UNKNOWN001"
	try(apierr.ResourceNotFound, "")
	in.KnowledgeBaseId, in.DataSourceId = baseID, "UNKNOWN001"
	try(apierr.ResourceNotFound, "")
	_, err := Jobs{w.room}.GetIngestionJob(w.ctx(), &bedrockagent.GetIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID, IngestionJobId: "UNKNOWN001"})
	kind(t, err, apierr.ResourceNotFound)
	// The same token, the same job.
	in.DataSourceId, in.ClientToken = srcID, new(strings.Repeat("t", 33))
	one, err := Jobs{w.room}.StartIngestionJob(w.ctx(), in)
	must(t, err)
	two, err := Jobs{w.room}.StartIngestionJob(w.ctx(), in)
	must(t, err)
	if one.IngestionJob.IngestionJobId != two.IngestionJob.IngestionJobId || one.IngestionJob.Status != bedrockagent.IngestionJobStatusStarting {
		t.Errorf("%+v, %+v", one.IngestionJob, two.IngestionJob)
	}
}

func TestListingOfJobs(t *testing.T) {
	w := newWorld(t)
	w.file("a.txt", "alpha")
	var ids []string
	for range 3 {
		j := w.sync()
		ids = append(ids, j.IngestionJobId)
	}
	w.source.Config.S3Configuration.BucketArn = "arn:aws:s3:::nowhere"
	failed := w.sync().IngestionJobId
	w.source.Config.S3Configuration.BucketArn = "arn:aws:s3:::docs"
	ids = append(ids, w.sync().IngestionJobId)
	list := func(in bedrockagent.ListIngestionJobsInput) (out []string, pages int) {
		t.Helper()
		in.KnowledgeBaseId, in.DataSourceId = baseID, srcID
		for {
			got, err := Jobs{w.room}.ListIngestionJobs(w.ctx(), &in)
			must(t, err)
			pages++
			for _, s := range got.IngestionJobSummaries {
				out = append(out, s.IngestionJobId)
				if s.Statistics == nil {
					t.Error("no statistics")
				}
			}
			if in.NextToken = got.NextToken; in.NextToken == nil {
				return out, pages
			}
		}
	}
	newest := []string{ids[3], failed, ids[2], ids[1], ids[0]}
	if got, _ := list(bedrockagent.ListIngestionJobsInput{}); !slices.Equal(got, newest) {
		t.Errorf("%v, want %v", got, newest)
	}
	in := bedrockagent.ListIngestionJobsInput{
		Filters: []bedrockagent.IngestionJobFilter{{Attribute: "STATUS", Operator: "EQ", Values: []string{"COMPLETE"}}}, MaxResults: new(1),
		SortBy: &bedrockagent.IngestionJobSortBy{Attribute: "STARTED_AT", Order: "DESCENDING"},
	}
	if got, pages := list(in); pages != 4 || !slices.Equal(got, []string{ids[3], ids[2], ids[1], ids[0]}) {
		t.Errorf("%v in %d pages", got, pages)
	}
	for most := 1; most <= 6; most++ {
		in = bedrockagent.ListIngestionJobsInput{MaxResults: new(most), SortBy: &bedrockagent.IngestionJobSortBy{Attribute: "STATUS", Order: "DESCENDING"}}
		if got, pages := list(in); pages != (5+most-1)/most || got[0] != failed || len(got) != 5 {
			t.Errorf("by %d: %v in %d pages", most, got, pages)
		}
	}
	_, err := Jobs{w.room}.ListIngestionJobs(w.ctx(), &bedrockagent.ListIngestionJobsInput{KnowledgeBaseId: baseID, DataSourceId: srcID, NextToken: new("0.forged")})
	kind(t, err, apierr.Validation)
}

var errKilled = errors.New("killed")

// killed runs jobs until one of the points ends the run or the job has ended. What is
// on disk when it begins must not be embedded again. It says whether it was killed.
func (w *world) killed(id string, here func(point string) bool) bool {
	w.t.Helper()
	on := map[string]bool{}
	for _, s := range w.texts("") {
		on[s] = true
	}
	over := make(chan struct{})
	var once sync.Once
	var mu sync.Mutex
	var x *runner
	w.set(func() {
		clear(w.embedded)
		w.at = func(point string) error {
			mu.Lock()
			defer mu.Unlock()
			if here(point) {
				once.Do(func() { x.stop(); close(over) })
			}
			select {
			case <-over: // nothing of this process goes on
				return errKilled
			default:
				return nil
			}
		}
	})
	mu.Lock()
	x = w.run()
	mu.Unlock()
	kill := false
	w.until(func() bool {
		select {
		case <-over:
			kill = true
			return true
		default:
			return Lifecycle.Final(w.get(id).Status)
		}
	})
	x.end(w.t)
	w.set(func() {
		w.at = nil
		for s := range w.embedded {
			if on[s] {
				w.t.Errorf("%q was on disk and was embedded again", s)
			}
		}
	})
	return kill
}

func TestForgetRemovesEverything(t *testing.T) {
	w := newWorld(t)
	w.file("a.txt", "alpha")
	w.file("b.exe", "x")
	w.sync()
	id := w.start() // and one that waits
	must(t, w.store.Update(w.ctx(), func(tx *store.Tx) error { return Forget(tx, account, region, baseID, srcID) }))
	must(t, w.store.View(w.ctx(), func(tx *store.Tx) error {
		h := home{account, region, baseID, srcID}
		for name, n := range map[string]func() (int, error){
			"documents": func() (int, error) { return documentRows.Count(tx, h.query()) },
			"jobs":      func() (int, error) { return jobRows.Count(tx, h.query()) },
			"reasons":   func() (int, error) { return reasonsRows.Count(tx, h.query()) },
			"turns":     func() (int, error) { return turnRows.Count(tx, h.query()) },
		} {
			if n, err := n(); err != nil || n != 0 {
				t.Errorf("%d %s, %v", n, name, err)
			}
		}
		return nil
	}))
	r := w.run()
	defer r.end(t)
	w.until(func() bool {
		ended := false
		must(t, w.store.View(w.ctx(), func(tx *store.Tx) error {
			j, err := job.Get(tx, home{account, region, baseID, srcID}.work(id))
			ended = err == nil && j.State == job.Cancelled
			return err
		}))
		return ended
	})
}

func TestTheRealParser(t *testing.T) {
	if _, err := os.Stat("/proc/self/ns/user"); err != nil {
		t.Log("no namespaces here; the reason must say so")
	}
	p := parse.New(parse.Config{})
	t.Cleanup(p.Close)
	w := newWorld(t, func(w *world) { w.cfg.Parser = p })
	w.file("a.md", "# Rocks\n\nGranite is *hard*.\n")
	w.file("b.html", "<html><body><h1>Sand</h1><p>It is soft.</p></body></html>")
	w.file("c.csv", "name,text\nx,first row\ny,second row\n")
	w.file("c.csv.metadata.json", `{"metadataAttributes":{},"documentStructureConfiguration":{"type":"RECORD_BASED_STRUCTURE_METADATA","recordBasedStructureMetadata":{"contentFields":[{"fieldName":"text"}]}}}`)
	w.file("d.pdf", "this is no PDF")
	w.file("e.txt", "plain")
	j := w.sync()
	if j.Status == bedrockagent.IngestionJobStatusFailed {
		if !strings.Contains(j.FailureReasons[0], "Documents cannot be read on this machine") {
			t.Fatalf("%q", j.FailureReasons)
		}
		return
	}
	complete(t, j, [7]int64{5, 1, 4, 0, 0, 0, 1})
	if !strings.Contains(j.FailureReasons[0], "s3://docs/d.pdf") {
		t.Errorf("%q", j.FailureReasons)
	}
	rows := w.chunks("s3://docs/c.csv")
	if len(rows) != 2 || rows[0].Text != "first row" || rows[0].Metadata["name"].Str() != "x" {
		t.Errorf("%+v", rows)
	}
	if got := w.texts("s3://docs/a.md"); len(got) != 1 || !strings.Contains(got[0], "Granite is") {
		t.Errorf("%q", got)
	}
}
