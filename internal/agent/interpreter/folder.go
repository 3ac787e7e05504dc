package interpreter

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// folder holds the files of a session between its runs.
type folder struct {
	Files map[string][]byte `json:"files"`

	row *store.Record[folder] // nil when it is new
}

// folders are the rows; their id is made of the session's.
var folders = store.Kind[folder]{Name: "agent-sandbox", SharedNames: true}

// maxFiles is how many files a session may have.
const maxFiles = 1000

func keyOf(account, region, session string) store.Key {
	sum := sha256.Sum256([]byte(session))
	return store.Key{Account: account, Region: region, ID: hex.EncodeToString(sum[:])}
}

// as is ctx in which the files of a session are sealed and opened: in the encryption
// context of its agent.
func as(ctx context.Context, c *turn.Code) context.Context {
	return kms.As(ctx, kms.Asking{Context: map[string]string{kms.AgentContextKey: c.Agent}})
}

func (x *Interpreter) load(ctx context.Context, c *turn.Code) (*folder, error) {
	var rec store.Record[folder]
	err := x.cfg.Store.View(as(ctx, c), func(tx *store.Tx) (err error) {
		rec, err = folders.Get(tx, keyOf(c.Account, c.Region, c.Session))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return &folder{Files: map[string][]byte{}}, nil
	}
	if err != nil {
		return nil, kms.Public(fmt.Errorf("files of a sandbox session: %w", err))
	}
	f := rec.Body
	if f.Files == nil {
		f.Files = map[string][]byte{}
	}
	f.row = &rec
	return &f, nil
}

func (x *Interpreter) save(ctx context.Context, c *turn.Code, f *folder) error {
	err := x.cfg.Store.Update(as(ctx, c), func(tx *store.Tx) error {
		if f.row != nil {
			rec := *f.row
			rec.Body, rec.KeyARN = folder{Files: f.Files}, c.Key
			_, err := folders.Put(tx, rec)
			return err
		}
		if len(f.Files) == 0 {
			return nil
		}
		_, err := folders.Create(tx, keyOf(c.Account, c.Region, c.Session), folder{Files: f.Files}, store.Columns{KeyARN: c.Key})
		return err
	})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrNotFound) {
		return apierr.Wrap(apierr.Conflict, err, "The files of the sandbox session were changed by another run meanwhile. Run the code again.")
	}
	return kms.Public(err)
}

// Forget removes the files of a session, in the transaction that ends it.
func Forget(tx *store.Tx, account, region, session string) error {
	err := folders.Delete(tx, keyOf(account, region, session))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Sweep removes the files of sessions that have not run code for Config.Keep and
// answers how many sessions that were.
func (x *Interpreter) Sweep(ctx context.Context) (n int, err error) {
	q := store.Query{Everywhere: true, Clear: true}
	for {
		var l store.Page[folder]
		var now time.Time
		if err := x.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
			now = tx.Now
			l, err = folders.List(tx, q)
			return err
		}); err != nil {
			return n, err
		}
		for i := range l.Records {
			rec := &l.Records[i]
			if now.Before(rec.Updated.Add(x.cfg.Keep)) {
				continue
			}
			gone := false
			err := x.cfg.Store.Update(ctx, func(tx *store.Tx) error {
				gone = false
				head, err := folders.Head(tx, rec.Key)
				if errors.Is(err, store.ErrNotFound) || err == nil && head.Rev != rec.Rev {
					return nil
				}
				if err != nil {
					return err
				}
				gone = true
				return folders.Delete(tx, rec.Key)
			})
			if err != nil {
				return n, err
			}
			if gone {
				n++
			}
		}
		if q.Cursor = l.Next; l.Next == "" {
			return n, nil
		}
	}
}

// Run sweeps now and then until ctx ends.
func (x *Interpreter) Run(ctx context.Context) error {
	tick := time.NewTicker(x.cfg.Every)
	defer tick.Stop()
	for {
		if _, err := x.Sweep(ctx); err != nil && ctx.Err() == nil {
			x.cfg.Log.WarnContext(ctx, "files of old sandbox sessions were not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (f *folder) put(name string, data []byte) { f.Files[name] = data }

func (f *folder) size() (n int64) {
	for _, data := range f.Files {
		n += int64(len(data))
	}
	return n
}

// keep drops the files that are not there any more.
func (f *folder) keep(names []string) {
	there := make(map[string]bool, len(names))
	for _, n := range names {
		there[n] = true
	}
	maps.DeleteFunc(f.Files, func(name string, _ []byte) bool { return !there[name] })
}

// write writes the files as a tar, in the order of their names.
func (f *folder) write(w io.Writer) error {
	t := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(f.Files)) {
		data := f.Files[name]
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600}); err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := t.Write(data); err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
	}
	return t.Close()
}

// readTar reads the files that come out of a jail. What is no plain file of a usable
// name, or does not fit, refuses all.
func readTar(r io.Reader, most int64) (out []turn.File, err error) {
	t := tar.NewReader(r)
	var total int64
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("files of a run: %w", err)
		}
		total += h.Size
		if h.Typeflag != tar.TypeReg || !usable(h.Name) || h.Size < 0 || total > most || len(out) >= maxFiles {
			return nil, fmt.Errorf("files of a run: %.100q, of %d bytes and type %c, is not taken", h.Name, h.Size, h.Typeflag)
		}
		data, err := io.ReadAll(io.LimitReader(t, h.Size))
		if err != nil {
			return nil, fmt.Errorf("files of a run: %w", err)
		}
		out = append(out, turn.File{Name: h.Name, Data: data})
	}
}

// usable reports a name that can lie in a folder, and below it.
func usable(name string) bool {
	if name == "" || len(name) > 255 || !utf8.ValidString(name) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' })
}
