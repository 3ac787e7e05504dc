//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// target is what the probes aim at. Everything in it belongs to the test.
type target struct {
	Secret   string // file with the canary
	Canary   string
	Server   int    // the test's process
	TCP, UDP string // listeners that answer with the canary
	Metadata string // stands in for 169.254.169.254
	Abstract string // socket that answers with the canary
	Socket   string // the same with a path
	Shm      int    // key of a shared segment
	Cgroup   string // cgroup.procs of the test
	Suid     string // the probe, owned by root, with the set-user-id bit
	Jailed   bool
}

// beside says whether a probe is run without the jail too.
type beside int

const (
	always   beside = iota
	root            // only root can do it at all
	resource        // root with CAP_SYS_RESOURCE, which containers often lack
	harmful         // it would hurt, or no rule says that it works: in the jail only
)

// probe is one attempt; nil means that it worked.
type probe struct {
	name   string
	beside beside
	try    func(t *target) error
}

// reached turns the answer of a system call that was given nonsense into: did the
// kernel look at it, or did it refuse the call as such?
func reached(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EAFNOSUPPORT) {
		return err
	}
	return nil
}

func call(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

// holds reads a file and looks for the canary.
func holds(t *target, name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !bytes.Contains(b, []byte(t.Canary)) {
		return fmt.Errorf("%s is another file", name)
	}
	return nil
}

func opens(name string, flag int) error {
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// writes makes a file and takes it away again.
func writes(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(name)
}

// answers speaks with one of the test's listeners.
func answers(t *target, network, addr string) error {
	c, err := net.DialTimeout(network, addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	b := make([]byte, 256)
	n, err := c.Read(b)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b[:n]), t.Canary) {
		return errors.New("somebody else answers")
	}
	return nil
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// sleeper starts a child that waits.
func sleeper() (*exec.Cmd, error) {
	c := exec.Command("/bin/sleep", "20")
	return c, c.Start()
}

func scratch() string { return os.TempDir() }

// apart is a mount namespace of its own, so that the run beside the jail changes
// nothing. In the jail it is refused, and the mount is tried all the same.
func apart() {
	if unix.Unshare(unix.CLONE_NEWNS) == nil {
		_ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
}

var probes = []probe{
	// files of the machine
	{"read /etc/shadow", root, func(*target) error { return opens("/etc/shadow", os.O_RDONLY) }},
	{"read a file of the machine", always, func(t *target) error { return holds(t, t.Secret) }},
	{"read it by way of /proc/1/root", harmful, func(t *target) error { return holds(t, "/proc/1/root"+t.Secret) }},
	{"read it by way of the server's root", always, func(t *target) error { return holds(t, fmt.Sprintf("/proc/%d/root%s", t.Server, t.Secret)) }},
	{"read it by going up", always, func(t *target) error { return holds(t, strings.Repeat("../", 40)+t.Secret) }},
	{"read it by way of an open folder", always, func(t *target) error { return holds(t, "/proc/self/cwd/"+strings.Repeat("../", 40)+t.Secret) }},
	{"list the machine's homes", always, func(*target) error { _, err := os.ReadDir("/home"); return err }},
	{"link race", always, linkRace},
	{"inherited files", always, func(t *target) error {
		for fd := range 1024 {
			b := make([]byte, 256)
			if n, err := unix.Pread(fd, b, 0); err == nil && strings.Contains(string(b[:n]), t.Canary) {
				return nil
			}
		}
		return errors.New("no open file holds it")
	}},
	{"file handle (shocker)", root, func(t *target) error {
		_, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/", 0)
		return err
	}},
	{"write into /usr", root, func(*target) error { return writes("/usr/outcrop-probe") }},
	{"write into the root", root, func(*target) error { return writes("/outcrop-probe") }},
	{"write into /etc", root, func(*target) error { return writes("/etc/outcrop-probe") }},
	{"truncate the code", always, func(t *target) error {
		name := filepath.Join(filepath.Dir(t.Secret), "code.txt")
		if t.Jailed {
			name = "/var/task/code.txt"
		}
		return os.Truncate(name, 4)
	}},
	{"make the root writable", root, func(t *target) error {
		apart()
		at := "/"
		if !t.Jailed { // a tree may have no root that is a mount
			at = scratch()
			if err := unix.Mount(at, at, "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
		return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	}},
	{"make the code writable", root, func(t *target) error {
		apart()
		at := "/var/task/code.txt"
		if !t.Jailed {
			at = scratch()
			if err := unix.Mount(at, at, "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
		return unix.MountSetattr(unix.AT_FDCWD, at, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	}},

	// mounts and roots
	{"mount", root, func(*target) error { apart(); return unix.Mount("x", scratch(), "tmpfs", 0, "") }},
	{"unmount", root, func(*target) error {
		apart()
		return unix.Unmount("/proc", unix.MNT_DETACH)
	}},
	{"pivot_root", harmful, func(*target) error { return unix.PivotRoot("/tmp", "/tmp") }},
	{"chroot", root, func(*target) error { return unix.Chroot("/tmp") }},
	{"new mount interface", root, func(*target) error {
		fd, err := unix.Fsopen("tmpfs", 0)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}},
	{"copy a mount", root, func(*target) error {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}},

	// namespaces
	{"unshare a user namespace", always, func(*target) error {
		c := exec.Command("/bin/true")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
		return c.Run()
	}},
	{"unshare mounts", root, func(*target) error { return unix.Unshare(unix.CLONE_NEWNS) }},
	{"clone3 with a namespace", always, func(*target) error {
		args := [11]uint64{unix.CLONE_NEWUSER, 0, 0, 0, uint64(unix.SIGCHLD)}
		pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		_, err := unix.Wait4(int(pid), nil, 0, nil)
		return err
	}},
	{"enter a network", root, func(*target) error {
		fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return unix.Setns(fd, unix.CLONE_NEWNET)
	}},

	// other processes
	{"see the server", always, func(t *target) error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", t.Server))
		if err == nil && !bytes.Contains(b, []byte("jail")) {
			return errors.New("that is somebody else")
		}
		return err
	}},
	{"read the server's environment", always, func(t *target) error { return environments(t) }},
	{"signal the server", always, func(t *target) error { return unix.Kill(t.Server, 0) }},
	{"kill the first process", harmful, func(*target) error {
		if err := unix.Kill(1, unix.SIGKILL); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		return errors.New("it does not die of it, or this would not be said")
	}},
	{"read the parent's memory", root, func(*target) error { return opens(fmt.Sprintf("/proc/%d/mem", os.Getppid()), os.O_RDONLY) }},
	{"ptrace", always, func(*target) error {
		c := exec.Command("/bin/true")
		c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
		if err := c.Start(); err != nil {
			return err
		}
		_ = c.Process.Kill()
		_ = c.Wait()
		return nil
	}},
	{"process_vm_readv", always, func(*target) error {
		from, to := []byte(strings.Repeat("x", 8)), make([]byte, 8)
		_, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{{Base: &to[0], Len: 8}}, []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&from[0])), Len: 8}}, 0)
		return err
	}},
	{"the machine's shared memory", always, func(t *target) error {
		_, err := unix.SysvShmGet(t.Shm, 0, 0)
		return err
	}},

	// rights
	{"become root", root, func(*target) error { return unix.Setresuid(0, 0, 0) }},
	{"set-user-id program", root, func(t *target) error {
		c := exec.Command(t.Suid, "__euid")
		if !t.Jailed && os.Geteuid() == 0 {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := c.Output()
		if err != nil {
			return err
		}
		if string(out) != "0" {
			return fmt.Errorf("it runs as %s", out)
		}
		return nil
	}},
	{"take capabilities", root, func(*target) error {
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		all := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
		return unix.Capset(&hdr, &all[0])
	}},
	{"raise a limit", resource, func(*target) error {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &l); err != nil {
			return err
		}
		l.Cur, l.Max = l.Max+4096, l.Max+4096
		return unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &l)
	}},
	{"real-time priority", root, func(*target) error {
		prio := int32(1)
		return call(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, uintptr(unsafe.Pointer(&prio)))
	}},

	// network
	{"TCP to the machine's loopback", always, func(t *target) error { return answers(t, "tcp", t.TCP) }},
	{"UDP to the machine's loopback", always, func(t *target) error { return answers(t, "udp", t.UDP) }},
	{"metadata address", always, func(t *target) error { return answers(t, "tcp", t.Metadata) }},
	{"abstract socket", always, func(t *target) error { return answers(t, "unix", t.Abstract) }},
	{"socket in a folder", always, func(t *target) error { return answers(t, "unix", t.Socket) }},
	{"raw socket", root, func(*target) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"packet socket", root, func(*target) error { return socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0) }},
	{"kernel crypto socket", harmful, func(*target) error { return reached(socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)) }},
	{"virtual machine socket", harmful, func(*target) error { return reached(socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)) }},
	{"netlink beyond routes", always, func(*target) error {
		return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT)
	}},

	// kernel interfaces
	{"io_uring", harmful, func(*target) error {
		var params [120]byte
		return reached(call(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params))))
	}},
	{"bpf", root, func(*target) error { return reached(call(unix.SYS_BPF, 0, 0, 0)) }},
	{"perf events", root, func(*target) error { return reached(call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0)) }},
	{"userfaultfd", harmful, func(*target) error { return reached(call(unix.SYS_USERFAULTFD, unix.O_CLOEXEC)) }},
	{"keyrings", always, func(*target) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
		return err
	}},
	{"add a key", always, func(*target) error {
		_, err := unix.AddKey("user", "outcrop-probe", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
		return err
	}},
	{"load a kernel module", root, func(*target) error { return reached(unix.FinitModule(-1, "", 0)) }},
	{"kexec", harmful, func(*target) error { return reached(call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0)) }},
	{"reboot", root, func(*target) error { return reached(call(unix.SYS_REBOOT, 1, 2, 3, 0)) }}, // no magic number: it cannot happen
	{"host name", root, func(*target) error {
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return err
		}
		return unix.Sethostname(bytes.TrimRight(u.Nodename[:], "\x00"))
	}},
	{"clock", always, func(*target) error { _, err := unix.Adjtimex(&unix.Timex{}); return err }},
	{"kernel log", root, func(*target) error { _, err := unix.Klogctl(10, nil); return err }},
	{"personality", always, func(*target) error { return call(unix.SYS_PERSONALITY, 0x0040000) }},
	{"type on a terminal", always, func(*target) error {
		var c byte
		return reached(call(unix.SYS_IOCTL, 1, unix.TIOCSTI, uintptr(unsafe.Pointer(&c))))
	}},
	{"device node", root, func(*target) error {
		name := filepath.Join(scratch(), "probe-device")
		if err := unix.Mknod(name, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
			return err
		}
		return os.Remove(name)
	}},
	{"/dev/mem and disks", root, func(*target) error {
		for _, name := range append([]string{"/dev/mem", "/dev/kmsg", "/dev/port"}, disks()...) {
			if opens(name, os.O_RDONLY) == nil {
				return nil
			}
		}
		return errors.New("none opens")
	}},
	{"sysrq", root, func(*target) error { return opens("/proc/sysrq-trigger", os.O_WRONLY) }},
	{"core pattern", root, func(*target) error { return opens("/proc/sys/kernel/core_pattern", os.O_WRONLY) }},
	{"kernel symbols", root, func(*target) error {
		b, err := os.ReadFile("/proc/kallsyms")
		if err == nil && len(b) == 0 {
			return errors.New("empty")
		}
		return err
	}},
	{"escape the out-of-memory killer", resource, func(*target) error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0) }},
	{"look into /sys", always, func(*target) error { _, err := os.ReadDir("/sys/kernel"); return err }},
	{"leave the control group", root, func(t *target) error { return opens(t.Cgroup, os.O_WRONLY) }},

	// bombs; their jail is small
	{"fork bomb", always, func(*target) error {
		var all []*exec.Cmd
		defer func() {
			for _, c := range all {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
		}()
		for range 100 {
			c, err := sleeper()
			if err != nil {
				return fmt.Errorf("after %d: %w", len(all), err)
			}
			all = append(all, c)
		}
		return nil
	}},
	{"memory bomb", always, func(*target) error {
		var keep [][]byte
		for range 300 {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			keep = append(keep, b)
		}
		time.Sleep(400 * time.Millisecond)
		if len(keep) != 300 {
			return errors.New("not all is there")
		}
		return nil
	}},
	{"disk fill", always, func(*target) error {
		dir, err := os.MkdirTemp("", "fill-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for i := range 8 {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), make([]byte, 8<<20), 0o600); err != nil {
				return err
			}
		}
		return nil
	}},
	{"file fill", always, func(*target) error {
		dir, err := os.MkdirTemp("", "fill-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for i := range 6000 {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600); err != nil {
				return err
			}
		}
		return nil
	}},
	{"open file bomb", always, func(*target) error {
		for i := range 2000 {
			if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
				return fmt.Errorf("after %d: %w", i, err)
			}
		}
		return nil
	}},
	{"huge file", always, func(*target) error {
		name := filepath.Join(scratch(), "probe-huge")
		defer os.Remove(name)
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return err
		}
		return os.Truncate(name, 1<<30) // sparse
	}},
}

// linkRace swaps a folder and a link to the secret's folder while it opens the
// file behind both.
func linkRace(t *target) error {
	dir, err := os.MkdirTemp("", "race-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at, plain, link := filepath.Join(dir, "at"), filepath.Join(dir, "plain"), filepath.Join(dir, "link")
	for range 300 {
		_ = os.RemoveAll(at)
		_ = os.Mkdir(plain, 0o700)
		_ = os.WriteFile(filepath.Join(plain, filepath.Base(t.Secret)), []byte("mine"), 0o600)
		_ = os.Symlink(filepath.Dir(t.Secret), link)
		_ = os.Rename(plain, at)
		f, err := os.Open(at)
		if err != nil {
			return err
		}
		_ = os.RemoveAll(at)
		_ = os.Rename(link, at)
		_ = f.Close()
		if holds(t, filepath.Join(at, filepath.Base(t.Secret))) == nil {
			return nil
		}
	}
	return errors.New("never")
}

// environments looks for the canary in what processes were started with.
func environments(t *target) error {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, name := range all {
		if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, []byte("CANARY="+t.Canary)) {
			return nil
		}
	}
	return errors.New("no process tells it")
}

// disks are the machine's block devices.
func disks() (out []string) {
	entries, err := os.ReadDir("/dev")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.Type()&fs.ModeDevice != 0 && e.Type()&fs.ModeCharDevice == 0 {
			out = append(out, "/dev/"+e.Name())
		}
	}
	return out
}
