//go:build !amd64

package embedded

func dot8(a, b []int8) int32 { return dot8Go(a, b) }
