package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	otherABI  = 0x40000000 // the bit of x32 calls
)

var refusedHere = []refusal{
	{unix.SYS_IOPL, unix.EPERM}, {unix.SYS_IOPERM, unix.EPERM}, {unix.SYS_MODIFY_LDT, unix.EPERM},
	{unix.SYS_USELIB, unix.EPERM}, {unix.SYS_USTAT, unix.EPERM}, {unix.SYS_SYSFS, unix.EPERM}, {unix.SYS__SYSCTL, unix.EPERM},
	{unix.SYS_CREATE_MODULE, unix.EPERM}, {unix.SYS_GET_KERNEL_SYMS, unix.EPERM}, {unix.SYS_QUERY_MODULE, unix.EPERM},
}

// nodeCalls make files that can be devices: the call, and where its mode stands.
var nodeCalls = []struct{ nr, mode uint32 }{{unix.SYS_MKNOD, atArg1}, {unix.SYS_MKNODAT, atArg2}}
