package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	outcroptest.Clean()
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	bin, err := outcroptest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	py, err := outcroptest.Python()
	if err != nil {
		t.Fatal(err)
	}
	aws := filepath.Join(filepath.Dir(py), "aws")
	if _, err := os.Stat(aws); err != nil {
		t.Fatalf("no AWS CLI beside %s: %v", py, err)
	}
	tools := t.TempDir() // outcrop by its name, and the aws of the virtual environment
	for name, target := range map[string]string{"outcrop": bin, "aws": aws} {
		if err := os.Symlink(target, filepath.Join(tools, name)); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", tools+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("TOOLS", tools)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_DATA_HOME", filepath.Join(e.WorkDir, "home", "share"))
			e.Setenv("OUTCROP_CACHE", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("AWS_PAGER", "")
			e.Setenv("PYTHONDONTWRITEBYTECODE", "1")
			return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serve, "stop": stop, "json": checkJSON},
	})
}

// running keeps the server of a script under its work folder.
var running = newTable()

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! serve")
	}
	for i, a := range args {
		if file, ok := strings.CutPrefix(a, "script:"); ok {
			args[i] = "script:" + ts.MkAbs(file)
		} else if i > 0 && (args[i-1] == "--data" || args[i-1] == "--config") {
			args[i] = ts.MkAbs(a)
		}
	}
	s, err := outcroptest.Launch(ts.Getenv("WORK"), args...)
	ts.Check(err)
	running.put(ts.Getenv("WORK"), s)
	ts.Defer(func() { s.Stop() })
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		ts.Setenv(k, v)
	}
	ts.Setenv("OUTCROP_DATA", s.Data)
}

func stop(ts *testscript.TestScript, neg bool, args []string) {
	s := running.take(ts.Getenv("WORK"))
	if neg || len(args) > 0 || s == nil {
		ts.Fatalf("usage: stop, after serve")
	}
	if code := s.Stop(); code != 0 {
		ts.Fatalf("the server ended with status %d, want 0:\n%s", code, s.Log())
	}
}

// checkJSON compares one member of a JSON text. "len" after a path counts.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE|stdout PATH WANT")
	}
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	got, err := member(doc, args[1])
	ts.Check(err)
	if ok := got == args[2]; ok == neg {
		ts.Fatalf("%s of %s is %q; want it %s%q", args[1], args[0], got, map[bool]string{true: "not "}[neg], args[2])
	}
}

var step = regexp.MustCompile(`[^.\[\]]+|\[\d+\]`)

func member(doc any, path string) (string, error) {
	at := doc
	for _, s := range step.FindAllString(path, -1) {
		switch v := at.(type) {
		case map[string]any:
			next, ok := v[s]
			if !ok {
				return "", fmt.Errorf("no member %q of %s", s, path)
			}
			at = next
		case []any:
			if s == "len" {
				return strconv.Itoa(len(v)), nil
			}
			n, err := strconv.Atoi(strings.Trim(s, "[]"))
			if err != nil || n >= len(v) {
				return "", fmt.Errorf("no item %s of %s, which has %d", s, path, len(v))
			}
			at = v[n]
		default:
			return "", fmt.Errorf("%s: nothing is below %v", path, at)
		}
	}
	if s, ok := at.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(at)
	return string(b), err
}
