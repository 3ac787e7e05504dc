package fetch

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// maxUnpacked bounds what an archive may expand to.
const maxUnpacked = 8 << 30

// Unzip unpacks a zip file into the folder to, which no member can leave.
func Unzip(file, to string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	u, err := newUnpacker(to)
	if err != nil {
		return err
	}
	defer u.root.Close()
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			err = u.dir(f.Name)
		} else if f.Mode().IsRegular() {
			var r io.ReadCloser
			if r, err = f.Open(); err == nil {
				err = u.file(f.Name, f.Mode(), r)
				r.Close()
			}
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

// Untar unpacks a gzipped tar file into the folder to, which no member and no
// link can leave.
func Untar(file, to string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	u, err := newUnpacker(to)
	if err != nil {
		return err
	}
	defer u.root.Close()
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = u.dir(h.Name)
		case tar.TypeReg:
			err = u.file(h.Name, h.FileInfo().Mode(), t)
		case tar.TypeSymlink:
			err = u.link(h.Name, h.Linkname)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
}

type unpacker struct {
	root *os.Root
	left int64
}

func newUnpacker(to string) (*unpacker, error) {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return nil, err
	}
	return &unpacker{root, maxUnpacked}, nil
}

func clean(name string) string { return path.Clean(strings.TrimPrefix(name, "./")) }

func (u *unpacker) dir(name string) error { return u.root.MkdirAll(clean(name), 0o755) }

func (u *unpacker) file(name string, mode fs.FileMode, r io.Reader) error {
	name = clean(name)
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	w, err := u.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644|mode&0o111)
	if err != nil {
		return err
	}
	defer w.Close()
	n, err := io.Copy(w, io.LimitReader(r, u.left+1))
	if err != nil {
		return err
	}
	if u.left -= n; u.left < 0 {
		return errors.New("the archive is too large")
	}
	return w.Close()
}

// link makes relative links that stay inside; others are an error.
func (u *unpacker) link(name, target string) error {
	name = clean(name)
	if path.IsAbs(target) || strings.HasPrefix(path.Join(path.Dir(name), target), "..") {
		return fmt.Errorf("it links to %s, outside the archive", target)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return u.root.Symlink(target, name)
}
