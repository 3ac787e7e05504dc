package vectortest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Cloud draws vectors as embedding models place them: many clusters in a subspace of
// low rank with a decaying spectrum, and noise in all directions. It is the
// distribution of the project's measurements, not of one model.
type Cloud struct {
	dim     int
	random  *rand.Rand
	axes    [][]float32
	centres [][]float32
}

// NewCloud fixes clusters; equal arguments give equal clouds.
func NewCloud(dim, clusters int, seed uint64) *Cloud {
	c := &Cloud{dim: dim, random: rand.New(rand.NewPCG(seed, 7))}
	rank := min(64, dim)
	for range rank {
		axis := make([]float32, dim)
		for i := range axis {
			axis[i] = float32(c.random.NormFloat64() / math.Sqrt(float64(dim)))
		}
		c.axes = append(c.axes, axis)
	}
	for range clusters {
		c.centres = append(c.centres, c.point(1))
	}
	return c
}

// point is a random combination of the axes, each weaker than the one before.
func (c *Cloud) point(size float64) []float32 {
	v := make([]float32, c.dim)
	for i, axis := range c.axes {
		w := float32(c.random.NormFloat64() * size / math.Sqrt(1+float64(i)))
		for j := range v {
			v[j] += w * axis[j]
		}
	}
	return v
}

// Next draws a vector of length one near a random centre.
func (c *Cloud) Next() []float32 {
	v := c.point(0.5)
	for i, x := range c.centres[c.random.IntN(len(c.centres))] {
		v[i] += x + float32(c.random.NormFloat64()*0.05)
	}
	return Unit(v)
}

// Near is a question: v with noise of the given part of its length, length one.
func (c *Cloud) Near(v []float32, noise float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = x + float32(c.random.NormFloat64()*noise/math.Sqrt(float64(len(v))))
	}
	return Unit(out)
}

// Isotropic draws a direction without any structure: the worst case.
func Isotropic(random *rand.Rand, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return Unit(v)
}

// Unit brings v to length one, in place.
func Unit(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	f := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= f
	}
	return v
}

// Attributes draws metadata whose keys hold mixed types: the same key is a string
// here, a number or a list there, and often missing.
func Attributes(random *rand.Rand) vector.Metadata {
	m := vector.Metadata{}
	for _, key := range keys {
		if random.IntN(3) > 0 {
			m[key] = value(random)
		}
	}
	if random.IntN(4) > 0 {
		m["year"] = vector.NumberValue(float64(1990 + random.IntN(40)))
	}
	return m
}

var (
	keys  = []string{"genre", "draft", "tags", "größe"}
	texts = []string{"", "cat", "cats", "category", "dog", "Dog", "2024", "true", "고양이", "it's", `a"b\c`, "100%", "_"}
)

func text(random *rand.Rand) string { return texts[random.IntN(len(texts))] }

func number(random *rand.Rand) float64 {
	return []float64{0, 1, -1, 2024, 1999.5, 1e-9, -1e300}[random.IntN(7)]
}

func value(random *rand.Rand) vector.Value {
	switch random.IntN(5) {
	case 0, 1:
		return vector.StringValue(text(random))
	case 2:
		return vector.NumberValue(number(random))
	case 3:
		return vector.BoolValue(random.IntN(2) == 0)
	default:
		list := make([]string, random.IntN(4))
		for i := range list {
			list[i] = text(random)
		}
		return vector.ListValue(list...)
	}
}

// Filter draws a filter that passes Check, of leaf operators among ops.
func Filter(random *rand.Rand, ops []vector.Op, depth int) vector.Filter {
	op := ops[random.IntN(len(ops))]
	if op == vector.AndAll || op == vector.OrAll {
		if depth <= 0 {
			return Filter(random, leaves(ops), 0)
		}
		f := vector.Filter{Op: op}
		for range 2 + random.IntN(3) {
			f.Of = append(f.Of, Filter(random, ops, depth-1))
		}
		return f
	}
	return Leaf(random, op)
}

func leaves(ops []vector.Op) (out []vector.Op) {
	for _, op := range ops {
		if op != vector.AndAll && op != vector.OrAll {
			out = append(out, op)
		}
	}
	return out
}

// Leaf draws a condition with that operator.
func Leaf(random *rand.Rand, op vector.Op) vector.Filter {
	f := vector.Filter{Op: op, Key: append([]string{"year", "nobody"}, keys...)[random.IntN(len(keys)+2)]}
	scalar := func() vector.Value {
		for {
			if v := value(random); v.Kind() != vector.List {
				return v
			}
		}
	}
	switch op {
	case vector.In, vector.NotIn:
		for range random.IntN(4) {
			f.Values = append(f.Values, scalar())
		}
	case vector.Equals, vector.NotEquals:
		f.Values = []vector.Value{scalar()}
		if f.Key == "year" && random.IntN(2) == 0 {
			f.Values = []vector.Value{vector.NumberValue(float64(1990 + random.IntN(40)))}
		}
	case vector.LessThan, vector.LessThanOrEquals, vector.GreaterThan, vector.GreaterThanOrEquals:
		f.Values = []vector.Value{vector.NumberValue(number(random))}
		if f.Key == "year" {
			f.Values = []vector.Value{vector.NumberValue(float64(1990 + random.IntN(40)))}
		}
	default:
		s := text(random)
		if len(s) > 2 && random.IntN(2) == 0 {
			s = s[:len(s)-len(lastRune(s))]
		}
		f.Values = []vector.Value{vector.StringValue(s)}
	}
	return f
}

func lastRune(s string) string {
	r := []rune(s)
	return string(r[len(r)-1:])
}

// ID is the id of the n-th of something.
func ID(kind string, n int) string { return fmt.Sprintf("%s-%05d", kind, n) }
