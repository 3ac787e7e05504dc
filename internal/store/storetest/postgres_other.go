//go:build !unix

package storetest

import "testing"

// StartPostgres skips: the starter is for Unix.
func StartPostgres(t testing.TB) string {
	t.Skip("a private PostgreSQL server is started on Unix only")
	return ""
}

// NewDatabase is never reached without StartPostgres.
func NewDatabase(t testing.TB, _ string) string {
	t.Skip("a private PostgreSQL server is started on Unix only")
	return ""
}
