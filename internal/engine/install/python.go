package install

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

type python struct {
	path         string
	version      string
	freeThreaded bool
}

// ErrPython means that no usable Python was found.
var ErrPython = errors.New("no Python 3.10 or newer (CPython, 64 bits) was found: install python3, or set OUTCROP_PYTHON to one")

const askPython = `import platform,sys,sysconfig
print(sys.version_info[0],sys.version_info[1],platform.python_implementation(),sys.maxsize>2**32,bool(sysconfig.get_config_var("Py_GIL_DISABLED")),platform.python_version())
print(sys.executable)`

// findPython returns the first interpreter that can load the wheel.
func findPython(ctx context.Context, cfg Config) (python, error) {
	names := []string{"python3", "python", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"}
	if p := cfg.Getenv("OUTCROP_PYTHON"); p != "" {
		names = []string{p}
	}
	var seen []string
	for _, name := range names {
		path, err := cfg.LookPath(name)
		if err != nil {
			continue
		}
		out, err := probe(ctx, path, "-c", askPython)
		if ctx.Err() != nil {
			return python{}, ctx.Err()
		}
		if err != nil {
			continue // such as the Windows stub that only opens a shop
		}
		p, err := readPython(path, out)
		if err == nil {
			return p, nil
		}
		seen = append(seen, fmt.Sprintf("%s is %s", name, err))
	}
	if len(seen) > 0 {
		return python{}, fmt.Errorf("%w (%s)", ErrPython, strings.Join(seen, "; "))
	}
	return python{}, ErrPython
}

func readPython(path, out string) (python, error) {
	var major, minor int
	var kind, wide, free, version string
	if _, err := fmt.Sscan(out, &major, &minor, &kind, &wide, &free, &version); err != nil {
		return python{}, fmt.Errorf("no Python: %q", out)
	}
	if major != 3 || minor < 10 || kind != "CPython" || wide != "True" {
		return python{}, fmt.Errorf("%s %s (64 bits: %s)", kind, version, wide)
	}
	// What is on PATH may be a shim that starts the interpreter as its child; the
	// supervisor must hold the interpreter itself.
	if _, exe, ok := strings.Cut(strings.TrimSpace(out), "\n"); ok && strings.TrimSpace(exe) != "" {
		path = strings.TrimSpace(exe)
	}
	return python{path: path, version: version, freeThreaded: free == "True"}, nil
}
