package chunk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func event() Event {
	file := func(uri string) EventFile {
		return EventFile{Original: Location{Type: "S3", S3: S3Location{URI: uri}}, Metadata: map[string]json.RawMessage{"year": json.RawMessage("2024")}, Batches: []BatchKey{{Key: "in/" + uri[len(uri)-1:]}}}
	}
	return Event{KnowledgeBaseID: "KB", DataSourceID: "DS", IngestionJobID: "JOB", Bucket: "mid", Files: []EventFile{file("s3://b/x"), file("s3://b/y")}}
}

func TestTheEventIsWhatFunctionsExpect(t *testing.T) {
	e := event()
	e.Files = e.Files[:1]
	b, err := EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"1.0","knowledgeBaseId":"KB","dataSourceId":"DS","ingestionJobId":"JOB","bucketName":"mid","priorTask":"CHUNKING",` +
		`"inputFiles":[{"originalFileLocation":{"type":"S3","s3_location":{"uri":"s3://b/x"}},"fileMetadata":{"year":2024},"contentBatches":[{"key":"in/x"}]}]}`
	if d := cmp.Diff(want, string(b)); d != "" {
		t.Error(d)
	}
}

func TestAnswersAreHeldAgainstTheEvent(t *testing.T) {
	file := func(uri, batches string) string {
		return `{"originalFileLocation":{"type":"S3","s3_location":{"uri":"` + uri + `"}},"contentBatches":` + batches + `}`
	}
	x, y := file("s3://b/x", `[{"key":"out/x"}]`), file("s3://b/y", `[{"key":"out/y1"},{"key":"out/y2"}]`)
	a, err := DecodeAnswer([]byte(`{"outputFiles":[`+y+`,`+x+`]}`), event())
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Files) != 2 || a.Files[0].Batches[0].Key != "out/x" || len(a.Files[1].Batches) != 2 {
		t.Errorf("got %+v", a)
	}
	for name, c := range map[string]struct{ answer, want string }{
		"no JSON":       {`<html>`, "no valid answer"},
		"two values":    {`{"outputFiles":[` + x + `,` + y + `]}{}`, "more than one"},
		"nothing":       {`{}`, "without outputFiles"},
		"an error":      {`{"errorMessage":"boom"}`, "without outputFiles"},
		"one missing":   {`{"outputFiles":[` + x + `]}`, "did not answer for s3://b/y"},
		"one twice":     {`{"outputFiles":[` + x + `,` + x + `,` + y + `]}`, "twice"},
		"one not asked": {`{"outputFiles":[` + x + `,` + y + `,` + file("s3://b/z", `[{"key":"k"}]`) + `]}`, "not asked"},
		"no batches":    {`{"outputFiles":[` + x + `,` + file("s3://b/y", `[]`) + `]}`, "0 contentBatches"},
		"an empty key":  {`{"outputFiles":[` + x + `,` + file("s3://b/y", `[{"key":""}]`) + `]}`, "key of 0 bytes"},
	} {
		if _, err := DecodeAnswer([]byte(c.answer), event()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestBatchesGoThereAndBack(t *testing.T) {
	in := Batch{Contents: []Content{{Body: "A <b> & 한국어", Type: "TEXT", Metadata: map[string]json.RawMessage{"page": json.RawMessage("3")}}, {Body: "two", Type: "PDF"}}}
	b, err := EncodeBatch(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"fileContents":[{"contentBody":"A <b> & 한국어","contentType":"TEXT","contentMetadata":{"page":3}},{"contentBody":"two","contentType":"PDF","contentMetadata":{}}]}` + "\n"; string(b) != want {
		t.Errorf("got %s", b)
	}
	out, err := DecodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, *out); d != "" {
		t.Error(d)
	}
	if out, err := DecodeBatch([]byte(`{"fileContents":[{"contentBody":" \n"},{"contentBody":"x"}]}`)); err != nil || len(out.Contents) != 1 {
		t.Errorf("blank chunks: %v, %+v", err, out)
	}
	for _, bad := range []string{``, `[]`, `{}`, `{"fileContents":null}`, `{"fileContents":[{"contentBody":1}]}`, `{"fileContents":[]} x`} {
		if _, err := DecodeBatch([]byte(bad)); err == nil {
			t.Errorf("%q went through", bad)
		}
	}
}

func FuzzTransform(f *testing.F) {
	f.Add([]byte(`{"outputFiles":[{"originalFileLocation":{"s3_location":{"uri":"s3://b/x"}},"contentBatches":[{"key":"k"}]}]}`))
	f.Add([]byte(`{"fileContents":[{"contentBody":"x","contentMetadata":{"a":[1]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := DecodeAnswer(data, event()); err == nil && len(a.Files) != 2 {
			t.Fatal("an answer without all files")
		}
		if b, err := DecodeBatch(data); err == nil {
			if _, err := EncodeBatch(*b); err != nil {
				t.Fatal(err)
			}
		}
	})
}
