package embedding

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return Unit(v)
}

func dot(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestPaddingChangesNoAngle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a, b := random(r, 384), random(r, 384)
	x, y := Fit(a, 1536), Fit(b, 1536)
	if len(x) != 1536 || math.Abs(dot(a, b)-dot(x, y)) > 1e-9 {
		t.Errorf("%d numbers, dot %v became %v", len(x), dot(a, b), dot(x, y))
	}
	if !slices.Equal(a, x[:384]) || slices.ContainsFunc(x[384:], func(f float32) bool { return f != 0 }) {
		t.Error("a padded vector is not the vector and zeros")
	}
}

// A vector whose weight lies in its last numbers would be lost by cutting it off.
func TestProjectionKeepsWhatCuttingLoses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tail := func() []float32 {
		v := make([]float32, 384)
		copy(v[256:], random(r, 128))
		return v
	}
	base := tail()
	near := slices.Clone(base)
	for i := 256; i < 384; i++ {
		near[i] += float32(r.NormFloat64()) * 0.02
	}
	far := tail()
	p, q, s := Fit(base, 256), Fit(Unit(near), 256), Fit(far, 256)
	if dot(p, q) < 0.9 || dot(p, s) > 0.4 {
		t.Errorf("near %v, far %v", dot(p, q), dot(p, s))
	}
	if l := dot(p, p); math.Abs(l-1) > 1e-5 {
		t.Errorf("squared length %v", l)
	}
}

func TestProjectionKeepsTheOrderOfNeighbours(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var worst float64
	for range 200 {
		a, b := random(r, 768), random(r, 768)
		for i := range b { // pairs of all degrees of nearness
			b[i] = b[i]*float32(r.Float64()) + a[i]*float32(r.Float64())
		}
		Unit(b)
		worst = max(worst, math.Abs(dot(a, b)-dot(Fit(a, 512), Fit(b, 512))))
	}
	if worst > 0.12 { // about four standard deviations of 1/√512, less what 512 of 1024 give
		t.Errorf("a cosine moved by %v", worst)
	}
}

// Callers store projected vectors: the projection of this version is that of all.
func TestProjectionNeverChanges(t *testing.T) {
	v := []float32{1, 2, 3, 4, 5, 6}
	got := Fit(v, 4)
	want := []float32{-0.48245063, 0.3752394, 0.6968731, -0.3752394}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if !slices.Equal(v, []float32{1, 2, 3, 4, 5, 6}) {
		t.Error("the argument was changed")
	}
}

func TestFitReturnsWhatFits(t *testing.T) {
	v := []float32{1, 0}
	if got := Fit(v, 2); &got[0] != &v[0] {
		t.Error("copied")
	}
}

func TestNumberTypes(t *testing.T) {
	v := []float32{0.5, -0.25, 0, 0.125, -0.5, 0.25, 0.25, -0.125, 0.5}
	for kind, want := range map[string][]float64{
		"float":   {0.5, -0.25, 0, 0.125, -0.5, 0.25, 0.25, -0.125, 0.5},
		"int8":    {127, -64, 0, 32, -127, 64, 64, -32, 127},
		"uint8":   {255, 64, 128, 160, 1, 192, 192, 96, 255},
		"ubinary": {0b10010110, 0b10000000},
		"binary":  {0b10010110 - 128, 0},
	} {
		var got []float64
		if err := json.Unmarshal(AppendAs(nil, kind, v), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	var bits []float64
	if err := json.Unmarshal(AppendBits(nil, v), &bits); err != nil || !slices.Equal(bits, []float64{1, 0, 0, 1, 0, 1, 1, 0, 1}) {
		t.Errorf("bits %v, %v", bits, err)
	}
	if got := string(AppendFloats(nil, []float32{float32(math.NaN()), float32(math.Inf(1)), 1e-9})); got != "[0,0,1e-09]" {
		t.Errorf("got %s", got)
	}
}

func BenchmarkFit(b *testing.B) {
	v := random(rand.New(rand.NewPCG(1, 1)), 384)
	b.ReportAllocs()
	for b.Loop() {
		Fit(v, 256)
	}
}

func BenchmarkAppendFloats(b *testing.B) {
	v := Fit(random(rand.New(rand.NewPCG(1, 1)), 384), 1536)
	buf := make([]byte, 0, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendFloats(buf[:0], v)
	}
}
