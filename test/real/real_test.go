package real

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

const (
	chatModel      = "smollm2-135m"
	toolModel      = "qwen2.5-coder-1.5b"
	embeddingModel = "all-minilm-l6-v2"
	haiku          = "anthropic.claude-3-haiku-20240307-v1:0"
	nova           = "amazon.nova-micro-v1:0" // answered by the tool model
)

func TestMain(m *testing.M) {
	code := m.Run()
	outcroptest.Clean()
	os.Exit(code)
}

// shared starts one server for all tests of the package: models load slowly.
func shared(t *testing.T) *outcroptest.Server {
	t.Helper()
	if os.Getenv("OUTCROP_REAL_MODEL") == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1 to run on real models")
	}
	return outcroptest.Start(t, "--engine", "auto", "--chat-model", chatModel, "--embedding-model", embeddingModel, "--alias", "amazon.nova-*="+toolModel)
}

func client(s *outcroptest.Server) *bedrockruntime.Client {
	return bedrockruntime.NewFromConfig(aws.Config{
		Region: s.Getenv("AWS_REGION"), BaseEndpoint: aws.String(s.Endpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.Getenv("AWS_ACCESS_KEY_ID"), s.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
}

// TestRealModels runs everything on one server, one after the other.
func TestRealModels(t *testing.T) {
	s := shared(t)
	c := client(s)
	for _, step := range []struct {
		name string
		do   func(*testing.T, *bedrockruntime.Client)
	}{
		{"chat", chat}, {"stream", stream}, {"Korean and emoji", characters}, {"native bodies", bodies}, {"embeddings", embeddings}, {"a tool call", tool},
	} {
		begin := time.Now()
		t.Run(step.name, func(t *testing.T) { step.do(t, c) })
		t.Logf("%s: %s", step.name, time.Since(begin).Round(time.Millisecond))
	}
}

// TestModelsVerb loads a model by the command alone.
func TestModelsVerb(t *testing.T) {
	if os.Getenv("OUTCROP_REAL_MODEL") == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1 to run on real models")
	}
	bin, err := outcroptest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := outcroptest.Run(t, 0, t.TempDir(), os.Environ(), bin, "models", "test", chatModel)
	if !strings.Contains(out, chatModel+": loaded and answered in ") || !strings.Contains(out, " tokens in, ") {
		t.Errorf("it printed %q", out)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func user(text string) types.Message {
	return types.Message{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}
}

func greedy(n int32) *types.InferenceConfiguration {
	return &types.InferenceConfiguration{MaxTokens: aws.Int32(n), Temperature: aws.Float32(0)}
}

// header returns a header of the HTTP answer.
func header(t *testing.T, md middleware.Metadata, name string) string {
	t.Helper()
	r, ok := awsmiddleware.GetRawResponse(md).(*smithyhttp.Response)
	if !ok {
		t.Fatal("no HTTP answer in the metadata")
	}
	return http.Header(r.Header).Get(name)
}

func text(t *testing.T, out *bedrockruntime.ConverseOutput) string {
	t.Helper()
	var b strings.Builder
	for _, c := range out.Output.(*types.ConverseOutputMemberMessage).Value.Content {
		if v, ok := c.(*types.ContentBlockMemberText); ok {
			b.WriteString(v.Value)
		}
	}
	return b.String()
}

func chat(t *testing.T, c *bedrockruntime.Client) {
	in := &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: []types.Message{user("Tell me about mountains.")}, InferenceConfig: greedy(24)}
	out, err := c.Converse(within(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if m := header(t, out.ResultMetadata, "X-Outcrop-Model"); m != chatModel {
		t.Errorf("answered by %q, want %q", m, chatModel)
	}
	first := text(t, out)
	if len(strings.Fields(first)) < 3 {
		t.Errorf("the answer is %q", first)
	}
	// A count is true when the engine's own limit agrees with it, and the tokeniser.
	if out.StopReason == types.StopReasonMaxTokens && *out.Usage.OutputTokens != 24 {
		t.Errorf("cut at 24 tokens, counted %d", *out.Usage.OutputTokens)
	}
	counted, err := c.CountTokens(within(t), &bedrockruntime.CountTokensInput{ModelId: in.ModelId, Input: &types.CountTokensInputMemberConverse{
		Value: types.ConverseTokensRequest{Messages: in.Messages},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if *counted.InputTokens != *out.Usage.InputTokens || *counted.InputTokens < 5 {
		t.Errorf("CountTokens says %d, usage %d", *counted.InputTokens, *out.Usage.InputTokens)
	}
	again, err := c.Converse(within(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if text(t, again) != first {
		t.Errorf("temperature 0 gave %q and %q", first, text(t, again))
	}
	t.Logf("%q", first)
}

func stream(t *testing.T, c *bedrockruntime.Client) {
	const tokens = 40
	messages := []types.Message{user("Write a story about a river.")}
	begin := time.Now()
	out, err := c.ConverseStream(within(t), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: messages, InferenceConfig: greedy(tokens)})
	if err != nil {
		t.Fatal(err)
	}
	var whole strings.Builder
	var first, last time.Duration
	var usage *types.TokenUsage
	pieces := 0
	s := out.GetStream()
	defer s.Close()
	for e := range s.Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			whole.WriteString(e.Value.Delta.(*types.ContentBlockDeltaMemberText).Value)
			if last = time.Since(begin); pieces == 0 {
				first = last
			}
			pieces++
		case *types.ConverseStreamOutputMemberMetadata:
			usage = e.Value.Usage
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if usage == nil || *usage.OutputTokens < 10 || pieces < 5 || last-first < time.Duration(pieces)*100*time.Microsecond {
		t.Errorf("%d pieces from %s to %s, usage %+v: not read as they were made", pieces, first, last, usage)
	}
	plain, err := c.Converse(within(t), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: messages, InferenceConfig: greedy(tokens)})
	if err != nil {
		t.Fatal(err)
	}
	if text(t, plain) != whole.String() || *plain.Usage.OutputTokens != *usage.OutputTokens {
		t.Errorf("streamed %q (%d tokens), plain %q (%d)", whole.String(), *usage.OutputTokens, text(t, plain), *plain.Usage.OutputTokens)
	}
	t.Logf("%d pieces, the first after %s, the last after %s", pieces, first.Round(time.Millisecond), last.Round(time.Millisecond))
}

// characters has the model continue a beginning of characters that are several
// tokens each: whatever it says, the pieces are whole characters.
func characters(t *testing.T, c *bedrockruntime.Client) {
	out, err := c.ConverseStream(within(t), &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String(haiku), InferenceConfig: greedy(30),
		Messages: []types.Message{user("Repeat exactly: 안녕하세요 🎉🎉 안녕하세요 🎉🎉 안녕하세요"),
			{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "안녕하세요 🎉🎉 안녕하세요 🎉🎉 안녕하세요 🎉🎉 안녕"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := out.GetStream()
	defer s.Close()
	var whole strings.Builder
	for e := range s.Events() {
		if d, ok := e.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
			piece := d.Value.Delta.(*types.ContentBlockDeltaMemberText).Value
			if strings.ContainsRune(piece, '\uFFFD') || strings.ToValidUTF8(piece, "") != piece {
				t.Errorf("a broken character in %q", piece)
			}
			whole.WriteString(piece)
		}
	}
	if err := s.Err(); err != nil || whole.Len() == 0 {
		t.Errorf("%q, %v", whole.String(), err)
	}
	if strings.HasPrefix(strings.TrimSpace(whole.String()), "안녕하세요 🎉🎉 안녕하세요 🎉🎉 안녕하세요 🎉🎉") {
		t.Errorf("the beginning was repeated: %q", whole.String())
	}
	t.Logf("%q", whole.String())
}

// at walks a dotted path; numbers are places in a list.
func at(t *testing.T, doc any, path string) any {
	t.Helper()
	for step := range strings.SplitSeq(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(v) {
				t.Fatalf("no %s in %v", path, v)
			}
			doc = v[n]
		default:
			t.Fatalf("no %s: %v", path, doc)
		}
	}
	return doc
}

const ask = "Write a few words about the sea."

// nativeBodies are one for each family, with the places of the text and of the
// counts in the answer ("" when the family's body has none).
var nativeBodies = []struct {
	name, id, body   string
	text, in, out    string
	streams          bool
	streamed, finish string // places in a chunk: text, and what is not null in the last
}{
	{"Claude completions", "anthropic.claude-v2", `{"prompt":"\n\nHuman: ` + ask + `\n\nAssistant:","max_tokens_to_sample":16,"temperature":0}`,
		"completion", "", "", true, "completion", "stop_reason"},
	{"Claude messages", haiku, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":16,"temperature":0,"messages":[{"role":"user","content":"` + ask + `"}]}`,
		"content.0.text", "usage.input_tokens", "usage.output_tokens", true, "", ""},
	{"Titan", "amazon.titan-text-express-v1", `{"inputText":"` + ask + `","textGenerationConfig":{"maxTokenCount":16,"temperature":0}}`,
		"results.0.outputText", "inputTextTokenCount", "results.0.tokenCount", true, "outputText", "completionReason"},
	{"Llama", "meta.llama2-13b-chat-v1", `{"prompt":"[INST] ` + ask + ` [/INST]","max_gen_len":16,"temperature":0}`,
		"generation", "prompt_token_count", "generation_token_count", true, "generation", "stop_reason"},
	{"Mistral", "mistral.mistral-7b-instruct-v0:2", `{"prompt":"<s>[INST] ` + ask + ` [/INST]","max_tokens":16,"temperature":0}`,
		"outputs.0.text", "", "", true, "outputs.0.text", "outputs.0.stop_reason"},
	{"Cohere", "cohere.command-text-v14", `{"prompt":"` + ask + `","max_tokens":16,"temperature":0,"stream":true}`,
		"generations.0.text", "", "", true, "text", "finish_reason"},
	{"Jurassic", "ai21.j2-mid-v1", `{"prompt":"` + ask + `","maxTokens":16,"temperature":0}`,
		"completions.0.data.text", "", "", false, "", ""},
}

func bodies(t *testing.T, c *bedrockruntime.Client) {
	for _, b := range nativeBodies {
		t.Run(b.name, func(t *testing.T) {
			out, err := c.InvokeModel(within(t), &bedrockruntime.InvokeModelInput{ModelId: aws.String(b.id), Body: []byte(b.body)})
			if err != nil {
				t.Fatal(err)
			}
			var doc any
			if err := json.Unmarshal(out.Body, &doc); err != nil {
				t.Fatal(err)
			}
			said, ok := at(t, doc, b.text).(string)
			if !ok || strings.TrimSpace(said) == "" {
				t.Errorf("no text in %s", out.Body)
			}
			in, written := header(t, out.ResultMetadata, "X-Amzn-Bedrock-Input-Token-Count"), header(t, out.ResultMetadata, "X-Amzn-Bedrock-Output-Token-Count")
			counted, err := c.CountTokens(within(t), &bedrockruntime.CountTokensInput{ModelId: aws.String(b.id), Input: &types.CountTokensInputMemberInvokeModel{
				Value: types.InvokeModelTokensRequest{Body: []byte(b.body)},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(*counted.InputTokens); in != want || *counted.InputTokens < 7 {
				t.Errorf("header says %s tokens in, the tokeniser %s", in, want)
			}
			if n, err := strconv.Atoi(written); err != nil || n < 1 || n > 16 {
				t.Errorf("header says %s tokens out of at most 16", written)
			}
			for path, want := range map[string]string{b.in: in, b.out: written} {
				if path != "" && fmt.Sprint(at(t, doc, path)) != want {
					t.Errorf("%s is %v, the header %s", path, at(t, doc, path), want)
				}
			}
			if b.streams {
				streamed(t, c, b.id, b.body, b.streamed, b.finish, said, in, written)
			}
		})
	}
}

// streamed compares the stream of a body with the plain answer.
func streamed(t *testing.T, c *bedrockruntime.Client, id, body, place, finish, want, in, written string) {
	t.Helper()
	out, err := c.InvokeModelWithResponseStream(within(t), &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(id), Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	s := out.GetStream()
	defer s.Close()
	var whole strings.Builder
	var last map[string]any
	for e := range s.Events() {
		last = nil
		if err := json.Unmarshal(e.(*types.ResponseStreamMemberChunk).Value.Bytes, &last); err != nil {
			t.Fatal(err)
		}
		switch {
		case place == "" && last["type"] == "content_block_delta":
			whole.WriteString(at(t, last, "delta.text").(string))
		case place != "":
			if s, ok := at(t, last, place).(string); ok {
				whole.WriteString(s)
			}
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if whole.String() != want {
		t.Errorf("streamed %q, plain %q", whole.String(), want)
	}
	if finish != "" && at(t, last, finish) == nil {
		t.Errorf("the last chunk has no %s: %v", finish, last)
	}
	m, ok := last["amazon-bedrock-invocationMetrics"].(map[string]any)
	if !ok || fmt.Sprint(m["inputTokenCount"]) != in || fmt.Sprint(m["outputTokenCount"]) != written {
		t.Errorf("metrics %v, the headers %s and %s", m, in, written)
	}
}

func embeddings(t *testing.T, c *bedrockruntime.Client) {
	for _, f := range []struct{ id, body, place string }{
		{"amazon.titan-embed-text-v1", `{"inputText":%q}`, "embedding"},
		{"cohere.embed-english-v3", `{"texts":[%q],"input_type":"search_document"}`, "embeddings.0"},
	} {
		t.Run(f.id, func(t *testing.T) {
			vector := func(text string) []float64 {
				t.Helper()
				out, err := c.InvokeModel(within(t), &bedrockruntime.InvokeModelInput{ModelId: aws.String(f.id), Body: fmt.Appendf(nil, f.body, text)})
				if err != nil {
					t.Fatal(err)
				}
				if m := header(t, out.ResultMetadata, "X-Outcrop-Model"); m != embeddingModel {
					t.Errorf("answered by %q, want %q", m, embeddingModel)
				}
				var doc any
				if err := json.Unmarshal(out.Body, &doc); err != nil {
					t.Fatal(err)
				}
				var v []float64
				for _, x := range at(t, doc, f.place).([]any) {
					v = append(v, x.(float64))
				}
				return v
			}
			for _, s := range [][3]string{
				{"The cat sat on the mat.", "A kitten was sitting on a rug.", "Quarterly tax reports are due in April."},
				{"How do I reset my password?", "I forgot my login credentials.", "The glacier carved a deep valley."},
			} {
				near, far := cosine(t, vector(s[0]), vector(s[1])), cosine(t, vector(s[0]), vector(s[2]))
				if near < far+0.1 {
					t.Errorf("%q: the paraphrase is at %.3f, another matter at %.3f", s[0], near, far)
				}
				t.Logf("%.3f for the paraphrase, %.3f for another matter", near, far)
			}
		})
	}
}

func cosine(t *testing.T, a, b []float64) float64 {
	t.Helper()
	if len(a) == 0 || len(a) != len(b) {
		t.Fatalf("vectors of %d and %d numbers", len(a), len(b))
	}
	var dot, x, y float64
	for i := range a {
		dot, x, y = dot+a[i]*b[i], x+a[i]*a[i], y+b[i]*b[i]
	}
	return dot / math.Sqrt(x*y)
}

// tool offers one tool and answers its call with a number that nobody can guess;
// the model's last answer must hold it.
func tool(t *testing.T, c *bedrockruntime.Client) {
	in := &bedrockruntime.ConverseInput{
		ModelId: aws.String(nova), Messages: []types.Message{user("What is the temperature in Oslo right now? Use the tool.")}, InferenceConfig: greedy(120),
		ToolConfig: &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String("get_temperature"), Description: aws.String("Gives the current temperature in a city in degrees Celsius."),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
				"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"},
			})},
		}}}},
	}
	out, err := c.Converse(within(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if m := header(t, out.ResultMetadata, "X-Outcrop-Model"); m != toolModel {
		t.Errorf("answered by %q, want %q", m, toolModel)
	}
	said := out.Output.(*types.ConverseOutputMemberMessage).Value
	use, ok := said.Content[len(said.Content)-1].(*types.ContentBlockMemberToolUse)
	if !ok || out.StopReason != types.StopReasonToolUse || *use.Value.Name != "get_temperature" {
		t.Fatalf("%s: %+v", out.StopReason, said.Content)
	}
	b, err := use.Value.Input.MarshalSmithyDocument()
	if err != nil || !strings.Contains(string(b), "Oslo") {
		t.Fatalf("arguments %s, %v", b, err)
	}
	degrees := strconv.Itoa(30 + rand.IntN(60)) // no weather that a model would make up for Oslo
	in.Messages = append(in.Messages, said, types.Message{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
		&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: use.Value.ToolUseId, Content: []types.ToolResultContentBlock{
			&types.ToolResultContentBlockMemberText{Value: degrees + " degrees Celsius"},
		}}},
	}})
	if out, err = c.Converse(within(t), in); err != nil {
		t.Fatal(err)
	}
	if got := text(t, out); !strings.Contains(got, degrees) {
		t.Errorf("the answer %q does not hold the tool's %s", got, degrees)
	}
}
