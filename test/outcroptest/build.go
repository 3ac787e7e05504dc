package outcroptest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// build makes the program once for the whole test binary.
var build = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("OUTCROP_TEST_BIN"); bin != "" {
		bin, err := filepath.Abs(bin)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(bin); err != nil {
			return "", fmt.Errorf("the program of OUTCROP_TEST_BIN: %w", err)
		}
		return bin, nil
	}
	return compile("")
})

// buildMortal makes the program that dies at failpoints.
var buildMortal = sync.OnceValues(func() (string, error) { return compile("failpoints") })

// compile makes the program with a build tag in a folder that Clean removes.
func compile(tag string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "outcroptest-")
	if err != nil {
		return "", err
	}
	name := "outcrop"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	bin := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-tags", tag, "-o", bin, "./cmd/outcrop")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build outcrop: %w\n%s", err, out), os.RemoveAll(dir))
	}
	built.Lock()
	defer built.Unlock()
	built.dirs = append(built.dirs, dir)
	return bin, nil
}

// built are the folders that Clean removes.
var built struct {
	sync.Mutex
	dirs []string
}

// Binary returns the path of the program under test.
func Binary() (string, error) { return build() }

// Clean removes what was built. A TestMain calls it after its tests.
func Clean() {
	built.Lock()
	defer built.Unlock()
	for _, dir := range built.dirs {
		_ = os.RemoveAll(dir) // a temporary folder: the system clears it otherwise
	}
	built.dirs = nil
}

// Root returns the folder of the repository.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	if err != nil || !strings.HasSuffix(mod, "go.mod") {
		return "", fmt.Errorf("the tests must run inside the repository: %w", errors.Join(err, errors.New("no go.mod above")))
	}
	return filepath.Dir(mod), nil
}
