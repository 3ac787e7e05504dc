//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// Exit statuses of a probe whose attempt failed: refused, or because this kernel
// has no such door.
const (
	denied = 10
	noDoor = 11
)

func TestMain(m *testing.M) {
	if sandbox.Main() {
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "__euid" {
		fmt.Print(os.Geteuid())
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "__probe" {
		os.Exit(runProbe(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

func runProbe(name string) int {
	var t target
	if err := json.Unmarshal([]byte(os.Getenv("TARGET")), &t); err != nil {
		fmt.Println(err)
		return 1
	}
	for _, p := range probes {
		if p.name == name {
			if err := p.try(&t); err != nil {
				fmt.Println(err)
				if !t.Jailed && (errors.Is(err, unix.ENOSYS) || strings.HasPrefix(name, "sys") && errors.Is(err, unix.ENOENT)) {
					return noDoor
				}
				return denied
			}
			return 0
		}
	}
	fmt.Println("no such probe")
	return 1
}

// secretText is in files, sockets and environments that no jail may see.
const secretText = "canary-7b1f4a"

// aim makes the targets.
func aim(t *testing.T) *target {
	t.Helper()
	dir, err := os.MkdirTemp("", "jail-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	g := &target{Secret: filepath.Join(dir, "secret"), Canary: secretText, Server: os.Getpid(), Socket: filepath.Join(dir, "socket"),
		Abstract: fmt.Sprintf("@outcrop-jail-%d", os.Getpid()), Shm: 0x6a000000 | os.Getpid()&0xffffff, Suid: filepath.Join(dir, "suid")}
	for name, text := range map[string]string{"secret": secretText, "code.txt": "code"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.Suid, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(g.Suid, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	// Cleanups run last first: this one waits when all below have closed.
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	listen := func(network, addr string) string {
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.SetDeadline(time.Now().Add(2 * time.Second))
				_, _ = c.Read(make([]byte, 16))
				_, _ = c.Write([]byte(secretText))
				_ = c.Close()
			}
		})
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr().String()
	}
	g.TCP = listen("tcp4", "127.0.0.1:0")
	g.Metadata = listen("tcp4", "127.169.254.169:0")
	listen("unix", g.Socket)
	listen("unix", g.Abstract)
	if err := os.Chmod(g.Socket, 0o777); err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.UDP = u.LocalAddr().String()
	wg.Go(func() {
		b := make([]byte, 64)
		for {
			_, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = u.WriteTo([]byte(secretText), from)
		}
	})
	t.Cleanup(func() { _ = u.Close() })
	shm, err := unix.SysvShmGet(g.Shm, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(shm, unix.IPC_RMID, nil) })
	g.Cgroup = ownCgroup()
	return g
}

func ownCgroup() string {
	for _, name := range []string{"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/fs/cgroup/memory/cgroup.procs"} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return "/sys/fs/cgroup/cgroup.procs"
}

// unharmed looks for what an attempt that worked, or a jail that leaked, would
// have left on the machine. Others may use the machine meanwhile, so it looks for
// names, not for any change.
func unharmed(g *target) error {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	if read(g.Secret) != secretText || read(filepath.Join(filepath.Dir(g.Secret), "code.txt")) != "code" {
		return errors.New("a file has changed")
	}
	if strings.Contains(read("/proc/self/mounts"), "outcrop-") {
		return fmt.Errorf("a mount of a jail is here:\n%s", read("/proc/self/mounts"))
	}
	if name, _ := os.Hostname(); name == "sandbox" {
		return errors.New("the machine has the jail's name")
	}
	for _, pattern := range []string{"/outcrop-probe*", "/usr/outcrop-probe*", "/etc/outcrop-probe*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return fmt.Errorf("written: %v", found)
		}
	}
	for _, depth := range []string{"*", "*/*", "*/*/*"} {
		if found, _ := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/%s/outcrop-%d-*", depth, os.Getpid())); len(found) > 0 {
			return fmt.Errorf("control groups are left: %v", found)
		}
	}
	return nil
}

func TestNothingGetsOut(t *testing.T) {
	t.Setenv("CANARY", secretText)
	// A file that the server has open without knowing.
	g := aim(t)
	leak, err := unix.Open(g.Secret, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)

	if len(probes) < 40 {
		t.Fatalf("only %d probes", len(probes))
	}
	refused, worked := 0, 0
	for _, p := range probes {
		t.Run(p.name, func(t *testing.T) {
			said, exit := inside(t, g, p.name)
			switch {
			case exit.Code == denied:
				refused++
			case exit.Signal != 0:
				said = "ended by " + exit.String() + ", cause " + string(exit.Cause)
				refused++
			case exit.Code == 0:
				t.Errorf("GOT OUT: %s", said)
			default:
				t.Errorf("the probe itself failed, status %d: %s", exit.Code, said)
			}
			if err := unharmed(g); err != nil {
				t.Error(err)
			}
			free := "not tried"
			if p.beside == always || p.beside == root && os.Geteuid() == 0 || p.beside == resource && may(t, unix.CAP_SYS_RESOURCE) {
				switch out, status := outside(t, g, p.name); status {
				case 0:
					worked++
					free = "works"
				case noDoor:
					free = "this kernel has no such door: " + strings.TrimSpace(out)
				default:
					t.Errorf("means nothing: it fails without a jail too, status %d: %s", status, out)
				}
			}
			// Beside the jail one attempt shortens the file.
			if err := os.WriteFile(filepath.Join(filepath.Dir(g.Secret), "code.txt"), []byte("code"), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Logf("jailed: %s; beside: %s", strings.TrimSpace(said), free)
		})
	}
	t.Logf("%d of %d attempts refused; %d of them shown to work without a jail", refused, len(probes), worked)
	if refused != len(probes) {
		t.Errorf("%d attempts were not refused", len(probes)-refused)
	}
}

// may reports whether this process has a capability.
func may(t *testing.T, capability uint) bool {
	t.Helper()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		t.Fatal(err)
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// inside runs a probe in a small jail.
func inside(t *testing.T, g *target, name string) (string, sandbox.Exit) {
	t.Helper()
	aimed := *g
	aimed.Jailed, aimed.Suid = true, "/var/task/suid"
	b, err := json.Marshal(aimed)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(g.Secret)
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	exit, err := sandbox.Run(ctx, sandbox.Spec{
		Command: "/var/task/probe", Args: []string{"__probe", name}, Env: []string{"TARGET=" + string(b), "PATH=/usr/bin:/bin"},
		Files: []sandbox.Bind{
			{Source: g.Suid, Target: "/var/task/probe"}, {Source: g.Suid, Target: "/var/task/suid"},
			{Source: filepath.Join(dir, "code.txt"), Target: "/var/task/code.txt"},
		},
		Scratch: 16 << 20, Limits: sandbox.Limits{Memory: 128 << 20, Pids: 40, Wall: 20 * time.Second}, Stdout: &out, Stderr: &out,
	})
	if err != nil {
		t.Fatalf("no jail: %v", err)
	}
	if exit.Cause == sandbox.Wall || exit.Cause == sandbox.Stopped {
		t.Fatalf("the probe hangs: %s", out.String())
	}
	return out.String(), exit
}

// outside runs the same probe as an ordinary child.
func outside(t *testing.T, g *target, name string) (string, int) {
	t.Helper()
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "__probe", name)
	cmd.Env = append(os.Environ(), "TARGET="+string(b))
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// The whole table again as a user without any rights, when the tests run as root.
func TestNothingGetsOutOfAnOrdinaryUsersJail(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("the tests run as an ordinary user already")
		return
	}
	dir, err := os.MkdirTemp("", "jail-nobody-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "jail.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^TestNothingGetsOut$", "-test.v")
	cmd.Dir, cmd.Env = dir, []string{"TMPDIR=" + dir, "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "attempts refused") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
