package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine/weights"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/pkgindex"
)

// ErrMissing means that no engine is installed.
var ErrMissing = errors.New("no engine is installed: run `outcrop engine install`, put llama-server on PATH, or set OUTCROP_LLAMA_SERVER")

// Form is the form a program comes in.
type Form string

// The forms of engine program.
const (
	Server Form = "llama-server" // the binary of llama.cpp
	Wheel  Form = "xllamacpp"    // a Python extension with the same server inside
)

// Program is an installed engine.
type Program struct {
	Form    Form
	Path    string // llama-server, or the Python interpreter
	Lib     string // of Wheel: the folder to put on Python's path
	Version string
	From    string // how it was found: environment, PATH, cache
}

// Config says where to look and where to fetch.
type Config struct {
	Dir      string // cache folder; default weights.DefaultDir()
	Offline  bool
	Progress fetch.Progress
	Logger   *slog.Logger
	Getenv   func(string) string // default os.Getenv
	HTTP     *http.Client        // for the release archive; the package index has its own when nil
	// ReleasesURL is the release API of llama.cpp; default OUTCROP_RELEASES_URL,
	// then the official one.
	ReleasesURL string
	// Platform is GOOS/GOARCH, and /musl where the C library is musl; default
	// that of this process.
	Platform string
	// LookPath finds programs; default exec.LookPath.
	LookPath func(string) (string, error)
}

func (c Config) withDefaults() (Config, error) {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Dir == "" {
		d, err := weights.DefaultDir(c.Getenv)
		if err != nil {
			return c, err
		}
		c.Dir = d
	}
	if c.LookPath == nil {
		c.LookPath = exec.LookPath
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.Platform = cmp.Or(c.Platform, hostPlatform())
	c.ReleasesURL = strings.TrimRight(cmp.Or(c.ReleasesURL, c.Getenv("OUTCROP_RELEASES_URL"), officialReleases), "/")
	return c, nil
}

func (c Config) engineDir() string { return filepath.Join(c.Dir, "engine") }

func (c Config) index() *pkgindex.Index {
	return pkgindex.New(pkgindex.LoadSettings(c.Getenv), c.HTTP)
}

func hostPlatform() string {
	p := runtime.GOOS + "/" + runtime.GOARCH
	if runtime.GOOS == "linux" {
		musl, _ := filepath.Glob("/lib/ld-musl-*.so.1")
		glibc, _ := filepath.Glob("/lib*/ld-linux*.so.*")
		if len(musl) > 0 && len(glibc) == 0 {
			p += "/musl"
		}
	}
	return p
}

// Find returns the engine to use, or an error that wraps ErrMissing.
func Find(ctx context.Context, cfg Config) (Program, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Program{}, err
	}
	if p := cfg.Getenv("OUTCROP_LLAMA_SERVER"); p != "" {
		path, err := cfg.LookPath(p)
		if err != nil {
			return Program{}, fmt.Errorf("OUTCROP_LLAMA_SERVER: %w", err)
		}
		return Program{Form: Server, Path: path, From: "OUTCROP_LLAMA_SERVER", Version: serverVersion(ctx, path)}, nil
	}
	if path, err := cfg.LookPath("llama-server"); err == nil {
		return Program{Form: Server, Path: path, From: "PATH", Version: serverVersion(ctx, path)}, nil
	}
	return findCached(ctx, cfg)
}

// findCached prefers a release archive to the wheel: it needs no Python.
func findCached(ctx context.Context, cfg Config) (Program, error) {
	dirs, _ := filepath.Glob(filepath.Join(cfg.engineDir(), "llama.cpp-*"))
	slices.Sort(dirs)
	slices.Reverse(dirs)
	for _, d := range dirs {
		if path, err := serverIn(d); err == nil {
			return Program{Form: Server, Path: path, From: "cache", Version: strings.TrimPrefix(filepath.Base(d), "llama.cpp-")}, nil
		}
	}
	var pythonErr error
	for _, w := range wheels {
		lib := filepath.Join(cfg.engineDir(), w.dir())
		if _, err := os.Stat(filepath.Join(lib, "xllamacpp", "__init__.py")); err != nil || !w.fits(cfg.Platform) {
			continue
		}
		py, err := findPython(ctx, cfg)
		if err != nil {
			pythonErr = err
			continue
		}
		if py.freeThreaded != w.freeThreaded {
			continue
		}
		return Program{Form: Wheel, Path: py.path, Lib: lib, From: "cache", Version: wheelVersion}, nil
	}
	if pythonErr != nil {
		return Program{}, fmt.Errorf("an engine is in the cache, but it needs Python: %w", pythonErr)
	}
	return Program{}, ErrMissing
}

func serverName() string {
	if runtime.GOOS == "windows" {
		return "llama-server.exe"
	}
	return "llama-server"
}

func serverIn(dir string) (string, error) {
	var found string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && d.Name() == serverName() {
			found = p
			return fs.SkipAll
		}
		return nil
	})
	if err == nil && found == "" {
		err = fs.ErrNotExist
	}
	return found, err
}

// serverVersion asks the binary; "" when it does not answer in time.
func serverVersion(ctx context.Context, path string) string {
	v, _ := probe(ctx, path, "--version")
	for line := range strings.Lines(v) {
		if s, ok := strings.CutPrefix(strings.TrimSpace(line), "version: "); ok {
			return s
		}
	}
	return ""
}

// probe runs a program briefly and returns all it said.
func probe(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		said := strings.TrimSpace(string(out))
		if len(said) > 400 {
			said = said[len(said)-400:]
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return string(out), fmt.Errorf("%s: %w: %s", filepath.Base(path), err, said)
	}
	return string(out), nil
}
