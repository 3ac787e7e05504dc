package server

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// openDriver opens the database that the setting names.
func openDriver(ctx context.Context, c *config.Config) (store.Driver, error) {
	if c.Store == "sqlite" {
		return sqlite.Open(ctx, sqlite.Config{Dir: c.Data})
	}
	return postgres.Open(ctx, postgres.Config{DSN: c.Store})
}
