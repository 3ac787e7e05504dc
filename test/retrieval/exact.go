package main

import (
	"runtime"
	"slices"
	"sync"
)

// flat holds vectors in one block, for the exact scan that everything is held against.
type flat struct {
	dim  int
	data []float32
}

func flatOf(vectors [][]float32) *flat {
	f := &flat{dim: len(vectors[0])}
	for _, v := range vectors {
		f.data = append(f.data, v...)
	}
	return f
}

func (f *flat) n() int { return len(f.data) / f.dim }

func (f *flat) at(i int) []float32 { return f.data[i*f.dim : (i+1)*f.dim] }

// near is a row and its dot product with a question.
type near struct {
	row int
	dot float32
}

// nearest scans all rows that keep accepts (nil accepts all) in float32, on all
// processors, and answers the k rows with the largest dot product, best first.
func (f *flat) nearest(q []float32, k int, keep func(row int) bool) []near {
	lanes := runtime.GOMAXPROCS(0)
	best := make([][]near, lanes)
	var wg sync.WaitGroup
	for l := range lanes {
		wg.Go(func() {
			top := make([]near, 0, k+1)
			for i := f.n() * l / lanes; i < f.n()*(l+1)/lanes; i++ {
				if keep != nil && !keep(i) {
					continue
				}
				d := dot(q, f.at(i))
				if len(top) == k && d <= top[k-1].dot {
					continue
				}
				at, _ := slices.BinarySearchFunc(top, d, func(n near, d float32) int {
					if n.dot >= d {
						return -1
					}
					return 1
				})
				top = slices.Insert(top, at, near{i, d})
				top = top[:min(k, len(top))]
			}
			best[l] = top
		})
	}
	wg.Wait()
	all := slices.Concat(best...)
	slices.SortStableFunc(all, func(a, b near) int {
		switch {
		case a.dot > b.dot:
			return -1
		case a.dot < b.dot:
			return 1
		}
		return a.row - b.row
	})
	return all[:min(k, len(all))]
}

// dot adds in four lanes, which is as fast as plain Go gets.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// recall is the part of want that got holds, over all questions.
func recall[T comparable](want, got [][]T) float64 {
	found, all := 0, 0
	for i := range want {
		all += len(want[i])
		for _, w := range want[i] {
			if slices.Contains(got[i], w) {
				found++
			}
		}
	}
	if all == 0 {
		return 0
	}
	return float64(found) / float64(all)
}
