//go:build amd64 || arm64

package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// hints say what a person can do about a missing part.
var hints = map[string]string{
	partNamespaces: "user namespaces are switched off for this user: set user.max_user_namespaces above 0 (and kernel.unprivileged_userns_clone=1 where that exists), or give the container the right to make them",
	partMounts:     "the kernel let a user namespace be made but gives it no rights: on Ubuntu allow the program in AppArmor or set kernel.apparmor_restrict_unprivileged_userns=0; in a container allow mount; the kernel must be 5.14 or newer",
	partProc:       "mounting /proc inside failed",
	partNetwork:    "a network namespace of its own was refused",
	partLimits:     "lowering a limit was refused",
	partIdentity:   "changing the user inside was refused",
	partLandlock:   "boot with landlock in the lsm= list (kernel 5.13 or newer)",
	partSeccomp:    "the kernel must be built with CONFIG_SECCOMP_FILTER",
}

// Check builds a jail and runs nothing in it, and says of each part whether it is
// there. It takes some ten milliseconds.
func Check(ctx context.Context) []Finding {
	spec, err := (Spec{Command: "/bin/true", Stdout: io.Discard, Listen: []Listen{{Port: 9001}}}).withDefaults()
	if err != nil {
		return []Finding{{Part: partNamespaces, State: Missing, Detail: err.Error()}}
	}
	rep, err := startStage(ctx, spec, &Process{done: make(chan struct{})}, true)
	return findings(rep, err, cgroupHome())
}

func findings(rep reply, err error, home cgroup) []Finding {
	order := []string{partNamespaces, partMounts, partProc, partNetwork, partLimits, partIdentity, partLandlock, partSeccomp}
	broken := ""
	if err != nil {
		broken = partNamespaces
		if rep.Part != "" {
			broken = rep.Part
		}
	}
	var out []Finding
	after := false
	for _, part := range order {
		f := Finding{Part: part, State: OK, Detail: rep.Weaker[part]}
		if f.Detail != "" {
			f.State = Weaker
		}
		switch {
		case part == broken:
			f.State, f.Detail, after = Missing, fmt.Sprintf("%v; %s", err, hints[part]), true
		case after:
			f.State, f.Detail = Missing, "not tried, because the part before is missing"
		case part == partLandlock:
			f.Detail = strings.TrimSpace(fmt.Sprintf("interface %d %s", rep.Landlock, f.Detail))
		case part == partIdentity && os.Geteuid() == 0 && spareID() == 0:
			f.State, f.Detail = Weaker, "no spare user id can be given to programs, they keep the server's own id inside their walls"
		}
		out = append(out, f)
	}
	mem := Finding{Part: partMemory, State: OK, Detail: "control groups, version 1"}
	switch {
	case home.memory == "":
		mem.State = Weaker
		mem.Detail = "no control group can be made here: memory is held by a watcher that looks every 25 ms; run the server as a service with Delegate=yes for exact limits"
	case home.v2:
		mem.Detail = "control groups, version 2"
	}
	return append(out, mem)
}
