//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Control groups of version 2 are tried on a folder that looks like them: what is
// read and written is the whole of their interface.
func TestControlGroupsVersion2(t *testing.T) {
	top := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("self/cgroup", "0::/user.slice/outcrop.service\n")
	write("fs/cgroup.controllers", "cpu memory pids\n")
	write("fs/user.slice/outcrop.service/cgroup.controllers", "cpu memory pids\n")
	write("fs/user.slice/outcrop.service/cgroup.procs", strconv.Itoa(os.Getpid())+"\n")
	// A plain folder makes no interface files in its children, so nothing can be
	// limited there and the watcher stands alone.
	if home := findCgroup(filepath.Join(top, "self"), filepath.Join(top, "fs")); home.memory != "" {
		t.Errorf("a group without limits is taken: %+v", home)
	}
	// It has moved itself into a leaf and asked for the controllers, as it must.
	if b, err := os.ReadFile(filepath.Join(top, "fs/user.slice/outcrop.service/server/cgroup.procs")); err != nil || string(b) != strconv.Itoa(os.Getpid()) {
		t.Errorf("the leaf holds %q, %v", b, err)
	}
	if b, _ := os.ReadFile(filepath.Join(top, "fs/user.slice/outcrop.service/cgroup.subtree_control")); string(b) != "+memory +pids" {
		t.Errorf("controllers: %q", b)
	}

	home := cgroup{memory: filepath.Join(top, "home"), pids: filepath.Join(top, "home"), v2: true}
	if err := os.Mkdir(home.memory, 0o755); err != nil {
		t.Fatal(err)
	}
	g := home.child(Spec{Scratch: 1 << 20, Limits: Limits{Memory: 2 << 20, Pids: 5}})
	if g == nil || !g.limitsMemory() || len(g.folders()) != 1 {
		t.Fatalf("got %+v", g)
	}
	if err := g.add(42); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": strconv.Itoa(35 << 20), "memory.swap.max": "0", "pids.max": strconv.Itoa(5 + stageThreads), "cgroup.procs": "42"} {
		if b, err := os.ReadFile(filepath.Join(g.memory, file)); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v; want %s", file, b, err, want)
		}
	}
	if g.killed() {
		t.Error("killed before anything was")
	}
	for text, want := range map[string]bool{"low 0\noom 1\noom_kill 0\n": false, "oom_kill 2\noom_group_kill 0\n": true} {
		if err := os.WriteFile(filepath.Join(g.memory, "memory.events"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if g.killed() != want {
			t.Errorf("%q: killed is %v", text, !want)
		}
	}
	// Somebody else in the group: it is not ours to arrange.
	write("fs/user.slice/outcrop.service/cgroup.procs", "1\n2\n")
	if dir := delegate(filepath.Join(top, "fs/user.slice/outcrop.service")); dir != "" {
		t.Errorf("took %s", dir)
	}
}

func TestNoControlGroupIsNoFault(t *testing.T) {
	var g *cgroup
	if g.limitsMemory() || g.killed() || g.add(1) != nil || g.folders() != nil {
		t.Error("a missing group does something")
	}
	g.remove()
	if home := findCgroup("/no/such", "/no/such"); home != (cgroup{}) {
		t.Errorf("got %+v", home)
	}
}

func TestFindings(t *testing.T) {
	all := findings(reply{Landlock: 7}, nil, cgroup{memory: "x"})
	if !Usable(all) || len(all) != 9 {
		t.Errorf("got %+v", all)
	}
	broken := findings(reply{Part: partLandlock}, &PartError{Part: partLandlock, Err: unix.ENOSYS}, cgroup{})
	if Usable(broken) || Usable(nil) {
		t.Error("a missing wall is usable")
	}
	i := slices.IndexFunc(broken, func(f Finding) bool { return f.Part == partLandlock })
	if f := broken[i]; f.State != Missing || !strings.Contains(f.Detail, "lsm=") || broken[i+1].State != Missing || broken[i-1].State != OK {
		t.Errorf("got %+v", broken)
	}
	if last := broken[len(broken)-1]; last.State != Weaker || !strings.Contains(last.Detail, "watcher") {
		t.Errorf("got %+v", last)
	}
	// No namespace at all: the stage never spoke.
	none := findings(reply{}, &PartError{Part: partNamespaces, Err: errors.New("no space left")}, cgroup{})
	if none[0].State != Missing || !strings.Contains(none[0].Detail, "max_user_namespaces") {
		t.Errorf("got %+v", none[0])
	}
}

func TestBadSpecs(t *testing.T) {
	for name, s := range map[string]Spec{
		"relative command": {Command: "sh"},
		"relative bind":    {Command: "/x", Files: []Bind{{Source: "a"}}},
		"bind at the root": {Command: "/x", Files: []Bind{{Source: "/a", Target: "/"}}},
		"bind up":          {Command: "/x", Files: []Bind{{Source: "/a", Target: "/b/../.."}}},
		"bind over proc":   {Command: "/x", Files: []Bind{{Source: "/a", Target: "/proc/x"}}},
		"bind over dev":    {Command: "/x", Files: []Bind{{Source: "/a", Target: "/dev"}}},
		"environment":      {Command: "/x", Env: []string{"novalue"}},
		"NUL":              {Command: "/x", Env: []string{"A=\x00"}},
		"negative":         {Command: "/x", Limits: Limits{Memory: -1}},
		"sockets":          {Command: "/x", Listen: make([]Listen, 17)},
	} {
		if _, err := s.withDefaults(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// The filter is one straight program; every jump must end inside it.
func TestTheFiltersJumps(t *testing.T) {
	p := filter()
	for i, in := range p {
		if in.Code&7 != unix.BPF_JMP {
			continue
		}
		for _, off := range []uint8{in.Jt, in.Jf} {
			if i+1+int(off) >= len(p) {
				t.Errorf("instruction %d jumps out of the filter", i)
			}
		}
	}
	if last := p[len(p)-1]; last.Code != unix.BPF_RET|unix.BPF_K || last.K != unix.SECCOMP_RET_ALLOW {
		t.Errorf("the filter ends in %+v", last)
	}
	if len(p) > 4096 {
		t.Errorf("%d instructions", len(p))
	}
}
