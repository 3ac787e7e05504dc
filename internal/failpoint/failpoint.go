package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Variable is the environment variable that names a point and its pass: name:n, n
// from 1.
const Variable = "OUTCROP_FAILPOINT"

// FromEnvironment answers a hook that kills the process at the point of Variable and
// returns nil at every other one. A variable that is not set kills nowhere; one that does
// not name a pass makes every point fail, so that a misspelt test does not pass.
func FromEnvironment() func(point string) error {
	v := os.Getenv(Variable)
	if v == "" {
		return func(string) error { return nil }
	}
	name, at, ok := strings.Cut(v, ":")
	n, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || n < 1 {
		return func(string) error { return fmt.Errorf("failpoint: %s=%q names no pass: it is NAME:N", Variable, v) }
	}
	var passes atomic.Int64
	return func(point string) error {
		if point != name || passes.Add(1) != n {
			return nil
		}
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return fmt.Errorf("failpoint: find this process: %w", err)
		}
		// A real kill: no deferred function, no flush, no exit handler.
		if err := self.Kill(); err != nil {
			return fmt.Errorf("failpoint: kill this process: %w", err)
		}
		select {} // the signal is on its way
	}
}
