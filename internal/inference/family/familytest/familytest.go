package familytest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Answer is the identity that every golden answer has.
var Answer = family.Answer{
	RequestID: "11111111-2222-3333-4444-555555555555",
	ID:        "01AbCdEfGhIjKlMnOpQrStUv",
	Time:      time.Unix(1_700_000_000, 0).UTC(),
	Prompt:    func() int { return 11 },
}

// Metrics are the latencies that every golden answer has; the counts come from
// its results.
var Metrics = family.Metrics{Latency: 267 * time.Millisecond, FirstByte: 173 * time.Millisecond}

// Golden runs every testdata/*.txtar. A file holds
//
//	model.json     a family.Model
//	request.json   the body
//	result.json    what the engine answers, a family.Output without metrics; optional
//
// and, checked against what the codec makes (written anew with -update),
//
//	neutral.json   the Call
//	response.json  the body answered
//	chunks.json    the chunks of the stream, one a line; only when the family streams
func Golden(t *testing.T, codec family.Codec) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, codec, file) })
	}
}

func golden(t *testing.T, codec family.Codec, file string) {
	in, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	var m family.Model
	strict(t, in["model.json"], &m)
	call, err := codec.Decode(m, bytes.TrimSpace(in["request.json"]))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	got := map[string][]byte{"neutral.json": Dump(t, call)}
	if len(in["result.json"]) > 0 {
		var out family.Output
		strict(t, in["result.json"], &out)
		call.Answer = Answer
		out.Metrics = Sum(out.Results)
		body, err := codec.Encode(call, &out)
		if err != nil {
			t.Fatalf("Encode: %v", err)
		}
		if !json.Valid(body) {
			t.Fatalf("the response is not JSON: %s", body)
		}
		got["response.json"] = append(body, '\n')
		if enc := codec.Stream(call); enc != nil {
			got["chunks.json"] = append(bytes.Join(Chunks(t, enc, out.Results), []byte("\n")), '\n')
		}
	}
	if *update {
		for name, data := range got {
			in[name] = data
		}
		if err := write(file, in); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, name := range []string{"neutral.json", "response.json", "chunks.json"} {
		if diff := cmp.Diff(string(in[name]), string(got[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// sections are the parts of a golden file in their order.
var sections = []string{"model.json", "request.json", "result.json", "neutral.json", "response.json", "chunks.json"}

// read splits a golden file (the txtar format) at its lines "-- name --".
func read(file string) (map[string][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	in, name := map[string][]byte{}, "comment"
	for line := range bytes.Lines(data) {
		if text := strings.TrimSuffix(string(line), "\n"); strings.HasPrefix(text, "-- ") && strings.HasSuffix(text, " --") {
			name = strings.TrimSuffix(strings.TrimPrefix(text, "-- "), " --")
			continue
		}
		in[name] = append(in[name], line...)
	}
	return in, nil
}

func write(file string, in map[string][]byte) error {
	b := bytes.Clone(in["comment"])
	for _, name := range sections {
		if len(in[name]) > 0 {
			b = append(b, "-- "+name+" --\n"...)
			b = append(b, in[name]...)
		}
	}
	return os.WriteFile(file, b, 0o644)
}

func strict(t *testing.T, text []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("golden file: %v in %s", err, text)
	}
}

// Sum is what the results of a call cost together.
func Sum(results []*engine.Result) family.Metrics {
	m := Metrics
	for _, r := range results {
		m.InputTokens += r.Usage.Input
		m.OutputTokens += r.Usage.Output
		m.CacheRead += r.Usage.CacheRead
		m.CacheWrite += r.Usage.CacheWrite
	}
	return m
}

// Chunks streams results through an encoder, with text in pieces of four runes.
func Chunks(t *testing.T, enc family.StreamEncoder, results []*engine.Result) [][]byte {
	t.Helper()
	var chunks [][]byte
	send := func(chunk []byte) error {
		if !json.Valid(chunk) || chunk[0] != '{' {
			t.Errorf("a chunk is not a JSON object: %s", chunk)
		}
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(enc.Start(send))
	for gen, r := range results {
		for _, d := range Deltas(r) {
			check(enc.Delta(gen, d, send))
		}
		check(enc.End(gen, r, send))
	}
	check(enc.Finish(Sum(results), send))
	if n := len(chunks); n == 0 || !bytes.Contains(chunks[n-1], []byte(`"amazon-bedrock-invocationMetrics":{`)) {
		t.Error("the last chunk has no metrics")
	}
	for _, c := range chunks[:max(0, len(chunks)-1)] {
		if bytes.Contains(c, []byte("amazon-bedrock-invocationMetrics")) {
			t.Errorf("metrics before the last chunk: %s", c)
		}
	}
	return chunks
}

// Deltas is how an engine would have emitted a result.
func Deltas(r *engine.Result) []engine.Delta {
	var out []engine.Delta
	text := func(kind engine.DeltaKind, s string) {
		for s != "" {
			n := 0
			for range 4 {
				_, size := utf8.DecodeRuneInString(s[n:])
				n += size
			}
			out = append(out, engine.Delta{Kind: kind, Text: s[:n]})
			s = s[n:]
		}
	}
	for i := range r.Parts {
		switch p := &r.Parts[i]; {
		case p.Reasoning != nil:
			text(engine.ReasoningDelta, p.Reasoning.Text)
			if p.Reasoning.Signature != "" {
				out = append(out, engine.Delta{Kind: engine.SignatureDelta, Text: p.Reasoning.Signature})
			}
		case p.ToolCall != nil:
			out = append(out, engine.Delta{Kind: engine.ToolStart, Tool: &engine.ToolCall{ID: p.ToolCall.ID, Name: p.ToolCall.Name}})
			text(engine.ToolInput, string(p.ToolCall.Arguments))
			out = append(out, engine.Delta{Kind: engine.ToolEnd})
		default:
			text(engine.TextDelta, p.Text)
		}
	}
	return out
}

// Refusal is a body that must be refused with exactly this text.
type Refusal struct {
	Name  string
	Model family.Model
	Body  string
	Want  string
}

// No is the Refusal of these four.
func No(name string, m family.Model, body, want string) Refusal {
	return Refusal{Name: name, Model: m, Body: body, Want: want}
}

// Malformed is the text of violations.
func Malformed(violations ...string) string {
	return "Malformed input request: " + strings.Join(violations, ", ") + ", please reformat your input and try again."
}

// Refuse checks that each body is refused as a ValidationException with its text.
func Refuse(t *testing.T, codec family.Codec, refusals []Refusal) {
	t.Helper()
	for _, r := range refusals {
		t.Run(r.Name, func(t *testing.T) {
			_, err := codec.Decode(r.Model, []byte(r.Body))
			e, ok := errors.AsType[*apierr.Error](err)
			if !ok || e.Kind != apierr.Validation {
				t.Fatalf("got %v, want a ValidationException", err)
			}
			if e.Message != r.Want {
				t.Errorf("message\n got %s\nwant %s", e.Message, r.Want)
			}
		})
	}
}

// Accept checks that each body decodes.
func Accept(t *testing.T, codec family.Codec, m family.Model, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		if _, err := codec.Decode(m, []byte(b)); err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
}

// Fuzz feeds a codec anything: it must not panic, must refuse with a
// ValidationException alone, and what it accepts must have something to do and
// encode to JSON.
func Fuzz(f *testing.F, codec family.Codec, m family.Model, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		if sections, err := read(file); err == nil {
			f.Add(sections["request.json"])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		call, err := codec.Decode(m, body)
		if err != nil {
			if apierr.KindOf(err) != apierr.Validation {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if len(call.Generate) == 0 {
			if call.Embed == nil && call.Rerank == nil && call.Paint == nil {
				t.Fatal("a call without work")
			}
			return
		}
		out := &family.Output{}
		for _, r := range call.Generate {
			if len(r.Messages) == 0 {
				t.Fatal("a generation without messages")
			}
			out.Results = append(out.Results, &engine.Result{
				Parts: []engine.Part{{Text: "Quartz\n\"\u2028"}}, Stop: engine.EndTurn, Usage: engine.Usage{Input: 1, Output: 1},
			})
		}
		call.Answer = Answer
		text, err := codec.Encode(call, out)
		if err != nil || !json.Valid(text) {
			t.Fatalf("encoded %q, %v", text, err)
		}
		if enc := codec.Stream(call); enc != nil {
			Chunks(t, enc, out.Results)
		}
	})
}

// Dump prints a call as JSON without what is not set. A pointer to zero is set.
func Dump(t *testing.T, call *family.Call) []byte {
	t.Helper()
	v := map[string]any{}
	for name, x := range map[string]any{"generate": call.Generate, "embed": call.Embed, "rerank": call.Rerank, "paint": call.Paint} {
		if !reflect.ValueOf(x).IsZero() {
			v[name] = plain(reflect.ValueOf(x))
		}
	}
	for name, x := range map[string]any{"countPrompt": call.CountPrompt, "noOutput": call.NoOutput, "toolPrefix": call.ToolPrefix} {
		if !reflect.ValueOf(x).IsZero() {
			v[name] = x
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Slice:
		if raw, ok := v.Interface().(json.RawMessage); ok {
			return raw
		}
		if data, ok := v.Interface().([]byte); ok {
			return base64.StdEncoding.EncodeToString(data)
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || v.Field(i).IsZero() {
				continue
			}
			x := plain(v.Field(i))
			if sub, ok := x.(map[string]any); ok && f.Anonymous {
				for k, y := range sub {
					m[k] = y
				}
				continue
			}
			m[f.Name] = x
		}
		return m
	default:
		return v.Interface()
	}
}
