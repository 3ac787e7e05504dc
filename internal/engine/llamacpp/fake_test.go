//go:build unix

package llamacpp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/gguf"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
)

// The test binary started again with this variable set plays llama-server. The
// name of the model file says how it misbehaves, words of the prompt say when.
const fakeVariable = "OUTCROP_FAKE_ENGINE"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("OUTCROP_FAKE_PARENT") != "":
		fakeParent()
		return
	case os.Getenv(fakeVariable) != "":
		fakeServer()
		return
	}
	os.Setenv(fakeVariable, "1")
	goleak.VerifyTestMain(m)
}

// fakeProgram is this test binary as llama-server.
func fakeProgram() *install.Program {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return &install.Program{Form: install.Server, Path: exe, From: "test"}
}

// modelFile writes a file that looks like a model to everything but an engine.
func modelFile(t *testing.T, dir, name string, embedding bool) string {
	t.Helper()
	meta := []gguf.Pair{
		{Key: "general.architecture", Value: "llama"}, {Key: "llama.context_length", Value: uint32(4096)}, {Key: "llama.block_count", Value: uint32(2)},
		{Key: "llama.embedding_length", Value: uint32(8)}, {Key: "llama.attention.head_count", Value: uint32(2)},
	}
	if embedding {
		meta = append(meta, gguf.Pair{Key: "llama.pooling_type", Value: uint32(1)})
		meta[1].Value, meta[3].Value = uint32(64), uint32(256)
	}
	path := filepath.Join(dir, name+".gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := gguf.Write(f, meta, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeEngine is an engine whose children are fakes serving the named models.
func fakeEngine(t *testing.T, change func(*Config), models ...string) *Engine {
	t.Helper()
	dir := t.TempDir()
	cfg := Config{
		CacheDir: dir, Program: fakeProgram(), Offline: true, EmbeddingModel: modelFile(t, dir, "embedder", true),
		HealthEvery: 100 * time.Millisecond, HealthTimeout: 2 * time.Second, LoadWait: 20 * time.Second, obituary: 300 * time.Millisecond,
		Logger: testLogger(t),
	}
	for i, name := range models {
		path := modelFile(t, dir, name, false)
		if i == 0 {
			cfg.ChatModel = path
		} else {
			cfg.Models = append(cfg.Models, path)
		}
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// fakeParent starts an engine, says the child's process id, and waits to be
// killed.
func fakeParent() {
	os.Unsetenv("OUTCROP_FAKE_PARENT")
	os.Setenv(fakeVariable, "1")
	e, err := New(Config{CacheDir: os.TempDir(), Program: fakeProgram(), Offline: true, ChatModel: os.Args[1]})
	if err != nil {
		panic(err)
	}
	inst, _, err := e.loader.acquire(contextBackground(), os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(inst.pid, e.socket)
	select {}
}

func fakeServer() {
	flags := map[string]string{}
	for i := 1; i+1 < len(os.Args); i++ {
		if strings.HasPrefix(os.Args[i], "--") {
			flags[os.Args[i]] = os.Args[i+1]
		}
	}
	alias := flags["--alias"]
	die := func(text string) {
		fmt.Fprintln(os.Stderr, text)
		os.Exit(1)
	}
	switch {
	case strings.HasPrefix(alias, "nomemory"):
		die("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 99999999999\nllama_model_load: error loading model: unable to allocate CPU buffer")
	case strings.HasPrefix(alias, "badfile"):
		die("gguf_init_from_file_impl: invalid magic characters: 'abcd', expected 'GGUF'\nllama_model_load: error loading model: failed to load model")
	case strings.HasPrefix(alias, "newarch"):
		die("llama_model_load: error loading model: error loading model architecture: unknown model architecture: 'marsupial'")
	case strings.HasPrefix(alias, "oldserver"):
		die("error: invalid argument: --cache-ram")
	case strings.HasPrefix(alias, "illegal"):
		// Go's runtime catches the signal; a shell dies of it.
		panic(syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -ILL $$"}, os.Environ()))
	case strings.HasPrefix(alias, "never"):
		time.Sleep(time.Hour)
	case strings.HasPrefix(alias, "porttaken"):
		// Only the first time: a marker beside the model remembers.
		marker := flags["--model"] + ".tried"
		if _, err := os.Stat(marker); err != nil {
			_ = os.WriteFile(marker, nil, 0o600)
			die("main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: " + flags["--port"])
		}
	}
	// A child must end when told so and not later: signals are left as they are.
	signal.Ignore(syscall.SIGINT)
	slots, _ := strconv.Atoi(flags["--parallel"])
	total, _ := strconv.Atoi(flags["--ctx-size"])
	f := &fake{alias: alias, context: total / max(1, slots), key: os.Getenv("LLAMA_API_KEY"), adapters: strings.Count(strings.Join(os.Args, " "), "--lora-scaled")}
	if strings.HasPrefix(alias, "impostor") {
		f.alias = "another-model"
	}
	var l net.Listener
	var err error
	if strings.HasSuffix(flags["--host"], ".sock") {
		l, err = net.Listen("unix", flags["--host"])
	} else {
		l, err = net.Listen("tcp", flags["--host"]+":"+flags["--port"])
	}
	if err != nil {
		die("couldn't bind HTTP server socket: " + err.Error())
	}
	panic(http.Serve(l, f.routes()))
}

type fake struct {
	alias    string
	context  int
	key      string
	adapters int
}

func (f *fake) routes() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]string{"status": "ok"}) })
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"data": []any{map[string]any{"id": f.alias}}})
	})
	mux.HandleFunc("GET /props", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"total_slots": 1, "default_generation_settings": map[string]any{"n_ctx": f.context}})
	})
	mux.HandleFunc("POST /apply-template", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Messages []struct {
				Role    string
				Content string
				Calls   []any `json:"tool_calls"`
			}
			Tools []struct{ Function struct{ Name string } }
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		var b strings.Builder
		for i, m := range in.Messages {
			if strings.HasPrefix(f.alias, "insistent") && m.Role == "tool" && (i == 0 || in.Messages[i-1].Calls == nil) {
				w.WriteHeader(http.StatusInternalServerError)
				answer(w, map[string]any{"error": map[string]any{"code": 500, "message": "a result needs its call", "type": "server_error"}})
				return
			}
			if len(m.Calls) > 0 {
				m.Content = "calls of the template"
			}
			fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
		}
		for _, t := range in.Tools {
			if !strings.HasPrefix(f.alias, "toolless") {
				fmt.Fprintf(&b, "tool: %s\n", t.Function.Name)
			}
		}
		answer(w, map[string]any{"prompt": b.String()})
	})
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Content string
			Pieces  bool `json:"with_pieces"`
			Special bool `json:"add_special"`
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		var out []any
		if in.Special && strings.HasPrefix(f.alias, "embedder") {
			out = append(out, 1)
		}
		for _, p := range pieces(in.Content) {
			if in.Pieces {
				out = append(out, map[string]any{"id": len(p) + 10, "piece": p})
			} else {
				out = append(out, hash(p))
			}
		}
		if in.Special && strings.HasPrefix(f.alias, "embedder") {
			out = append(out, 2)
		}
		answer(w, map[string]any{"tokens": out})
	})
	mux.HandleFunc("POST /completion", f.completion)
	mux.HandleFunc("POST /v1/chat/completions", f.chat)
	mux.HandleFunc("POST /v1/embeddings", f.embeddings)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" && r.Header.Get("Authorization") != "Bearer "+f.key {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}`)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// pieces cuts text before each space: a tokenizer simple enough to predict.
func pieces(text string) []string {
	var out []string
	start := 0
	for i := 1; i < len(text); i++ {
		if text[i] == ' ' {
			out = append(out, text[start:i])
			start = i
		}
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

func hash(s string) int {
	h := 7
	for _, c := range []byte(strings.TrimSpace(s)) {
		h = (h*31 + int(c)) % 10007
	}
	return h + 100
}

// story is what the fake tells; it has no end but the limit.
var story = pieces("Once upon a time a stone of grey granité lay under 日本 and 😀 dreamt of the wide blue sea , ")

func (f *fake) completion(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Prompt  string
		Predict int `json:"n_predict"`
		Stop    []string
		Grammar string
		Lora    []struct {
			ID    int
			Scale float64
		}
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	flush := func() { w.(http.Flusher).Flush() }
	n := len(pieces(in.Prompt))
	switch word := faultWord(in.Prompt); {
	case n > f.context:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"code":400,"message":"request (%d tokens) exceeds the available context size (%d tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":%d,"n_ctx":%d}}`, n, f.context, n, f.context)
		return
	case word == "FAIL500":
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"error":{"code":500,"message":"something secret at 0xdeadbeef","type":"server_error"}}`)
		return
	case word == "HANG":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Hour)
	case word == "SILENT":
		<-r.Context().Done()
		return
	case word == "EXIT":
		fmt.Fprintln(w, `data: {"content":"half an ans"}`)
		flush()
		fmt.Fprintln(os.Stderr, "GGML_ASSERT(ok) failed")
		os.Exit(3)
	case word == "OOM":
		fmt.Fprintln(os.Stderr, "terminate called after throwing an instance of 'std::bad_alloc'")
		os.Exit(134)
	case word == "STREAMERROR":
		fmt.Fprint(w, "data: {\"content\":\"half\"}\n\ndata: {\"error\":{\"code\":500,\"message\":\"decode failed\",\"type\":\"server_error\"}}\n\n")
		return
	case word == "GARBAGE":
		fmt.Fprint(w, "data: {\"content\":\"half\"}\n\ndata: ]]]\n\n")
		return
	case strings.HasPrefix(word, "CUT"):
		at, _ := strconv.Atoi(word[3:])
		b, err := os.ReadFile(filepath.Join("testdata", "completion.sse"))
		if err != nil {
			panic(err)
		}
		if at%2 == 0 { // half of them end as if all were well
			w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		}
		_, _ = w.Write(b[:min(at, len(b))])
		return
	}
	if in.Grammar != "" && strings.Contains(in.Grammar, "get_weather") && !strings.Contains(in.Prompt, "Say it in words") {
		f.say(w, in.Predict, in.Stop, n, []string{"<tool_call>\n", `{"name": "get_`, `weather", "argu`, `ments": {"city": "Ro`, `me"}}`, "\n</tool_call>"}, false)
		return
	}
	text := story
	for _, a := range in.Lora {
		text = append([]string{fmt.Sprintf("[adapter %d at %v] ", a.ID, a.Scale)}, text...)
	}
	f.say(w, in.Predict, in.Stop, n, text, true)
}

func faultWord(prompt string) string {
	i := strings.LastIndex(prompt, "FAULT:")
	if i < 0 {
		return ""
	}
	return strings.Fields(prompt[i+6:])[0]
}

// say streams tokens as llama-server does, stop texts held back.
func (f *fake) say(w http.ResponseWriter, limit int, stops []string, prompt int, tokens []string, endless bool) {
	var text string
	sent := 0
	send := func(upTo, n int) {
		b, _ := json.Marshal(map[string]any{"content": text[sent:upTo], "stop": false, "tokens_predicted": n, "tokens_evaluated": prompt, "timings": map[string]int{"prompt_n": prompt, "predicted_n": n}})
		fmt.Fprintf(w, "data: %s\n\n", b)
		w.(http.Flusher).Flush()
		sent = upTo
	}
	end := func(n int, kind, word string) {
		b, _ := json.Marshal(map[string]any{"content": "", "stop": true, "stop_type": kind, "stopping_word": word, "tokens_predicted": n, "tokens_evaluated": prompt, "timings": map[string]int{"prompt_n": prompt, "predicted_n": n}})
		fmt.Fprintf(w, "data: %s\n\n", b)
	}
	longest := 0
	for _, s := range stops {
		longest = max(longest, len(s))
	}
	for n := 1; ; n++ {
		if !endless && n > len(tokens) {
			send(len(text), n)
			end(n, "eos", "")
			return
		}
		text += tokens[(n-1)%len(tokens)]
		for _, s := range stops {
			if i := strings.Index(text, s); i >= 0 {
				send(max(sent, i), n)
				end(n, "word", s)
				return
			}
		}
		if limit > 0 && n >= limit {
			send(len(text), n)
			end(n, "limit", "")
			return
		}
		if keep := len(text) - longest; keep > sent {
			for keep > sent && keep < len(text) && text[keep]&0xC0 == 0x80 {
				keep--
			}
			send(keep, n)
		}
		if n > 2000 {
			time.Sleep(time.Millisecond)
		}
	}
}

func (f *fake) chat(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Stream bool
		Tools  []any
		Choice string `json:"tool_choice"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	if !strings.HasPrefix(f.alias, "native") {
		_, _ = io.WriteString(w, `{"choices":[{"message":{"role":"assistant","content":"no"},"finish_reason":"stop"}]}`)
		return
	}
	if !in.Stream {
		_, _ = io.WriteString(w, `{"choices":[{"message":{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"get_time","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`)
		return
	}
	b := bufio.NewWriter(w)
	for _, line := range []string{
		`{"choices":[{"delta":{"role":"assistant","content":null}}],"timings":{"cache_n":3,"prompt_n":9,"predicted_n":1}}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Rome\"}"}}]}}]}`,
		`{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`,
		`{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":3}},"timings":{"cache_n":3,"prompt_n":9,"predicted_n":8}}`,
		`[DONE]`,
	} {
		fmt.Fprintf(b, "data: %s\n\n", line)
	}
	b.Flush()
}

// embeddings counts the tokens into 256 buckets: order and content show.
func (f *fake) embeddings(w http.ResponseWriter, r *http.Request) {
	var in struct{ Input [][]int }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var data []any
	for i, tokens := range in.Input {
		if len(tokens) > f.context || len(tokens) < 2 || tokens[0] != 1 || tokens[len(tokens)-1] != 2 {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"error":{"code":500,"message":"input is too large to process","type":"server_error"}}`)
			return
		}
		v := make([]float64, 256)
		for _, x := range tokens {
			v[x%256]++
		}
		data = append([]any{map[string]any{"index": i, "embedding": v}}, data...) // any order
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

var _ = engine.Chat
