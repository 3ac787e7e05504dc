//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// unsafePointer gives the address of a constant, NUL-terminated text.
func unsafePointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

// dropAll empties the capability sets of every thread of the stage.
func dropAll() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	// Pid 0 in the header is the calling thread, so that one header serves all.
	// psx also works in a binary with C in it, where syscall.AllThreadsSyscall
	// does not.
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&none[0])), 0)
	runtime.KeepAlive(&hdr)
	runtime.KeepAlive(&none)
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

// restrictFiles is the second wall: even where a mount would let something
// through, Landlock knows only reading, and writing in /tmp. Scoped domains (from
// interface 6 on) also keep signals and abstract sockets inside.
func (s *stage) restrictFiles() error {
	v, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("this kernel has no Landlock, or it is switched off (lsm=… at boot): %w", errno)
	}
	s.landlock = int(v)
	err := landlock.V6.BestEffort().RestrictPaths(
		landlock.RODirs("/"),
		landlock.RWDirs("/tmp").WithRefer(),
		landlock.RWFiles("/dev/null", "/dev/zero", "/dev/full"),
	)
	if err != nil {
		return err
	}
	if err := landlock.V6.BestEffort().RestrictScoped(); err != nil {
		return err
	}
	if v < 3 {
		s.weaker[partLandlock] = fmt.Sprintf("interface %d: truncating is not restricted (the read-only mounts still do it)", v)
	}
	return nil
}

// restrictCalls installs the filter on every thread.
func (s *stage) restrictCalls() error {
	prog := filter()
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	r, _, errno := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return fmt.Errorf("install the filter: %w", errno)
	}
	if r != 0 {
		return fmt.Errorf("thread %d did not take the filter", r)
	}
	return nil
}
