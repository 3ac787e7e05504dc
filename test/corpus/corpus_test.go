package corpus

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) {
	if sandbox.Main() || parse.Main() {
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		outcroptest.Clean()
		os.Exit(code)
	}))
}

// all asks for the long runs.
var all = os.Getenv("OUTCROP_CORPUS") == "all"

var made struct {
	sync.Once
	dir   string
	files []File
	err   error
}

func files(t *testing.T) []File {
	t.Helper()
	made.Do(func() {
		made.dir = os.Getenv("OUTCROP_CORPUS_DIR")
		if made.dir == "" {
			made.dir, made.err = os.MkdirTemp("", "outcrop-corpus-*")
		}
		if made.err == nil {
			start := time.Now()
			made.files, made.err = Make(t.Context(), made.dir)
			t.Logf("made %d files in %s", len(made.files), time.Since(start).Round(time.Second))
		}
	})
	if errors.Is(made.err, ErrNoOffice) && os.Getenv("CI") == "" && !all {
		t.Log(made.err)
		return made.files
	}
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.files
}

func TestEveryFileOfTheCorpusIsReadWhole(t *testing.T) {
	p := parse.New(parse.Config{})
	defer p.Close()
	formats := map[string]int{}
	fs := files(t)
	for _, f := range fs {
		formats[f.Format]++
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.Parse(t.Context(), parse.Input{Name: filepath.Base(f.Path), Scope: "corpus", Data: data})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f.Path), err)
			continue
		}
		if string(d.Format) != f.Format {
			t.Errorf("%s was read as %s", filepath.Base(f.Path), d.Format)
		}
		var missing []string
		at, out := 0, 0
		for _, w := range f.Words {
			i := strings.Index(d.Text, w)
			if i < 0 {
				missing = append(missing, w)
				continue
			}
			if j := strings.Index(d.Text[at:], w); j >= 0 {
				at += j
			} else {
				out++
			}
		}
		if len(missing) > 0 {
			t.Errorf("%s: %d of %d words are missing, the first %q", filepath.Base(f.Path), len(missing), len(f.Words), missing[0])
		}
		if f.Ordered && out > 0 {
			t.Errorf("%s: %d of %d words are out of order", filepath.Base(f.Path), out, len(f.Words))
		}
	}
	t.Logf("%v", formats)
	if made.err == nil && (len(fs) < 200 || len(formats) != len(parse.Formats())) {
		t.Errorf("%d files of %d formats", len(fs), len(formats))
	}
}

// Documents that Debian ships, where they are: no program of ours has written them.
func TestDocumentsOfTheSystemAreRead(t *testing.T) {
	p := parse.New(parse.Config{})
	defer p.Close()
	seen, failed := 0, 0
	reasons := map[parse.Reason]int{}
	err := filepath.WalkDir("/usr/share/doc", func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || seen >= 400 {
			return nil //nolint:nilerr // a folder that cannot be read is none of ours
		}
		name := e.Name()
		if name == "copyright" || strings.HasPrefix(name, "README") && !strings.Contains(name, ".") {
			if seen%3 != 0 && name == "copyright" {
				seen++
				return nil
			}
			name += ".txt"
		}
		if _, ok := parse.FormatOf(name); !ok {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return nil //nolint:nilerr // a link to nowhere
		}
		seen++
		_, err = p.Parse(t.Context(), parse.Input{Name: name, Scope: "doc", Data: data})
		if e, ok := errors.AsType[*parse.Error](err); ok {
			reasons[e.Reason]++
			failed++
			t.Logf("%s: %v", path, err)
		} else if err != nil {
			t.Fatal(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d documents, %d without text: %v", seen, failed, reasons)
	if seen == 0 || failed*20 > seen {
		t.Errorf("%d of %d documents gave no text", failed, seen)
	}
	for r := range reasons {
		if slices.Contains([]parse.Reason{parse.Crash, parse.Timeout, parse.Memory, parse.NoJail}, r) {
			t.Errorf("reason %s", r)
		}
	}
}
