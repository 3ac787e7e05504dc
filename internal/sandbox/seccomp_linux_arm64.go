package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	otherABI  = 0
)

var refusedHere []refusal

// nodeCalls make files that can be devices: the call, and where its mode stands.
var nodeCalls = []struct{ nr, mode uint32 }{{unix.SYS_MKNODAT, atArg2}}
