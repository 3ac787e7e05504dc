package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the bootstraps
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

//go:embed boot/bootstrap.py
var pythonBootstrap []byte

//go:embed boot/bootstrap.mjs
var nodeBootstrap []byte

// writeBootstraps puts the shipped bootstraps where jails can be shown them.
func writeBootstraps(dir string) (string, error) {
	h := sha256.New()
	h.Write(pythonBootstrap)
	h.Write(nodeBootstrap)
	boot := filepath.Join(dir, fmt.Sprintf("runtime-%x", h.Sum(nil)[:8]))
	if err := os.MkdirAll(boot, 0o755); err != nil {
		return "", fmt.Errorf("lambda: folder for bootstraps: %w", err)
	}
	for name, text := range map[string][]byte{"bootstrap.py": pythonBootstrap, "bootstrap.mjs": nodeBootstrap} {
		if err := os.WriteFile(filepath.Join(boot, name), text, 0o644); err != nil {
			return "", fmt.Errorf("lambda: write a bootstrap: %w", err)
		}
	}
	return boot, nil
}

// Runtimes that AWS accepts at creation and that run here.
var (
	pythonRuntime   = regexp.MustCompile(`^python3\.(\d+)$`)
	nodeRuntime     = regexp.MustCompile(`^nodejs(\d+)\.x$`)
	providedRuntime = regexp.MustCompile(`^provided(\.al2(023)?)?$`)
)

// Supported reports whether functions of a runtime run here, given the programs.
func Supported(runtime string) bool {
	return pythonRuntime.MatchString(runtime) || nodeRuntime.MatchString(runtime) || providedRuntime.MatchString(runtime)
}

// launch is how a runtime is started in a jail.
type launch struct {
	command string
	args    []string
	files   []sandbox.Bind
	version string // for the log: what was asked and what really runs
}

// interpreters finds the host's programs, each once.
type interpreters struct {
	lookup func(ctx context.Context, runtime string) (string, error)

	mu    sync.Mutex
	found map[string]*interpreter
}

// interpreter is a program of the host with the folders that it needs.
type interpreter struct {
	once    sync.Once
	err     error
	command string
	version string
	files   []sandbox.Bind
}

func (n *interpreters) find(ctx context.Context, f *lambda.Function, runtimeDir, code string) (launch, error) {
	script := func(name string) string { return runtimeDir + "/" + name }
	switch {
	case providedRuntime.MatchString(f.Runtime):
		st, err := os.Stat(filepath.Join(code, "bootstrap"))
		if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
			return launch{}, &lambda.Error{Kind: lambda.InvalidRuntime, Message: fmt.Sprintf("The code of a %s function needs an executable file named bootstrap", f.Runtime)}
		}
		return launch{command: "/var/task/bootstrap", version: f.Runtime}, nil
	case pythonRuntime.MatchString(f.Runtime):
		i, err := n.host(ctx, f.Runtime)
		if err != nil {
			return launch{}, err
		}
		return launch{i.command, []string{script("bootstrap.py")}, i.files, f.Runtime + " (host Python " + i.version + ")"}, nil
	case nodeRuntime.MatchString(f.Runtime):
		i, err := n.host(ctx, f.Runtime)
		if err != nil {
			return launch{}, err
		}
		args := []string{"--max-old-space-size=" + strconv.Itoa(max(f.MemoryMB*9/10, 16)), "--max-http-header-size=81920", script("bootstrap.mjs")}
		return launch{i.command, args, i.files, f.Runtime + " (host Node " + i.version + ")"}, nil
	}
	return launch{}, &lambda.Error{Kind: lambda.InvalidRuntime, Message: fmt.Sprintf("Functions of runtime %q do not run here; python3.x, nodejs.x and provided do", f.Runtime)}
}

// host finds the program of a runtime: python3.12 takes python3.12, else python3,
// whatever its version: functions mostly run, and the log says what ran.
func (n *interpreters) host(ctx context.Context, runtime string) (*interpreter, error) {
	n.mu.Lock()
	if n.found == nil {
		n.found = map[string]*interpreter{}
	}
	i := n.found[runtime]
	if i == nil {
		i = &interpreter{}
		n.found[runtime] = i
	}
	n.mu.Unlock()
	i.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		var names []string
		if n.lookup != nil {
			name, err := n.lookup(ctx, runtime)
			if err != nil {
				i.err = err
				return
			}
			names = []string{name}
		} else if strings.HasPrefix(runtime, "python") {
			names = []string{runtime, "python3", "python"}
		} else {
			names = []string{"node", "nodejs"}
		}
		var tried []error
		for _, name := range names {
			if err := i.probe(ctx, name, strings.HasPrefix(runtime, "python")); err != nil {
				tried = append(tried, err)
				continue
			}
			return
		}
		i.err = &lambda.Error{Kind: lambda.InvalidRuntime, Message: fmt.Sprintf("No program for runtime %s was found on this machine", runtime), Err: errors.Join(tried...)}
	})
	if i.err != nil {
		n.mu.Lock()
		if n.found[runtime] == i { // somebody may install it meanwhile
			delete(n.found, runtime)
		}
		n.mu.Unlock()
	}
	return i, i.err
}

// The programs themselves know best where they live: a name on the PATH may be a
// shim, a link or a virtual environment.
const (
	pythonQuestion = `import json,os,sys
print(json.dumps({"program":os.path.realpath(sys.executable),"run":sys.executable,"version":sys.version.split()[0],"folders":[sys.prefix,sys.base_prefix,sys.exec_prefix],"old":sys.version_info[:2]<(3,7)}))`
	nodeQuestion = `console.log(JSON.stringify({program:require("fs").realpathSync(process.execPath),run:process.execPath,version:process.versions.node,folders:[],old:Number(process.versions.node.split(".")[0])<14}))`
)

func (i *interpreter) probe(ctx context.Context, name string, python bool) error {
	program, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	args := []string{"-e", nodeQuestion}
	if python {
		args = []string{"-c", pythonQuestion}
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %.200s", program, err, stderr.Bytes())
	}
	var said struct {
		Program, Run, Version string
		Folders               []string
		Old                   bool
	}
	if err := json.Unmarshal(out, &said); err != nil || said.Program == "" {
		return fmt.Errorf("%s does not answer as an interpreter", program)
	}
	if said.Old {
		return fmt.Errorf("%s is of version %s, which is too old", program, said.Version)
	}
	i.command, i.version = said.Program, said.Version
	folders := said.Folders
	if python && said.Run != said.Program && len(folders) > 1 && folders[0] != folders[1] {
		i.command = said.Run // a virtual environment is found by the path it is called by
	}
	if !python {
		folders = []string{said.Program}
	}
	for _, dir := range append(folders, filepath.Dir(said.Program)) {
		if err := i.show(dir); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
	}
	return nil
}

// show adds a folder of the interpreter to what its jails see, unless they see it
// anyway.
func (i *interpreter) show(dir string) error {
	dir = filepath.Clean(dir)
	for _, seen := range []string{"/usr", "/bin", "/lib", "/lib64", "/nix/store"} {
		if dir == seen || strings.HasPrefix(dir, seen+"/") {
			return nil
		}
	}
	for _, b := range i.files {
		if dir == b.Source || strings.HasPrefix(dir, b.Source+string(filepath.Separator)) {
			return nil
		}
	}
	// Nobody's home, and nothing above one, is shown to other people's code.
	home, _ := os.UserHomeDir()
	for _, private := range []string{home, "/root", "/home", "/etc", "/var", "/opt", "/srv", "/tmp"} {
		if private == "" {
			continue
		}
		if rel, err := filepath.Rel(dir, private); err == nil && filepath.IsLocal(rel) {
			return fmt.Errorf("its folder %s holds %s, which jails must not see", dir, private)
		}
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	i.files = append(i.files, sandbox.Bind{Source: dir})
	return nil
}

// kindOf reads the error type out of an error's JSON.
func kindOf(body []byte) string {
	var e struct {
		Type string `json:"errorType"`
	}
	if json.Unmarshal(body, &e) != nil || len(e.Type) > 256 {
		return ""
	}
	return e.Type
}

// environment is what a function finds: AWS's names, then its own, which cannot
// replace AWS's.
func environment(f *lambda.Function, keys *lambda.Keys, stream, taskRoot, runtimeDir string) []string {
	env := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC", "HOME": "/tmp",
		"LD_LIBRARY_PATH": "/lib64:/usr/lib64:" + taskRoot + ":" + taskRoot + "/lib:/opt/lib",
	}
	maps.Copy(env, f.Environment)
	family := strings.TrimSuffix(f.Runtime, ".x")
	maps.Copy(env, map[string]string{
		"_HANDLER": f.Handler, "LAMBDA_TASK_ROOT": taskRoot, "LAMBDA_RUNTIME_DIR": runtimeDir,
		"AWS_REGION": f.Region, "AWS_DEFAULT_REGION": f.Region, "AWS_EXECUTION_ENV": "AWS_Lambda_" + family,
		"AWS_LAMBDA_FUNCTION_NAME": f.Name, "AWS_LAMBDA_FUNCTION_VERSION": f.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.MemoryMB), "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME": f.LogGroup, "AWS_LAMBDA_LOG_STREAM_NAME": stream,
	})
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API"} {
		delete(env, name)
	}
	if keys != nil {
		env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = keys.AccessKeyID, keys.SecretAccessKey
		if keys.SessionToken != "" {
			env["AWS_SESSION_TOKEN"] = keys.SessionToken
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(env[name], 0) {
			continue
		}
		out = append(out, name+"="+env[name])
	}
	return out
}
