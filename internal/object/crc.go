package object

import (
	"fmt"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

func hex32(v uint32) string { return fmt.Sprintf("%08x", v) }

func hex64(v uint64) string { return fmt.Sprintf("%016x", v) }

// combineHex is combine on hex digests; an unknown one makes the result unknown.
func combineHex(poly uint64, width int, a, b string, lenB int64) string {
	x, errA := strconv.ParseUint(a, 16, 64)
	y, errB := strconv.ParseUint(b, 16, 64)
	if errA != nil || errB != nil {
		return ""
	}
	c := combine(poly, width, x, y, lenB)
	if width == 32 {
		return hex32(uint32(c))
	}
	return hex64(c)
}

// combine returns the CRC of a‖b from the CRCs of a and b and the length of b.
// Appending lenB zero bytes to a is a linear map over GF(2); it is built by
// squaring the map of one zero bit (the method of zlib's crc32_combine). poly is
// reflected.
func combine(poly uint64, width int, crcA, crcB uint64, lenB int64) uint64 {
	if lenB <= 0 {
		return crcA
	}
	odd := make([]uint64, width) // one zero bit
	odd[0] = poly
	for i := 1; i < width; i++ {
		odd[i] = 1 << (i - 1)
	}
	even := square(odd) // two zero bits
	odd = square(even)  // four
	mat, next := odd, even
	for n := lenB; ; {
		copy(next, square(mat)) // first turn: one zero byte
		mat, next = next, mat
		if n&1 != 0 {
			crcA = apply(mat, crcA)
		}
		if n >>= 1; n == 0 {
			return crcA ^ crcB
		}
	}
}

func apply(mat []uint64, v uint64) uint64 {
	var sum uint64
	for i := 0; v != 0; v, i = v>>1, i+1 {
		if v&1 != 0 {
			sum ^= mat[i]
		}
	}
	return sum
}

func square(mat []uint64) []uint64 {
	out := make([]uint64, len(mat))
	for i, row := range mat {
		out[i] = apply(mat, row)
	}
	return out
}
