package pkgindex

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// ErrNoIndex means that nothing is configured and there is no pip to ask.
var ErrNoIndex = errors.New("no Python package index is known: set PIP_INDEX_URL, or install Python with pip, whose default is then used")

// askPip prints the index that pip asks when nothing is configured. Where pip is
// not installed, the copy that Python carries for ensurepip says the same.
const askPip = `
try:
    from pip._internal.models.index import PyPI
except ImportError:
    import ensurepip, glob, os, sys
    sys.path[:0] = sorted(glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), "_bundled", "pip-*.whl")))
    from pip._internal.models.index import PyPI
print(PyPI.simple_url)
`

// pipDefault asks the Python of this machine for pip's default index, once in
// the life of the process. The default is pip's to know, not ours: whoever
// patches pip for a network of their own has patched us too.
var pipDefault = sync.OnceValues(func() (string, error) {
	// The answer is kept, so that no single request may cut it short.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var last error
	for _, python := range []string{"python3", "python"} {
		path, err := exec.LookPath(python)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "-I", "-c", askPip).Output()
		if err != nil {
			last = fmt.Errorf("ask %s for pip's index: %w", path, err)
			continue
		}
		root := strings.TrimRight(strings.TrimSpace(string(out)), "/")
		if u, err := url.Parse(root); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			return root, nil
		}
		last = fmt.Errorf("%s answers %q for pip's index", path, root)
	}
	return "", errors.Join(ErrNoIndex, last)
})
