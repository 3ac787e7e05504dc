package chunk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Event is what the function of a custom transformation is called with: it is told of
// files with chunks in a bucket, writes other files, and answers where they are.
//
//	Event ──▶ function ──▶ Answer
//	  keys of Batch files     keys of Batch files
type Event struct {
	Version         string      `json:"version"` // "1.0"
	KnowledgeBaseID string      `json:"knowledgeBaseId"`
	DataSourceID    string      `json:"dataSourceId"`
	IngestionJobID  string      `json:"ingestionJobId"`
	Bucket          string      `json:"bucketName"` // of the intermediate storage
	PriorTask       string      `json:"priorTask"`  // PriorChunking
	Files           []EventFile `json:"inputFiles"`
}

// Values of an Event.
const (
	EventVersion  = "1.0"
	PriorChunking = "CHUNKING"
)

// EventFile is one document. Metadata holds plain JSON values.
type EventFile struct {
	Original Location                   `json:"originalFileLocation"`
	Metadata map[string]json.RawMessage `json:"fileMetadata"`
	Batches  []BatchKey                 `json:"contentBatches"`
}

// Location is where a document came from.
type Location struct {
	Type string     `json:"type"` // "S3"
	S3   S3Location `json:"s3_location"`
}

// S3Location is a place in a bucket.
type S3Location struct {
	URI string `json:"uri"`
}

// BatchKey names a Batch file in the intermediate bucket.
type BatchKey struct {
	Key string `json:"key"`
}

// Answer is what the function returns.
type Answer struct {
	Files []EventFile `json:"outputFiles"`
}

// Batch is a file with chunks.
type Batch struct {
	Contents []Content `json:"fileContents"`
}

// Content is one chunk of a Batch.
type Content struct {
	Body     string                     `json:"contentBody"`
	Type     string                     `json:"contentType"` // TEXT, PDF …
	Metadata map[string]json.RawMessage `json:"contentMetadata"`
}

// Limits of what a function may hand back for one document.
const (
	maxBatch    = 64 << 20 // bytes of a Batch file
	maxBatches  = 1_000
	maxContents = 100_000
)

// EncodeEvent writes what a function is called with.
func EncodeEvent(e Event) ([]byte, error) {
	if e.Version == "" {
		e.Version = EventVersion
	}
	if e.PriorTask == "" {
		e.PriorTask = PriorChunking
	}
	for i := range e.Files {
		if e.Files[i].Metadata == nil {
			e.Files[i].Metadata = map[string]json.RawMessage{}
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("chunk: write the event: %w", err)
	}
	return b, nil
}

// DecodeAnswer reads what a function returned to an event. Every file of the event
// must be answered, no other, and each with keys; the order is the event's
// afterwards. The errors are for the failure reasons of the job.
func DecodeAnswer(data []byte, e Event) (*Answer, error) {
	var a Answer
	if err := decodeOne(data, &a); err != nil {
		return nil, fmt.Errorf("the transformation function returned no valid answer: %w", err)
	}
	if a.Files == nil {
		return nil, errors.New("the transformation function returned an answer without outputFiles")
	}
	by := map[string]EventFile{}
	for _, f := range a.Files {
		if _, twice := by[f.Original.S3.URI]; twice {
			return nil, fmt.Errorf("the transformation function answered for %s twice", f.Original.S3.URI)
		}
		by[f.Original.S3.URI] = f
	}
	out := &Answer{}
	for _, in := range e.Files {
		f, ok := by[in.Original.S3.URI]
		if !ok {
			return nil, fmt.Errorf("the transformation function did not answer for %s", in.Original.S3.URI)
		}
		delete(by, in.Original.S3.URI)
		if len(f.Batches) == 0 || len(f.Batches) > maxBatches {
			return nil, fmt.Errorf("the transformation function answered %d contentBatches for %s; 1 to %d are allowed", len(f.Batches), in.Original.S3.URI, maxBatches)
		}
		for _, b := range f.Batches {
			if n := len(b.Key); n < 1 || n > 1024 || !utf8.ValidString(b.Key) {
				return nil, fmt.Errorf("the transformation function answered a key of %d bytes for %s", n, in.Original.S3.URI)
			}
		}
		f.Original = in.Original
		out.Files = append(out.Files, f)
	}
	for uri := range by {
		return nil, fmt.Errorf("the transformation function answered for %.200q, which it was not asked for", uri)
	}
	return out, nil
}

// EncodeBatch writes a file with chunks.
func EncodeBatch(b Batch) ([]byte, error) {
	for i := range b.Contents {
		if b.Contents[i].Metadata == nil {
			b.Contents[i].Metadata = map[string]json.RawMessage{}
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("chunk: write a batch: %w", err)
	}
	return buf.Bytes(), nil
}

// DecodeBatch reads a file that a function wrote. Chunks without text are left out.
func DecodeBatch(data []byte) (*Batch, error) {
	if len(data) > maxBatch {
		return nil, fmt.Errorf("a file of the transformation function has %d bytes, more than the %d that are allowed", len(data), maxBatch)
	}
	var b Batch
	if err := decodeOne(data, &b); err != nil {
		return nil, fmt.Errorf("a file of the transformation function is not valid: %w", err)
	}
	if b.Contents == nil {
		return nil, errors.New("a file of the transformation function has no fileContents")
	}
	if len(b.Contents) > maxContents {
		return nil, fmt.Errorf("a file of the transformation function has %d chunks, more than the %d that are allowed", len(b.Contents), maxContents)
	}
	kept := b.Contents[:0]
	for _, c := range b.Contents {
		c.Body = strings.ToValidUTF8(c.Body, "\ufffd")
		if strings.TrimSpace(c.Body) != "" {
			kept = append(kept, c)
		}
	}
	b.Contents = kept
	return &b, nil
}

func decodeOne(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
