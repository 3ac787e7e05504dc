package embedded

import "golang.org/x/sys/cpu"

// A few lines of assembly and not simd/archsimd: that package needs a GOEXPERIMENT of
// whoever builds, and would lose a plain `go install` a factor of nine.
var useAVX2 = cpu.X86.HasAVX2

// dot8AVX2 needs AVX2 and n > 0, a multiple of lanes.
//
//go:noescape
func dot8AVX2(a, b *int8, n int) int32

// dot8 is the dot product of two rows of equal length, a multiple of lanes.
func dot8(a, b []int8) int32 {
	if useAVX2 && len(a) > 0 {
		_ = b[len(a)-1]
		return dot8AVX2(&a[0], &b[0], len(a))
	}
	return dot8Go(a, b)
}
