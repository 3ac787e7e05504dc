package process

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

type zipEntry struct {
	name, text string
	mode       fs.FileMode
}

func rawZip(t testing.TB, entries ...zipEntry) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		f, err := z.CreateHeader(h)
		if err == nil {
			_, err = f.Write([]byte(e.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	b := rawZip(t,
		zipEntry{"app.py", "one", 0o600}, zipEntry{"bin/run", "x", 0o700}, zipEntry{"deep/a/b/c.txt", "c", 0o400}, zipEntry{"folder/", "", fs.ModeDir | 0o700},
		zipEntry{"./dot.txt", "d", 0o644}, zipEntry{`win\path.txt`, "w", 0o644}, zipEntry{"lib/link.so", "../deep/a/b/c.txt", fs.ModeSymlink | 0o777}, zipEntry{"app.py", "two", 0o600},
	)
	if err := Unpack(bytes.NewReader(b), int64(len(b)), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"app.py": "two", "bin/run": "x", "deep/a/b/c.txt": "c", "dot.txt": "d", "win/path.txt": "w", "lib/link.so": "c"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]fs.FileMode{"app.py": 0o644, "bin/run": 0o755, "deep/a/b/c.txt": 0o644, "folder": fs.ModeDir | 0o755} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

func TestBadArchivesLeaveNothingOutside(t *testing.T) {
	small := rawZip(t, zipEntry{"a", "hello hello hello", 0o644})
	lying := bytes.Clone(small)
	// The directory says that the file is shorter than it is.
	at := bytes.Index(lying, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(lying[at+24:], 3)
	crc := bytes.Clone(small)
	binary.LittleEndian.PutUint32(crc[at+16:], 1)
	huge := bytes.Clone(small)
	binary.LittleEndian.PutUint32(huge[at+24:], 0x7fffffff)
	for _, c := range []struct {
		name string
		zip  []byte
		kind lambda.Kind
	}{
		{"no archive", []byte("PK nonsense"), lambda.InvalidZip},
		{"cut", small[:len(small)-5], lambda.InvalidZip},
		{"goes up", rawZip(t, zipEntry{"../evil", "x", 0o644}), lambda.InvalidZip},
		{"goes up inside", rawZip(t, zipEntry{"a/../../evil", "x", 0o644}), lambda.InvalidZip},
		{"goes up the Windows way", rawZip(t, zipEntry{`..\evil`, "x", 0o644}), lambda.InvalidZip},
		{"absolute", rawZip(t, zipEntry{"/evil", "x", 0o644}), lambda.InvalidZip},
		{"link out", rawZip(t, zipEntry{"l", "../../evil", fs.ModeSymlink | 0o777}), lambda.InvalidZip},
		{"absolute link", rawZip(t, zipEntry{"l", "/etc/passwd", fs.ModeSymlink | 0o777}), lambda.InvalidZip},
		{"write through a link", rawZip(t, zipEntry{"d/x", "x", 0o644}, zipEntry{"l", "d", fs.ModeSymlink | 0o777}, zipEntry{"l/../../evil", "x", 0o644}), lambda.InvalidZip},
		{"file as a folder", rawZip(t, zipEntry{"a", "x", 0o644}, zipEntry{"a/b", "x", 0o644}), lambda.InvalidZip},
		{"device", rawZip(t, zipEntry{"d", "", fs.ModeDevice | 0o666}), lambda.InvalidZip},
		{"wrong checksum", crc, lambda.InvalidZip},
		{"lies about a size", lying, lambda.InvalidZip},
		{"claims too much", huge, lambda.InvalidValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			err := Unpack(bytes.NewReader(c.zip), int64(len(c.zip)), filepath.Join(top, "in", "..", "out"))
			if e, ok := errors.AsType[*lambda.Error](err); !ok || e.Kind != c.kind {
				t.Errorf("got %v, want %s", err, c.kind)
			}
			found, _ := os.ReadDir(top)
			for _, e := range found {
				if e.Name() != "out" {
					t.Errorf("%s was written outside", e.Name())
				}
			}
		})
	}
}

// A bomb that tells the truth in its directory is refused before anything is
// written; so is one of very many files.
func TestBombs(t *testing.T) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	block := make([]byte, 1<<20)
	for _, name := range []string{"a", "b", "c"} {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 90 {
			if _, err := f.Write(block); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = z.Close()
	dir := filepath.Join(t.TempDir(), "out")
	err := Unpack(bytes.NewReader(buf.Bytes()), int64(buf.Len()), dir)
	if e, ok := errors.AsType[*lambda.Error](err); !ok || e.Kind != lambda.InvalidValue || !strings.Contains(e.Message, "262144000") {
		t.Errorf("270 MB of zeros in %d kB: %v", buf.Len()>>10, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
	if err := CheckZip(bytes.NewReader(buf.Bytes()), int64(buf.Len())); err == nil {
		t.Error("CheckZip takes it")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(rawZip(f, zipEntry{"app.py", "x", 0o644}, zipEntry{"l", "app.py", fs.ModeSymlink | 0o777}))
	f.Add(rawZip(f, zipEntry{"../x", "x", 0o644}))
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, b []byte) {
		top := t.TempDir()
		_ = Unpack(bytes.NewReader(b), int64(len(b)), filepath.Join(top, "out"))
		found, _ := os.ReadDir(top)
		for _, e := range found {
			if e.Name() != "out" {
				t.Errorf("%s was written outside", e.Name())
			}
		}
		_ = filepath.WalkDir(filepath.Join(top, "out"), func(name string, d fs.DirEntry, _ error) error {
			if d != nil && d.Type()&fs.ModeSymlink != 0 {
				to, err := os.Readlink(name)
				if err == nil {
					rel, err := filepath.Rel(filepath.Join(top, "out"), filepath.Join(filepath.Dir(name), to))
					if filepath.IsAbs(to) || err != nil || !filepath.IsLocal(rel) {
						t.Errorf("link %s leads to %s", name, to)
					}
				}
			}
			return nil
		})
	})
}
