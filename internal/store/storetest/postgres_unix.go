//go:build unix

package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that asks whether the server answers
)

// Environment of StartPostgres.
const (
	// EnvPostgres is the address of a server to use and not to start; its user must
	// be allowed to make databases.
	EnvPostgres = "OUTCROP_TEST_POSTGRES"
	// EnvRequire makes a missing PostgreSQL a failure; so does CI.
	EnvRequire = "OUTCROP_REQUIRE_POSTGRES"
)

// watchdog runs the server and ends it when standard input closes, so that no
// server outlives a test process that was killed.
const watchdog = `exec 3<&0; "$@" </dev/null & pid=$!; (read -r _ <&3; kill -INT $pid 2>/dev/null) & wait $pid; status=$?; kill $! 2>/dev/null; exit $status`

// StartPostgres starts a private PostgreSQL server on a Unix socket in a temporary
// folder, stopped when the test ends, and answers its address. The server has
// fsync off: these tests are about SQL, not about its disk. Without the programs
// the test is skipped, or fails where CI or EnvRequire asks for them.
func StartPostgres(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv(EnvPostgres); dsn != "" {
		return dsn
	}
	bin, err := postgresBin()
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv(EnvRequire) != "" {
			t.Fatalf("PostgreSQL is required here: %v", err)
		}
		t.Skipf("no PostgreSQL: %v (Debian: apt-get install postgresql)", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	dsn, stop, err := RunPostgres(ctx, bin, "fsync=off", "shared_buffers=16MB", "max_connections=100")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// RunPostgres starts a server of the programs in the folder bin, with these settings, on
// a Unix socket in a folder of its own, and answers its address once it answers; ctx
// bounds that. stop ends it and removes the folder.
func RunPostgres(ctx context.Context, bin string, settings ...string) (dsn string, stop func() error, err error) {
	// Not a test's folder: a socket path may have 107 bytes, and the server's user, who
	// is not root, must reach it.
	dir, err := os.MkdirTemp("/tmp", "outcrop-pg-")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		if attr.Credential, err = unprivileged(); err != nil {
			return "", nil, fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
		}
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return "", nil, err
		}
	}
	env := append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PG") }), "LC_ALL=C", "HOME="+dir)
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "outcrop", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.Env, initdb.SysProcAttr = dir, env, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	logPath := filepath.Join(dir, "log")
	logFile, err := os.Create(logPath)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = logFile.Close() }() // the server has its own
	args := []string{"-c", watchdog, "sh", filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses="}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	server := exec.Command("/bin/sh", args...)
	server.Dir, server.Env, server.SysProcAttr = dir, env, attr
	server.Stdout, server.Stderr = logFile, logFile
	leash, err := server.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := server.Start(); err != nil {
		return "", nil, fmt.Errorf("start postgres: %w", err)
	}
	dsn = (&url.URL{Scheme: "postgres", User: url.User("outcrop"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}).String()
	if err := answers(ctx, dsn); err != nil {
		out, _ := os.ReadFile(logPath)
		return "", nil, errors.Join(fmt.Errorf("postgres does not answer: %w\n%s", err, out), halt(server, leash))
	}
	return dsn, func() error { return errors.Join(halt(server, leash), os.RemoveAll(dir)) }, nil
}

// answers waits until the server does.
func answers(ctx context.Context, dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// halt closes the leash, which is a fast shutdown, and insists after a while.
func halt(server *exec.Cmd, leash io.Closer) error {
	_ = leash.Close()
	ended := make(chan struct{})
	go func() { _ = server.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL)
		<-ended
		return errors.New("postgres did not stop in 20 seconds and was killed")
	}
}

// NewDatabase makes an empty database on the server of dsn and answers its
// address; it is dropped when the test ends.
func NewDatabase(t testing.TB, dsn string) string {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		_, err := db.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`)
		if cerr := db.Close(); err != nil || cerr != nil {
			t.Errorf("drop the database: %v %v", err, cerr)
		}
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatalf("%s must be a URL: %v", EnvPostgres, err)
	}
	u.Path = "/" + name
	return u.String()
}

// postgresBin finds the folder of initdb and postgres: PATH, then Debian's place,
// newest version first.
func postgresBin() (string, error) {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is right
	slices.SortFunc(debian, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(dirs, debian...) {
		_, err1 := os.Stat(filepath.Join(dir, "initdb"))
		_, err2 := os.Stat(filepath.Join(dir, "postgres"))
		if err1 == nil && err2 == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("initdb and postgres are neither in PATH nor in /usr/lib/postgresql")
}

func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // 0 sorts last
	return n
}

// unprivileged is an account that exists and is not root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("neither a user postgres nor nobody exists")
}
