package migration

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrNewerSchema says that the database was written by a newer Outcrop; nothing was
// changed.
var ErrNewerSchema = errors.New("store: database has a newer schema than this program")

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// Table is where the applied versions are kept.
const Table = "schema_version"

// Up applies what is missing. On PostgreSQL it holds an advisory lock, so that
// replicas which start together do it once.
func Up(ctx context.Context, db *sql.DB, dialect string) error {
	return UpTo(ctx, db, dialect, 0)
}

// UpTo is Up to a given version, for tests of upgrades; 0 means the newest.
func UpTo(ctx context.Context, db *sql.DB, dialect string, version int64) error {
	p, err := provider(db, dialect)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	switch {
	case have > want:
		return fmt.Errorf("%w: it has version %d, this program knows %d; start the newer program, or restore a backup made by this one",
			ErrNewerSchema, have, want)
	case version > 0 && version < want:
		_, err = p.UpTo(ctx, version)
	case have < want:
		_, err = p.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("apply migrations from version %d: %w", have, err)
	}
	return nil
}

// Version answers the schema version of a database; 0 is an empty one.
func Version(ctx context.Context, db *sql.DB, dialect string) (int64, error) {
	p, err := provider(db, dialect)
	if err != nil {
		return 0, err
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return have, nil
}

// Newest answers the schema version that this program writes.
func Newest(dialect string) (int64, error) {
	sub, err := fs.Sub(files, dialect)
	if err != nil {
		return 0, err
	}
	names, err := fs.Glob(sub, "*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, n := range names {
		v, err := goose.NumericComponent(n)
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", n, err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}

func provider(db *sql.DB, dialect string) (*goose.Provider, error) {
	sub, err := fs.Sub(files, dialect)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithTableName(Table),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	kind := goose.DialectSQLite3
	if dialect == "postgres" {
		kind = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, fmt.Errorf("lock for migrations: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(kind, db, sub, options...)
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	return p, nil
}
