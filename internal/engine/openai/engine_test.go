package openai

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint is a small server of the dialect. It tells a story, one word a token.
type endpoint struct {
	*httptest.Server
	owner   string
	noUsage bool
	mu      sync.Mutex
	last    map[string]any // body of the last request; see lastBody
	auth    string         // of the last request; see lastAuth
	limit   int            // longest embedding input in words
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{owner: "vllm", limit: 100}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data":[{"id":"text-embed","owned_by":%q},{"id":"teller","owned_by":%q,"max_model_len":4096},{"id":"my-reranker"}]}`, e.owner, e.owner)
	})
	mux.HandleFunc("POST /v1/chat/completions", e.chat)
	mux.HandleFunc("POST /v1/embeddings", e.embeddings)
	mux.HandleFunc("POST /v1/rerank", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Query     string
			Documents []string
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		var out []any
		for i, d := range in.Documents {
			score := -3.0
			if strings.Contains(d, strings.Fields(in.Query)[0]) {
				score = 4
			}
			out = append(out, map[string]any{"index": i, "relevance_score": score})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"results": out})
	})
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Prompt string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		var ids []int
		var strs []string
		for i, s := range strings.SplitAfter(in.Prompt, " ") {
			ids, strs = append(ids, i), append(strs, s)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tokens": ids, "token_strs": strs})
	})
	mux.HandleFunc("/v1/images/", e.images)
	mux.HandleFunc("/sdapi/", e.sd)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.auth = r.Header.Get("Authorization")
		e.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) keep(body []byte) {
	var last map[string]any
	_ = json.Unmarshal(body, &last)
	e.set(last)
}

func (e *endpoint) set(last map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = last
}

func (e *endpoint) lastBody() map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

func (e *endpoint) lastAuth() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.auth
}

var words = strings.SplitAfter("Once upon a time a stone of grey granité lay under 日本 and 😀 dreamt of the sea ", " ")

func (e *endpoint) chat(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string
		Messages []struct{ Content any }
		Stream   bool
		Max      int `json:"max_tokens"`
		Tools    []any
		Choice   any `json:"tool_choice"`
	}
	b, _ := io.ReadAll(r.Body)
	e.keep(b)
	_ = json.Unmarshal(b, &in)
	prompt := fmt.Sprint(in.Messages)
	count := len(strings.Fields(prompt)) + 5*len(in.Tools)
	fault := func(status int, body string) { w.WriteHeader(status); fmt.Fprint(w, body) }
	switch {
	case in.Model != "teller":
		fault(404, `{"error":{"message":"The model does not exist","code":"model_not_found"}}`)
		return
	case strings.Contains(prompt, "LONG"):
		fault(400, `{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the messages, 100 in the completion).","code":400}`)
		return
	case strings.Contains(prompt, "BUSY"):
		fault(429, `{"error":{"message":"slow down"}}`)
		return
	case strings.Contains(prompt, "BROKEN"):
		fault(500, `{"error":"CUDA error at /srv/secret.cu"}`)
		return
	case strings.Contains(prompt, "KEY"):
		fault(401, `{"error":{"message":"bad key"}}`)
		return
	case strings.Contains(prompt, "SILENT"):
		<-r.Context().Done()
		return
	}
	if !in.Stream {
		fmt.Fprintf(w, `{"choices":[{"message":{"content":"Once"},"finish_reason":"length"}],"usage":{"prompt_tokens":%d,"completion_tokens":1}}`, count)
		return
	}
	send := func(format string, args ...any) {
		fmt.Fprintf(w, "data: "+format+"\n\n", args...)
		w.(http.Flusher).Flush()
	}
	if len(in.Tools) > 0 && in.Choice != "none" && !strings.Contains(prompt, "story") {
		send(`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"get_weather","arguments":""}}]}}]}`)
		send(`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"Ro"}}]}}]}`)
		send(`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"me\"}"}}]}}]}`)
		send(`{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`)
		send(`{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":9}}`, count)
		send(`[DONE]`)
		return
	}
	fmt.Fprint(w, ": a comment\n\n")
	for n := 0; ; n++ {
		if in.Max > 0 && n == in.Max || r.Context().Err() != nil {
			break
		}
		text, _ := json.Marshal(words[n%len(words)])
		if strings.Contains(prompt, "CUT") && n == 3 {
			panic(http.ErrAbortHandler)
		}
		send(`{"choices":[{"delta":{"content":%s}}]}`, text)
		if n > 500 {
			time.Sleep(time.Millisecond)
		}
	}
	send(`{"choices":[{"delta":{},"finish_reason":"length"}]}`)
	if !e.noUsage {
		send(`{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":2}}}`, count, in.Max)
	}
	send(`[DONE]`)
}

func (e *endpoint) embeddings(w http.ResponseWriter, r *http.Request) {
	var in struct{ Input []string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	var data []any
	total := 0
	for i, text := range in.Input {
		v := make([]float64, 64)
		f := strings.Fields(text)
		total += len(f)
		if len(f) > e.limit {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error":{"message":"This model's maximum context length is %d tokens. However, your request has %d input tokens.","type":"BadRequestError"}}`, e.limit, len(f))
			return
		}
		for _, x := range f {
			h := 0
			for _, c := range strings.TrimSuffix(x, "s") {
				h = (h*31 + int(c)) % 64
			}
			v[h]++
		}
		data = append([]any{map[string]any{"index": i, "embedding": v}}, data...)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "usage": map[string]int{"prompt_tokens": total}})
}

func picture(jpg bool) string {
	img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	img.Set(1, 1, color.White)
	var b bytes.Buffer
	if jpg {
		_ = jpeg.Encode(&b, img, nil)
	} else {
		_ = png.Encode(&b, img)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func (e *endpoint) images(w http.ResponseWriter, r *http.Request) {
	last := map[string]any{"path": r.URL.Path}
	if strings.HasSuffix(r.URL.Path, "edits") {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			w.WriteHeader(400)
			return
		}
		f, _, err := r.FormFile("mask")
		if err == nil {
			img, _ := png.Decode(f)
			_, _, _, white := img.At(1, 1).RGBA()
			_, _, _, black := img.At(0, 0).RGBA()
			last["alpha"] = []uint32{white, black}
		}
	}
	e.set(last)
	fmt.Fprintf(w, `{"data":[{"b64_json":%q}]}`, picture(true))
}

func (e *endpoint) sd(w http.ResponseWriter, r *http.Request) {
	last := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&last)
	last["path"] = r.URL.Path
	e.set(last)
	fmt.Fprintf(w, `{"images":[%q],"info":"{\"all_seeds\":[42]}"}`, picture(false))
}

func open(t *testing.T, e *endpoint, change func(*Config)) *Engine {
	t.Helper()
	cfg := Config{BaseURL: e.URL + "/v1/", APIKey: "sk-test"}
	if change != nil {
		change(&cfg)
	}
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func TestTheEngineKeepsTheContract(t *testing.T) {
	srv := newEndpoint(t)
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		e := open(t, srv, func(c *Config) { c.Images = &Images{BaseURL: srv.URL + "/v1"} })
		return enginetest.Subject{Engine: e, Prompt: "Tell me a story.", Exact: true, Tools: true, Tokenizes: true, Embeds: true, Reranks: true, Paints: true, Endless: true}
	})
	if srv.lastAuth() != "" && srv.lastAuth() != "Bearer sk-test" {
		t.Errorf("key: %q", srv.lastAuth())
	}
}

func ask(e *Engine, text string, change func(*engine.Request)) (*engine.Result, string, error) {
	req := &engine.Request{Messages: []engine.Message{enginetest.Text(text)}, Sampling: engine.Sampling{MaxTokens: 6}}
	if change != nil {
		change(req)
	}
	var got strings.Builder
	res, err := e.Generate(contextBackground(), req, func(d engine.Delta) error { got.WriteString(d.Text); return nil })
	return res, got.String(), err
}

func TestFaultsOfTheEndpointAreTold(t *testing.T) {
	srv := newEndpoint(t)
	e := open(t, srv, func(c *Config) { c.StallTimeout = 300 * time.Millisecond })
	for word, want := range map[string]engine.ErrorKind{
		"LONG": engine.TooLong, "BUSY": engine.Overloaded, "BROKEN": engine.BadOutput, "KEY": engine.Unavailable, "SILENT": engine.TimedOut, "CUT": engine.Crashed,
	} {
		_, text, err := ask(e, word, nil)
		x, ok := errors.AsType[*engine.Error](err)
		if !ok || x.Kind != want || strings.Contains(x.Message, "/srv") {
			t.Errorf("%s: %v", word, err)
			continue
		}
		if word == "LONG" && (x.Limit != 4096 || x.Got != 5000) {
			t.Errorf("%s: %d of %d", word, x.Got, x.Limit)
		}
		if word == "CUT" && text != strings.Join(words[:3], "") {
			t.Errorf("%s: %q", word, text)
		}
	}
	srv.Close()
	_, _, err := ask(e, "hello", nil)
	if x, ok := errors.AsType[*engine.Error](err); !ok || x.Kind != engine.Unavailable || x.Hint == "" {
		t.Errorf("closed: %v", err)
	}
}

func TestCountsThatTheEndpointDoesNotTellAreMarked(t *testing.T) {
	srv := newEndpoint(t)
	srv.noUsage = true
	res, _, err := ask(open(t, srv, nil), "story", nil)
	if err != nil || !res.Usage.Estimated || res.Usage.Input == 0 || res.Usage.Output == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	srv.noUsage = false
	if res, _, err = ask(open(t, srv, nil), "story", nil); err != nil || res.Usage.Estimated || res.Usage.CacheRead != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestWhatTheDialectCannotHonourIsRefused(t *testing.T) {
	srv := newEndpoint(t)
	srv.owner = "somebody"
	for name, change := range map[string]func(*engine.Request){
		"prefill": func(r *engine.Request) {
			r.Messages = append(r.Messages, engine.Message{Role: engine.Assistant, Parts: []engine.Part{{Text: "Once"}}})
		},
		"bias":     func(r *engine.Request) { r.LogitBias = map[string]float64{"x": 1} },
		"echo":     func(r *engine.Request) { r.EchoTokens = true },
		"thinking": func(r *engine.Request) { r.Thinking = &engine.Thinking{Enabled: true} },
		"image": func(r *engine.Request) {
			r.Messages[0].Parts = append(r.Messages[0].Parts, engine.Part{Image: &engine.Blob{MediaType: "image/png"}})
		},
	} {
		_, _, err := ask(open(t, srv, nil), "story", change)
		if x, ok := errors.AsType[*engine.Error](err); !ok || x.Kind != engine.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := ask(open(t, srv, nil), "story", func(r *engine.Request) { r.Adapters = []engine.Adapter{{ID: "x"}} })
	if x, ok := errors.AsType[*engine.Error](err); !ok || x.Kind != engine.BadRequest {
		t.Errorf("adapter: %v", err)
	}
	srv.owner = "vllm"
	if _, _, err := ask(open(t, srv, nil), "story", func(r *engine.Request) {
		r.Messages = append(r.Messages, engine.Message{Role: engine.Assistant, Parts: []engine.Part{{Text: "Once"}}})
	}); err != nil || srv.lastBody()["continue_final_message"] != true || srv.lastBody()["add_generation_prompt"] != false {
		t.Errorf("prefill with vLLM: %v, %v", err, srv.lastBody())
	}
}

func TestImagesAreEditedWithAMask(t *testing.T) {
	srv := newEndpoint(t)
	mask, _ := base64.StdEncoding.DecodeString(picture(false)) // white at 1,1
	req := &engine.PaintRequest{Task: engine.Inpaint, Prompt: "x", Images: []engine.Blob{{MediaType: "image/png", Data: mask}}, Mask: &engine.Blob{MediaType: "image/png", Data: mask}}
	e := open(t, srv, func(c *Config) { c.Images = &Images{BaseURL: srv.URL + "/v1"} })
	res, err := e.Paint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := srv.lastBody()["alpha"].([]uint32); len(a) != 2 || a[0] != 0 || a[1] == 0 {
		t.Errorf("mask: %v", srv.lastBody())
	}
	if _, err := png.Decode(bytes.NewReader(res.Images[0].Data)); err != nil {
		t.Errorf("a JPEG was not turned into PNG: %v", err)
	}
	e = open(t, srv, func(c *Config) { c.Images = &Images{BaseURL: srv.URL, Dialect: StableDiffusion} })
	req.Strength = 0.4
	if res, err = e.Paint(t.Context(), req); err != nil || res.Seeds[0] != 42 {
		t.Fatalf("%v %+v", err, res)
	}
	if srv.lastBody()["path"] != "/sdapi/v1/img2img" || srv.lastBody()["denoising_strength"] != 0.4 || srv.lastBody()["mask"] == nil {
		t.Errorf("%v", srv.lastBody())
	}
	req.Task = engine.RemoveBackdrop
	if _, err = e.Paint(t.Context(), req); err == nil {
		t.Error("a task that the server lacks is not refused")
	}
}
