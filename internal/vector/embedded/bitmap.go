package embedded

import "math/bits"

// bitmap is a set of rows.
type bitmap []uint64

func newBitmap(rows int) bitmap { return make(bitmap, (rows+63)/64) }

func (b bitmap) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bitmap) unset(i int)    { b[i>>6] &^= 1 << (i & 63) }
func (b bitmap) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }

func (b bitmap) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (b bitmap) and(c bitmap) {
	for i := range b {
		b[i] &= c[i]
	}
}

func (b bitmap) or(c bitmap) {
	for i := range b {
		b[i] |= c[i]
	}
}

// flip turns rows 0 … n-1 round; what lies behind them stays unset.
func (b bitmap) flip(n int) {
	for i := range b {
		b[i] = ^b[i]
	}
	if rest := n & 63; rest != 0 {
		b[n>>6] &= 1<<rest - 1
	}
}

// each calls f with the members in [from, to), in order.
func (b bitmap) each(from, to int, f func(i int)) {
	for w := from >> 6; w < (to+63)>>6; w++ {
		word := b[w]
		if w == from>>6 {
			word &= ^uint64(0) << (from & 63)
		}
		for ; word != 0; word &= word - 1 {
			i := w<<6 + bits.TrailingZeros64(word)
			if i >= to {
				return
			}
			f(i)
		}
	}
}
