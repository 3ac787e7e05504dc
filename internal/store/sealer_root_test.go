package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ring is a keyring of a test.
type ring map[string]string

func (r ring) Get(name string) (string, error) {
	if v, ok := r[name]; ok {
		return v, nil
	}
	return "", errors.New("no such entry")
}

func (r ring) Set(name, secret string) error { r[name] = secret; return nil }

func says(words string) func(context.Context, bool) ([]byte, error) {
	return func(context.Context, bool) ([]byte, error) { return []byte(words), nil }
}

func TestTheRootKeyMovesAndDataStaysReadable(t *testing.T) {
	for _, from := range []string{"", InData, InFile, Passphrase, InKeyring} {
		for _, to := range []string{InData, InFile, Passphrase, InKeyring} {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				c := RootConfig{Dir: t.TempDir(), Keep: from, Passphrase: says("correct horse battery"), Keyring: ring{}}
				elsewhere := t.TempDir()
				if from == InFile {
					c.Keep += filepath.Join(elsewhere, "deep", "old.key")
				}
				s, err := OpenRoot(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				sealed, err := s.Seal(t.Context(), "", []byte("row"), []byte("body"))
				if err != nil {
					t.Fatal(err)
				}
				c.Keep = to
				if to == InFile {
					c.Keep += filepath.Join(elsewhere, "new.key")
				}
				if _, err := OpenRoot(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				want := c.Keep
				if is, err := RootKept(c.Dir); err != nil || is != want {
					t.Errorf("kept in %q, %v, want %q", is, err, want)
				}
				c.Keep = "" // whoever starts it later need not know
				s2, err := OpenRoot(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if plain, err := s2.Open(t.Context(), "", []byte("row"), sealed); err != nil || string(plain) != "body" || s.KeyID() != s2.KeyID() {
					t.Errorf("%q %v", plain, err)
				}
				if is, _ := RootKept(c.Dir); is != want {
					t.Errorf("an opening moved it to %q", is)
				}
				if to == InData {
					return
				}
				// The key itself lies nowhere in clear.
				for _, dir := range []string{c.Dir, elsewhere} {
					err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
						if err != nil || d.IsDir() {
							return err
						}
						b, err := os.ReadFile(path)
						if bytes.Contains(b, s.root[:]) || strings.Contains(string(b), hex.EncodeToString(s.root[:])) {
							t.Errorf("%s holds the root key", path)
						}
						if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
							t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
						}
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
				if _, err := OpenLocalSealer(c.Dir); to == Passphrase && !errors.Is(err, ErrRootKey) {
					t.Errorf("opened without the passphrase: %v", err)
				}
			})
		}
	}
}

func TestAKeyThatLayInClearIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenLocalSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, RootKeyFile)
	old, err := os.Open(path) // what a reader of the freed blocks would find
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, err := OpenRoot(t.Context(), RootConfig{Dir: dir, Keep: Passphrase, Passphrase: says("correct horse battery")}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 200)
	n, _ := old.ReadAt(b, 0)
	if strings.Contains(string(b[:n]), hex.EncodeToString(s.root[:4])) || n == 0 {
		t.Errorf("the old file still says %q", b[:n])
	}
}

func TestARootKeyThatCannotBeHadIsRefused(t *testing.T) {
	words := says("correct horse battery")
	kept := func(t *testing.T, keep string) (RootConfig, string) {
		t.Helper()
		dir := t.TempDir()
		file := filepath.Join(t.TempDir(), "k")
		if keep == InFile {
			keep += file
		}
		c := RootConfig{Dir: dir, Keep: keep, Passphrase: words, Keyring: ring{}}
		if _, err := OpenRoot(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		c.Keep = ""
		return c, file
	}
	refused := func(t *testing.T, c RootConfig, text string) {
		t.Helper()
		before, err := os.ReadFile(filepath.Join(c.Dir, RootKeyFile))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRoot(t.Context(), c); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
		if after, err := os.ReadFile(filepath.Join(c.Dir, RootKeyFile)); err != nil || !bytes.Equal(before, after) {
			t.Errorf("root.key changed: %v", err)
		}
	}
	t.Run("another passphrase", func(t *testing.T) {
		c, _ := kept(t, Passphrase)
		c.Passphrase = says("wrong horse battery")
		refused(t, c, "this is not the passphrase")
		c.Keep = InData // a move needs the old one too
		refused(t, c, "this is not the passphrase")
	})
	t.Run("no passphrase", func(t *testing.T) {
		c, _ := kept(t, Passphrase)
		c.Passphrase = nil
		refused(t, c, "nobody can be asked")
		c.Passphrase = func(context.Context, bool) ([]byte, error) { return nil, errors.New("no terminal") }
		refused(t, c, "no terminal")
	})
	t.Run("a new passphrase that is too short", func(t *testing.T) {
		c, _ := kept(t, InData)
		c.Keep, c.Passphrase = Passphrase, says("short")
		refused(t, c, "too short")
	})
	t.Run("the passphrase is changed", func(t *testing.T) {
		c, _ := kept(t, Passphrase)
		c.Keep, c.Renew = Passphrase, true
		c.Passphrase = func(_ context.Context, renew bool) ([]byte, error) {
			if renew {
				return []byte("another horse"), nil
			}
			return words(t.Context(), false)
		}
		if _, err := OpenRoot(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		c.Keep, c.Renew, c.Passphrase = "", false, words
		refused(t, c, "this is not the passphrase")
		c.Passphrase = says("another horse")
		if _, err := OpenRoot(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
	t.Run("the file is gone", func(t *testing.T) {
		c, file := kept(t, InFile)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "no such file")
		if _, err := os.Stat(file); err == nil {
			t.Error("a key was made in place of one that is gone")
		}
	})
	t.Run("the file holds another key", func(t *testing.T) {
		c, file := kept(t, InFile)
		if err := os.WriteFile(file, []byte(strings.Repeat("ab", rootKeyLen)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "and root.key is wrapped with")
	})
	t.Run("the file holds no key", func(t *testing.T) {
		c, file := kept(t, InFile)
		if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "holds no key of 32 bytes")
	})
	t.Run("the file can be read by others", func(t *testing.T) {
		c, file := kept(t, InFile)
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, c, "can be read by others")
	})
	t.Run("the keyring has no such entry", func(t *testing.T) {
		c, _ := kept(t, InKeyring)
		c.Keyring = ring{}
		refused(t, c, "no such entry")
		c.Keyring = nil
		refused(t, c, "no keyring")
	})
	t.Run("a place that is none", func(t *testing.T) {
		c, _ := kept(t, InData)
		for _, keep := range []string{"file:", "drawer"} {
			c.Keep = keep
			if _, err := OpenRoot(t.Context(), c); err == nil {
				t.Errorf("kept in %q", keep)
			}
		}
	})
	t.Run("every changed byte", func(t *testing.T) {
		c, _ := kept(t, InFile)
		path := filepath.Join(c.Dir, RootKeyFile)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenRoot(t.Context(), c); err == nil {
				t.Errorf("byte %d, %q for %q, makes no difference", i, bad[i], good[i])
			}
		}
	})
}

// What lies in a data folder may be anything; it must neither panic nor take all memory.
func FuzzRootKey(f *testing.F) {
	f.Add([]byte("00"))
	f.Add([]byte(`{"format":"outcrop root key 1","keep":"passphrase","argon2id":{"time":1,"memoryKiB":8,"threads":1,"salt":"00112233445566778899aabbccddeeff"},"nonce":"00","wrapped":"00"}`))
	f.Add([]byte(`{"format":"outcrop root key 1","keep":"keyring","entry":"x","nonce":"000000000000000000000000","wrapped":""}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, RootKeyFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if w, err := readWrapped("root.key", content); err == nil && w != nil && (w.Argon2 != nil && (w.Argon2.Time > 2 || w.Argon2.Memory > 1024) || strings.HasPrefix(w.Keep, InFile)) {
			return // slow, or a file of this machine
		}
		s, err := OpenRoot(t.Context(), RootConfig{Dir: dir, Passphrase: says("correct horse battery"), Keyring: ring{"x": strings.Repeat("0", 64)}})
		if (s == nil) == (err == nil) {
			t.Fatal(s, err)
		}
	})
}
