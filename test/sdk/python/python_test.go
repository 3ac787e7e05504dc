package python

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"os"
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

// python returns the interpreter, and a folder to run in.
func python(t *testing.T) (interpreter, dir string) {
	t.Helper()
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	return py, t.TempDir()
}

func file(t *testing.T, parts ...string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scripted(t *testing.T, args ...string) *outcroptest.Server {
	t.Helper()
	return outcroptest.Start(t, append([]string{"--engine", "script:" + file(t, "testdata", "checks.yaml")}, args...)...)
}

// The text programs of spec 09 ask this; the scripted model repeats it.
const echo = "You said: In one paragraph, who are you?"

func TestProgramsOfUsers(t *testing.T) {
	s := scripted(t)
	programs := file(t, "..", "programs", "python")
	for _, c := range []struct {
		name  string
		args  []string
		check func(t *testing.T, dir, out string)
	}{
		{"r23_jurassic2.py", nil, prints(echo)},
		{"r33_claude.py", nil, prints(echo)},
		{"r53_llama2.py", nil, prints(echo)},
		{"r58_mistral_7b.py", nil, prints(echo)},
		{"r63_mixtral_8x7b.py", nil, prints(echo)},
		{"r38_claude3_messages.py", nil, prints("The model returned 1 response(s):", "You said: Hi, write a short story about a lighthouse.", " tokens.")},
		{"r46_claude_stream.py", nil, streamed},
		{"r16_claude3_image.py", []string{"small.png"}, prints("You said: What is in this image?")},
		{"r16_claude3_image.py", []string{"large.png"}, prints("You said: What is in this image?")},
		{"r08_titan_image.py", []string{"2147483646", "a.png"}, painted("a.png", 512, 512)},
		{"r13_stable_diffusion.py", []string{"4294967295", "b.png"}, painted("b.png", 0, 0)},
		{"r13_stable_diffusion.py", []string{"0", "c.png", "photographic"}, painted("c.png", 0, 0)},
		{"b07_b15_foundation_models.py", nil, modelsAgree},
		{"a08_smoke.py", nil, prints("You said: explain black holes to 8th graders\n", "Claude")},
		{"p03_titan_text.py", nil, prints("Output text: ", "Create a list of action items", "Completion reason: FINISH\n", "Finished generating text")},
		{"p08_claude_messages_stream.py", nil, prints(`"text": "You said: Hello World"`, `"text": " World"`, "\nYou said: Hello World\nStop reason: end_turn\nStop sequence: None\nOutput tokens: ")},
		{"p10_cohere.py", nil, prints("Generation 2\n", "Likelihood:\n ", "Reason: COMPLETE\n", "Embedding 1: 1024 numbers\n", "Text 1: this is a test\n", "Finished with")},
	} {
		t.Run(strings.TrimSuffix(c.name, ".py"), func(t *testing.T) {
			py, dir := python(t)
			write(t, filepath.Join(dir, "small.png"), onePixel)
			write(t, filepath.Join(dir, "large.png"), blank(t, 512, 512))
			out, errs := outcroptest.Run(t, 0, dir, s.Home(t), py, append([]string{filepath.Join(programs, c.name)}, c.args...)...)
			c.check(t, dir, out+errs)
		})
	}
}

func prints(parts ...string) func(*testing.T, string, string) {
	return func(t *testing.T, _, out string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("it printed %q, without %q", out, p)
			}
		}
	}
}

func streamed(t *testing.T, _, out string) {
	t.Helper()
	text, rest, ok := strings.Cut(out, "\npieces: ")
	if strings.TrimSpace(text) != echo || !ok || len(strings.TrimSpace(rest)) < 1 || strings.TrimSpace(rest) == "1" {
		t.Errorf("it printed %q", out)
	}
}

func painted(name string, w, h int) func(*testing.T, string, string) {
	return func(t *testing.T, dir, _ string) {
		t.Helper()
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		img, err := png.Decode(f)
		if err != nil {
			t.Fatalf("no PNG: %v", err)
		}
		if b := img.Bounds(); w != 0 && (b.Dx() != w || b.Dy() != h) {
			t.Errorf("the picture measures %v", b)
		}
	}
}

func modelsAgree(t *testing.T, _, out string) {
	t.Helper()
	if n := strings.Count(out, "\tsame\n"); n < 23 || strings.Contains(out, "DIFFERENT") || !strings.Contains(out, "foundation models.") {
		t.Errorf("%d models whose details are their summary; it printed\n%s", n, out)
	}
	prints("anthropic.nope\tResourceNotFoundException", "no-dot\tValidationException")(t, "", out)
}

// TestSameSeedSameBytes runs the picture program twice.
func TestSameSeedSameBytes(t *testing.T) {
	s := scripted(t)
	py, dir := python(t)
	env, program := s.Home(t), file(t, "..", "programs", "python", "r08_titan_image.py")
	for i, seed := range []string{"7", "7", "8"} {
		outcroptest.Run(t, 0, dir, env, py, program, seed, string(rune('a'+i)))
	}
	a, b, c := read(t, filepath.Join(dir, "a")), read(t, filepath.Join(dir, "b")), read(t, filepath.Join(dir, "c"))
	if !bytes.Equal(a, b) || bytes.Equal(a, c) {
		t.Errorf("equal seeds equal: %t, other seeds equal: %t", bytes.Equal(a, b), bytes.Equal(a, c))
	}
}

func TestChecks(t *testing.T) {
	s := scripted(t)
	for _, name := range []string{"invoke", "converse", "claude", "titan_text", "other_families", "embeddings", "titan_image", "stability", "models", "signatures"} {
		t.Run(name, func(t *testing.T) { check(t, s, name) })
	}
}

func check(t *testing.T, s *outcroptest.Server, name string, args ...string) {
	t.Helper()
	py, dir := python(t)
	_, out := outcroptest.Run(t, 0, dir, s.Home(t), py, append([]string{file(t, "checks", name+".py"), "-v"}, args...)...)
	if !strings.Contains(out, "\nOK") || strings.Contains(out, "Ran 0 tests") || strings.Contains(out, "skipped") {
		t.Errorf("not every test ran:\n%s", out)
	}
}

func TestAccessMustBeRequestedWhereItIsLocked(t *testing.T) {
	check(t, scripted(t, "--model-access", "locked"), "locked")
}

func TestModelsEndTheirLife(t *testing.T) {
	check(t, scripted(t, "--model-lifecycle", "--now", "2024-03-01T00:00:00Z"), "lifecycle", "before")
	check(t, scripted(t, "--model-lifecycle", "--now", "2024-05-01T00:00:00Z"), "lifecycle", "after")
}

func TestApiKeys(t *testing.T) {
	check(t, scripted(t, "--tls", "auto"), "api_keys")
}

func TestQuotasOfTheGuide(t *testing.T) {
	check(t, scripted(t, "--quotas", "guide"), "quotas")
}

// TestRetriesOfASlowCallJoinIt has a client give up after a second and retry
// while the model pauses three: the model must have been run once.
func TestRetriesOfASlowCallJoinIt(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	s := outcroptest.Start(t, "--engine", u.URL)
	py, dir := python(t)
	p := outcroptest.Begin(t, dir, s.Home(t), py, file(t, "checks", "impatient.py"))
	g := u.Next(t, 30*time.Second)
	p.Silent(t, 3*time.Second)
	g.Say(t, "after the pause")
	g.End()
	if line, _ := p.Line(t, 30*time.Second); line != "after the pause" {
		t.Errorf("the client got %q; %s", line, p.Errors())
	}
	line, _ := p.Line(t, 10*time.Second)
	var asked, ids int
	if _, err := parse(line, &asked, &ids); err != nil || asked < 3 || ids != 1 {
		t.Errorf("%q: want at least three requests of one id", line)
	}
	if n := u.Runs(); n != 1 {
		t.Errorf("the model ran %d times, want 1", n)
	}
}

// TestSlowAnswersOfAScriptAreGivenOnce is the same with the rule's delay of the
// script engine, counted by the server.
func TestSlowAnswersOfAScriptAreGivenOnce(t *testing.T) {
	s := scripted(t)
	py, dir := python(t)
	out, _ := outcroptest.Run(t, 0, dir, s.Home(t), py, file(t, "checks", "impatient.py"))
	if !strings.HasPrefix(out, "after the pause\n") {
		t.Errorf("it printed %q", out)
	}
	time.Sleep(300 * time.Millisecond) // the log is written in batches
	if n := strings.Count(s.Log(), "operation=Converse status=200"); n != 1 {
		t.Errorf("%d calls were answered, want 1:\n%s", n, s.Log())
	}
	if !strings.Contains(s.Log(), "attached=true") {
		t.Errorf("no request joined another:\n%s", s.Log())
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

// TestStreamsAreReadWhileTheModelSpeaks lets the model say a token only after the client has shown
// the one before.
func TestStreamsAreReadWhileTheModelSpeaks(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	s := outcroptest.Start(t, "--engine", u.URL)
	for _, how := range []string{"converse", "invoke"} {
		t.Run(how, func(t *testing.T) {
			py, dir := python(t)
			p := outcroptest.Begin(t, dir, s.Home(t), py, file(t, "checks", "events.py"), how, "hello")
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
					p.Silent(t, 200*time.Millisecond)
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
	for _, how := range []string{"converse", "invoke"} {
		t.Run(how, func(t *testing.T) {
			py, dir := python(t)
			p := outcroptest.Begin(t, dir, s.Home(t), py, file(t, "checks", "events.py"), how, "hello")
			g := u.Next(t, 30*time.Second)
			g.Say(t, "half")
			for _, want := range []event{{Kind: "open"}, {Kind: "text", Text: "half"}} {
				if e := next(t, p); e.Kind != want.Kind || e.Text != want.Text {
					t.Fatalf("got %+v, want %+v", e, want)
				}
			}
			g.Cut()
			if e := next(t, p); e.Kind != "error" || e.Text != "modelStreamErrorException" {
				t.Errorf("got %+v, want modelStreamErrorException", e)
			}
		})
	}
}

// TestStreamsOpenBeforeTheModelSpeaksAndEndWithTheirClient has a stream open
// before any token comes; then it kills the client and waits until the model is
// let go.
func TestStreamsOpenBeforeTheModelSpeaksAndEndWithTheirClient(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	s := outcroptest.Start(t, "--engine", u.URL)
	py, dir := python(t)
	p := outcroptest.Begin(t, dir, s.Home(t), py, file(t, "checks", "events.py"), "converse", "hello")
	g := u.Next(t, 30*time.Second)
	if e := next(t, p); e.Kind != "open" { // the model is silent, yet the client must not give up on the connection
		t.Fatalf("first the stream opens, but it was %+v", e)
	} else if e.MS > 30_000 {
		t.Errorf("the stream opened after %d ms", e.MS)
	}
	g.Say(t, "one")
	if e := next(t, p); e.Text != "one" {
		t.Fatalf("got %+v", e)
	}
	p.Kill()
	select {
	case <-g.Gone():
	case <-time.After(15 * time.Second):
		t.Error("the model still works for a client that has gone")
	}
}

var onePixel, _ = base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
