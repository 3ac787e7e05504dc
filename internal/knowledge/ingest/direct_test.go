package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func custom(w *world) {
	w.source.Config = bedrockagent.DataSourceConfiguration{Type: bedrockagent.DataSourceTypeCustom}
}

func inline(id, text string, attributes ...bedrockagent.MetadataAttribute) bedrockagent.KnowledgeBaseDocument {
	d := bedrockagent.KnowledgeBaseDocument{Content: &bedrockagent.DocumentContent{DataSourceType: bedrockagent.ContentDataSourceTypeCustom, Custom: &bedrockagent.CustomContent{
		CustomDocumentIdentifier: &bedrockagent.CustomDocumentIdentifier{Id: id}, SourceType: bedrockagent.CustomSourceTypeInLine,
		InlineContent: &bedrockagent.InlineContent{Type: bedrockagent.InlineContentTypeText, TextContent: &bedrockagent.TextContentDoc{Data: text}},
	}}}
	if len(attributes) > 0 {
		d.Metadata = &bedrockagent.DocumentMetadata{Type: bedrockagent.MetadataSourceTypeInLineAttribute, InlineAttributes: attributes}
	}
	return d
}

func (w *world) ingest(docs ...bedrockagent.KnowledgeBaseDocument) []bedrockagent.KnowledgeBaseDocumentDetail {
	w.t.Helper()
	out, err := Documents{w.room}.IngestKnowledgeBaseDocuments(w.ctx(), &bedrockagent.IngestKnowledgeBaseDocumentsInput{KnowledgeBaseId: baseID, DataSourceId: srcID, Documents: docs})
	must(w.t, err)
	return out.DocumentDetails
}

func byID(ids ...string) (out []bedrockagent.DocumentIdentifier) {
	for _, id := range ids {
		if strings.HasPrefix(id, "s3://") {
			out = append(out, bedrockagent.DocumentIdentifier{DataSourceType: bedrockagent.ContentDataSourceTypeS3, S3: &bedrockagent.S3Location{Uri: id}})
			continue
		}
		out = append(out, bedrockagent.DocumentIdentifier{DataSourceType: bedrockagent.ContentDataSourceTypeCustom, Custom: &bedrockagent.CustomDocumentIdentifier{Id: id}})
	}
	return out
}

func (w *world) details(ids ...string) []bedrockagent.KnowledgeBaseDocumentDetail {
	w.t.Helper()
	out, err := Documents{w.room}.GetKnowledgeBaseDocuments(w.ctx(), &bedrockagent.GetKnowledgeBaseDocumentsInput{KnowledgeBaseId: baseID, DataSourceId: srcID, DocumentIdentifiers: byID(ids...)})
	must(w.t, err)
	return out.DocumentDetails
}

// settled waits until none of the documents is being worked on, and answers their states.
func (w *world) settled(ids ...string) (out []string) {
	w.t.Helper()
	w.until(func() bool {
		out = out[:0]
		for _, d := range w.details(ids...) {
			if slices.Contains(waiting, string(d.Status)) {
				return false
			}
			out = append(out, string(d.Status))
		}
		return true
	})
	return out
}

func (w *world) remove(ids ...string) []bedrockagent.KnowledgeBaseDocumentDetail {
	w.t.Helper()
	out, err := Documents{w.room}.DeleteKnowledgeBaseDocuments(w.ctx(), &bedrockagent.DeleteKnowledgeBaseDocumentsInput{KnowledgeBaseId: baseID, DataSourceId: srcID, DocumentIdentifiers: byID(ids...)})
	must(w.t, err)
	return out.DocumentDetails
}

func TestDocumentsGivenDirectly(t *testing.T) {
	w := newWorld(t, custom)
	r := w.run()
	defer r.end(t)
	w.file("far.md", "from the bucket")
	w.file("far.meta", `{"metadataAttributes":{"from":"file"}}`)
	far := bedrockagent.KnowledgeBaseDocument{
		Content: &bedrockagent.DocumentContent{DataSourceType: bedrockagent.ContentDataSourceTypeCustom, Custom: &bedrockagent.CustomContent{
			CustomDocumentIdentifier: &bedrockagent.CustomDocumentIdentifier{Id: "far"}, SourceType: bedrockagent.CustomSourceTypeS3Location, S3Location: &bedrockagent.CustomS3Location{Uri: "s3://docs/far.md"},
		}},
		Metadata: &bedrockagent.DocumentMetadata{Type: bedrockagent.MetadataSourceTypeS3Location, S3Location: &bedrockagent.CustomS3Location{Uri: "s3://docs/far.meta"}},
	}
	raw := inline("raw", "")
	raw.Content.Custom.InlineContent = &bedrockagent.InlineContent{Type: bedrockagent.InlineContentTypeByte, ByteContent: &bedrockagent.ByteContentDoc{MimeType: "text/html", Data: []byte("bytes of a page")}}
	odd := inline("odd", "")
	odd.Content.Custom.InlineContent = &bedrockagent.InlineContent{Type: bedrockagent.InlineContentTypeByte, ByteContent: &bedrockagent.ByteContentDoc{MimeType: "image/png", Data: []byte("x")}}
	got := w.ingest(
		inline("one", "first text",
			bedrockagent.MetadataAttribute{Key: "genre", Value: &bedrockagent.MetadataAttributeValue{Type: bedrockagent.MetadataValueTypeString, StringValue: new("film")}},
			bedrockagent.MetadataAttribute{Key: "tags", Value: &bedrockagent.MetadataAttributeValue{Type: bedrockagent.MetadataValueTypeStringList, StringListValue: []string{"a", "b"}}}),
		far, raw, odd, inline("bad", "BROKEN"), inline("one", "a second time"),
	)
	for i, d := range got {
		want := bedrockagent.DocumentStatusStarting
		if i == 5 {
			want = bedrockagent.DocumentStatusIgnored
		}
		if d.Status != want || d.Identifier.Custom == nil || d.UpdatedAt == nil {
			t.Errorf("%+v", d)
		}
	}
	if got := w.settled("one", "far", "raw", "odd", "bad", "none"); !slices.Equal(got, []string{"INDEXED", "INDEXED", "INDEXED", "FAILED", "FAILED", "NOT_FOUND"}) {
		t.Fatalf("%v", got)
	}
	if d := w.details("bad")[0]; d.StatusReason == nil || *d.StatusReason != "Ignored as it could not be read: its parts do not fit together." {
		t.Errorf("%v", d.StatusReason)
	}
	m := w.chunks("custom:one")[0].Metadata
	if m["genre"].Str() != "film" || !slices.Equal(m["tags"].Strings(), []string{"a", "b"}) {
		t.Errorf("%v", m)
	}
	if c := w.chunks("custom:far")[0]; c.Text != "from the bucket" || c.Metadata["from"].Str() != "file" {
		t.Errorf("%+v", c)
	}
	// Nothing of the content is kept once it is indexed.
	must(t, w.store.View(w.ctx(), func(tx *store.Tx) error {
		if n, err := contentRows.Count(tx, home{account, region, baseID, srcID}.query()); err != nil || n != 0 {
			t.Errorf("%d contents, %v", n, err)
		}
		return nil
	}))
	// The same again embeds nothing; another text replaces the first.
	calls := w.embeds()
	w.ingest(raw)
	w.settled("raw")
	if w.embeds() != calls {
		t.Error("embedded again")
	}
	w.ingest(inline("one", "other text"))
	w.settled("one")
	if got := w.texts("custom:one"); !slices.Equal(got, []string{"other text"}) {
		t.Errorf("%q", got)
	}
	// Pages.
	var listed []string
	in := &bedrockagent.ListKnowledgeBaseDocumentsInput{KnowledgeBaseId: baseID, DataSourceId: srcID, MaxResults: new(2)}
	for {
		out, err := Documents{w.room}.ListKnowledgeBaseDocuments(w.ctx(), in)
		must(t, err)
		for _, d := range out.DocumentDetails {
			listed = append(listed, d.Identifier.Custom.Id)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, []string{"bad", "far", "odd", "one", "raw"}) {
		t.Errorf("%v", listed)
	}
	out := w.remove("one", "none", "one")
	if out[0].Status != bedrockagent.DocumentStatusDeleting || out[1].Status != bedrockagent.DocumentStatusNotFound || out[2].Status != bedrockagent.DocumentStatusDeleting {
		t.Errorf("%+v", out)
	}
	w.settled("one")
	if w.settled("one")[0] != "NOT_FOUND" || len(w.texts("custom:one")) != 0 {
		t.Error("it is still there")
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	w := newWorld(t, custom)
	s3 := bedrockagent.KnowledgeBaseDocument{Content: &bedrockagent.DocumentContent{DataSourceType: bedrockagent.ContentDataSourceTypeS3, S3: &bedrockagent.S3Content{S3Location: &bedrockagent.S3Location{Uri: "s3://docs/a.txt"}}}}
	noType := inline("x", "y", bedrockagent.MetadataAttribute{Key: "k", Value: &bedrockagent.MetadataAttributeValue{Type: bedrockagent.MetadataValueTypeNumber, StringValue: new("1")}})
	reserved := inline("x", "y", bedrockagent.MetadataAttribute{Key: "x-amz-bedrock-kb-own", Value: &bedrockagent.MetadataAttributeValue{Type: bedrockagent.MetadataValueTypeBoolean, BooleanValue: new(true)}})
	empty := inline("x", "y")
	empty.Content.Custom.InlineContent = nil
	for name, d := range map[string]bedrockagent.KnowledgeBaseDocument{"of another type": s3, "attribute without value": noType, "reserved": reserved, "no content": empty} {
		t.Run(name, func(t *testing.T) {
			_, err := Documents{w.room}.IngestKnowledgeBaseDocuments(w.ctx(), &bedrockagent.IngestKnowledgeBaseDocumentsInput{KnowledgeBaseId: baseID, DataSourceId: srcID, Documents: []bedrockagent.KnowledgeBaseDocument{d}})
			kind(t, err, apierr.Validation)
		})
	}
	_, err := Documents{w.room}.GetKnowledgeBaseDocuments(w.ctx(), &bedrockagent.GetKnowledgeBaseDocumentsInput{KnowledgeBaseId: baseID, DataSourceId: "UNKNOWN001"})
	kind(t, err, apierr.ResourceNotFound)
}

func TestDirectDocumentsOfABucketAndItsSync(t *testing.T) {
	w := newWorld(t, func(w *world) { w.slow, w.cfg.Embedders, w.cfg.Batch = 10*time.Millisecond, 1, 1 })
	for i := range 30 {
		w.file(fmt.Sprintf("%02d.txt", i), fmt.Sprintf("text %d", i))
	}
	r := w.run()
	defer r.end(t)
	id := w.start()
	w.until(func() bool { return numbers(w.get(id))[2] > 1 })
	given := func(uri string) bedrockagent.KnowledgeBaseDocument {
		return bedrockagent.KnowledgeBaseDocument{Content: &bedrockagent.DocumentContent{DataSourceType: bedrockagent.ContentDataSourceTypeS3, S3: &bedrockagent.S3Content{S3Location: &bedrockagent.S3Location{Uri: uri}}}}
	}
	// One that the sync reads too, and one elsewhere that it must not remove.
	w.file("25.txt", "text 25")
	_, err := w.files.Put(w.t.Context(), bucket.Caller{}, bucket.Location{Bucket: "between", Key: "own.txt"}, strings.NewReader("of another bucket"), object.PutOptions{})
	must(t, err)
	for _, d := range w.ingest(given("s3://docs/25.txt"), given("s3://between/own.txt")) {
		if d.Status != bedrockagent.DocumentStatusPending {
			t.Errorf("%s while a sync runs", d.Status)
		}
	}
	if j := w.wait(id); j.Status != bedrockagent.IngestionJobStatusComplete || numbers(j)[2] != 30 {
		t.Fatalf("%s %v", j.Status, numbers(j))
	}
	if got := w.settled("s3://docs/25.txt", "s3://between/own.txt"); !slices.Equal(got, []string{"INDEXED", "INDEXED"}) {
		t.Fatalf("%v", got)
	}
	if w.embedded["text 25"] != 1 {
		t.Errorf("embedded %d times", w.embedded["text 25"])
	}
	// The next sync finds that one of them is none of its own.
	complete(t, w.wait(w.start()), [7]int64{30, 0, 0, 0, 0, 1, 0})
}

func TestDirectDocumentsSurviveKills(t *testing.T) {
	w := newWorld(t, custom)
	n := 0
	for kills := 0; ; kills++ {
		if kills%3 == 0 && n < 5 {
			n++
			w.ingest(inline(fmt.Sprint("d", n), fmt.Sprint("text ", n)), inline("always", fmt.Sprint("turn ", n)))
		}
		left := 1 + kills
		over := make(chan struct{})
		var x *runner
		w.set(func() {
			w.at = func(string) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				select {
				case <-over:
					return errKilled
				default:
				}
				if left--; left <= 0 && x != nil {
					x.stop()
					close(over)
					return errKilled
				}
				return nil
			}
		})
		y := w.run()
		w.set(func() { x = y })
		done := false
		w.until(func() bool {
			select {
			case <-over:
				return true
			default:
			}
			done = !slices.ContainsFunc(w.details("d1", "d2", "d3", "d4", "d5", "always"), func(d bedrockagent.KnowledgeBaseDocumentDetail) bool {
				return slices.Contains(waiting, string(d.Status))
			})
			return done
		})
		y.end(t)
		if done && n == 5 {
			break
		}
		if kills > 100 {
			t.Fatal("it never ends")
		}
	}
	for i := range 5 {
		if got := w.texts(fmt.Sprint("custom:d", i+1)); len(got) != 1 {
			t.Errorf("d%d: %q", i+1, got)
		}
	}
	if got := w.texts("custom:always"); !slices.Equal(got, []string{"turn 5"}) {
		t.Errorf("%q", got)
	}
}

func TestWhatCannotBeIngestedDirectlyFailsWithTheReason(t *testing.T) {
	w := newWorld(t, custom)
	w.ingest(inline("a", "text"))
	w.set(func() {
		w.refuse = func(string) error { return apierr.New(apierr.Validation, "The weights have changed.") }
	})
	r := w.run()
	defer r.end(t)
	if got := w.settled("a"); got[0] != "FAILED" {
		t.Fatalf("%v", got)
	}
	if d := w.details("a")[0]; d.StatusReason == nil || *d.StatusReason != "The documents cannot be embedded: The weights have changed." {
		t.Errorf("%v", d.StatusReason)
	}
	w.set(func() { w.refuse = nil })
	w.ingest(inline("a", "text"))
	if got := w.settled("a"); got[0] != "INDEXED" || w.details("a")[0].StatusReason != nil {
		t.Fatalf("%v", got)
	}
}

func TestQuietWaitsForWhatRuns(t *testing.T) {
	w := newWorld(t)
	reached, on := make(chan struct{}), make(chan struct{})
	w.at = func(p string) error {
		if p == AtReplaced {
			select {
			case <-reached:
			default:
				close(reached)
				<-on
			}
		}
		return nil
	}
	w.file("a.txt", "alpha")
	r := w.run()
	defer r.end(t)
	id := w.start()
	<-reached
	quiet := func() (busy bool) {
		must(t, w.store.Update(w.ctx(), func(tx *store.Tx) (err error) {
			busy, err = Quiet(tx, account, region, baseID, srcID)
			return err
		}))
		return busy
	}
	if !quiet() {
		t.Error("it is busy")
	}
	close(on)
	w.until(func() bool { return !quiet() })
	// The one document was in the index already, so the job may end before it hears.
	if j := w.get(id); j.Status != bedrockagent.IngestionJobStatusStopped && j.Status != bedrockagent.IngestionJobStatusComplete {
		t.Errorf("%s", j.Status)
	}
}

// lambda is a function of a user.
type lambda struct {
	w      *world
	change func(e chunk.Event, b *chunk.Batch) (answer any, failed bool, err error)
	events []chunk.Event
}

func (l *lambda) CallAs(_ context.Context, p *iam.Principal, function string, payload []byte) ([]byte, bool, error) {
	if p == nil || function != "arn:aws:lambda:us-east-1:123456789012:function:cut" {
		return nil, false, errors.New("called otherwise")
	}
	var e chunk.Event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, false, err
	}
	l.events = append(l.events, e)
	out := chunk.Answer{}
	for _, f := range e.Files {
		said := chunk.EventFile{Original: f.Original, Metadata: f.Metadata}
		for _, key := range f.Batches {
			b, err := chunk.DecodeBatch(l.w.read(e.Bucket, key.Key))
			if err != nil {
				return nil, false, err
			}
			answer, failed, err := l.change(e, b)
			if answer != nil || failed || err != nil {
				text, _ := json.Marshal(answer)
				return text, failed, err
			}
			data, err := chunk.EncodeBatch(*b)
			if err != nil {
				return nil, false, err
			}
			to := strings.Replace(key.Key, "aws/", "out/", 1)
			if _, err := l.w.files.Put(context.Background(), bucket.Caller{}, bucket.Location{Bucket: e.Bucket, Key: to}, bytes.NewReader(data), object.PutOptions{}); err != nil {
				return nil, false, err
			}
			said.Batches = append(said.Batches, chunk.BatchKey{Key: to})
		}
		out.Files = append(out.Files, said)
	}
	text, err := json.Marshal(out)
	return text, false, err
}

func transforming(l *lambda) func(*world) {
	return func(w *world) {
		l.w, w.cfg.Functions = w, l
		w.source.Ingestion = &bedrockagent.VectorIngestionConfiguration{CustomTransformationConfiguration: &bedrockagent.CustomTransformationConfiguration{
			IntermediateStorage: &bedrockagent.IntermediateStorage{S3Location: &bedrockagent.S3Location{Uri: "s3://between/work/"}},
			Transformations: []bedrockagent.Transformation{{StepToApply: bedrockagent.StepTypePostChunking, TransformationFunction: &bedrockagent.TransformationFunction{
				TransformationLambdaConfiguration: &bedrockagent.TransformationLambdaConfiguration{LambdaArn: "arn:aws:lambda:us-east-1:123456789012:function:cut"}}}},
		}}
	}
}

func TestCustomTransformation(t *testing.T) {
	l := &lambda{change: func(_ chunk.Event, b *chunk.Batch) (any, bool, error) {
		var out []chunk.Content
		for _, c := range b.Contents {
			for _, word := range strings.Fields(c.Body) {
				out = append(out, chunk.Content{Body: word, Type: "TEXT", Metadata: map[string]json.RawMessage{"length": json.RawMessage(fmt.Sprint(len(word)))}})
			}
		}
		b.Contents = out
		return nil, false, nil
	}}
	w := newWorld(t, transforming(l))
	w.file("a.txt", "one three")
	w.file("a.txt.metadata.json", `{"metadataAttributes":{"genre":"film"}}`)
	complete(t, w.sync(), [7]int64{1, 1, 1, 0, 0, 0, 0})
	chunks := w.chunks("s3://docs/a.txt")
	if len(chunks) != 2 || chunks[1].Text != "three" || chunks[1].Metadata["length"].Num() != 5 || chunks[1].Metadata["genre"].Str() != "film" {
		t.Fatalf("%+v", chunks)
	}
	var told chunk.Batch
	must(t, json.Unmarshal(w.read("between", l.events[0].Files[0].Batches[0].Key), &told))
	if got := string(told.Contents[0].Metadata[knowledge.AttributeURI]); got != `"s3://docs/a.txt"` {
		t.Errorf("the function is told that a chunk is of %s", got)
	}
	e := l.events[0]
	if e.Version != "1.0" || e.KnowledgeBaseID != baseID || e.DataSourceID != srcID || e.IngestionJobID == "" || e.Bucket != "between" || e.PriorTask != "CHUNKING" ||
		e.Files[0].Original.S3.URI != "s3://docs/a.txt" || string(e.Files[0].Metadata["genre"]) != `"film"` || !strings.HasPrefix(e.Files[0].Batches[0].Key, "work/aws/bedrock/knowledge_bases/") {
		t.Errorf("%+v", e)
	}
}

func TestParentsOutliveATransformation(t *testing.T) {
	hierarchical := func(w *world) {
		w.source.Ingestion.ChunkingConfiguration = &bedrockagent.ChunkingConfiguration{ChunkingStrategy: bedrockagent.ChunkingStrategyHierarchical,
			HierarchicalChunkingConfiguration: &bedrockagent.HierarchicalChunkingConfiguration{OverlapTokens: 2, LevelConfigurations: []bedrockagent.HierarchicalChunkingLevelConfiguration{{MaxTokens: 40}, {MaxTokens: 10}}}}
	}
	halves := func(c chunk.Content, keep bool) []chunk.Content {
		words := strings.Fields(c.Body)
		out := []chunk.Content{c, c}
		out[0].Body, out[1].Body = strings.Join(words[:len(words)/2], " "), strings.Join(words[len(words)/2:], " ")
		if !keep {
			out[0].Metadata, out[1].Metadata = nil, nil
		}
		return out
	}
	for _, c := range []struct {
		name    string
		change  func(i int, c chunk.Content) []chunk.Content
		parents bool // of each child
		whole   bool // as they were
	}{
		{"left as they are", func(_ int, c chunk.Content) []chunk.Content { return []chunk.Content{c} }, true, true},
		{"left without metadata", func(_ int, c chunk.Content) []chunk.Content { c.Metadata = nil; return []chunk.Content{c} }, true, true},
		{"halved", func(_ int, c chunk.Content) []chunk.Content { return halves(c, true) }, true, false},
		{"halved without metadata", func(_ int, c chunk.Content) []chunk.Content { return halves(c, false) }, false, false},
		{"every other one dropped", func(i int, c chunk.Content) []chunk.Content { return []chunk.Content{c}[:i%2] }, true, false},
		{"a word taken out", func(_ int, c chunk.Content) []chunk.Content {
			c.Body = strings.ReplaceAll(c.Body, "w", "-")
			return []chunk.Content{c}
		}, true, false},
		{"a parent that is none", func(_ int, c chunk.Content) []chunk.Content {
			c.Metadata = map[string]json.RawMessage{attributeParent: json.RawMessage("99")}
			return append([]chunk.Content{c}, c)
		}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &lambda{change: func(_ chunk.Event, b *chunk.Batch) (any, bool, error) {
				var out []chunk.Content
				for i, x := range b.Contents {
					out = append(out, c.change(i, x)...)
				}
				b.Contents = out
				return nil, false, nil
			}}
			w := newWorld(t, transforming(l), hierarchical)
			text := prose(5, 120)
			w.file("a.txt", text)
			complete(t, w.sync(), [7]int64{1, 0, 1, 0, 0, 0, 0})
			by, grown := map[string]string{}, map[string][]string{}
			for _, x := range w.chunks("s3://docs/a.txt") {
				by[x.ID] = x.Text
				if _, ok := x.Metadata[attributeParent]; ok {
					t.Errorf("%s is an attribute of the index", attributeParent)
				}
				if x.Vector != nil {
					if (x.Parent != "") != c.parents {
						t.Errorf("parent %q of %q", x.Parent, x.Text)
					}
					grown[x.Parent] = append(grown[x.Parent], x.Text)
				}
			}
			delete(grown, "")
			if len(by) < 12 || c.parents && len(grown) < 3 {
				t.Fatalf("%d chunks, %d parents", len(by), len(grown))
			}
			for id, texts := range grown {
				switch parent := by[id]; {
				case c.whole && !strings.Contains(text, parent):
					t.Errorf("parent %q is not of the text", parent)
				case !c.whole && parent != strings.Join(texts, "\n"):
					t.Errorf("parent %q has not the chunks %q", parent, texts)
				}
			}
		})
	}
}

func TestFailuresOfACustomTransformation(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(e chunk.Event, b *chunk.Batch) (any, bool, error)
		want   string
	}{
		{"it fails", func(chunk.Event, *chunk.Batch) (any, bool, error) {
			return map[string]string{"errorMessage": "boom"}, true, nil
		}, `the transformation function failed: {"errorMessage":"boom"}`},
		{"not allowed", func(chunk.Event, *chunk.Batch) (any, bool, error) {
			return nil, false, apierr.New(apierr.AccessDenied, "No lambda:InvokeFunction.")
		}, "the transformation function could not be called: No lambda:InvokeFunction."},
		{"no answer", func(chunk.Event, *chunk.Batch) (any, bool, error) { return map[string]string{}, false, nil }, "without outputFiles"},
		{"another file", func(e chunk.Event, _ *chunk.Batch) (any, bool, error) {
			return map[string]any{"outputFiles": []any{map[string]any{"originalFileLocation": map[string]any{"s3_location": map[string]any{"uri": "s3://x/y"}}}}}, false, nil
		}, "did not answer for s3://docs/a.txt"},
		{"no such key", func(e chunk.Event, _ *chunk.Batch) (any, bool, error) {
			f := e.Files[0]
			f.Batches = []chunk.BatchKey{{Key: "nothing"}}
			return chunk.Answer{Files: []chunk.EventFile{f}}, false, nil
		}, "could not be read: there is no such file"},
		{"no text", func(_ chunk.Event, b *chunk.Batch) (any, bool, error) {
			b.Contents = b.Contents[:0]
			return nil, false, nil
		}, "left no text"},
		{"too long", func(_ chunk.Event, b *chunk.Batch) (any, bool, error) {
			b.Contents[0].Body = prose(1, 600)
			return nil, false, nil
		}, "more than the 512 tokens"},
		{"bad metadata", func(_ chunk.Event, b *chunk.Batch) (any, bool, error) {
			b.Contents[0].Metadata = map[string]json.RawMessage{"a": json.RawMessage(`{"b":1}`)}
			return nil, false, nil
		}, "metadata that cannot be used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, transforming(&lambda{change: c.change}))
			w.file("a.txt", "some text")
			j := w.sync()
			complete(t, j, [7]int64{1, 0, 0, 0, 0, 0, 1})
			if len(j.FailureReasons) != 1 || !strings.Contains(j.FailureReasons[0], c.want) {
				t.Errorf("%q", j.FailureReasons)
			}
		})
	}
	w := newWorld(t, transforming(&lambda{}), func(w *world) { w.cfg.Functions = nil })
	w.file("a.txt", "some text")
	if j := w.sync(); j.Status != bedrockagent.IngestionJobStatusFailed || !strings.Contains(j.FailureReasons[0], "runs no functions") {
		t.Errorf("%s %q", j.Status, j.FailureReasons)
	}
}

func TestWhatOutcropCannotDoIsRefusedAtTheStart(t *testing.T) {
	w := newWorld(t)
	for _, v := range []*bedrockagent.VectorIngestionConfiguration{
		{ParsingConfiguration: &bedrockagent.ParsingConfiguration{ParsingStrategy: bedrockagent.ParsingStrategyBedrockFoundationModel}},
		{ContextEnrichmentConfiguration: &bedrockagent.ContextEnrichmentConfiguration{}},
		{ChunkingConfiguration: &bedrockagent.ChunkingConfiguration{ChunkingStrategy: bedrockagent.ChunkingStrategyFixedSize, FixedSizeChunkingConfiguration: &bedrockagent.FixedSizeChunkingConfiguration{MaxTokens: 4000, OverlapPercentage: 10}}},
	} {
		w.source.Ingestion = v
		_, err := Jobs{w.room}.StartIngestionJob(w.ctx(), &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: baseID, DataSourceId: srcID})
		kind(t, err, apierr.Validation)
	}
}

// keys notes which customer keys are asked for, and seals with the house's.
type keys struct {
	*store.LocalSealer
	mu     sync.Mutex
	sealed map[string]int
	house  []byte // all that was sealed with the house's
}

func (k *keys) Seal(ctx context.Context, arn string, aad, plain []byte) ([]byte, error) {
	k.mu.Lock()
	k.sealed[arn]++
	if arn == "" {
		k.house = append(k.house, plain...)
	}
	k.mu.Unlock()
	return k.LocalSealer.Seal(ctx, "", aad, plain)
}

func (k *keys) Open(ctx context.Context, _ string, aad, sealed []byte) ([]byte, error) {
	return k.LocalSealer.Open(ctx, "", aad, sealed)
}

func TestInlineContentIsSealedWithTheCustomersKey(t *testing.T) {
	const own = "arn:aws:kms:us-east-1:123456789012:key/own"
	w := newWorld(t, custom, func(w *world) { w.base.KeyARN = own })
	w.ingest(inline("a", "secret text"))
	if w.keys.sealed[own] != 1 {
		t.Errorf("sealed %v", w.keys.sealed)
	}
	w.source.KeyARN = own + "2"
	w.ingest(inline("b", "secret text"))
	if w.keys.sealed[own+"2"] != 1 {
		t.Errorf("sealed %v", w.keys.sealed)
	}
}

// What is said of a document along with it is as secret as its content, also where the
// content lies in a bucket.
func TestInlineAttributesAreSealedWithTheCustomersKey(t *testing.T) {
	const own = "arn:aws:kms:us-east-1:123456789012:key/own"
	w := newWorld(t, custom, func(w *world) { w.base.KeyARN = own })
	w.file("page.txt", "text of a page")
	attribute := bedrockagent.MetadataAttribute{Key: "who", Value: &bedrockagent.MetadataAttributeValue{Type: bedrockagent.MetadataValueTypeString, StringValue: new("attribute-canary")}}
	inBucket := bedrockagent.KnowledgeBaseDocument{
		Content: &bedrockagent.DocumentContent{DataSourceType: bedrockagent.ContentDataSourceTypeCustom, Custom: &bedrockagent.CustomContent{
			CustomDocumentIdentifier: &bedrockagent.CustomDocumentIdentifier{Id: "b"}, SourceType: bedrockagent.CustomSourceTypeS3Location, S3Location: &bedrockagent.CustomS3Location{Uri: "s3://docs/page.txt"},
		}},
		Metadata: &bedrockagent.DocumentMetadata{Type: bedrockagent.MetadataSourceTypeInLineAttribute, InlineAttributes: []bedrockagent.MetadataAttribute{attribute}},
	}
	w.ingest(inline("a", "content-canary", attribute), inBucket)
	if w.keys.sealed[own] != 2 || bytes.Contains(w.keys.house, []byte("canary")) {
		t.Errorf("sealed %v, the house's key knows %t", w.keys.sealed, bytes.Contains(w.keys.house, []byte("canary")))
	}
	r := w.run()
	defer r.end(t)
	if got := w.settled("a", "b"); !slices.Equal(got, []string{"INDEXED", "INDEXED"}) {
		t.Fatal(got)
	}
	for _, id := range []string{"a", "b"} {
		if m := w.chunks("custom:" + id)[0].Metadata; m["who"].Str() != "attribute-canary" {
			t.Errorf("%s has %v", id, m)
		}
	}
	if bytes.Contains(w.keys.house, []byte("canary")) {
		t.Error("in the end the house's key knows it")
	}
}

// closed refuses some keys.
type closed struct{ bucket.Files }

func (c closed) Get(ctx context.Context, as bucket.Caller, at bucket.Location, r object.Range) (*object.Content, error) {
	switch {
	case as.Principal == nil:
		return nil, errors.New("not as the role")
	case strings.Contains(at.Key, "secret"):
		return nil, fmt.Errorf("%w: %w", bucket.ErrDenied, apierr.New(apierr.AccessDenied, "No s3:GetObject."))
	case strings.Contains(at.Key, "gone"):
		return nil, object.ErrNotFound
	}
	return c.Files.Get(ctx, as, at, r)
}

func TestFilesThatTheRoleMayNotRead(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Files = closed{w.files} })
	w.file("a.txt", "open")
	w.file("a.txt.metadata.json", `{"metadataAttributes":{"a":1}}`)
	w.file("b.txt", "open too")
	w.file("b.txt.metadata.json", `{"metadataAttributes":{"a":1}}`)
	w.file("secret.txt", "closed")
	w.file("secret2.txt.metadata.json", `{"metadataAttributes":{"a":1}}`)
	w.file("secret2.txt", "closed")
	w.file("gone.txt", "removed")
	j := w.sync()
	complete(t, j, [7]int64{5, 3, 2, 0, 0, 0, 3})
	got := strings.Join(j.FailureReasons, "\n")
	for _, want := range []string{
		"Ignored 2 files as the service role of the knowledge base may not read them. [Files: s3://docs/secret.txt, s3://docs/secret2.txt]",
		"Ignored 1 files as they were removed while the job was running. [Files: s3://docs/gone.txt]",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
