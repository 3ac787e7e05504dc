package interpreter

import (
	"bytes"
	"cmp"
	"context"
	_ "embed" // the program inside the jail
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
	"github.com/outcrop-dev/outcrop/internal/store"
)

//go:embed run.py
var program string

// Config says what an Interpreter works with. Store is needed.
type Config struct {
	Store *store.Store
	// Python are the names or paths to look for; empty means python3, then python.
	Python []string
	// Timeout of a run; 0 is a minute.
	Timeout time.Duration
	// Memory of a run in bytes; 0 is 512 MiB.
	Memory int64
	// FolderBytes is the size of a session's files together; 0 is 32 MiB.
	FolderBytes int64
	// OutputBytes is how much is told of what code prints; 0 is 64 KiB.
	OutputBytes int
	// FileBytes is the largest file that is answered; 0 is 1,000,000. Larger ones stay
	// in the session.
	FileBytes int
	// Parallel bounds the runs at a time; 0 is the number of processors.
	Parallel int
	// Keep is how long the files of a session that nobody ended are kept; 0 is a day.
	Keep time.Duration
	// Every is how often Run looks for them; 0 is an hour.
	Every time.Duration
	// Start starts a program in its jail; nil is sandbox.Start.
	Start func(context.Context, sandbox.Spec) (*sandbox.Process, error)
	Log   *slog.Logger
}

// Interpreter runs code in jails.
type Interpreter struct {
	cfg   Config
	find  finder
	slots chan struct{}
}

var _ turn.Interpreter = (*Interpreter)(nil)

// New makes an Interpreter; it starts nothing and looks for nothing.
func New(c Config) *Interpreter {
	if len(c.Python) == 0 {
		c.Python = []string{"python3", "python"}
	}
	if c.Start == nil {
		c.Start = sandbox.Start
	}
	c.Timeout, c.Memory = cmp.Or(c.Timeout, time.Minute), cmp.Or(c.Memory, 512<<20)
	c.FolderBytes, c.OutputBytes, c.FileBytes = cmp.Or(c.FolderBytes, 32<<20), cmp.Or(c.OutputBytes, 64<<10), cmp.Or(c.FileBytes, 1_000_000)
	c.Parallel, c.Keep, c.Every = cmp.Or(c.Parallel, runtime.GOMAXPROCS(0)), cmp.Or(c.Keep, 24*time.Hour), cmp.Or(c.Every, time.Hour)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Interpreter{cfg: c, find: finder{names: c.Python}, slots: make(chan struct{}, c.Parallel)}
}

// request and report are what goes into the jail and comes out of it.
type request struct {
	Code    string  `json:"code"`
	Timeout float64 `json:"timeout"` // seconds
	Output  int     `json:"output"`
	Folder  int64   `json:"folder"`
}

type report struct {
	Output  string   `json:"output"`
	Error   string   `json:"error"`
	Failed  bool     `json:"failed"`
	Timeout bool     `json:"timeout"`
	Files   []string `json:"files"` // all that are there now
	Left    [][2]any `json:"left"`  // name and size of what the session has no room for
}

// failed is an answer for code that was not run, or whose run was lost.
func failed(err error, format string, args ...any) error {
	e := apierr.Wrap(apierr.DependencyFailed, err, format, args...)
	e.Detail.ResourceName = "Code interpreter"
	return e
}

// Execute implements turn.Interpreter.
func (x *Interpreter) Execute(ctx context.Context, c turn.Code) (*turn.Outcome, error) {
	if err := given(c.Files); err != nil {
		return nil, err
	}
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	py, err := x.find.python(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, failed(err, "The code was not run: no Python was found on this machine (%s). Install Python 3.8 or newer and retry.", strings.Join(x.cfg.Python, ", "))
	}
	folder, err := x.load(ctx, &c)
	if err != nil {
		return nil, err
	}
	for _, f := range c.Files {
		folder.put(clean(f.Name), f.Data)
	}
	if n := folder.size(); n > x.cfg.FolderBytes {
		return nil, apierr.New(apierr.Validation, "The session's files have %d bytes together; %d are allowed.", n, x.cfg.FolderBytes)
	}
	rep, made, err := x.run(ctx, py, c.Text, folder)
	if err != nil {
		return nil, err
	}
	if made != nil {
		folder.keep(rep.Files)
		for _, f := range made {
			folder.put(f.Name, f.Data)
		}
		if err := x.save(ctx, &c, folder); err != nil {
			return nil, err
		}
	}
	return x.outcome(rep, made), nil
}

// given checks the files of a request.
func given(files []turn.File) error {
	total := 0
	for _, f := range files {
		if clean(f.Name) == "" {
			return apierr.New(apierr.Validation, "The file name %q cannot be used beside the code.", f.Name)
		}
		total += len(f.Data)
	}
	if len(files) > 5 || total > 10<<20 {
		return apierr.New(apierr.Validation, "There are %d files with %d bytes; the code interpreter takes 5 with 10 MB together.", len(files), total)
	}
	return nil
}

// clean is the name of a request's file in the folder; "" for none.
func clean(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if !usable(name) || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// run runs code over files. made is nil, and not merely empty, when the jail ended
// before it could say what is in its folder.
func (x *Interpreter) run(ctx context.Context, py *python, code string, f *folder) (rep *report, made []turn.File, err error) {
	var in bytes.Buffer
	if err := json.NewEncoder(&in).Encode(request{code, x.cfg.Timeout.Seconds(), x.cfg.OutputBytes, x.cfg.FolderBytes}); err != nil {
		return nil, nil, fmt.Errorf("write the request of a run: %w", err)
	}
	if err := f.write(&in); err != nil {
		return nil, nil, err
	}
	out := &limited{most: 2*x.cfg.FolderBytes + int64(8*x.cfg.OutputBytes) + 1<<20}
	errs := &limited{most: 16 << 10}
	p, err := x.cfg.Start(ctx, sandbox.Spec{
		Command: py.command, Args: []string{"-I", "-B", "-c", program}, Files: py.files, Network: sandbox.Isolated,
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8", "TZ=UTC", "PYTHONHASHSEED=0", "PYTHONIOENCODING=utf-8",
			"MPLBACKEND=Agg", "MPLCONFIGDIR=/tmp/.matplotlib", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1",
		},
		Dir: "/tmp", Scratch: 2*x.cfg.FolderBytes + 32<<20, Stdin: &in, Stdout: out, Stderr: errs,
		// The program inside tells a time-out with what was printed so far; the jail's own is for when it cannot.
		Limits: sandbox.Limits{Memory: x.cfg.Memory, Wall: x.cfg.Timeout + 15*time.Second, Pids: 64, OpenFiles: 256, FileSize: 2*x.cfg.FolderBytes + 16<<20},
	})
	if err != nil {
		if part, ok := errors.AsType[*sandbox.PartError](err); ok {
			return nil, nil, failed(err, "The code was not run: this machine cannot make a jail for it (%s). The command outcrop doctor says what is missing.", part.Part)
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, failed(err, "The code was not run: the interpreter could not be started.")
	}
	exit := p.Wait()
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	switch {
	case exit.Cause == sandbox.Memory:
		return &report{Failed: true, Error: fmt.Sprintf("The code needed more than %d MB of memory and was ended.", x.cfg.Memory>>20)}, nil, nil
	case exit.Cause == sandbox.Wall:
		return &report{Failed: true, Timeout: true}, nil, nil
	case exit.Code != 0 || out.over:
		return nil, nil, failed(fmt.Errorf("interpreter: %s, %d bytes: %s", exit, out.buf.Len(), errs.buf.String()), "The interpreter ended without a report (%s). Its session is unchanged.", exit)
	}
	rep, made, err = readReport(&out.buf, x.cfg.FolderBytes)
	if err != nil {
		return nil, nil, failed(err, "The interpreter's report could not be read. Its session is unchanged.")
	}
	return rep, made, nil
}

// readReport reads what came out of a jail.
func readReport(r *bytes.Buffer, most int64) (*report, []turn.File, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, nil, fmt.Errorf("report of a run: %w", err)
	}
	rep := new(report)
	if err := json.Unmarshal(line, rep); err != nil {
		return nil, nil, fmt.Errorf("report of a run: %w", err)
	}
	made, err := readTar(r, most)
	if err != nil {
		return nil, nil, err
	}
	if made == nil {
		made = []turn.File{}
	}
	return rep, made, nil
}

// outcome tells a turn what a run came to. What went to standard error is an error
// only if the code failed: libraries write their warnings there.
func (x *Interpreter) outcome(rep *report, made []turn.File) *turn.Outcome {
	o := &turn.Outcome{Output: rep.Output, Timeout: rep.Timeout}
	if rep.Failed {
		o.Error = strings.TrimSpace(rep.Error)
	} else if e := strings.TrimSpace(rep.Error); e != "" {
		o.Output += "\n" + e
	}
	note := func(format string, args ...any) { o.Output += "\n" + fmt.Sprintf(format, args...) }
	for _, l := range rep.Left {
		note("The file %v was not kept: it has %v bytes, and the session's files may have %d together.", l[0], l[1], x.cfg.FolderBytes)
	}
	slices.SortFunc(made, func(a, b turn.File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range made {
		if len(f.Data) > x.cfg.FileBytes {
			note("The file %s is kept for later code, but cannot be sent: it has %d bytes, and %d can be sent.", f.Name, len(f.Data), x.cfg.FileBytes)
			continue
		}
		f.Type = mediaType(f.Name)
		o.Files = append(o.Files, f)
	}
	o.Output = strings.TrimPrefix(o.Output, "\n")
	return o
}

// mediaTypes are those that the host's tables may not know.
var mediaTypes = map[string]string{
	".csv": "text/csv", ".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml", ".md": "text/markdown", ".txt": "text/plain", ".html": "text/html",
	".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml",
	".xls": "application/vnd.ms-excel", ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".doc": "application/msword", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

func mediaType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t := mediaTypes[ext]; t != "" {
		return t
	}
	t, _, _ := mime.ParseMediaType(mime.TypeByExtension(ext))
	return cmp.Or(t, "application/octet-stream")
}

// limited keeps the beginning of what is written to it, and takes all.
type limited struct {
	buf  bytes.Buffer
	most int64
	over bool
}

var _ io.Writer = (*limited)(nil)

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	n := len(p)
	if room := l.most - int64(l.buf.Len()); int64(n) > room {
		l.over = true
		p = p[:max(room, 0)]
	}
	l.buf.Write(p)
	return n, nil
}
