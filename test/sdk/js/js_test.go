package js

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	outcroptest.Clean()
	os.Exit(code)
}

// The packages under test: what npm gives today, and the last kind that spoke HTTP/1.1.
const (
	current = "@aws-sdk/client-bedrock-runtime"
	old     = "client-bedrock-runtime-http1"
)

// project makes a user's folder: programs beside what npm installed.
func project(t *testing.T) (node, dir string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("no Node.js: %v", err)
	}
	modules, err := filepath.Abs("node_modules")
	if err == nil {
		_, err = os.Stat(filepath.Join(modules, "@aws-sdk", "client-bedrock-runtime"))
	}
	if err != nil {
		t.Fatalf("the SDK is not installed; `make accept` does it: %v", err)
	}
	if dir, err = filepath.EvalSymlinks(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"checks", filepath.Join("..", "programs", "js")} {
		files, err := filepath.Glob(filepath.Join(from, "*.mjs"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no programs in %s: %v", from, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return node, dir
}

func scripted(t *testing.T) *outcroptest.Server {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join("..", "python", "testdata", "checks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return outcroptest.Start(t, "--engine", "script:"+rules)
}

const (
	sentence  = `You said: Complete the following in one sentence: "Once upon a time..."`
	paragraph = `You said: Write a paragraph starting with: "Once upon a time..."`
)

func TestProgramsOfUsers(t *testing.T) {
	s := scripted(t)
	node, dir := project(t)
	env := s.Home(t)
	for _, c := range []struct {
		name string
		want []string
	}{
		{"b03_hello_bedrock.mjs", []string{" Model: anthropic.claude-v2:1\n", " Lifecycle status: ACTIVE\n", " active and "}},
		{"b06_get_foundation_model.mjs", []string{`"modelId": "amazon.titan-embed-text-v1"`, `"EMBEDDING"`}},
		{"b12_list_foundation_models.mjs", []string{`"modelId":"stability.stable-diffusion-xl-v1"`}},
		{"r02_hello_runtime.mjs", []string{"Response: You said: Hi. In a short paragraph, explain what you can do.\n", "Number of input tokens:   ", "Number of output tokens: "}},
		{"r21_jurassic2.mjs", []string{sentence}},
		{"r25_titan_text.mjs", []string{sentence}},
		{"r30_r31_claude2.mjs", []string{"Using the Messages API:\n" + sentence, "Using the Text Completions API:\n" + sentence}},
		{"r36_r37_claude3.mjs", []string{"Final structured response:\n" + paragraph}},
		{"r37_r45_call_stream.mjs", []string{paragraph + "\n\nFinal structured response: "}},
		{"r39_r40_claude_instant.mjs", []string{"Using the Messages API:\n" + sentence, "Using the Text Completions API:\n" + sentence}},
		{"r51_llama2.mjs", []string{sentence}},
		{"r57_mistral_7b.mjs", []string{sentence}},
		{"r62_mixtral_8x7b.mjs", []string{sentence}},
	} {
		t.Run(strings.TrimSuffix(c.name, ".mjs"), func(t *testing.T) {
			out, _ := outcroptest.Run(t, 0, dir, env, node, c.name)
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("it printed %q, without %q", out, w)
				}
			}
			if strings.Contains(out, "undefined") {
				t.Errorf("a member was missing: %q", out)
			}
		})
	}
}

// TestThePlaygroundAnswersForEachModel types a number and a prompt for each of
// the thirteen models, in one run of the program.
func TestThePlaygroundAnswersForEachModel(t *testing.T) {
	s := scripted(t)
	node, dir := project(t)
	var typed strings.Builder
	for i := range 13 {
		typed.WriteString(itoa(i+1) + "\nprompt number " + itoa(i+1) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), node, "s04_playground.mjs")
	cmd.Dir, cmd.Env, cmd.Stdin = dir, s.Home(t), strings.NewReader(typed.String())
	b, err := cmd.Output()
	if err != nil {
		t.Errorf("%v", err)
	}
	out := string(b)
	for i := range 13 {
		if !strings.Contains(out, "You said: prompt number "+itoa(i+1)+"\n") {
			t.Errorf("model %d did not answer", i+1)
		}
	}
	if t.Failed() {
		t.Logf("it printed\n%s", out)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

type said struct {
	Check string
	Value json.RawMessage
}

func TestCalls(t *testing.T) {
	s := scripted(t)
	node, dir := project(t)
	out, _ := outcroptest.Run(t, 0, dir, s.Home(t), node, "calls.mjs")
	got := map[string][]json.RawMessage{}
	for line := range strings.Lines(out) {
		var v said
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got[v.Check] = append(got[v.Check], v.Value)
	}
	if n := len(got["converse"]); n != 5 {
		t.Fatalf("%d families answered, want 5:\n%s", n, out)
	}
	for _, raw := range got["converse"] {
		var v struct {
			ModelID, Text, Stop string
			Tokens              int
		}
		if err := json.Unmarshal(raw, &v); err != nil || strings.TrimSpace(v.Text) != "You said: hello" || v.Stop != "end_turn" || v.Tokens < 2 {
			t.Errorf("converse: %s", raw)
		}
	}
	for name, want := range map[string]string{
		"korean": `"안녕하세요, 세계! 🎉👩‍💻 좋은 하루 되세요."`, "tool": `{"city":"Seattle"}`, "count": "true", "details": `"anthropic.claude-v2:1"`, "filtered": "true",
	} {
		if len(got[name]) != 1 || string(got[name][0]) != want {
			t.Errorf("%s: %s, want %s", name, got[name], want)
		}
	}
	for name, want := range map[string]struct {
		Name             string
		Status, Attempts int
		message          string
	}{
		"unknown":    {Name: "ValidationException", Status: 400, Attempts: 1, message: "The provided model identifier is invalid."},
		"wrong body": {Name: "ValidationException", Status: 400, Attempts: 1, message: "Malformed input request"},
		"overload":   {Name: "ThrottlingException", Status: 429, Attempts: 3, message: "Too many requests"},
		"crash":      {Name: "ModelErrorException", Status: 424, Attempts: 1},
		"wrong key":  {Name: "UnrecognizedClientException", Status: 403, Attempts: 1},
	} {
		var v struct {
			Name             string
			Status, Attempts int
			Message          string
		}
		if len(got[name]) != 1 || json.Unmarshal(got[name][0], &v) != nil || v.Name != want.Name || v.Status != want.Status || v.Attempts != want.Attempts || !strings.Contains(v.Message, want.message) {
			t.Errorf("%s: %s, want %+v", name, got[name], want)
		}
	}
	if n := s.Metric(t, "outcrop_requests_total", `status="429"`); n != 3 {
		t.Errorf("the server refused %v requests for overload, want 3", n)
	}
}

type event struct {
	Kind, Text string
	MS         int
}

func next(t *testing.T, p *outcroptest.Program) event {
	t.Helper()
	line, ok := p.Line(t, 30*time.Second)
	if !ok {
		t.Fatalf("the program ended; %s", p.Errors())
	}
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return e
}

var streams = []struct{ name, pkg, how, handler string }{
	{"converse over HTTP/2", current, "converse", "NodeHttp2Handler"},
	{"invoke over HTTP/2", current, "invoke", "NodeHttp2Handler"},
	{"converse over HTTP/1.1", old, "converse", "NodeHttpHandler"},
	{"invoke over HTTP/1.1", old, "invoke", "NodeHttpHandler"},
}

func TestStreamsAreReadWhileTheModelSpeaks(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	s := outcroptest.Start(t, "--engine", u.URL)
	for _, c := range streams {
		t.Run(c.name, func(t *testing.T) {
			node, dir := project(t)
			p := outcroptest.Begin(t, dir, s.Home(t), node, "events.mjs", c.pkg, c.how, "hello")
			if e := next(t, p); e.Text != c.handler {
				t.Errorf("the SDK speaks by its %s, want %s", e.Text, c.handler)
			}
			g := u.Next(t, 30*time.Second)
			begin := time.Now()
			for i, token := range outcroptest.Tokens {
				g.Say(t, token)
				if i == 0 {
					if e := next(t, p); e.Kind != "open" {
						t.Fatalf("first the stream opens, but it was %+v", e)
					}
				}
				e := next(t, p)
				if e.Kind != "text" || e.Text != token {
					t.Fatalf("token %d: got %+v, want %q", i, e, token)
				}
				if i == 0 {
					t.Logf("first token shown %s after it was said", time.Since(begin).Round(time.Millisecond))
					p.Silent(t, 100*time.Millisecond)
				}
			}
			g.End()
			if e := next(t, p); e.Kind != "stop" || e.Text != "end_turn" {
				t.Errorf("the end is %+v", e)
			}
			if e := next(t, p); e.Kind != "end" {
				t.Errorf("after the end comes %+v", e)
			}
		})
	}
}

func TestACutModelIsAnExceptionInTheStream(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	s := outcroptest.Start(t, "--engine", u.URL)
	for _, c := range streams {
		t.Run(c.name, func(t *testing.T) {
			node, dir := project(t)
			p := outcroptest.Begin(t, dir, s.Home(t), node, "events.mjs", c.pkg, c.how, "hello")
			g := u.Next(t, 30*time.Second)
			g.Say(t, "half")
			for _, want := range []event{{Kind: "handler", Text: c.handler}, {Kind: "open"}, {Kind: "text", Text: "half"}} {
				if e := next(t, p); e.Kind != want.Kind || e.Text != want.Text {
					t.Fatalf("got %+v, want %+v", e, want)
				}
			}
			g.Cut()
			if e := next(t, p); e.Kind != "error" || e.Text != "ModelStreamErrorException" {
				t.Errorf("got %+v, want ModelStreamErrorException", e)
			}
		})
	}
}

// TestStreamsOverTLS has the SDK choose its protocol by ALPN.
func TestStreamsOverTLS(t *testing.T) {
	rules, err := filepath.Abs(filepath.Join("..", "python", "testdata", "checks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := outcroptest.Start(t, "--engine", "script:"+rules, "--tls", "auto")
	for _, c := range streams {
		t.Run(c.name, func(t *testing.T) {
			node, dir := project(t)
			out, _ := outcroptest.Run(t, 0, dir, s.Home(t), node, "events.mjs", c.pkg, c.how, "korean please")
			var whole strings.Builder
			last := event{}
			for line := range strings.Lines(out) {
				if err := json.Unmarshal([]byte(line), &last); err != nil {
					t.Fatal(err)
				}
				if last.Kind == "text" {
					whole.WriteString(last.Text)
				}
			}
			if last.Kind != "end" || whole.String() != "안녕하세요, 세계! 🎉👩‍💻 좋은 하루 되세요." {
				t.Errorf("it printed %s", out)
			}
		})
	}
}
