package embedded

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

func TestKernelsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for n := 0; n <= vector.MaxDimension; n += lanes {
		a, b := make([]int8, n), make([]int8, n)
		for range 4 {
			want := int32(0)
			for i := range a {
				a[i], b[i] = int8(random.IntN(256)-128), int8(random.IntN(256)-128)
				want += int32(a[i]) * int32(b[i])
			}
			if got, plain := dot8(a, b), dot8Go(a, b); got != want || plain != want {
				t.Fatalf("n %d: %d here, %d in plain Go, want %d", n, got, plain, want)
			}
		}
		for i := range a { // the largest sum there is
			a[i], b[i] = -128, -128
		}
		if got := dot8(a, b); got != int32(n)*128*128 {
			t.Fatalf("n %d: %d", n, got)
		}
	}
}

func TestSplitKeepsSixteenBits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []float64{1, 1e-20, 1e20, 1e-44} {
		v := make([]float32, 100)
		for i := range v {
			v[i] = float32(random.NormFloat64() * size)
		}
		v[0] = 0
		hi, lo := make([]int8, 100), make([]int8, 100)
		scale := split(v, hi, lo)
		for i, x := range v {
			got := float64(scale) * (float64(hi[i]) + float64(lo[i])/256)
			if diff := math.Abs(got - float64(x)); size > 1e-40 && diff > float64(scale)/200 || math.IsNaN(diff) {
				t.Errorf("size %v: %v became %v", size, x, got)
			}
		}
	}
	for x, want := range map[float32]int32{0: 0, 0.4: 0, -0.4: 0, 0.6: 1, -0.6: -1, 127: 127, -127: -127, -128: -128, 126.9: 127} {
		if got := nearest(x); got != want {
			t.Errorf("nearest(%v) = %d", x, got)
		}
	}
	out := make([]uint64, 2)
	v := make([]float32, 70)
	v[1], v[69] = -1, -1
	signs(v, out)
	if out[0] != ^uint64(2) || out[1] != 1<<5-1 {
		t.Errorf("signs %b", out)
	}
}
