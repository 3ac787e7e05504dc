//go:build !darwin && !windows

package llamacpp

func systemMemory() int64 { return 0 }
