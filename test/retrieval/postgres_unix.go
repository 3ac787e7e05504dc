//go:build unix

package main

import (
	"context"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// startPostgres starts a server from the folder bin and answers its address. It is tuned
// as its documentation advises for a machine with memory to spare, and syncs, as the
// embedded index does.
func startPostgres(ctx context.Context, bin string) (dsn string, stop func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return storetest.RunPostgres(ctx, bin, "shared_buffers=1GB", "maintenance_work_mem=1GB", "max_wal_size=4GB", "dynamic_shared_memory_type=mmap")
}
