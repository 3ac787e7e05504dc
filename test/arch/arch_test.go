package arch

import (
	"bufio"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/outcrop-dev/outcrop/"

// floors lists the house from the ground up. A package imports packages of
// lower floors only; what else may be imported on the same floor stands at the
// floor. A folder below a listed one (an adapter, a family) belongs to its floor.
var floors = []struct {
	name     string
	packages []string
}{
	{"ground", []string{"api", "apierr", "arn", "call", "clock", "config", "failpoint", "gate", "lifecycle", "optional", "page"}},
	{"ports", []string{"store", "object", "vector", "engine", "sandbox", "lambda"}},
	{"house services", []string{"iam", "kms", "secret", "logs", "job", "quota", "audit", "event", "metric", "trace", "conversation", "bucket", "vectorbucket"}},
	{"wire", []string{"restjson", "queryxml", "awsjson", "eventstream", "sigv4", "gateway"}},
	// Rooms: a lower line imports upper ones.
	{"rooms", rooms},
	{"entrance", []string{"service", "neighbour", "console", "server", "tracetree", "library", "demo", "doctor"}},
}

// rooms in the order of import: a room may import those before it.
var rooms = []string{
	"tag", "resourcepolicy", "catalog", "reasoning", "guardrail", "throughput", "customization", "invocationlog",
	"inference", "prompt", "session", "batch", "knowledge", "agent", "evaluation", "flow",
}

// sideways are imports on one floor that are meant: the value names what may be
// imported by the key.
var sideways = map[string][]string{
	"gateway": {"restjson", "eventstream", "sigv4"},
	"server":  {"service", "neighbour", "console", "demo", "doctor"},
	"demo":    {"tracetree", "library"},
	"api":     {"apierr"}, // Unimplemented answers with an error
	"sigv4":   {"eventstream"},
	"call":    {"arn"},
	"page":    {"apierr"},
	"kms":     {"iam"},
	"secret":  {"iam", "kms"},
	"logs":    {"iam", "kms"},
	"bucket":  {"iam"},
	"vector":  {"store"},   // the embedded index makes its folder as the store does
	"lambda":  {"sandbox"}, // the process adapter runs functions in jails

	"vectorbucket": {"iam", "kms"},

	// The three protocols share one reader of values and one set of texts.
	"queryxml": {"restjson"},
	"awsjson":  {"restjson"},

	// The supervised engine is found by install and fed by weights, which are
	// folders of engine and so of its room.
}

// never are imports that no floor rule would catch.
var never = []struct{ from, to, why string }{
	{"ports", "api/", "ports do not know the wire's types"},
	{"house services", "api/", "house services do not know the wire's types"},
	{"rooms", "restjson", "rooms return values and errors; the edge encodes them"},
	{"rooms", "gateway", "rooms do not know how they are called"},
	{"rooms", "eventstream", "rooms send events, the edge frames"},
	{"rooms", "sigv4", "the edge knows who calls"},
	{"wire", "store", "the edge keeps no state"},
}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("go list shows %d packages; the rules were not applied to the house", len(all))
	}
	return all
}

// place returns the room of an import path and its floor, -1 for none.
func place(path string) (room string, floor int) {
	rest, ok := strings.CutPrefix(path, module+"internal/")
	if !ok {
		return "", -1
	}
	room, _, _ = strings.Cut(rest, "/")
	for i, f := range floors {
		if slices.Contains(f.packages, room) {
			return room, i
		}
	}
	return room, -1
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range list(t) {
		if !strings.HasPrefix(p.ImportPath, module+"internal/") {
			continue
		}
		from, floor := place(p.ImportPath)
		if floor < 0 {
			t.Errorf("%s has no floor: add it to the table", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, below := place(imp)
			if to == "" || to == from {
				continue
			}
			for _, n := range never {
				if n.from == floors[floor].name && strings.HasPrefix(strings.TrimPrefix(imp, module+"internal/"), n.to) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, n.why)
				}
			}
			switch {
			case below < floor:
			case slices.Contains(sideways[from], to):
			case floors[floor].name == "rooms" && below == floor && slices.Index(rooms, to) < slices.Index(rooms, from):
			default:
				t.Errorf("%s (%s) imports %s (%s): imports go down", p.ImportPath, floors[floor].name, imp, floors[max(below, 0)].name)
			}
		}
	}
}

// Adapters are chosen in one place, so that a person can read what runs.
func TestOnlyServerNamesAdapters(t *testing.T) {
	adapters := []string{"store/sqlite", "store/postgres", "object/dir", "object/s3", "engine/llamacpp", "engine/openai", "engine/script", "vector/embedded", "vector/pgvector"}
	for _, p := range list(t) {
		from, floor := place(p.ImportPath)
		if floor < 0 || floors[floor].name == "entrance" {
			continue
		}
		helps := strings.HasSuffix(p.ImportPath, "test") // storetest, kmstest …: for tests only
		for _, imp := range p.Imports {
			if !helps && strings.HasPrefix(imp, module+"internal/") && strings.HasSuffix(imp, "test") {
				t.Errorf("%s imports %s, which is for tests only", p.ImportPath, imp)
			}
			for _, a := range adapters {
				if imp == module+"internal/"+a && !strings.HasPrefix(a, from+"/") && !helps {
					t.Errorf("%s imports the adapter %s; only the entrance does", p.ImportPath, a)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if !strings.HasPrefix(p.ImportPath, module+"internal/") {
			continue
		}
		src := filepath.Join(p.Dir, "doc.go")
		f, err := parser.ParseFile(token.NewFileSet(), src, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%s has no doc.go: %v", p.ImportPath, err)
			continue
		}
		if f.Doc == nil || len(f.Doc.Text()) < 120 {
			t.Errorf("%s: doc.go does not say what the package owns, its flow and its floor", p.ImportPath)
		}
		for _, g := range p.GoFiles {
			if g == "doc.go" {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, g), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err == nil && f.Doc != nil && strings.HasPrefix(f.Doc.Text(), "Package ") {
				t.Errorf("%s: %s also has a package comment; doc.go is the place", p.ImportPath, g)
			}
		}
	}
}

// Names that say nothing gather everything.
func TestNoDrawers(t *testing.T) {
	for _, p := range list(t) {
		for _, bad := range []string{"util", "utils", "common", "helper", "helpers", "base", "manager", "models", "misc", "lib"} {
			if slices.Contains(strings.Split(strings.TrimPrefix(p.ImportPath, module), "/"), bad) {
				t.Errorf("%s: %q is no noun of the problem", p.ImportPath, bad)
			}
		}
	}
}

// Every route, exception and constraint is generated: nobody writes a status or
// a path of the Bedrock API by hand outside the edge.
func TestOnlyTheEdgeWritesHTTP(t *testing.T) {
	allowed := []string{"gateway", "restjson", "sigv4", "eventstream", "server", "neighbour", "console", "engine", "object", "metric", "trace", "demo", "doctor"}
	for _, p := range list(t) {
		from, floor := place(p.ImportPath)
		if floor < 0 || slices.Contains(allowed, from) {
			continue
		}
		for _, g := range p.GoFiles {
			f, err := os.Open(filepath.Join(p.Dir, g))
			if err != nil {
				t.Fatal(err)
			}
			s := bufio.NewScanner(f)
			s.Buffer(nil, 16<<20)
			for s.Scan() {
				if strings.Contains(s.Text(), "http.ResponseWriter") {
					t.Errorf("%s/%s touches http.ResponseWriter; operations return values and errors", p.ImportPath, g)
				}
			}
			f.Close()
		}
	}
}
