//go:build failpoints

package server

import "github.com/outcrop-dev/outcrop/internal/failpoint"

// failpoints kill the process where its environment says.
func failpoints() func(point string) error { return failpoint.FromEnvironment() }
