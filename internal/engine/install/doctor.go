package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/engine/weights"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// Level says how bad a finding is.
type Level string

// The levels of a finding.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, but something is worth knowing
	Problem Level = "problem" // something will not work
)

// Finding is one thing that Doctor looked at.
type Finding struct {
	Check  string // short name, such as "engine"
	Level  Level
	Detail string
	Fix    string // what to do, "" when all is well
}

// minSpace is what the default models and the engine take in the cache.
const minSpace = 2 << 30

// Doctor looks at everything that local models need. It changes nothing but
// making and removing one file in the cache folder.
func Doctor(ctx context.Context, cfg Config) []Finding {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return []Finding{{"cache", Problem, err.Error(), "set OUTCROP_CACHE to a folder on a disk with some free gigabytes"}}
	}
	prog, engineErr := Find(ctx, cfg)
	py, pythonErr := findPython(ctx, cfg)

	var release, hub, index bool
	var wg sync.WaitGroup
	if !cfg.Offline {
		wg.Go(func() { release = fetch.Reachable(ctx, cfg.HTTP, cfg.ReleasesURL+"/latest") })
		wg.Go(func() {
			hub = fetch.Reachable(ctx, cfg.HTTP, strings.TrimRight(orDefault(cfg.Getenv("HF_ENDPOINT"), weights.DefaultHub), "/"))
		})
		wg.Go(func() {
			x := cfg.index()
			defer x.Client().CloseIdleConnections()
			index = x.Reachable(ctx)
		})
	}
	wg.Wait()

	var out []Finding
	add := func(check string, level Level, fix, format string, args ...any) {
		if level == OK {
			fix = ""
		}
		out = append(out, Finding{check, level, fmt.Sprintf(format, args...), fix})
	}

	switch {
	case engineErr == nil:
		add("engine", OK, "", "%s %s (%s, %s)", prog.Form, orDefault(prog.Version, "of unknown version"), prog.From, prog.Path)
	case errors.Is(engineErr, ErrMissing) && (release || index && pythonErr == nil):
		add("engine", Warning, "run `outcrop engine install`", "none is installed yet; one can be fetched")
	case errors.Is(engineErr, ErrMissing):
		fix := "put llama-server on PATH, or set OUTCROP_LLAMA_SERVER to it"
		if index {
			fix += ", or install Python 3.10 or newer and run `outcrop engine install`"
		}
		add("engine", Problem, fix, "none is installed and none can be fetched")
	default:
		add("engine", Problem, "correct what the message says, or run `outcrop engine install`", "%v", engineErr)
	}

	switch {
	case pythonErr == nil:
		add("python", OK, "", "%s (%s)", py.version, py.path)
	case engineErr == nil && prog.Form == Server:
		add("python", OK, "", "not found, and not needed by the engine in use")
	default:
		level := Warning
		if !release {
			level = Problem
		}
		add("python", level, "install Python 3.10 or newer (such as `apt install python3`), or set OUTCROP_PYTHON", "%v", pythonErr)
	}

	out = append(out, cacheFinding(cfg.Dir))

	reachable := []string{}
	for name, ok := range map[string]bool{"llama.cpp releases": release, "model hub": hub, "package index": index} {
		if ok {
			reachable = append(reachable, name)
		}
	}
	fix := "check the network and the proxy settings (HTTPS_PROXY); PIP_INDEX_URL and HF_ENDPOINT may name mirrors; or copy a filled cache folder here and use --offline"
	switch {
	case cfg.Offline:
		add("network", OK, "", "not looked at: offline mode")
	case index || release && hub:
		add("network", OK, "", "reached: %s", joinSorted(reachable))
	case len(reachable) > 0:
		add("network", Warning, fix, "reached only: %s", joinSorted(reachable))
	default:
		add("network", Problem, fix, "neither releases, model hub nor package index answer")
	}

	if store, err := weights.New(weights.Config{Dir: cfg.Dir, Getenv: cfg.Getenv}); err == nil {
		var have []string
		for _, l := range store.List() {
			if l.Cached {
				have = append(have, l.Name)
			}
		}
		if len(have) > 0 {
			add("models", OK, "", "in the cache: %s", strings.Join(have, ", "))
		} else {
			level := Warning
			if cfg.Offline || !index && !hub {
				level = Problem
			}
			add("models", level, "run `outcrop models pull`, or give --chat-model a .gguf file", "none in the cache yet")
		}
	}
	return out
}

func cacheFinding(dir string) Finding {
	fix := "free some space there, or set OUTCROP_CACHE to a folder on another disk"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Finding{"cache", Problem, fmt.Sprintf("%s cannot be made: %v", dir, err), fix}
	}
	probe := filepath.Join(dir, ".doctor")
	if err := os.WriteFile(probe, []byte("x"), 0o600); err != nil {
		f := Finding{"cache", Problem, fmt.Sprintf("%s cannot be written: %v", dir, err), fix}
		if errors.Is(err, fs.ErrPermission) {
			f.Fix = "give yourself the right to write there, or set OUTCROP_CACHE to another folder"
		}
		return f
	}
	os.Remove(probe)
	free, err := fetch.Free(dir)
	if err == nil && free < minSpace {
		return Finding{"cache", Warning, fmt.Sprintf("%s has %d MB free; engine and default models take about %d MB", dir, free>>20, int64(minSpace)>>20), fix}
	}
	return Finding{"cache", OK, fmt.Sprintf("%s, %d GB free", dir, free>>30), ""}
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func joinSorted(s []string) string {
	slices.Sort(s)
	return strings.Join(s, ", ")
}
