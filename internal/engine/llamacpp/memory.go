package llamacpp

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// available is the memory in bytes that this process and its children may still
// take: what the system says, and no more than any control group leaves. 0 means
// that nothing could be learnt. root is "/" but for tests.
func available(root string) int64 {
	n := meminfo(filepath.Join(root, "proc/meminfo"))
	if n == 0 {
		n = systemMemory()
	}
	for _, left := range cgroupLeft(root) {
		if n == 0 || left < n {
			n = left
		}
	}
	return n
}

func meminfo(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if v, ok := strings.CutPrefix(sc.Text(), "MemAvailable:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// cgroupLeft returns what each control group above this process leaves, version
// 2 (memory.max, memory.current) and version 1 (memory.limit_in_bytes,
// memory.usage_in_bytes). Page cache counts as free: the kernel gives it back.
func cgroupLeft(root string) []int64 {
	b, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	var out []int64
	for line := range strings.Lines(string(b)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		base, limit, usage, cache := "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "
		switch {
		case fields[0] == "0" && fields[1] == "":
		case strings.Contains(","+fields[1]+",", ",memory,"):
			base, limit, usage, cache = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "
		default:
			continue
		}
		// Inside a container the path is that of the host and only the root of
		// the mount exists: every level that is there counts.
		for p := filepath.Clean("/" + fields[2]); ; p = filepath.Dir(p) {
			dir := filepath.Join(root, base, p)
			if l := readInt(filepath.Join(dir, limit)); l > 0 && l < math.MaxInt64/2 {
				used := max(0, readInt(filepath.Join(dir, usage))-statField(filepath.Join(dir, "memory.stat"), cache))
				out = append(out, max(1, l-used))
			}
			if p == "/" {
				break
			}
		}
	}
	return out
}

func readInt(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // "max" is no number
	if err != nil {
		return 0
	}
	return n
}

func statField(path, name string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			return n
		}
	}
	return 0
}
