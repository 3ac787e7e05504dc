package interpreter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// python is the host's program with what its jail must be shown of the host.
type python struct {
	command string
	version string
	files   []sandbox.Bind
}

// finder finds Python once; a failure is asked for again, for somebody may install it.
type finder struct {
	names []string

	mu    sync.Mutex
	found *python
}

// pythonQuestion asks a program what it is: a name on the PATH may be a shim, a link
// or a virtual environment, and the program knows best where it lives.
const pythonQuestion = `import json,os,sys
print(json.dumps({"program":os.path.realpath(sys.executable),"run":sys.executable,"version":sys.version.split()[0],"folders":[sys.prefix,sys.base_prefix,sys.exec_prefix],"old":sys.version_info[:2]<(3,8)}))`

// probeTime is how long a program may take to say what it is.
const probeTime = 15 * time.Second

func (f *finder) python(ctx context.Context) (*python, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.found != nil {
		return f.found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var tried []error
	for _, name := range f.names {
		p, err := probe(ctx, name)
		if err == nil {
			f.found = p
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		tried = append(tried, err)
	}
	return nil, errors.Join(tried...)
}

func probe(ctx context.Context, name string) (*python, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-c", pythonQuestion)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %.200s", program, err, stderr.Bytes())
	}
	var said struct {
		Program, Run, Version string
		Folders               []string
		Old                   bool
	}
	switch err := json.Unmarshal(out, &said); {
	case err != nil || said.Program == "" || len(said.Folders) != 3:
		return nil, fmt.Errorf("%s does not answer as Python does", program)
	case said.Old:
		return nil, fmt.Errorf("%s is Python %s; 3.8 is needed", program, said.Version)
	}
	p := &python{command: said.Program, version: said.Version}
	if said.Run != said.Program && said.Folders[0] != said.Folders[1] {
		p.command = said.Run // a virtual environment is found by the path it is called by
	}
	for _, dir := range append(said.Folders, filepath.Dir(said.Program)) {
		if err := p.show(dir); err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
	}
	return p, nil
}

// show adds a folder to what the jail sees, unless it sees it anyway. Nobody's home,
// and nothing above one, is shown to code that a model wrote.
func (p *python) show(dir string) error {
	dir = filepath.Clean(dir)
	under := func(dir, of string) bool {
		return dir == of || strings.HasPrefix(dir, of+string(filepath.Separator))
	}
	for _, seen := range []string{"/usr", "/bin", "/lib", "/lib64", "/nix/store"} {
		if under(dir, seen) {
			return nil
		}
	}
	for _, b := range p.files {
		if under(dir, b.Source) {
			return nil
		}
	}
	home, _ := os.UserHomeDir()
	for _, private := range []string{home, "/root", "/home", "/etc", "/var", "/opt", "/srv", "/tmp"} {
		if private != "" && under(private, dir) {
			return fmt.Errorf("its folder %s holds %s, which jails must not see", dir, private)
		}
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p.files = append(p.files, sandbox.Bind{Source: dir})
	return nil
}
