package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store/migration"
)

// Names in a backup folder and in a data folder.
const (
	backupManifest = "manifest.json"
	backupState    = "state.db"
	backupFormat   = 1
)

var (
	// ErrNotEmpty says that the target of a backup or restore holds something already.
	ErrNotEmpty = errors.New("store: target folder is not empty")
	// ErrBackupDamaged says that the folder is no complete backup, or that a file in
	// it changed.
	ErrBackupDamaged = errors.New("store: backup is damaged or incomplete")
)

// Part is one more tree that belongs into a backup: objects, models' adapters. Its
// owner must see to it that files named by the database are not removed while the
// backup runs; files that are only added do no harm.
type Part struct {
	// Name is the folder in the data folder, for example "objects".
	Name string
	FS   fs.FS
}

// BackupConfig says what a backup takes.
type BackupConfig struct {
	// DataDir holds the root key; empty when the key is kept elsewhere, which the
	// manifest then says.
	DataDir string
	Parts   []Part
}

// Manifest lists a backup, manifest.json in its folder. It is written last: a
// folder without it is no backup.
type Manifest struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	// Schema is the schema version of the database.
	Schema int64 `json:"schema"`
	// RootKey tells whether the root key is in the backup.
	RootKey bool         `json:"rootKey"`
	Files   []BackupFile `json:"files"`
}

// BackupFile is one file of a backup; Path has forward slashes.
type BackupFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup writes a consistent copy of the state into the folder to, which must be
// empty or absent, while the store goes on working. The folder holds the root key
// and is as secret as the data folder itself. On PostgreSQL it is ErrUnsupported.
func (s *Store) Backup(ctx context.Context, to string, c BackupConfig) (Manifest, error) {
	return BackupFrom(ctx, s.driver, s.wall(), to, c)
}

// BackupFrom is Backup of a database that another process has open: d may be a
// read-only driver.
func BackupFrom(ctx context.Context, d Driver, now time.Time, to string, c BackupConfig) (Manifest, error) {
	m := Manifest{Format: backupFormat, Created: now.UTC()}
	if err := emptyFolder(to); err != nil {
		return m, err
	}
	if err := MakeFolder(to); err != nil {
		return m, fmt.Errorf("make the backup folder: %w", err)
	}
	var err error
	if m.Schema, err = migration.Newest(d.Dialect().Name); err != nil {
		return m, err
	}
	// The database first: every object that the copy names exists by then.
	state := filepath.Join(to, backupState)
	if err := d.Snapshot(ctx, state); err != nil {
		return m, fmt.Errorf("back up the database: %w", err)
	}
	entry, err := hashFile(state)
	if err != nil {
		return m, err
	}
	entry.Path = backupState
	m.Files = append(m.Files, entry)
	if c.DataDir != "" {
		if entry, err = copyFile(os.DirFS(c.DataDir), RootKeyFile, filepath.Join(to, RootKeyFile)); err != nil {
			return m, fmt.Errorf("back up the root key: %w", err)
		}
		entry.Path, m.RootKey = RootKeyFile, true
		m.Files = append(m.Files, entry)
	}
	for _, p := range c.Parts {
		if !filepath.IsLocal(p.Name) {
			return m, fmt.Errorf("BUG: backup part %q leaves the folder", p.Name)
		}
		files, err := copyTree(ctx, p, to)
		if err != nil {
			return m, fmt.Errorf("back up %s: %w", p.Name, FileError(err))
		}
		m.Files = append(m.Files, files...)
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	if err := writeFileDurable(filepath.Join(to, backupManifest), append(b, '\n'), 0o600); err != nil {
		return m, fmt.Errorf("write the manifest: %w", FileError(err))
	}
	return m, nil
}

// Restore puts a backup into the data folder to, which must be empty or absent.
// Every file is checked against the manifest while it is copied, and the folder
// appears whole or not at all. A backup of a newer schema is refused.
func Restore(ctx context.Context, from, to string) (Manifest, error) {
	m, err := ReadManifest(from)
	if err != nil {
		return m, err
	}
	newest, err := migration.Newest("sqlite")
	if err != nil {
		return m, err
	}
	if m.Schema > newest {
		return m, fmt.Errorf("%w: the backup has version %d, this program knows %d", ErrNewerSchema, m.Schema, newest)
	}
	if err := emptyFolder(to); err != nil {
		return m, err
	}
	to = filepath.Clean(to)
	if err := MakeFolder(filepath.Dir(to)); err != nil {
		return m, fmt.Errorf("make the data folder: %w", err)
	}
	part, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+"-restore-*")
	if err != nil {
		return m, fmt.Errorf("make the data folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(part) }() // gone already when all went well
	source := os.DirFS(from)
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return m, fmt.Errorf("restore: %w", err)
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return m, fmt.Errorf("%w: path %q leaves the folder", ErrBackupDamaged, f.Path)
		}
		got, err := copyFile(source, f.Path, filepath.Join(part, filepath.FromSlash(f.Path)))
		if errors.Is(err, fs.ErrNotExist) {
			return m, fmt.Errorf("%w: %s is missing", ErrBackupDamaged, f.Path)
		}
		if err != nil {
			return m, fmt.Errorf("restore %s: %w", f.Path, FileError(err))
		}
		if got.SHA256 != f.SHA256 || got.Size != f.Size {
			return m, fmt.Errorf("%w: %s is not the file that was backed up", ErrBackupDamaged, f.Path)
		}
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("replace the empty data folder: %w", err)
	}
	if err := os.Rename(part, to); err != nil {
		return m, fmt.Errorf("put the data folder in place: %w", err)
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		return m, fmt.Errorf("put the data folder in place: %w", err)
	}
	return m, nil
}

// ReadManifest reads and checks the manifest of a backup folder.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	b, err := os.ReadFile(filepath.Join(dir, backupManifest))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %s has no %s", ErrBackupDamaged, dir, backupManifest)
	}
	if err != nil {
		return m, fmt.Errorf("read the manifest: %w", err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrBackupDamaged, backupManifest, err)
	}
	if m.Format != backupFormat {
		return m, fmt.Errorf("%w: backup format %d, this program knows %d", ErrNewerSchema, m.Format, backupFormat)
	}
	return m, nil
}

func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the target folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s", ErrNotEmpty, dir)
	}
	return nil
}

// copyTree copies the regular files of a part and makes them durable.
func copyTree(ctx context.Context, p Part, to string) ([]BackupFile, error) {
	var out []BackupFile
	err := fs.WalkDir(p.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel := path.Join(p.Name, name)
		entry, err := copyFile(p.FS, name, filepath.Join(to, filepath.FromSlash(rel)))
		entry.Path = rel
		out = append(out, entry)
		return err
	})
	return out, err
}

// copyFile copies one file, fsyncs it and its folder, and answers what was written.
func copyFile(from fs.FS, name, to string) (BackupFile, error) {
	src, err := from.Open(name)
	if err != nil {
		return BackupFile{}, err
	}
	defer func() { _ = src.Close() }() // read only
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return BackupFile{}, err
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return BackupFile{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(dst, sum), src)
	err = errors.Join(err, dst.Sync(), dst.Close())
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	return BackupFile{Path: name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

func hashFile(name string) (BackupFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return BackupFile{}, fmt.Errorf("hash %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // read only
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return BackupFile{}, fmt.Errorf("hash %s: %w", name, err)
	}
	return BackupFile{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}
