package llamacpp

import "golang.org/x/sys/unix"

// systemMemory takes three quarters of what is built in: macOS compresses and
// gives back on its own, and tells no better figure without a privileged call.
func systemMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n / 4 * 3)
}
