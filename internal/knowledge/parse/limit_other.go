//go:build !linux

package parse

// limitMemory is Linux's; elsewhere the collector's own limit is all there is.
func limitMemory() {}
