//go:build amd64 || arm64

package sandbox

import (
	"golang.org/x/sys/unix"
)

// refusal is a system call that the jail answers with an error.
type refusal struct {
	nr    uint32
	errno unix.Errno
}

// refused lists what no program in a jail needs and what has been the door out of
// others: other processes' memory, mounts, new namespaces, kernel interfaces with
// a history, clocks and hosts. Calls of one architecture only stand in its file.
var refused = append([]refusal{
	// other processes
	{unix.SYS_PTRACE, unix.EPERM}, {unix.SYS_PROCESS_VM_READV, unix.EPERM}, {unix.SYS_PROCESS_VM_WRITEV, unix.EPERM},
	{unix.SYS_PROCESS_MADVISE, unix.EPERM}, {unix.SYS_KCMP, unix.EPERM}, {unix.SYS_PIDFD_GETFD, unix.EPERM},
	{unix.SYS_MIGRATE_PAGES, unix.EPERM}, {unix.SYS_MOVE_PAGES, unix.EPERM},
	// mounts and roots
	{unix.SYS_MOUNT, unix.EPERM}, {unix.SYS_UMOUNT2, unix.EPERM}, {unix.SYS_PIVOT_ROOT, unix.EPERM}, {unix.SYS_CHROOT, unix.EPERM},
	{unix.SYS_OPEN_TREE, unix.EPERM}, {unix.SYS_MOVE_MOUNT, unix.EPERM}, {unix.SYS_FSOPEN, unix.EPERM}, {unix.SYS_FSCONFIG, unix.EPERM},
	{unix.SYS_FSMOUNT, unix.EPERM}, {unix.SYS_FSPICK, unix.EPERM}, {unix.SYS_MOUNT_SETATTR, unix.EPERM},
	{unix.SYS_STATMOUNT, unix.EPERM}, {unix.SYS_LISTMOUNT, unix.EPERM},
	{unix.SYS_SWAPON, unix.EPERM}, {unix.SYS_SWAPOFF, unix.EPERM}, {unix.SYS_QUOTACTL, unix.EPERM}, {unix.SYS_QUOTACTL_FD, unix.EPERM},
	{unix.SYS_NAME_TO_HANDLE_AT, unix.EPERM}, {unix.SYS_OPEN_BY_HANDLE_AT, unix.EPERM}, {unix.SYS_FANOTIFY_INIT, unix.EPERM},
	// new namespaces; clone is looked at below. A missing clone3 makes C
	// libraries take clone, whose flags a filter can see.
	{unix.SYS_UNSHARE, unix.EPERM}, {unix.SYS_SETNS, unix.EPERM}, {unix.SYS_CLONE3, unix.ENOSYS},
	// kernel interfaces
	{unix.SYS_BPF, unix.EPERM}, {unix.SYS_PERF_EVENT_OPEN, unix.EPERM}, {unix.SYS_USERFAULTFD, unix.EPERM},
	{unix.SYS_IO_URING_SETUP, unix.EPERM}, {unix.SYS_IO_URING_ENTER, unix.EPERM}, {unix.SYS_IO_URING_REGISTER, unix.EPERM},
	{unix.SYS_KEYCTL, unix.EPERM}, {unix.SYS_ADD_KEY, unix.EPERM}, {unix.SYS_REQUEST_KEY, unix.EPERM},
	{unix.SYS_MEMFD_SECRET, unix.EPERM}, {unix.SYS_VMSPLICE, unix.EPERM}, {unix.SYS_LOOKUP_DCOOKIE, unix.EPERM},
	{unix.SYS_INIT_MODULE, unix.EPERM}, {unix.SYS_FINIT_MODULE, unix.EPERM}, {unix.SYS_DELETE_MODULE, unix.EPERM},
	{unix.SYS_KEXEC_LOAD, unix.EPERM}, {unix.SYS_KEXEC_FILE_LOAD, unix.EPERM}, {unix.SYS_SYSLOG, unix.EPERM}, {unix.SYS_ACCT, unix.EPERM},
	{unix.SYS_NFSSERVCTL, unix.EPERM}, {unix.SYS_REMAP_FILE_PAGES, unix.EPERM},
	// the machine
	{unix.SYS_REBOOT, unix.EPERM}, {unix.SYS_SETHOSTNAME, unix.EPERM}, {unix.SYS_SETDOMAINNAME, unix.EPERM}, {unix.SYS_VHANGUP, unix.EPERM},
	{unix.SYS_SETTIMEOFDAY, unix.EPERM}, {unix.SYS_CLOCK_SETTIME, unix.EPERM}, {unix.SYS_CLOCK_ADJTIME, unix.EPERM}, {unix.SYS_ADJTIMEX, unix.EPERM},
	// queues that outlive a process
	{unix.SYS_MQ_OPEN, unix.EPERM},
}, refusedHere...)

// families of sockets that are allowed; all others are not known here.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}

const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// Places in the record that a filter sees (struct seccomp_data, little endian).
const (
	atCall = 0
	atArch = 4
	atArg0 = 16
	atArg1 = 24
	atArg2 = 32
)

// program builds a filter: straight-line code, jumps forward only.
type program []unix.SockFilter

func (p *program) load(at uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at})
}

func (p *program) and(mask uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
}

// jump continues at the next instruction plus yes or no.
func (p *program) jump(test uint16, k uint32, yes, no int) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: k})
}

func (p *program) answer(k uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k})
}

func (p *program) refuse(e unix.Errno) {
	p.answer(unix.SECCOMP_RET_ERRNO | uint32(e)&unix.SECCOMP_RET_DATA)
}

// call appends what happens in one system call; body ends in an answer.
func (p *program) call(nr uint32, body program) {
	p.jump(unix.BPF_JEQ, nr, 0, len(body))
	*p = append(*p, body...)
}

// filter returns the whole program: another architecture's calls kill the
// process, refused ones answer an error, all others are allowed.
func filter() []unix.SockFilter {
	var p program
	p.load(atArch)
	p.jump(unix.BPF_JEQ, auditArch, 1, 0)
	p.answer(unix.SECCOMP_RET_KILL_PROCESS)
	p.load(atCall)
	if otherABI != 0 { // x32 has its own numbers in the same architecture
		p.jump(unix.BPF_JGE, otherABI, 0, 1)
		p.answer(unix.SECCOMP_RET_KILL_PROCESS)
	}
	for _, r := range refused {
		p.jump(unix.BPF_JEQ, r.nr, 0, 1)
		p.refuse(r.errno)
	}
	p.call(unix.SYS_CLONE, cloneRule())
	p.call(unix.SYS_SOCKET, socketRule())
	p.call(unix.SYS_SOCKETPAIR, pairRule())
	p.call(unix.SYS_IOCTL, ioctlRule())
	p.call(unix.SYS_PERSONALITY, personalityRule())
	for _, at := range nodeCalls {
		p.call(at.nr, nodeRule(at.mode))
	}
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

func cloneRule() (p program) {
	p.load(atArg0)
	p.jump(unix.BPF_JSET, newNamespaces, 0, 1)
	p.refuse(unix.EPERM)
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

// socketRule allows streams and datagrams of the known families, and of netlink
// the one protocol that lists interfaces, which Node reads.
func socketRule() (p program) {
	p.load(atArg0)
	for _, f := range families {
		// to the look at the type, behind the rest of this list and netlink's rule
		p.jump(unix.BPF_JEQ, f, 0, 0)
	}
	first := len(p) - len(families)
	p.jump(unix.BPF_JEQ, unix.AF_NETLINK, 0, 3)
	p.load(atArg2)
	p.jump(unix.BPF_JEQ, unix.NETLINK_ROUTE, 0, 1)
	p.answer(unix.SECCOMP_RET_ALLOW)
	p.refuse(unix.EAFNOSUPPORT)
	for i := range families {
		p[first+i].Jt = uint8(len(p) - (first + i) - 1)
	}
	p.load(atArg1)
	p.and(0xf)
	p.jump(unix.BPF_JEQ, unix.SOCK_RAW, 1, 0)
	p.jump(unix.BPF_JEQ, unix.SOCK_PACKET, 0, 1)
	p.refuse(unix.EPERM)
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

func pairRule() (p program) {
	p.load(atArg0)
	p.jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1)
	p.answer(unix.SECCOMP_RET_ALLOW)
	p.refuse(unix.EAFNOSUPPORT)
	return p
}

// ioctlRule keeps a program from typing on the server's terminal.
func ioctlRule() (p program) {
	p.load(atArg1)
	p.jump(unix.BPF_JEQ, unix.TIOCSTI, 1, 0)
	p.jump(unix.BPF_JEQ, tiocLinux, 0, 1)
	p.refuse(unix.EPERM)
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

const tiocLinux = 0x541c

// personalityRule allows to ask, and the ordinary one.
func personalityRule() (p program) {
	p.load(atArg0)
	p.jump(unix.BPF_JEQ, 0, 1, 0)
	p.jump(unix.BPF_JEQ, 0xffffffff, 0, 1)
	p.answer(unix.SECCOMP_RET_ALLOW)
	p.refuse(unix.EPERM)
	return p
}

// nodeRule allows to make files, pipes and sockets, but no devices.
func nodeRule(mode uint32) (p program) {
	p.load(mode)
	p.and(unix.S_IFMT)
	p.jump(unix.BPF_JEQ, unix.S_IFCHR, 1, 0)
	p.jump(unix.BPF_JEQ, unix.S_IFBLK, 0, 1)
	p.refuse(unix.EPERM)
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}
