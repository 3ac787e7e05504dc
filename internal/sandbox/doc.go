// Package sandbox is the jail: it runs somebody else's program, or a parser of a
// stranger's file, as a child that sees nothing of this machine but the system's
// read-only programs, the files it is given and a small private /tmp.
//
//	Start(ctx, Spec) ── clone: user, pid, net, mount, ipc, uts, cgroup namespaces
//	   │                  └─ this binary again, "__jail" (Main): the stage, pid 1 inside
//	   ├── spec ────────▶    new root (tmpfs, ro binds, own /proc, small /dev), pivot_root
//	   │                     loopback up, listeners made, rlimits, identity and
//	   │                     capabilities dropped, no_new_privs, Landlock, seccomp
//	   ◀── listeners, ok ─   the program runs (pid 2), the stage reaps
//	   ◀── how it ended ──   everything inside ends with the stage
//	Wait ── Exit
//
// Sockets on the jail's own loopback are made by the stage and handed out to the
// caller, who accepts on them from outside: so a jailed program reaches exactly
// the services that its caller serves, without a proxy process and without a
// network.
//
// The jail fails closed: when the kernel lacks a part, Start returns a PartError
// that names it, and Check tells the operator which parts there are. Only
// Spec.Unsafe, which an operator has to ask for, runs a program without a jail;
// it is also the only way on other systems than Linux.
//
// A program that uses the package calls Main first in its main function (and in
// TestMain), because the stage is the same binary.
//
// Floor 1 (ports). It knows no AWS and no HTTP, keeps no state between calls,
// and never runs a program with more rights than its Spec says.
package sandbox
