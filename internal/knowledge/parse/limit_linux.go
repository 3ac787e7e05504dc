package parse

import "syscall"

// limitMemory puts a wall of the kernel behind the watcher of the jail, who looks
// only every so often: private memory beyond it is refused, and the runtime ends.
// Not the address space: Go reserves far more of that than it uses.
func limitMemory() {
	const rlimitData = 2
	limit := uint64(childMemory + 64<<20)
	var now syscall.Rlimit
	if syscall.Getrlimit(rlimitData, &now) == nil && now.Max < limit {
		limit = now.Max
	}
	_ = syscall.Setrlimit(rlimitData, &syscall.Rlimit{Cur: limit, Max: limit})
}
