//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// systemFolders are shown read-only where the machine has them. Links among them
// (/bin → usr/bin) are made again as links.
var systemFolders = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"}

// systemFiles of /etc are what libraries look for; all else of /etc stays out.
var systemFiles = []string{
	"/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives", "/etc/mime.types", "/etc/fonts",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
}

// written are files of the jail's own making.
var written = map[string]string{
	"/etc/passwd":        "root:x:0:0:root:/:/sbin/nologin\nsandbox:x:993:990:sandbox:/tmp:/sbin/nologin\n",
	"/etc/group":         "root:x:0:\nsandbox:x:990:\n",
	"/etc/hosts":         "127.0.0.1 localhost sandbox\n::1 localhost\n",
	"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	"/etc/resolv.conf":   "",
}

var devices = []string{"null", "zero", "full", "random", "urandom"}

// masked are files of /proc that tell of the machine or act on it.
var masked = []string{
	"kcore", "keys", "key-users", "kallsyms", "kmsg", "sysrq-trigger", "timer_list", "sched_debug", "latency_stats", "slabinfo",
	"modules", "iomem", "ioports", "interrupts", "config.gz", "kpagecount", "kpageflags", "kpagecgroup", "vmallocinfo",
	"diskstats", "partitions", "swaps", "consoles", "cmdline", "mtrr",
}

var maskedFolders = []string{"acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "sysvipc", "sys", "tty"}

// graft is something to show, taken from the machine's tree before the new root
// hides it.
type graft struct {
	tree   int // detached mount
	target string
	folder bool
}

// root makes the new tree and moves into it.
func (s *stage) root() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cut mounts from the machine's: %w", err)
	}
	var grafts []graft
	links := map[string]string{}
	take := func(source, target string, attrs uint64) error {
		g, err := take(source, target, attrs)
		if err == nil {
			grafts = append(grafts, g)
		}
		return err
	}
	const readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	for _, dir := range systemFolders {
		if to, err := os.Readlink(dir); err == nil {
			links[dir] = to
			continue
		}
		if err := take(dir, dir, readOnly); err != nil && !notFound(err) {
			return err
		}
	}
	for _, f := range systemFiles {
		if err := take(f, f, readOnly); err != nil && !notFound(err) && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	if s.Network == Host {
		if err := take("/etc/resolv.conf", "/etc/resolv.conf", readOnly); err != nil && !notFound(err) {
			return err
		}
	}
	for _, d := range devices {
		if err := take("/dev/"+d, "/dev/"+d, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
	}
	for _, b := range s.Files {
		if err := take(b.Source, b.Target, readOnly); err != nil {
			return err
		}
	}

	// The new root covers /tmp, which no longer matters: all that will be shown
	// is in our hands.
	if err := unix.Mount("outcrop-root", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=4m,nr_inodes=4096"); err != nil {
		return fmt.Errorf("new root: %w", err)
	}
	const top = "/tmp"
	for link, to := range links {
		if err := os.MkdirAll(top+path.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(to, top+link); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/etc", "/proc", "/dev", "/tmp", "/var", "/run"} {
		if err := os.MkdirAll(top+dir, 0o755); err != nil {
			return err
		}
	}
	for name, text := range written {
		if name == "/etc/resolv.conf" && s.Network == Host {
			continue
		}
		if err := os.WriteFile(top+name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := unix.Mount("outcrop-scratch", top+"/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV,
		fmt.Sprintf("mode=01777,size=%d,nr_inodes=%d", s.Scratch, max(1024, s.Scratch>>12))); err != nil {
		return fmt.Errorf("scratch: %w", err)
	}
	for _, g := range grafts {
		if err := g.place(top); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, top+"/dev/"+name); err != nil {
			return err
		}
	}
	if err := s.proc(top + "/proc"); err != nil {
		return &PartError{Part: partProc, Err: err}
	}

	if err := unix.Chdir(top); err != nil {
		return err
	}
	// The old root lands on the new one and is taken off again: nothing is left
	// of it that a path could reach.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let the old root go: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &attr); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}

// take detaches a copy of a tree of the machine, with its attributes set before
// anybody can see it.
func take(source, target string, attrs uint64) (graft, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return graft{}, fmt.Errorf("take %s: %w", source, err)
	}
	attr := unix.MountAttr{Attr_set: attrs}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		_ = unix.Close(fd)
		return graft{}, fmt.Errorf("restrict %s: %w", source, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return graft{}, fmt.Errorf("look at %s: %w", source, err)
	}
	return graft{tree: fd, target: target, folder: st.Mode&unix.S_IFMT == unix.S_IFDIR}, nil
}

// place mounts what was taken below the new root.
func (g graft) place(top string) error {
	defer unix.Close(g.tree)
	at := top + g.target
	if err := os.MkdirAll(path.Dir(at), 0o755); err != nil {
		return fmt.Errorf("make room for %s: %w", g.target, err)
	}
	var err error
	if g.folder {
		err = os.MkdirAll(at, 0o755)
	} else {
		var f *os.File
		if f, err = os.OpenFile(at, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	// A folder inside another that is shown already exists there, read-only.
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make room for %s: %w", g.target, err)
	}
	if err := unix.MoveMount(g.tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("show %s: %w", g.target, err)
	}
	return nil
}

// proc mounts the jail's own /proc and masks what it tells of the machine. Some
// containers forbid a new /proc; then there is none, and programs that look there
// see an empty folder.
func (s *stage) proc(at string) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	err := unix.Mount("proc", at, "proc", flags, "hidepid=2")
	if errors.Is(err, unix.EPERM) {
		s.weaker[partProc] = "a new /proc is forbidden here (this machine is itself a container): the jail's /proc is empty"
		return nil
	}
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for _, name := range masked {
		p := path.Join(at, name)
		if err := unix.Mount("/dev/null", p, "", unix.MS_BIND, ""); err != nil && !notFound(err) {
			return fmt.Errorf("mask %s: %w", name, err)
		}
	}
	for _, name := range maskedFolders {
		p := path.Join(at, name)
		if _, err := os.Stat(p); err != nil {
			continue
		}
		if err := unix.Mount("outcrop-masked", p, "tmpfs", flags|unix.MS_RDONLY, "size=0,mode=0555"); err != nil && !notFound(err) {
			return fmt.Errorf("mask %s: %w", name, err)
		}
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, at, 0, &attr); err != nil {
		return fmt.Errorf("make it read-only: %w", err)
	}
	return nil
}
