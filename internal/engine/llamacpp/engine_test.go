//go:build unix

package llamacpp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/enginetest"
)

func contextBackground() context.Context { return context.Background() }

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

func TestTheEngineKeepsTheContract(t *testing.T) {
	for name, loopback := range map[string]bool{"unix socket": false, "loopback port": true} {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, func(t *testing.T) enginetest.Subject {
				e := fakeEngine(t, func(c *Config) { c.Loopback = loopback; c.RerankByEmbedding = true }, "storyteller")
				return enginetest.Subject{Engine: e, Prompt: "Tell me a story.", Exact: true, Tools: true, Tokenizes: true, Embeds: true, Reranks: true, Endless: true}
			})
		})
	}
}

// Batches are sent while others are made: every text still gets the vector that it has
// alone, also where it is cut into windows that fall into several batches.
func TestManyTextsKeepTheirVectors(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller")
	var texts []string
	for i := range 120 {
		texts = append(texts, strings.Repeat(fmt.Sprintf("word%d thing%d ", i, i*i%17), 1+i*i%700))
	}
	all, err := e.Embed(t.Context(), &engine.EmbedRequest{Inputs: texts})
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		one, err := e.Embed(t.Context(), &engine.EmbedRequest{Inputs: texts[i : i+1]})
		if err != nil {
			t.Fatal(err)
		}
		if all.Tokens[i] != one.Tokens[0] || !slices.Equal(all.Vectors[i], one.Vectors[0]) {
			t.Fatalf("text %d of %d tokens has another vector among others than alone (%d tokens)", i, all.Tokens[i], one.Tokens[0])
		}
	}
	if most := slices.Max(all.Tokens); most < 1000 { // windows of 64
		t.Errorf("the longest text has %d tokens: the test shows little", most)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Embed(gone, &engine.EmbedRequest{Inputs: texts}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNativeToolCallsGoThroughChatCompletions(t *testing.T) {
	e := fakeEngine(t, nil, "native")
	res, err := e.Generate(t.Context(), &engine.Request{Messages: []engine.Message{user("Weather?")}, Tools: []engine.Tool{{Name: "get_weather"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Stop != engine.ToolUse || len(res.Parts) != 1 || string(res.Parts[0].ToolCall.Arguments) != `{"city":"Rome"}` {
		t.Errorf("%+v", res)
	}
	if want := (engine.Usage{Input: 12, Output: 8, CacheRead: 3, CacheWrite: 9}); res.Usage != want {
		t.Errorf("usage %+v, want %+v", res.Usage, want)
	}
	infos, err := e.Models(t.Context())
	if err != nil || infos[0].Tools != engine.ToolsNative {
		t.Errorf("%+v, %v", infos, err)
	}
}

func TestToolsAreWrittenAsTextWhereTheTemplateShowsNone(t *testing.T) {
	e := fakeEngine(t, nil, "toolless", "storyteller")
	req := &engine.Request{
		Messages: []engine.Message{
			user("Weather?"),
			{Role: engine.Assistant, Parts: []engine.Part{{ToolCall: &engine.ToolCall{ID: "1", Name: "get_weather", Arguments: json.RawMessage(`{"city":"Oslo"}`)}}}},
			{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: "1", Parts: []engine.Part{{Text: "snow"}}}}}},
		},
		Tools: []engine.Tool{{Name: "get_weather", Description: "tells it"}}, EchoTokens: true, Sampling: engine.Sampling{MaxTokens: 20},
	}
	prompt := func(model string) string {
		req.Model = model
		res, err := e.Generate(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, x := range res.PromptTokens {
			b.WriteString(x.Text)
		}
		return b.String()
	}
	got := prompt("toolless")
	for _, want := range []string{`{"name":"get_weather","description":"tells it"`, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\":\"Oslo\"}}\n</tool_call>", "<tool_response>\nsnow\n</tool_response>"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if got = prompt("storyteller"); strings.Contains(got, "<tools>") || !strings.Contains(got, "tool: get_weather") {
		t.Errorf("prompt of the other: %s", got)
	}
}

// A call that comes back stands in the prompt as the model wrote it, so that the
// prefix cache holds, unless the model's template has it otherwise.
func TestCallsComeBackAsTheModelWroteThem(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller", "insistent")
	for model, want := range map[string]string{"storyteller": "", "insistent": "assistant: calls of the template"} {
		req := &engine.Request{
			Model: model, Messages: []engine.Message{user("Weather in Rome?")}, EchoTokens: true, Sampling: engine.Sampling{MaxTokens: 128},
			Tools:      []engine.Tool{{Name: "get_weather", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)}},
			ToolChoice: engine.ToolChoice{Mode: engine.ToolNamed, Name: "get_weather"},
		}
		first, err := e.Generate(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := first.Parts[0].ToolCall
		if c == nil || !strings.HasPrefix(c.Written, "<tool_call>") || !strings.Contains(c.Written, string(c.Arguments)) {
			t.Fatalf("%s: the call's own words are not told: %+v", model, c)
		}
		if want == "" {
			want = "assistant: " + c.Written
		}
		req.Messages = append(req.Messages, engine.Message{Role: engine.Assistant, Parts: first.Parts},
			engine.Message{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: c.ID, Name: c.Name, Parts: []engine.Part{{Text: "sunny"}}}}}})
		req.ToolChoice = engine.ToolChoice{Mode: engine.ToolNever}
		second, err := e.Generate(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		var prompt strings.Builder
		for _, x := range second.PromptTokens {
			prompt.WriteString(x.Text)
		}
		if !strings.Contains(prompt.String(), want+"\ntool: sunny") {
			t.Errorf("%s: no %q before the result in\n%s", model, want, prompt.String())
		}
	}
}

func ask(e *Engine, model, prompt string) (*engine.Result, string, error) {
	var text strings.Builder
	res, err := e.Generate(context.Background(), &engine.Request{Model: model, Messages: []engine.Message{user(prompt)}, Sampling: engine.Sampling{MaxTokens: 5}}, func(d engine.Delta) error {
		if !utf8.ValidString(d.Text) {
			return fmt.Errorf("delta %q is no UTF-8", d.Text)
		}
		text.WriteString(d.Text)
		return nil
	})
	return res, text.String(), err
}

// back asks until the model answers again and returns how long that took.
func back(t *testing.T, e *Engine, model string) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		_, _, err := ask(e, model, "Are you there?")
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("the engine does not come back: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestFaultsOfARunningChildAreTold(t *testing.T) {
	for _, c := range []struct {
		word  string
		kind  engine.ErrorKind
		text  string // streamed before the fault
		dead  bool   // the child must be replaced
		stall time.Duration
	}{
		{word: "FAIL500", kind: engine.BadOutput},
		{word: "EXIT", kind: engine.Crashed, text: "half an ans", dead: true},
		{word: "OOM", kind: engine.NoMemory, dead: true},
		{word: "HANG", kind: engine.TimedOut, dead: true},
		{word: "SILENT", kind: engine.TimedOut, stall: 300 * time.Millisecond},
		{word: "STREAMERROR", kind: engine.BadOutput, text: "half"},
		{word: "GARBAGE", kind: engine.BadOutput, text: "half"},
	} {
		t.Run(c.word, func(t *testing.T) {
			t.Parallel()
			e := fakeEngine(t, func(cfg *Config) {
				cfg.StallTimeout = max(c.stall, 0)
				if c.word == "HANG" {
					cfg.HealthTimeout = 300 * time.Millisecond
				}
			}, "storyteller")
			back(t, e, "")
			inst := current(e, "")
			_, text, err := ask(e, "", "FAULT:"+c.word)
			if kind := enginetest.Kind(t, err); kind != c.kind || text != c.text {
				t.Errorf("kind %s, text %q: %v", kind, text, err)
			}
			if x := asError(t, err); strings.Contains(x.Message, "0xdeadbeef") || strings.Contains(x.Message, "/") {
				t.Errorf("the message tells inner matters: %q", x.Message)
			}
			if took := back(t, e, ""); took > 5*time.Second {
				t.Errorf("back after %s", took)
			}
			if replaced := current(e, "") != inst; replaced != c.dead {
				t.Errorf("the child was replaced: %v", replaced)
			}
			if c.dead && alive(inst.pid) {
				t.Errorf("process %d is still there", inst.pid)
			}
		})
	}
}

func current(e *Engine, name string) *instance {
	if name == "" {
		name = e.cfg.ChatModel
	}
	e.loader.mu.Lock()
	defer e.loader.mu.Unlock()
	return e.loader.unit(name).inst
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestAKilledChildIsReplaced(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller")
	back(t, e, "")
	inst := current(e, "")
	got := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		var once sync.Once
		_, err := e.Generate(context.Background(), &engine.Request{Messages: []engine.Message{user("go on")}}, func(engine.Delta) error { once.Do(func() { close(begun) }); return nil })
		got <- err
	}()
	<-begun
	if err := syscall.Kill(inst.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x := asError(t, <-got)
	if x.Kind != engine.Crashed || !strings.Contains(x.Message, "killed") {
		t.Errorf("%v", x)
	}
	if took := back(t, e, ""); took > 5*time.Second {
		t.Errorf("back after %s", took)
	}
}

// Nobody asks: the supervisor brings the child back by itself.
func TestTheSupervisorRestartsWithoutARequest(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller")
	back(t, e, "")
	first := current(e, "")
	_ = syscall.Kill(first.pid, syscall.SIGKILL)
	deadline := time.Now().Add(5 * time.Second)
	for {
		if inst := current(e, ""); inst != nil && inst != first && inst.alive() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no new child after 5 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAStreamCutAtAnyByteIsACrash(t *testing.T) {
	e := fakeEngine(t, func(c *Config) { c.obituary = time.Nanosecond; c.Parallel = 4 }, "storyteller")
	whole, err := os.ReadFile("testdata/completion.sse")
	if err != nil {
		t.Fatal(err)
	}
	res, text, err := ask(e, "", fmt.Sprintf("FAULT:CUT%d", len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if res.Text() != text || !strings.Contains(text, "😀") || !strings.Contains(text, "한국어") {
		t.Fatalf("whole stream gives %q", text)
	}
	end := bytes.LastIndex(whole, []byte("data: "))
	end += bytes.IndexByte(whole[end:], '\n') // with its line end the last event is whole
	for n := range end {
		_, part, err := ask(e, "", fmt.Sprintf("FAULT:CUT%d", n))
		x, ok := errors.AsType[*engine.Error](err)
		if !ok || x.Kind != engine.Crashed {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), err)
		}
		if !strings.HasPrefix(text, part) {
			t.Fatalf("cut at %d: %q", n, part)
		}
	}
	if current(e, "") == nil {
		t.Error("the child was replaced for a cut stream")
	}
}

func TestFaultsOfLoadingAreTold(t *testing.T) {
	for _, c := range []struct {
		model string
		kind  engine.ErrorKind
		says  string
		hint  string
	}{
		{"nomemory", engine.NoMemory, "memory", "smaller model"},
		{"badfile", engine.Unavailable, "damaged", "outcrop models pull"},
		{"newarch", engine.Unavailable, "does not know this kind of model", "engine install"},
		{"oldserver", engine.Unavailable, "too old", "update"},
		{"illegal", engine.Unavailable, "another processor", "OUTCROP_LLAMA_SERVER"},
		{"impostor", engine.Unavailable, "another model", ""},
		{"never", engine.TimedOut, "too long to load", ""},
	} {
		t.Run(c.model, func(t *testing.T) {
			t.Parallel()
			e := fakeEngine(t, func(cfg *Config) {
				if c.model == "never" {
					cfg.LoadTimeout = 300 * time.Millisecond
				}
			}, c.model)
			_, _, err := ask(e, "", "hello")
			x := asError(t, err)
			if x.Kind != c.kind || !strings.Contains(x.Message, c.says) || !strings.Contains(x.Hint, c.hint) {
				t.Errorf("%v (hint %q)", x, x.Hint)
			}
			begin := time.Now()
			if _, _, err = ask(e, "", "hello"); err == nil || time.Since(begin) > 5*time.Second {
				t.Errorf("asked again: %v after %s", err, time.Since(begin))
			}
		})
	}
}

func TestAFileThatIsNoModelIsRefusedBeforeAnyChild(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "text.gguf")
	if err := os.WriteFile(path, []byte("this is no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{CacheDir: dir, ChatModel: path, Offline: true}); err == nil || !strings.Contains(err.Error(), "not a valid GGUF") {
		t.Errorf("error %v", err)
	}
}

func TestATakenPortIsFollowedByAnother(t *testing.T) {
	e := fakeEngine(t, func(c *Config) { c.Loopback = true }, "porttaken")
	if _, _, err := ask(e, "", "hello"); err != nil {
		t.Fatal(err)
	}
}

func TestAMissingEngineIsExplained(t *testing.T) {
	dir := t.TempDir()
	e := fakeEngine(t, func(c *Config) {
		c.Program = nil
		c.Getenv = func(k string) string {
			if k == "OUTCROP_LLAMA_SERVER" {
				return filepath.Join(dir, "nothing-here")
			}
			return ""
		}
	}, "storyteller")
	_, _, err := ask(e, "", "hello")
	if x := asError(t, err); x.Kind != engine.Unavailable || x.Hint == "" {
		t.Errorf("%+v", x)
	}
}

func TestAnOverlongInputIsToldInNumbers(t *testing.T) {
	e := fakeEngine(t, func(c *Config) { c.ContextTokens = 100 }, "storyteller")
	_, _, err := ask(e, "", strings.Repeat("word ", 500))
	if x := asError(t, err); x.Kind != engine.TooLong || x.Limit != 100 || x.Got < 500 {
		t.Errorf("%+v", x)
	}
}

func TestAdaptersGetAScaleEachAndUnknownOnesAreRefused(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller")
	model := e.cfg.ChatModel
	back(t, e, "")
	first := current(e, "")
	adapters := []AdapterFile{{ID: "a", Model: model, Path: model}, {ID: "b", Model: model, Path: model}}
	if err := e.SetAdapters(model, adapters); err != nil {
		t.Fatal(err)
	}
	req := &engine.Request{Messages: []engine.Message{user("hello")}, Adapters: []engine.Adapter{{ID: "b", Scale: 0.5}}, Sampling: engine.Sampling{MaxTokens: 3}}
	res, err := e.Generate(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "[adapter 1 at 0.5] [adapter 0 at 0] "; !strings.HasPrefix(res.Text(), want) {
		t.Errorf("answer %q", res.Text())
	}
	if current(e, "") == first {
		t.Error("the child was not replaced for its new adapters")
	}
	req.Adapters[0].ID = "c"
	_, err = e.Generate(t.Context(), req, nil)
	if x := asError(t, err); x.Kind != engine.BadRequest {
		t.Errorf("%v", x)
	}
}

func TestARepeatedCallBecomesText(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller")
	req := &engine.Request{
		Messages: []engine.Message{
			user("Weather in Rome?"),
			{Role: engine.Assistant, Parts: []engine.Part{{ToolCall: &engine.ToolCall{ID: "1", Name: "get_weather", Arguments: json.RawMessage(`{"city":"Rome"}`)}}}},
			{Role: engine.User, Parts: []engine.Part{{ToolResult: &engine.ToolResult{ID: "1", Parts: []engine.Part{{Text: "sunny"}}}}}},
		},
		Tools:    []engine.Tool{{Name: "get_weather", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)}},
		Sampling: engine.Sampling{MaxTokens: 12},
	}
	res, err := e.Generate(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Parts {
		if p.ToolCall != nil {
			t.Errorf("the call came again: %+v", res.Parts)
		}
	}
	if res.Text() == "" {
		t.Error("no text came instead")
	}
}

func TestASmallMemoryHoldsOneModelAtATime(t *testing.T) {
	e := fakeEngine(t, func(c *Config) { c.MemoryLimit = 300 << 20; c.PromptCacheMB = 64 }, "first", "second")
	if _, _, err := ask(e, "first", "hello"); err != nil {
		t.Fatal(err)
	}
	one := current(e, e.cfg.ChatModel)
	if _, _, err := ask(e, "second", "hello"); err != nil {
		t.Fatal(err)
	}
	if alive(one.pid) || current(e, e.cfg.ChatModel) != nil {
		t.Error("the first model was not unloaded")
	}
	if _, _, err := ask(e, "first", "hello"); err != nil {
		t.Error(err)
	}
}

func TestABusyModelIsWaitedForAndAPinnedOneIsNot(t *testing.T) {
	e := fakeEngine(t, func(c *Config) { c.MemoryLimit = 300 << 20; c.PromptCacheMB = 64 }, "first", "second")
	ctx, cancel := context.WithCancel(t.Context())
	busy := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		var once sync.Once
		_, _ = e.Generate(ctx, &engine.Request{Model: "first", Messages: []engine.Message{user("go on")}}, func(engine.Delta) error { once.Do(func() { close(busy) }); return nil })
	}()
	<-busy
	second := make(chan error, 1)
	go func() { _, _, err := ask(e, "second", "hello"); second <- err }()
	select {
	case err := <-second:
		t.Fatalf("the second model did not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	cancel()
	<-done
	if err := <-second; err != nil {
		t.Error(err)
	}

	e = fakeEngine(t, func(c *Config) { c.MemoryLimit = 300 << 20; c.PromptCacheMB = 64; c.Pinned = []string{c.ChatModel} }, "first", "second")
	if err := e.loaderPrepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, err := ask(e, "second", "hello")
	if x := asError(t, err); x.Kind != engine.NoMemory || !strings.Contains(x.Hint, "stay loaded") {
		t.Errorf("%+v", x)
	}
}

// loaderPrepare loads the pinned models without fetching defaults.
func (e *Engine) loaderPrepare(ctx context.Context) error {
	for _, name := range e.cfg.Pinned {
		_, release, err := e.loader.acquire(ctx, name)
		if err != nil {
			return err
		}
		release()
	}
	return nil
}

func TestAnIdleModelIsUnloaded(t *testing.T) {
	e := fakeEngine(t, func(c *Config) { c.IdleUnload = 200 * time.Millisecond }, "storyteller")
	back(t, e, "")
	pid := current(e, "").pid
	deadline := time.Now().Add(5 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatal("still loaded")
		}
		time.Sleep(20 * time.Millisecond)
	}
	back(t, e, "")
}

func TestCloseLeavesNoProcessAndNoSocket(t *testing.T) {
	e := fakeEngine(t, nil, "storyteller")
	back(t, e, "")
	pid, dir := current(e, "").pid, e.socket
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Errorf("process %d is still there", pid)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket folder: %v", err)
	}
	_, _, err := ask(e, "", "hello")
	if x := asError(t, err); x.Kind != engine.NotReady {
		t.Errorf("%v", x)
	}
}

func TestAChildDiesWithItsServer(t *testing.T) {
	model := modelFile(t, t.TempDir(), "storyteller", false)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, model)
	cmd.Env = append(os.Environ(), "OUTCROP_FAKE_PARENT=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	if _, err := fmt.Fscan(out, &pid, &dir); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the child never lived")
	}
	if err := cmd.Process.Kill(); err != nil { // SIGKILL: no handler of ours runs
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("orphan %d", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Its sockets go when the next server starts; those of a living one stay.
	living := fakeEngine(t, nil, "storyteller")
	fakeEngine(t, nil, "storyteller")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket folder of the dead: %v", err)
	}
	if _, err := os.Stat(living.socket); err != nil {
		t.Errorf("socket folder of the living: %v", err)
	}
}
