//go:build unix

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// leash ends the server when this process does, whatever its end.
const leash = `exec 3<&0; "$@" </dev/null & pid=$!; (read -r _ <&3; kill -INT $pid 2>/dev/null) & wait $pid; status=$?; kill $! 2>/dev/null; exit $status`

// startPostgres starts a server from the folder bin on a socket in a folder of its own
// and answers its address. It is tuned as its documentation advises for a machine with
// memory to spare, and syncs, as the embedded index does.
func startPostgres(ctx context.Context, bin string) (dsn string, stop func(), err error) {
	dir, err := os.MkdirTemp("/tmp", "outcrop-pg-") // a socket's path must be short
	if err != nil {
		return "", nil, err
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 { // it refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return "", nil, err
			}
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return "", nil, err
		}
	}
	env := append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PG") }), "LC_ALL=C", "HOME="+dir)
	data := filepath.Join(dir, "data")
	first := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "outcrop", "-A", "trust", "-E", "UTF8", "--locale=C")
	first.Dir, first.Env, first.SysProcAttr = dir, env, attr
	if out, err := first.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	server := exec.Command("/bin/sh", "-c", leash, "sh", filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=",
		"-c", "shared_buffers=1GB", "-c", "maintenance_work_mem=1GB", "-c", "max_wal_size=4GB", "-c", "dynamic_shared_memory_type=mmap")
	server.Dir, server.Env, server.SysProcAttr = dir, env, attr
	rope, err := server.StdinPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, fmt.Errorf("start postgres: %w", err)
	}
	stop = func() {
		_ = rope.Close()
		ended := make(chan struct{})
		go func() { _ = server.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		_ = os.RemoveAll(dir)
	}
	dsn = (&url.URL{Scheme: "postgres", User: url.User("outcrop"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}).String()
	deadline := time.Now().Add(time.Minute)
	for {
		c, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return dsn, stop, c.Close(ctx)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			stop()
			return "", nil, fmt.Errorf("postgres does not answer: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
