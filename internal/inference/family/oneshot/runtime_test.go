package oneshot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine/script"
	"github.com/outcrop-dev/outcrop/internal/inference"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/cohereembed"
	"github.com/outcrop-dev/outcrop/internal/inference/family/command"
	"github.com/outcrop-dev/outcrop/internal/inference/family/commandr"
	"github.com/outcrop-dev/outcrop/internal/inference/family/jamba"
	"github.com/outcrop-dev/outcrop/internal/inference/family/jurassic"
	"github.com/outcrop-dev/outcrop/internal/inference/family/novacanvas"
	"github.com/outcrop-dev/outcrop/internal/inference/family/novaembed"
	"github.com/outcrop-dev/outcrop/internal/inference/family/palmyra"
	"github.com/outcrop-dev/outcrop/internal/inference/family/rerank"
	"github.com/outcrop-dev/outcrop/internal/inference/family/sdxl"
	"github.com/outcrop-dev/outcrop/internal/inference/family/stabilityimage"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titanembed"
	"github.com/outcrop-dev/outcrop/internal/inference/family/titanimage"
)

func newRuntime(t *testing.T) *inference.Runtime {
	t.Helper()
	e, err := script.New(script.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.New(catalog.Config{Engine: e, Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	return inference.New(inference.Config{Engine: e, Resolver: c, Families: map[catalog.Family]family.Codec{
		catalog.TitanEmbedText: titanembed.New(titanembed.Text),
		catalog.TitanEmbedV2:   titanembed.New(titanembed.TextV2),
		catalog.TitanEmbedMM:   titanembed.New(titanembed.Multimodal),
		catalog.CohereEmbed:    cohereembed.New(),
		catalog.EmbedV4:        cohereembed.NewV4(),
		catalog.NovaEmbed:      novaembed.Codec{},
		catalog.Rerank:         rerank.Codec{},
		catalog.TitanImage:     titanimage.New(),
		catalog.NovaCanvas:     novacanvas.New(),
		catalog.SDXL:           sdxl.New(),
		catalog.StabilityImage: stabilityimage.New(),
		catalog.CohereCommand:  command.Codec{},
		catalog.CommandR:       commandr.Codec{},
		catalog.Jurassic2:      jurassic.Codec{},
		catalog.Jamba:          jamba.Codec{},
		catalog.Palmyra:        palmyra.New(),
	}})
}

// stream keeps the chunks of a stream.
type stream struct{ chunks [][]byte }

func (*stream) Open(any) error     { return nil }
func (*stream) Recv() (any, error) { return nil, io.EOF }
func (s *stream) Send(e any) error {
	s.chunks = append(s.chunks, bytes.Clone(e.(*bedrockruntime.InvokeModelWithResponseStreamEvent).Chunk.Bytes))
	return nil
}

// Each family answers its smallest body through catalogue, runtime and engine, and
// streams or refuses to, as its model does.
func TestEachFamilyAnswersThroughTheRuntime(t *testing.T) {
	rt := newRuntime(t)
	for _, c := range []struct {
		id, body string
		key      string // of the answer
		streams  bool
	}{
		{"amazon.titan-embed-text-v1", `{"inputText":"quartz"}`, "embedding", false},
		{"amazon.titan-embed-g1-text-02", `{"inputText":"quartz"}`, "embedding", false},
		{"amazon.titan-embed-text-v2:0", `{"inputText":"quartz","dimensions":256}`, "embeddingsByType", false},
		{"amazon.titan-embed-image-v1", `{"inputText":"quartz"}`, "embedding", false},
		{"cohere.embed-english-v3", `{"texts":["a","b"],"input_type":"clustering"}`, "embeddings", false},
		{"cohere.embed-multilingual-v3", `{"texts":[],"input_type":"clustering"}`, "embeddings", false},
		{"cohere.embed-v4:0", `{"texts":["a"],"input_type":"clustering"}`, "embeddings", false},
		{"amazon.nova-2-multimodal-embeddings-v1:0", `{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"CLUSTERING","text":{"truncationMode":"END","value":"x"}}}`, "embeddings", false},
		{"cohere.rerank-v3-5:0", `{"query":"x","documents":["a","x"],"api_version":2}`, "results", false},
		{"amazon.rerank-v1:0", `{"query":"x","documents":["a","x"]}`, "results", false},
		{"amazon.titan-image-generator-v1", `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"x"},"imageGenerationConfig":{"width":320,"height":704}}`, "images", false},
		{"amazon.titan-image-generator-v2:0", `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"x"},"imageGenerationConfig":{"width":320,"height":704}}`, "images", false},
		{"amazon.nova-canvas-v1:0", `{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"x"},"imageGenerationConfig":{"width":320,"height":320}}`, "images", false},
		{"stability.stable-diffusion-xl-v1", `{"text_prompts":[{"text":"x"}]}`, "artifacts", false},
		{"stability.stable-diffusion-xl", `{"text_prompts":[{"text":"x"}],"seed":0,"style_preset":"photographic"}`, "artifacts", false},
		{"stability.sd3-5-large-v1:0", `{"prompt":"x"}`, "images", false},
		{"stability.stable-image-core-v1:1", `{"prompt":"x"}`, "images", false},
		{"stability.stable-image-ultra-v1:1", `{"prompt":"x"}`, "images", false},
		{"ai21.j2-mid-v1", `{"prompt":"x"}`, "completions", false},
		{"cohere.command-text-v14", `{"prompt":"x","stream":true,"num_generations":2}`, "generations", true},
		{"cohere.command-r-v1:0", `{"message":"x"}`, "text", true},
		{"ai21.jamba-1-5-mini-v1:0", `{"messages":[{"role":"user","content":"x"}],"n":2}`, "choices", true},
		{"us.writer.palmyra-x5-v1:0", `{"messages":[{"role":"user","content":"x"}]}`, "choices", true},
	} {
		t.Run(c.id, func(t *testing.T) {
			ctx := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"})
			out, err := rt.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: c.id, Body: []byte(c.body)})
			if err != nil {
				t.Fatal(err)
			}
			var v map[string]any
			if err := json.Unmarshal(out.Body, &v); err != nil || v[c.key] == nil {
				t.Fatalf("%.200s, %v", out.Body, err)
			}
			s := &stream{}
			err = invokeStream(ctx, rt, c.id, c.body, s)
			if !c.streams {
				if err == nil || !strings.HasSuffix(err.Error(), "The model is unsupported for streaming.") || len(s.chunks) > 0 {
					t.Errorf("stream: %d chunks, %v", len(s.chunks), err)
				}
				return
			}
			if err != nil || len(s.chunks) < 2 || !bytes.Contains(s.chunks[len(s.chunks)-1], []byte("amazon-bedrock-invocationMetrics")) {
				t.Errorf("stream: %d chunks, %v", len(s.chunks), err)
			}
		})
	}
}

func invokeStream(ctx context.Context, rt *inference.Runtime, id, body string, s *stream) error {
	return rt.InvokeModelWithResponseStream(ctx, &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: id, Body: []byte(body)},
		&bedrockruntime.InvokeModelWithResponseStreamWriter{Raw: s})
}
