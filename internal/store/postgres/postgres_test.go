package postgres_test

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	server := storetest.StartPostgres(t)
	storetest.Run(t, func(t *testing.T) func(*testing.T) store.Driver {
		dsn := storetest.NewDatabase(t, server)
		return func(t *testing.T) store.Driver {
			d, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	})
}
