package llamacpp

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// systemMemory is the free physical memory.
func systemMemory() int64 {
	var s struct {
		length, load                                                                     uint32
		total, free, totalPage, freePage, totalVirtual, freeVirtual, freeExtendedVirtual uint64
	}
	s.length = uint32(unsafe.Sizeof(s))
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if r, _, _ := proc.Call(uintptr(unsafe.Pointer(&s))); r == 0 {
		return 0
	}
	return int64(s.free)
}
