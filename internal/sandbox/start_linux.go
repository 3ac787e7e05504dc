//go:build amd64 || arm64

package sandbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The identity of a program inside: the numbers that AWS Lambda uses.
const (
	insideUID = 993
	insideGID = 990
)

// stageArg in the place of a verb tells Main what this process is.
const stageArg = "__jail"

// setupTime bounds the making of a jail; it takes milliseconds.
const setupTime = 15 * time.Second

// order is what the server tells the stage.
type order struct {
	Command   string
	Args, Env []string
	Dir       string
	Files     []Bind
	Scratch   int64
	Listen    []Listen
	Network   Network
	Limits    Limits
	DataLimit uint64 // bytes of RLIMIT_DATA; 0 for none
	Probe     bool   // build everything, run nothing
}

// reply is what the stage answers once, with the listeners beside it.
type reply struct {
	Part, Error string
	Errno       syscall.Errno
	Weaker      map[string]string // parts that work with less
	Landlock    int               // version of the kernel's interface
}

// report is the stage's last word.
type report struct {
	Code   int
	Signal syscall.Signal
	CPU    time.Duration
	Peak   int64 // bytes
}

// start makes the jail. It returns when the program runs.
func start(ctx context.Context, spec Spec, p *Process) error {
	_, err := startStage(ctx, spec, p, false)
	return err
}

func startStage(ctx context.Context, spec Spec, p *Process, probe bool) (reply, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return reply{}, fmt.Errorf("sandbox: socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "jail")
	mine := os.NewFile(uintptr(fds[0]), "jail")
	c, err := net.FileConn(mine)
	_ = mine.Close()
	if err != nil {
		_ = theirs.Close()
		return reply{}, fmt.Errorf("sandbox: socket pair: %w", err)
	}
	conn := c.(*net.UnixConn)

	cmd := stageCommand(spec, theirs)
	if err := cmd.Start(); err != nil {
		_ = theirs.Close()
		_ = conn.Close()
		return reply{}, &PartError{Part: partNamespaces, Err: err}
	}
	_ = theirs.Close()
	kill := sync.OnceFunc(func() { _ = cmd.Process.Kill() })

	box := newCgroup(spec)
	rep, err := func() (reply, error) {
		stop := context.AfterFunc(ctx, kill)
		defer stop()
		if err := box.add(cmd.Process.Pid); err != nil {
			box.remove()
			box = nil
		}
		o := order{
			Command: spec.Command, Args: spec.Args, Env: spec.Env, Dir: spec.Dir, Files: spec.Files, Scratch: spec.Scratch,
			Listen: spec.Listen, Network: spec.Network, Limits: spec.Limits, Probe: probe,
		}
		if !box.limitsMemory() {
			// Private writable memory, so that a burst between two looks of the
			// watcher has an end too. Not the address space: Node reserves far
			// more of that than it uses.
			o.DataLimit = uint64(2*spec.Limits.Memory) + 512<<20
		}
		_ = conn.SetDeadline(time.Now().Add(setupTime))
		if err := send(conn, o); err != nil {
			return reply{}, fmt.Errorf("sandbox: speak to the stage: %w", err)
		}
		rep, files, err := receive(conn)
		if err != nil {
			return rep, fmt.Errorf("sandbox: hear from the stage: %w", err)
		}
		_ = conn.SetDeadline(time.Time{})
		for _, f := range files {
			l, err := net.FileListener(f)
			_ = f.Close()
			if err != nil {
				return rep, fmt.Errorf("sandbox: take over a listener: %w", err)
			}
			p.Listeners = append(p.Listeners, l)
		}
		if rep.Part != "" {
			var cause error = errors.New(rep.Error)
			if rep.Errno != 0 {
				cause = fmt.Errorf("%s: %w", rep.Error, rep.Errno)
			}
			if rep.Part == partCommand {
				return rep, fmt.Errorf("sandbox: start %s: %w", spec.Command, cause)
			}
			return rep, &PartError{Part: rep.Part, Err: cause}
		}
		if len(p.Listeners) != len(spec.Listen) {
			return rep, fmt.Errorf("sandbox: %d listeners came, %d were asked for", len(p.Listeners), len(spec.Listen))
		}
		return rep, nil
	}()
	if err != nil || probe {
		kill()
		_ = conn.Close()
		_ = cmd.Wait()
		box.remove()
		for _, l := range p.Listeners {
			_ = l.Close()
		}
		if ctx.Err() != nil && err != nil {
			err = ctx.Err()
		}
		return rep, err
	}

	w := watch(cmd.Process.Pid, spec.Limits.Memory, box, func() { p.end(Memory) })
	p.kill = kill
	p.memory = w.memory
	p.inside = func() ([]int, error) { return tree(cmd.Process.Pid) }
	go func() {
		var last report
		heard := json.NewDecoder(io.LimitReader(conn, 4096)).Decode(&last) == nil
		w.last()
		werr := cmd.Wait()
		_ = conn.Close()
		w.stop()
		e := Exit{Code: -1, Signal: syscall.SIGKILL}
		if heard {
			e = Exit{Code: last.Code, Signal: last.Signal, CPU: last.CPU}
		} else if werr == nil || cmd.ProcessState.Exited() {
			// The stage ended without a word: only its own death by a limit does that.
			e.Signal = syscall.SIGKILL
		}
		_, e.Peak = w.memory()
		e.Peak = max(e.Peak, last.Peak)
		if e.Signal == syscall.SIGKILL && box.killed() {
			e.Cause = Memory
		}
		box.remove()
		p.finish(e)
	}()
	return rep, nil
}

// stageCommand prepares this binary as the first process of new namespaces.
func stageCommand(spec Spec, theirs *os.File) *exec.Cmd {
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"outcrop", stageArg}, Dir: "/",
		// One processor and no collector keep the stage at its few threads.
		Env:   []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=madvdontneed=0"},
		Stdin: spec.Stdin, Stdout: spec.Stdout, Stderr: spec.Stderr,
		ExtraFiles: []*os.File{theirs}, WaitDelay: time.Second,
	}
	flags := unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	if spec.Network == Isolated {
		flags |= unix.CLONE_NEWNET
	}
	attr := &syscall.SysProcAttr{Cloneflags: uintptr(flags), Setsid: true, Pdeathsig: syscall.SIGKILL}
	if id := spareID(); os.Geteuid() == 0 && id > 0 {
		// The stage is this machine's root in its own namespace, so that it may
		// look for what it binds; the program then takes an id that owns nothing.
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: insideUID, HostID: id, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: insideGID, HostID: id, Size: 1}}
		attr.GidMappingsEnableSetgroups = true
	} else {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: insideUID, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: insideGID, HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP, unix.CAP_SYS_CHROOT}
	}
	cmd.SysProcAttr = attr
	return cmd
}

// spareID is a user id of this machine that nobody has, 0 when the ids that this
// process may give are too few to know one.
var spareID = sync.OnceValue(func() int {
	const far, nobody = 1_879_048_192, 65_534
	spare := 0
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return 0
	}
	for rest := string(b); rest != ""; {
		var inside, outside, size int64
		n, err := fmt.Sscan(rest, &inside, &outside, &size)
		if n != 3 || err != nil {
			break
		}
		for _, id := range []int64{nobody, far} {
			if id >= inside && id < inside+size {
				spare = max(spare, int(id))
			}
		}
		i := 0
		for ; i < len(rest) && rest[i] != '\n'; i++ {
		}
		rest = rest[min(i+1, len(rest)):]
	}
	return spare
})

// send writes one message: its length and its JSON.
func send(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("BUG: %w", err)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// receive reads the stage's answer and the sockets that come with its first byte.
func receive(conn *net.UnixConn) (reply, []*os.File, error) {
	var rep reply
	head := make([]byte, 4)
	oob := make([]byte, unix.CmsgSpace(16*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(head, oob)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return rep, nil, err
	}
	var files []*os.File
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return rep, nil, err
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "listener"))
		}
	}
	if _, err := io.ReadFull(conn, head[n:]); err != nil {
		return rep, files, err
	}
	body := make([]byte, min(binary.BigEndian.Uint32(head), 1<<20))
	if _, err := io.ReadFull(conn, body); err != nil {
		return rep, files, err
	}
	return rep, files, json.Unmarshal(body, &rep)
}

func (l Listen) format(addr string) string { return fmt.Sprintf(cmp.Or(l.Format, "%s"), addr) }
