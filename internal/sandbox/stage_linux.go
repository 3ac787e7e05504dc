//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Parts of a jail, in the order in which they are built.
const (
	partNamespaces = "namespaces" // user, pid, net, mount, ipc, uts, cgroup
	partMounts     = "mounts"     // private root, read-only binds, pivot_root
	partProc       = "proc"       // a /proc that shows the jail's processes only
	partNetwork    = "network"    // own loopback
	partLimits     = "limits"     // rlimits
	partIdentity   = "identity"   // spare user id, no capabilities, no_new_privs
	partLandlock   = "landlock"   // second wall round the files
	partSeccomp    = "seccomp"    // the system calls that are refused
	partMemory     = "memory"     // control group or watcher
	partCommand    = "command"    // not a wall: the program itself cannot start
)

// controlFD is the stage's socket to the server.
const controlFD = 3

// stage is the first process of a jail while it builds the walls.
type stage struct {
	order
	weaker   map[string]string
	landlock int
	sockets  []int
}

// Main is called first in main. In a stage of a jail it never returns; in any
// other process it does nothing and reports false.
func Main() bool {
	if len(os.Args) != 2 || os.Args[1] != stageArg || os.Getpid() != 1 {
		return false
	}
	runtime.LockOSThread() // capabilities and walls are properties of a thread
	// Also what the server itself has inherited without knowing: a shell's files
	// and pipes have come this way.
	if err := unix.CloseRange(controlFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintln(os.Stderr, "jail: close inherited files:", err)
		os.Exit(1) //nolint:forbidigo // in the stage of a jail this is main
	}
	os.Exit(runStage()) //nolint:forbidigo // in the stage of a jail this is main
	return true
}

func runStage() int {
	s := &stage{weaker: map[string]string{}}
	if err := s.hear(); err != nil {
		fmt.Fprintln(os.Stderr, "jail:", err)
		return 1
	}
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafePointer("jail\x00")), 0, 0, 0)
	pid, err := s.build()
	if err != nil {
		s.answer(err)
		return 1
	}
	s.answer(nil)
	for _, fd := range s.sockets {
		_ = unix.Close(fd)
	}
	if s.Probe {
		return 0
	}
	// When the server goes, however it goes, the socket ends; and with the first
	// process everything inside ends.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
	go func() {
		_, _ = control{}.Read(make([]byte, 1))
		os.Exit(1) //nolint:forbidigo // in the stage of a jail this is main
	}()
	// The collector was off while there was hurry. What is left of starting this
	// binary must not stay in memory beside every program.
	go debug.FreeOSMemory()
	return reap(pid)
}

// build makes every wall and starts the program.
func (s *stage) build() (pid int, err error) {
	for _, step := range []struct {
		part string
		do   func() error
	}{
		{partNamespaces, s.settle},
		{partMounts, s.root},
		{partNetwork, s.loopback},
		{partLimits, s.limits},
		{partIdentity, s.identity},
		{partLandlock, s.restrictFiles},
		{partSeccomp, s.restrictCalls},
	} {
		if err := step.do(); err != nil {
			if _, ok := errors.AsType[*PartError](err); ok {
				return 0, err
			}
			return 0, &PartError{Part: step.part, Err: err}
		}
	}
	if s.Probe {
		return 0, nil
	}
	pid, err = syscall.ForkExec(s.Command, append([]string{s.Command}, s.Args...), &syscall.ProcAttr{
		Dir: s.Dir, Env: s.Env, Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return 0, &PartError{Part: partCommand, Err: err}
	}
	return pid, nil
}

// hear reads the order.
func (s *stage) hear() error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(control{}, head); err != nil {
		return fmt.Errorf("no order came: %w", err)
	}
	body := make([]byte, min(binary.BigEndian.Uint32(head), 16<<20))
	if _, err := io.ReadFull(control{}, body); err != nil {
		return fmt.Errorf("half an order came: %w", err)
	}
	return json.Unmarshal(body, &s.order)
}

// control reads the stage's socket. It is no os.File, whose end would close it.
type control struct{}

func (control) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(controlFD, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// answer tells the server how it went, with the listeners.
func (s *stage) answer(err error) {
	rep := reply{Weaker: s.weaker, Landlock: s.landlock}
	var oob []byte
	if err != nil {
		p, _ := errors.AsType[*PartError](err)
		rep.Part, rep.Error = p.Part, p.Err.Error()
		if errno, ok := errors.AsType[syscall.Errno](p.Err); ok {
			rep.Errno = errno
			if rep.Error == errno.Error() {
				rep.Error = "refused by the kernel"
			}
		}
	} else if len(s.sockets) > 0 {
		oob = unix.UnixRights(s.sockets...)
	}
	b, _ := json.Marshal(rep)
	b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	_ = unix.Sendmsg(controlFD, b, oob, nil, 0)
}

// reap waits for the program and for orphans, says how the program ended, and
// returns the status of the stage.
func reap(program int) int {
	for {
		var ws unix.WaitStatus
		var ru unix.Rusage
		pid, err := unix.Wait4(-1, &ws, 0, &ru)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 1
		case pid != program:
			continue
		}
		r := report{Code: ws.ExitStatus(), CPU: time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), Peak: ru.Maxrss << 10}
		if ws.Signaled() {
			r.Code, r.Signal = -1, ws.Signal()
		}
		b, _ := json.Marshal(r)
		_, _ = unix.Write(controlFD, b)
		return 0
	}
}

// settle checks that the namespaces are ours and cuts what ties them to the
// machine's.
func (s *stage) settle() error {
	if uid := unix.Getuid(); uid != 0 && uid != insideUID {
		return fmt.Errorf("user id %d was not mapped", uid)
	}
	// The machine's own out-of-memory killer takes jails before the server.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	unix.Umask(0o022)
	return nil
}

// loopback brings the jail's own interface up and makes the sockets on it.
func (s *stage) loopback() error {
	if s.Network == Isolated {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		ifr, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
			return fmt.Errorf("bring loopback up: %w", err)
		}
	}
	for _, want := range s.Listen {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, fd)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		port := want.Port
		if s.Network == Host {
			port = 0 // a fixed port may be somebody's on the machine's own loopback
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return fmt.Errorf("listen on port %d: %w", port, err)
		}
		if err := unix.Listen(fd, 128); err != nil {
			return err
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		if want.Env != "" {
			addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*unix.SockaddrInet4).Port))
			s.Env = append(s.Env, want.Env+"="+want.format(addr))
		}
	}
	return nil
}

// limits are inherited by the program. The stage is counted among the processes,
// so its own threads come on top.
func (s *stage) limits() error {
	const ownThreads = stageThreads
	l := s.Limits
	set := []struct {
		what  int
		limit uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NPROC, uint64(l.Pids + ownThreads)},
		{unix.RLIMIT_NOFILE, uint64(l.OpenFiles)},
		{unix.RLIMIT_FSIZE, uint64(l.FileSize)},
		{unix.RLIMIT_MEMLOCK, 64 << 10},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_RTPRIO, 0},
		{unix.RLIMIT_NICE, 0},
	}
	if l.CPU > 0 {
		set = append(set, struct {
			what  int
			limit uint64
		}{unix.RLIMIT_CPU, uint64((l.CPU + time.Second - 1) / time.Second)})
	}
	if s.DataLimit > 0 {
		set = append(set, struct {
			what  int
			limit uint64
		}{unix.RLIMIT_DATA, s.DataLimit})
	}
	for _, r := range set {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(r.what, &now); err != nil {
			return fmt.Errorf("rlimit %d: %w", r.what, err)
		}
		limit := min(r.limit, now.Max) // an ordinary user may only go down
		// Not unix.Setrlimit: this one also tells the runtime not to put the old
		// number of open files back when it starts a program.
		if err := syscall.Setrlimit(r.what, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("rlimit %d to %d: %w", r.what, limit, err)
		}
	}
	return nil
}

// identity takes the id that owns nothing and gives every right away.
func (s *stage) identity() error {
	for c := uintptr(0); c <= 63; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			if errors.Is(err, unix.EINVAL) {
				break // above the last capability of this kernel
			}
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if unix.Getuid() == 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("leave groups: %w", err)
		}
		if err := syscall.Setresgid(insideGID, insideGID, insideGID); err != nil {
			return fmt.Errorf("take group %d: %w", insideGID, err)
		}
		if err := syscall.Setresuid(insideUID, insideUID, insideUID); err != nil {
			return fmt.Errorf("take user %d: %w", insideUID, err)
		}
	}
	if err := dropAll(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the stage's memory: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	// What was given away must not come back: ask the kernel, not our memory.
	if unix.Getuid() != insideUID || unix.Geteuid() != insideUID {
		return fmt.Errorf("still user %d", unix.Getuid())
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	if data != ([2]unix.CapUserData{}) {
		return fmt.Errorf("capabilities are left: %x", data)
	}
	return nil
}

// notFound turns a missing system folder into nothing to bind.
func notFound(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, exec.ErrNotFound)
}
