package interpreter

import (
	"archive/tar"
	"bytes"
	std "cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if sandbox.Main() {
		return
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, c Config) *Interpreter {
	t.Helper()
	if c.Store == nil {
		c.Store = storetest.New(t)
	}
	return New(c)
}

func code(text string, files ...turn.File) turn.Code {
	return turn.Code{Account: "123456789012", Region: "us-east-1", Session: "A/B/s", Text: text, Files: files}
}

func run(t *testing.T, x *Interpreter, c turn.Code) *turn.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o, err := x.Execute(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatCodePrints(t *testing.T) {
	x := open(t, Config{})
	for _, c := range []struct {
		name, code string
		want       turn.Outcome
	}{
		{"a print", "print('héllo')\nprint(1+1)", turn.Outcome{Output: "héllo\n2\n"}},
		{"the last expression, as in a notebook", "x = 20\nx * 2 + 2", turn.Outcome{Output: "42\n"}},
		{"nothing", "x = 1", turn.Outcome{}},
		{"none is not shown", "print('a')\nNone", turn.Outcome{Output: "a\n"}},
		{"a warning is no error", "import warnings\nprint('a')\nimport sys; print('careful', file=sys.stderr)", turn.Outcome{Output: "a\n\ncareful"}},
		{"no code at all", "", turn.Outcome{}},
		{"a quiet exit", "print('a')\nraise SystemExit", turn.Outcome{Output: "a\n"}},
		{"an exit with words", "import sys\nsys.exit('that is it')", turn.Outcome{Error: "that is it"}},
		{"several processes", "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(6*7)'], capture_output=True, text=True).stdout)", turn.Outcome{Output: "42\n\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(&c.want, run(t, x, code(c.code))); d != "" {
				t.Error(d)
			}
		})
	}
	o := run(t, x, code("print('before')\ndef f():\n    return 1/0\nf()"))
	if o.Output != "before\n" || !strings.HasPrefix(o.Error, "Traceback") || !strings.Contains(o.Error, "ZeroDivisionError") || !strings.Contains(o.Error, "return 1/0") || strings.Contains(o.Error, "<string>") {
		t.Errorf("%+v", o)
	}
	if o := run(t, x, code("def f(:\n  pass")); !strings.Contains(o.Error, "SyntaxError") {
		t.Errorf("%+v", o)
	}
	if o := run(t, x, code("for i in range(100000): print('line', i)")); len(o.Output) > 70<<10 || !strings.HasPrefix(o.Output, "line 0\n") || !strings.HasSuffix(o.Output, "line 99999\n") || !strings.Contains(o.Output, "left out") {
		t.Errorf("%d bytes", len(o.Output))
	}
}

func TestFilesLiveAsLongAsTheSession(t *testing.T) {
	x := open(t, Config{FileBytes: 100})
	csv := turn.File{Name: "sales.csv", Type: "text/csv", Data: []byte("month,sum\n1,10\n2,32\n")}
	o := run(t, x, code(`
import csv, os
total = sum(int(r["sum"]) for r in csv.DictReader(open("sales.csv")))
os.makedirs("out")
open("out/total.txt", "w").write(str(total))
open("report.json", "w").write("{}")
open("big.bin", "wb").write(b"x" * 101)
open(".hidden", "w").write("x")
print(total)`, csv))
	want := []turn.File{{Name: "out/total.txt", Type: "text/plain", Data: []byte("42")}, {Name: "report.json", Type: "application/json", Data: []byte("{}")}}
	if d := cmp.Diff(want, o.Files); d != "" {
		t.Error(d)
	}
	if !strings.HasPrefix(o.Output, "42\n") || !strings.Contains(o.Output, "big.bin") || o.Error != "" {
		t.Errorf("%+v", o)
	}
	// Unchanged ones are not told again, changed and deleted ones are what they are.
	o = run(t, x, code(`
import os
print(sorted(os.listdir(".")), len(open("big.bin").read()))
open("report.json", "w").write("[]")
os.remove("sales.csv")`))
	if d := cmp.Diff(&turn.Outcome{Output: "['big.bin', 'out', 'report.json', 'sales.csv'] 101\n", Files: []turn.File{{Name: "report.json", Type: "application/json", Data: []byte("[]")}}}, o); d != "" {
		t.Error(d)
	}
	if o = run(t, x, code("import os; print(sorted(os.listdir('.')))")); o.Output != "['big.bin', 'out', 'report.json']\n" {
		t.Errorf("%+v", o)
	}
	other := code("import os; print(os.listdir('.'))")
	other.Session = "A/B/other"
	if o = run(t, x, other); o.Output != "[]\n" {
		t.Errorf("another session sees %s", o.Output)
	}
	err := x.cfg.Store.Update(t.Context(), func(tx *store.Tx) error {
		for range 2 {
			if err := Forget(tx, "123456789012", "us-east-1", "A/B/s"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if o = run(t, x, code("import os; print(os.listdir('.'))")); o.Output != "[]\n" {
		t.Errorf("after the end of the session: %s", o.Output)
	}
}

func TestCodeCannotGoOutOfItsJail(t *testing.T) {
	x := open(t, Config{})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"files of the host": "print(open(" + quote(secret) + ").read())",
		"the network":       "import socket; socket.create_connection(('127.0.0.1', 80), 2); socket.create_connection(('192.0.2.1', 80), 2)",
		"names":             "import socket; print(socket.gethostbyname('example.com'))",
		"writing programs":  "open('/usr/bin/x', 'w')",
	} {
		if o := run(t, x, code(text)); o.Error == "" || strings.Contains(o.Output, "canary") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := run(t, x, code("import os; print(sorted(os.environ)); print(os.getppid() < 100)")); strings.Contains(o.Output, "AWS") || strings.Contains(o.Output, "OUTCROP") || !strings.Contains(o.Output, "True") {
		t.Errorf("%+v", o)
	}
}

func quote(s string) string { return "'" + s + "'" }

func TestCodeThatDoesNotEnd(t *testing.T) {
	x := open(t, Config{Timeout: time.Second})
	o := run(t, x, code("print('begun', flush=True)\nopen('half.txt','w').write('h')\nimport os\nos.fork()\nwhile True: pass"))
	if !o.Timeout || o.Output != "begun\n" || len(o.Files) != 1 || o.Files[0].Name != "half.txt" {
		t.Errorf("%+v", o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	x = open(t, Config{})
	begun := time.Now()
	if _, err := x.Execute(ctx, code("while True: pass")); !errors.Is(err, context.Canceled) || time.Since(begun) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

func TestCodeThatTakesTooMuch(t *testing.T) {
	x := open(t, Config{Memory: 128 << 20, FolderBytes: 1 << 20})
	if o := run(t, x, code("x = bytearray(400_000_000)\nprint(len(x))")); o.Error == "" {
		t.Errorf("%+v", o)
	}
	o := run(t, x, code("for i in range(4): open(f'f{i}', 'wb').write(b'x' * 600_000)\nprint('done')"))
	if o.Error != "" || len(o.Files) != 1 || !strings.Contains(o.Output, "f3 was not kept") {
		t.Errorf("%.300s %d files", o.Output+o.Error, len(o.Files))
	}
	if o = run(t, x, code("import os; print(os.listdir('.'))")); o.Output != "['f0']\n" {
		t.Errorf("%+v", o)
	}
	o = run(t, x, code("open('huge', 'wb').write(b'x' * 30_000_000)"))
	if o.Error == "" {
		t.Errorf("%.300s", o.Output)
	}
	o = run(t, x, code("import os\nfor i in range(500):\n  if os.fork() == 0:\n    import time; time.sleep(60)\nprint('made all')"))
	if strings.Contains(o.Output, "made all") {
		t.Errorf("%+v", o)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	x := open(t, Config{FolderBytes: 100})
	for name, files := range map[string][]turn.File{
		"no name":  {{Name: ""}},
		"above":    {{Name: ".."}},
		"control":  {{Name: "a\nb"}},
		"too many": {{Name: "1"}, {Name: "2"}, {Name: "3"}, {Name: "4"}, {Name: "5"}, {Name: "6"}},
		"too much": {{Name: "a", Data: make([]byte, 10<<20+1)}},
		"no room":  {{Name: "a", Data: make([]byte, 101)}},
	} {
		if _, err := x.Execute(t.Context(), code("1", files...)); apierr.KindOf(err) != apierr.Validation {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o := run(t, x, code("import os; print(os.listdir('.'))", turn.File{Name: "../../etc/passwd", Data: []byte("x")})); o.Output != "['passwd']\n" {
		t.Errorf("%+v", o)
	}
}

func TestWithoutAJailOrPythonNothingRuns(t *testing.T) {
	x := open(t, Config{Start: func(context.Context, sandbox.Spec) (*sandbox.Process, error) {
		return nil, &sandbox.PartError{Part: "user namespace", Err: errors.New("switched off")}
	}})
	_, err := x.Execute(t.Context(), code("print(1)"))
	if apierr.KindOf(err) != apierr.DependencyFailed || !strings.Contains(err.Error(), "user namespace") || !strings.Contains(err.Error(), "outcrop doctor") {
		t.Error(err)
	}
	x = open(t, Config{Python: []string{"no-such-python", "true"}})
	_, err = x.Execute(t.Context(), code("print(1)"))
	if apierr.KindOf(err) != apierr.DependencyFailed || !strings.Contains(err.Error(), "no-such-python") {
		t.Error(err)
	}
}

// A figure that was drawn and not saved is saved. The stand-in has matplotlib's shape:
// tests must not need the real one.
func TestFiguresAreSaved(t *testing.T) {
	x := open(t, Config{})
	stand := `
import sys, types
plot = types.ModuleType("matplotlib.pyplot")
class Figure:
    def savefig(self, name): open(name, "wb").write(b"PNG")
plot.get_fignums = lambda: [1, 2]
plot.figure = lambda n: Figure()
sys.modules["matplotlib.pyplot"] = plot
`
	o := run(t, x, code(stand))
	if len(o.Files) != 2 || o.Files[0].Name != "figure-1.png" || o.Files[0].Type != "image/png" || !strings.Contains(o.Output, "figure-2.png") {
		t.Errorf("%+v", o)
	}
	o = run(t, x, code(stand+"\nplot.figure(1).savefig('mine.png')"))
	if len(o.Files) != 1 || o.Files[0].Name != "mine.png" {
		t.Errorf("%+v", o)
	}
	py := std.Or(os.Getenv("OUTCROP_TEST_MATPLOTLIB"), "python3") // a Python that has it
	if out, err := exec.CommandContext(t.Context(), py, "-c", "import matplotlib").CombinedOutput(); err != nil {
		t.Logf("the real matplotlib is not here: %.100s", out)
		return
	}
	x = open(t, Config{Python: []string{py}})
	o = run(t, x, code("import matplotlib.pyplot as plt\nplt.plot([1,2,3])\nplt.show()"))
	if len(o.Files) != 1 || !bytes.HasPrefix(o.Files[0].Data, []byte("\x89PNG")) {
		t.Errorf("%+v", o.Output+o.Error)
	}
}

func TestManyRunsAtOnce(t *testing.T) {
	x := open(t, Config{Parallel: 2})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			c := code("open('mine','w').write('" + string(rune('a'+i)) + "')\nprint(open('mine').read())")
			c.Session = "s" + string(rune('a'+i))
			o, err := x.Execute(t.Context(), c)
			if err != nil || o.Output != string(rune('a'+i))+"\n" {
				t.Errorf("%+v %v", o, err)
			}
		})
	}
	wg.Wait()
}

func TestFilesOfForgottenSessionsGo(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	st := storetest.NewAt(t, func() time.Time { return now })
	x := open(t, Config{Store: st})
	run(t, x, code("open('f','w').write('x')"))
	now = now.Add(24*time.Hour - time.Second)
	if n, err := x.Sweep(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
	now = now.Add(time.Second)
	if n, err := x.Sweep(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func FuzzWhatComesOutOfAJail(f *testing.F) {
	var good bytes.Buffer
	good.WriteString(`{"output":"x","files":["a"],"left":[["b",3]]}` + "\n")
	w := tar.NewWriter(&good)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1, Mode: 0o600})
	_, _ = w.Write([]byte("x"))
	_ = w.Close()
	f.Add(good.Bytes())
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rep, made, err := readReport(bytes.NewBuffer(b), 1<<20)
		if err != nil {
			return
		}
		for _, m := range made {
			if !usable(m.Name) || len(m.Data) > 1<<20 {
				t.Fatalf("%q", m.Name)
			}
		}
		New(Config{}).outcome(rep, made)
	})
}
