package process

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

const (
	maxEntries  = 100_000 // files and folders of one archive
	maxLinkText = 4096
	keptCodes   = 32 // unpacked archives kept though nothing runs from them
)

// codeCache holds unpacked archives by their hash. It belongs to one run of the
// server: a folder that a power cut left half written is never used again.
type codeCache struct {
	dir     string
	archive lambda.Archive

	mu      sync.Mutex
	entries map[string]*unpacked
	unused  []string // oldest first
}

type unpacked struct {
	once sync.Once
	dir  string
	err  error
	refs int
}

func newCodeCache(dir string, archive lambda.Archive) (*codeCache, error) {
	c := &codeCache{dir: filepath.Join(dir, "code"), archive: archive, entries: map[string]*unpacked{}}
	if err := os.RemoveAll(c.dir); err != nil {
		return nil, fmt.Errorf("lambda: clear old code: %w", err)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("lambda: folder for code: %w", err)
	}
	return c, nil
}

func (c *codeCache) close() error { return os.RemoveAll(c.dir) }

// get returns the folder of unpacked code; release says that it is not used any
// more.
func (c *codeCache) get(ctx context.Context, code lambda.Code) (dir string, release func(), err error) {
	sum, err := base64.StdEncoding.DecodeString(code.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return "", nil, &lambda.Error{Kind: lambda.InvalidZip, Message: "The code has no valid SHA-256"}
	}
	key := hex.EncodeToString(sum)
	c.mu.Lock()
	e := c.entries[key]
	if e == nil {
		e = &unpacked{dir: filepath.Join(c.dir, key)}
		c.entries[key] = e
	}
	e.refs++
	for k, u := range c.unused {
		if u == key {
			c.unused = append(c.unused[:k], c.unused[k+1:]...)
			break
		}
	}
	c.mu.Unlock()
	// The first one unpacks for all; its context must not fail the others.
	e.once.Do(func() { e.err = c.unpack(context.WithoutCancel(ctx), code, sum, e.dir) })
	release = sync.OnceFunc(func() { c.drop(key, e) })
	if e.err != nil {
		release()
		return "", nil, e.err
	}
	return e.dir, release, nil
}

func (c *codeCache) drop(key string, e *unpacked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.refs--; e.refs > 0 {
		return
	}
	if e.err != nil { // the next call tries again
		delete(c.entries, key)
		return
	}
	c.unused = append(c.unused, key)
	if len(c.unused) > keptCodes {
		old := c.entries[c.unused[0]]
		delete(c.entries, c.unused[0])
		c.unused = c.unused[1:]
		_ = os.RemoveAll(old.dir)
	}
}

func (c *codeCache) unpack(ctx context.Context, code lambda.Code, sum []byte, dir string) error {
	z, err := c.archive.Open(ctx, code)
	if err != nil {
		return fmt.Errorf("open the code of a function: %w", err)
	}
	defer z.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(z, 0, z.Size())); err != nil {
		return fmt.Errorf("read the code of a function: %w", err)
	}
	if string(h.Sum(nil)) != string(sum) {
		return &lambda.Error{Kind: lambda.InvalidZip, Message: "The stored code is not what was uploaded: its SHA-256 differs"}
	}
	if err := Unpack(z, z.Size(), dir); err != nil {
		_ = os.RemoveAll(dir)
		return err
	}
	return nil
}

// CheckZip reports whether an archive could be unpacked, as far as its directory
// shows: the wire face asks before it accepts code. Errors are *lambda.Error of
// kind InvalidZip or InvalidValue.
func CheckZip(r io.ReaderAt, size int64) error {
	_, err := entries(r, size)
	return err
}

func badZip(format string, args ...any) error {
	return &lambda.Error{Kind: lambda.InvalidZip, Message: "Could not unzip uploaded file. Please check your file, then try to upload again.", Err: fmt.Errorf(format, args...)}
}

// entry is a file of an archive with its cleaned name.
type entry struct {
	*zip.File
	name string
}

// entries reads and checks the directory of an archive.
func entries(r io.ReaderAt, size int64) ([]entry, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, badZip("%w", err)
	}
	if len(z.File) > maxEntries {
		return nil, badZip("%d entries", len(z.File))
	}
	var total uint64
	out := make([]entry, 0, len(z.File))
	for _, f := range z.File {
		name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/"))
		if name == "." {
			continue
		}
		if !fs.ValidPath(name) || strings.ContainsRune(name, 0) || !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, badZip("entry %.200q leads out of the archive", f.Name)
		}
		if total += f.UncompressedSize64; total > lambda.MaxUnzipped {
			return nil, &lambda.Error{Kind: lambda.InvalidValue, Message: fmt.Sprintf("Unzipped size must be smaller than %d bytes", lambda.MaxUnzipped)}
		}
		out = append(out, entry{f, name})
	}
	return out, nil
}

// Unpack writes an archive into a new folder that everybody may read and nobody
// may write. Sizes are counted as bytes come, not as the archive claims; links
// must stay inside.
func Unpack(r io.ReaderAt, size int64, dir string) error {
	files, err := entries(r, size)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("folder for code: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("folder for code: %w", err)
	}
	defer root.Close()
	left := int64(lambda.MaxUnzipped)
	for _, f := range files {
		mode := f.Mode()
		isDir := mode.IsDir() || strings.HasSuffix(f.Name, "/") || strings.HasSuffix(f.Name, `\`)
		parent := path.Dir(f.name)
		if isDir {
			parent = f.name
		}
		if parent != "." {
			if err := root.MkdirAll(filepath.FromSlash(parent), 0o755); err != nil {
				return badZip("folder %.200q: %w", parent, err)
			}
		}
		switch {
		case isDir:
		case mode&fs.ModeSymlink != 0:
			if err := link(root, f); err != nil {
				return err
			}
		case mode.IsRegular():
			n, err := write(root, f, left)
			if err != nil {
				return err
			}
			left -= n
		default:
			return badZip("entry %.200q is neither file, folder nor link", f.Name)
		}
	}
	return nil
}

func write(root *os.Root, f entry, left int64) (int64, error) {
	perm := fs.FileMode(0o644)
	if f.Mode()&0o111 != 0 {
		perm = 0o755
	}
	in, err := f.Open()
	if err != nil {
		return 0, badZip("%.200q: %w", f.Name, err)
	}
	defer in.Close()
	name := filepath.FromSlash(f.name)
	_ = root.Remove(name) // a name that comes twice: the last one counts, and no link is followed
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return 0, badZip("%.200q: %w", f.Name, err)
	}
	n, err := io.Copy(out, io.LimitReader(in, left+1))
	if cerr := out.Close(); err == nil && cerr != nil {
		return n, fmt.Errorf("write code: %w", cerr)
	}
	if errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, badZip("%.200q: %w", f.Name, err)
	}
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return n, fmt.Errorf("write code: %w", err)
		}
		return n, badZip("%.200q: %w", f.Name, err)
	}
	if n > left {
		return n, &lambda.Error{Kind: lambda.InvalidValue, Message: fmt.Sprintf("Unzipped size must be smaller than %d bytes", lambda.MaxUnzipped)}
	}
	// The umask of the server must not hide a file from its function.
	return n, root.Chmod(name, perm)
}

func link(root *os.Root, f entry) error {
	in, err := f.Open()
	if err != nil {
		return badZip("%.200q: %w", f.Name, err)
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxLinkText+1))
	if err != nil || len(b) == 0 || len(b) > maxLinkText {
		return badZip("link %.200q cannot be read", f.Name)
	}
	to := string(b)
	if path.IsAbs(to) || !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(f.name), to))) {
		return badZip("link %.200q leads out of the archive", f.Name)
	}
	name := filepath.FromSlash(f.name)
	_ = root.Remove(name)
	if err := root.Symlink(to, name); err != nil {
		return badZip("link %.200q: %w", f.Name, err)
	}
	return nil
}
