//go:build !linux || (!amd64 && !arm64)

package sandbox

import "context"

// Main reports whether this process is a stage of a jail, which it never is here.
func Main() bool { return false }

func start(context.Context, Spec, *Process) error {
	return &PartError{Part: "system", Err: ErrUnsupported}
}

// Check says that there is no jail here.
func Check(context.Context) []Finding {
	return []Finding{{Part: "system", State: Missing, Detail: "jails need Linux on x86-64 or ARM64; other people's code runs only when the operator allows it unsafely"}}
}
