package embedding

import (
	"math"
	"math/bits"
	"sync"
)

// Fit returns the vector with n numbers. A shorter one is padded with zeros, which
// changes no angle. A longer one is projected: cutting it off would throw away
// whole dimensions of a model that was not trained for that, while a fixed random
// rotation spreads every dimension over all numbers, of which n are kept (the
// subsampled randomized Hadamard transform, Ailon and Chazelle 2009). The result
// of a projection has unit length. The vector itself is never changed, and is
// returned when it fits.
//
// The projection is part of what callers store: it must never change.
func Fit(v []float32, n int) []float32 {
	switch {
	case n <= 0 || len(v) == n:
		return v
	case len(v) < n:
		out := make([]float32, n)
		copy(out, v)
		return out
	}
	return project(v, n)
}

// rotation is the fixed part of a projection of vectors of up to len(signs)
// numbers, a power of two.
type rotation struct {
	signs []float32
	order []int // which numbers of the rotated vector are kept first
}

var rotations sync.Map // size → *rotation

// projectionSeed chooses the projection for ever.
const projectionSeed = 0x6f7574_63726f70 // the letters of the program's name

func rotationOf(size int) *rotation {
	if r, ok := rotations.Load(size); ok {
		return r.(*rotation)
	}
	state := uint64(projectionSeed) ^ uint64(size)
	next := func() uint64 { // SplitMix64, Steele, Lea and Flood 2014
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	r := &rotation{signs: make([]float32, size), order: make([]int, size)}
	for i := range r.signs {
		r.signs[i] = 1
		if next()>>63 == 1 {
			r.signs[i] = -1
		}
		r.order[i] = i
	}
	for i := size - 1; i > 0; i-- {
		hi, _ := bits.Mul64(next(), uint64(i+1)) // a number below i+1
		j := int(hi)
		r.order[i], r.order[j] = r.order[j], r.order[i]
	}
	rotations.Store(size, r)
	return r
}

func project(v []float32, n int) []float32 {
	size := 1 << bits.Len(uint(len(v)-1))
	r := rotationOf(size)
	work := make([]float32, size)
	for i, x := range v {
		work[i] = x * r.signs[i]
	}
	for half := 1; half < size; half *= 2 { // the fast Walsh-Hadamard transform
		for start := 0; start < size; start += 2 * half {
			for i := start; i < start+half; i++ {
				a, b := work[i], work[i+half]
				work[i], work[i+half] = a+b, a-b
			}
		}
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = work[r.order[i]]
	}
	return Unit(out)
}

// Unit scales a vector in place to length one and returns it; a zero vector stays.
func Unit(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return v
	}
	scale := 1 / math.Sqrt(sum)
	for i, x := range v {
		v[i] = float32(float64(x) * scale)
	}
	return v
}

// Mean returns the element-wise mean of vectors of one size. Its length is not
// brought to one.
func Mean(vectors ...[]float32) []float32 {
	out := make([]float32, len(vectors[0]))
	for i := range out {
		var sum float64
		for _, v := range vectors {
			sum += float64(v[i])
		}
		out[i] = float32(sum / float64(len(vectors)))
	}
	return out
}
