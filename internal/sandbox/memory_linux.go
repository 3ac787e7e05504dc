//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A cgroup holds one jail's memory and number of processes, where this process
// may make one. Its zero and nil values limit nothing.
//
// Version 1 and 2 differ in names only: in version 1 memory and pids are two
// trees, in version 2 one. The scratch of a jail counts as its memory, so the hard
// limit stands above both together and the watcher, which counts resident memory
// alone, holds the exact one.
type cgroup struct {
	memory, pids string // folders, "" for none; the same one in version 2
	v2           bool
}

// cgroupHome finds, once, the folders below which jails get theirs.
var cgroupHome = sync.OnceValue(func() cgroup { return findCgroup("/proc/self", "/sys/fs/cgroup") })

var cgroupSerial atomic.Int64

// findCgroup reads where this process stands and tries what it may do there.
func findCgroup(self, mount string) cgroup {
	var home cgroup
	b, err := os.ReadFile(filepath.Join(self, "cgroup"))
	if err != nil {
		return home
	}
	for line := range strings.Lines(string(b)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		names, where, ok := strings.Cut(rest, ":")
		if !ok || strings.Contains(where, "..") {
			continue
		}
		if id == "0" && names == "" {
			if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil && home.memory == "" {
				if dir := delegate(filepath.Join(mount, where)); dir != "" {
					return cgroup{memory: dir, pids: dir, v2: true}
				}
			}
			continue
		}
		for name := range strings.SplitSeq(names, ",") {
			dir := filepath.Join(mount, name, where)
			switch name {
			case "memory":
				if canMake(dir, "memory.limit_in_bytes") {
					home.memory = dir
				}
			case "pids":
				// The root of this tree has no limit of its own, its children have.
				if canMake(dir, "pids.max") {
					home.pids = dir
				}
			}
		}
	}
	return home
}

// canMake tries to make a group in dir that has the file.
func canMake(dir, file string) bool {
	probe := filepath.Join(dir, fmt.Sprintf("outcrop-probe-%d", os.Getpid()))
	if err := os.Mkdir(probe, 0o755); err != nil {
		return false
	}
	defer os.Remove(probe)
	f, err := os.OpenFile(filepath.Join(probe, file), os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// delegate prepares a folder of version 2 for children: a group with processes
// may have none with limits, so this process moves into a leaf when it is alone.
// It returns "" when the folder is not ours to arrange.
func delegate(dir string) string {
	if canMake(dir, "memory.max") {
		return dir
	}
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil || !hasWord(controllers, "memory") || !hasWord(controllers, "pids") {
		return ""
	}
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil || strings.TrimSpace(string(procs)) != strconv.Itoa(os.Getpid()) {
		return ""
	}
	leaf := filepath.Join(dir, "server")
	if err := os.Mkdir(leaf, 0o755); err != nil && !os.IsExist(err) {
		return ""
	}
	if os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0) != nil {
		return ""
	}
	if os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory +pids"), 0) != nil || !canMake(dir, "memory.max") {
		return ""
	}
	return dir
}

func hasWord(b []byte, word string) bool {
	for f := range bytes.FieldsSeq(b) {
		if string(f) == word {
			return true
		}
	}
	return false
}

// newCgroup makes the group of one jail; nil when there can be none.
func newCgroup(s Spec) *cgroup { return cgroupHome().child(s) }

// child makes a group below g.
func (g cgroup) child(s Spec) *cgroup {
	// Where the kernel ends a jail: its memory, the stage, and the files in the
	// scratch, which count as memory.
	hard := s.Limits.Memory + s.Scratch + 32<<20
	name := fmt.Sprintf("outcrop-%d-%d", os.Getpid(), cgroupSerial.Add(1))
	box := &cgroup{v2: g.v2}
	put := func(dir, file string, n int64) bool {
		return os.WriteFile(filepath.Join(dir, file), strconv.AppendInt(nil, n, 10), 0) == nil
	}
	if g.memory != "" {
		dir := filepath.Join(g.memory, name)
		if os.Mkdir(dir, 0o755) == nil {
			limit, swap := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
			if g.v2 {
				limit, swap = "memory.max", "memory.swap.max"
			}
			if put(dir, limit, hard) {
				if g.v2 {
					put(dir, swap, 0)
				} else {
					put(dir, swap, hard)
				}
				box.memory = dir
			} else {
				_ = os.Remove(dir)
			}
		}
	}
	if g.pids != "" && (!g.v2 || box.memory != "") {
		dir := filepath.Join(g.pids, name)
		if g.v2 || os.Mkdir(dir, 0o755) == nil {
			if put(dir, "pids.max", int64(s.Limits.Pids)+stageThreads) {
				box.pids = dir
			} else if !g.v2 {
				_ = os.Remove(dir)
			}
		}
	}
	if box.memory == "" && box.pids == "" {
		return nil
	}
	return box
}

// stageThreads are the stage's own, counted with the jail's.
const stageThreads = 12

func (g *cgroup) limitsMemory() bool { return g != nil && g.memory != "" }

// folders lists the groups, each once.
func (g *cgroup) folders() []string {
	if g == nil {
		return nil
	}
	var out []string
	for _, d := range []string{g.memory, g.pids} {
		if d != "" && (len(out) == 0 || out[0] != d) {
			out = append(out, d)
		}
	}
	return out
}

// add moves a process in, before it has started others.
func (g *cgroup) add(pid int) error {
	for _, d := range g.folders() {
		if err := os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("sandbox: put the jail into its control group: %w", err)
		}
	}
	return nil
}

// killed reports whether the kernel ended a process for its memory.
func (g *cgroup) killed() bool {
	if !g.limitsMemory() {
		return false
	}
	file := "memory.oom_control"
	if g.v2 {
		file = "memory.events"
	}
	b, err := os.ReadFile(filepath.Join(g.memory, file))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}

// remove deletes the groups of a jail that has ended.
func (g *cgroup) remove() {
	for _, d := range g.folders() {
		// The kernel lets the last process go a moment after it was waited for.
		for range 50 {
			if err := os.Remove(d); err == nil || os.IsNotExist(err) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}
