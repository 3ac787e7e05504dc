package embedding

import (
	"math"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// AppendFloats appends a vector as a JSON array of numbers.
func AppendFloats(b []byte, v []float32) []byte {
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) { // JSON has no word for these
			x = 0
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return append(b, ']')
}

func appendInts(b []byte, n int, at func(int) int) []byte {
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = family.AppendInt(b, at(i))
	}
	return append(b, ']')
}

// AppendBits appends the sign of each number: 1 where it is above zero, else 0.
func AppendBits(b []byte, v []float32) []byte {
	return appendInts(b, len(v), func(i int) int {
		if v[i] > 0 {
			return 1
		}
		return 0
	})
}

// packed is the i-th group of eight signs, the first of them highest.
func packed(v []float32, i int) int {
	n := 0
	for k := range 8 {
		n <<= 1
		if at := 8*i + k; at < len(v) && v[at] > 0 {
			n |= 1
		}
	}
	return n
}

// AppendAs appends a vector in one of Cohere's number types: float, int8, uint8
// (int8 moved up by 128), ubinary (eight signs to a number of 0 to 255) or binary
// (the same moved down by 128). The bytes are scaled by the vector's largest
// number, so that angles between vectors keep their meaning.
func AppendAs(b []byte, kind string, v []float32) []byte {
	switch kind {
	case "binary":
		return appendInts(b, (len(v)+7)/8, func(i int) int { return packed(v, i) - 128 })
	case "ubinary":
		return appendInts(b, (len(v)+7)/8, func(i int) int { return packed(v, i) })
	case "int8", "uint8":
		var most float64
		for _, x := range v {
			if f := math.Abs(float64(x)); f > most && !math.IsInf(f, 0) {
				most = f
			}
		}
		up := 0
		if kind == "uint8" {
			up = 128
		}
		return appendInts(b, len(v), func(i int) int {
			f := float64(v[i])
			if most == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
				return up
			}
			return int(math.Round(f/most*127)) + up
		})
	}
	return AppendFloats(b, v)
}
