//go:build !unix

package main

import (
	"context"
	"errors"
)

// startPostgres works on Unix only.
func startPostgres(context.Context, string) (string, func() error, error) {
	return "", nil, errors.New("a private PostgreSQL server is started on Unix only")
}
