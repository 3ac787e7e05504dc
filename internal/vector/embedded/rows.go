package embedded

import (
	"encoding/binary"
	"math"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// slabRows is how many rows lie together. Rows come in slabs so that growing copies
// nothing and wastes at most one of them.
const slabRows = 4096

// slab holds rows in 16 bits a number, as two planes of 8: number = scale × (hi +
// lo/256). A scan reads hi alone; what it finds best is ranked again with both,
// which differs from float32 by some 1e-5 of the longest number.
type slab struct {
	hi, lo []int8
	bits   []uint64 // signs
	scale  []float32
	square []float32 // of the length, Euclidean only
}

// rows are the vectors of an index, live and dead.
type rows struct {
	dim, stride, words int
	metric             vector.Metric
	n                  int
	slabs              []*slab
	chunk              []int64 // key of each row's chunk
	scratch            []float32
}

func newRows(d vector.Definition) rows {
	return rows{
		dim: d.Dimension, stride: (d.Dimension + lanes - 1) / lanes * lanes, words: (d.Dimension + 63) / 64,
		metric: d.Metric, scratch: make([]float32, d.Dimension),
	}
}

// rowBytes is what a row of the definition takes.
func rowBytes(d vector.Definition) int64 {
	r := newRows(d)
	return int64(2*r.stride + 8*r.words + 4 + 4 + 8)
}

// add appends a row of float32 bytes; expect is how many more may come, to size the
// slab.
func (r *rows) add(key int64, floats []byte, expect int) {
	at := r.n % slabRows
	if at == 0 {
		size := min(max(expect, 16), slabRows)
		r.slabs = append(r.slabs, &slab{
			hi: make([]int8, 0, size*r.stride), lo: make([]int8, 0, size*r.stride),
			bits: make([]uint64, 0, size*r.words), scale: make([]float32, 0, size),
		})
	}
	s := r.slabs[len(r.slabs)-1]
	v := r.scratch
	var sum float64
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(floats[4*i:]))
		sum += float64(v[i]) * float64(v[i])
	}
	if r.metric == vector.Euclidean {
		s.square = append(s.square, float32(sum))
	} else {
		unit(v, sum)
	}
	s.hi = extend(s.hi, r.stride)
	s.lo = extend(s.lo, r.stride)
	s.bits = extend(s.bits, r.words)
	scale := split(v, s.hi[at*r.stride:], s.lo[at*r.stride:])
	s.scale = append(s.scale, scale)
	signs(v, s.bits[at*r.words:])
	r.chunk = append(r.chunk, key)
	r.n++
}

// extend appends n zeros.
func extend[T int8 | uint64](s []T, n int) []T {
	if len(s)+n <= cap(s) {
		s = s[:len(s)+n] // made zero, never shrunk
		return s
	}
	return append(s, make([]T, n)...)
}

// unit brings a vector to length one; sum is its square.
func unit(v []float32, sum float64) {
	f := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= f
	}
}

// split writes v into two planes and answers the scale. Nothing in it branches on a
// number: signs are random, and mispredicted branches took half the time of a load.
func split(v []float32, hi, lo []int8) float32 {
	var m uint32
	for _, x := range v {
		m = max(m, math.Float32bits(x)&^(1<<31))
	}
	if m == 0 {
		return 0
	}
	scale := math.Float32frombits(m) / 127
	if scale == 0 { // the numbers are smaller than a float32's 127th part can be
		return 0
	}
	f := 1 / scale
	hi, lo = hi[:len(v)], lo[:len(v)]
	for i, x := range v {
		x *= f
		h := nearest(x)
		hi[i] = int8(h)
		lo[i] = int8(min(nearest((x-float32(h))*256), 127))
	}
	return scale
}

// nearest rounds numbers below 2²²: adding 1.5·2²³ leaves the whole part in the last
// bits of the mantissa.
func nearest(x float32) int32 {
	const shift = 3 << 22
	return int32(math.Float32bits(x+shift)) - int32(0x4b400000)
}

func signs(v []float32, out []uint64) {
	for w := 0; len(v) > 0; w++ {
		n := min(64, len(v))
		var word uint64
		for i, x := range v[:n] {
			word |= uint64(^math.Float32bits(x)>>31) << i
		}
		out[w] = word
		v = v[n:]
	}
}

// target is a question's vector in the form of the rows.
type target struct {
	hi, lo []int8
	bits   []uint64
	scale  float32
	square float64
}

func (r *rows) target(q []float32) *target {
	v := make([]float32, r.dim)
	copy(v, q)
	t := &target{hi: make([]int8, r.stride), lo: make([]int8, r.stride), bits: make([]uint64, r.words)}
	for _, x := range v {
		t.square += float64(x) * float64(x)
	}
	if r.metric != vector.Euclidean {
		unit(v, t.square)
		t.square = 1
	}
	t.scale = split(v, t.hi, t.lo)
	signs(v, t.bits)
	return t
}

// near is what a scan ranks a row by: higher is nearer. It is the cosine, or minus
// the squared distance with the question's own square left out.
func (r *rows) coarse(t *target, row int) float32 {
	s, i := r.slabs[row/slabRows], row%slabRows
	d := float32(dot8(t.hi, s.hi[i*r.stride:(i+1)*r.stride])) * s.scale[i] * t.scale
	if r.metric == vector.Euclidean {
		return 2*d - s.square[i]
	}
	return d
}

// similarity is the cosine or the squared distance, from both planes of both sides.
func (r *rows) similarity(t *target, row int) float64 {
	s, i := r.slabs[row/slabRows], row%slabRows
	hi, lo := s.hi[i*r.stride:(i+1)*r.stride], s.lo[i*r.stride:(i+1)*r.stride]
	d := float64(dot8(t.hi, hi)) + float64(dot8(t.hi, lo)+dot8(t.lo, hi))/256 + float64(dot8(t.lo, lo))/65536
	d *= float64(s.scale[i]) * float64(t.scale)
	if r.metric == vector.Euclidean {
		return max(t.square+float64(s.square[i])-2*d, 0)
	}
	return min(max(d, -1), 1)
}

// rowTarget makes a target of a row, for measurements: noise, if set, changes it.
func (r *rows) rowTarget(row int, noise func(v []float32)) *target {
	s, i := r.slabs[row/slabRows], row%slabRows
	v := make([]float32, r.dim)
	for j := range v {
		v[j] = s.scale[i] * (float32(s.hi[i*r.stride+j]) + float32(s.lo[i*r.stride+j])/256)
	}
	if noise != nil {
		noise(v)
	}
	return r.target(v)
}

func (r *rows) size() int64 {
	n := 8 * int64(cap(r.chunk))
	for _, s := range r.slabs {
		n += int64(cap(s.hi)+cap(s.lo)) + 8*int64(cap(s.bits)) + 4*int64(cap(s.scale)+cap(s.square))
	}
	return n
}
