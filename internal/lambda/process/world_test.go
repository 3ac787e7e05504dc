package process

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

func TestMain(m *testing.M) {
	if sandbox.Main() {
		return
	}
	if os.Getenv("_HANDLER") == "go.test" {
		serveGo()
		return
	}
	goleak.VerifyTestMain(m)
}

// serveGo makes this binary the bootstrap of a provided.al2023 function.
func serveGo() {
	awslambda.Start(func(ctx context.Context, in struct {
		Do   string
		Echo json.RawMessage
	}) (any, error) {
		lc, _ := lambdacontext.FromContext(ctx)
		fmt.Println("go sees", in.Do)
		switch in.Do {
		case "fail":
			return nil, errors.New("go says no")
		case "panic":
			panic("go gives up")
		case "exit":
			os.Exit(7)
		}
		left, _ := ctx.Deadline()
		return map[string]any{"echo": in.Echo, "id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "name": lambdacontext.FunctionName, "left": time.Until(left) > 0}, nil
	})
}

// world is a runtime with functions made on the spot.
type world struct {
	*Runtime
	t    testing.TB
	dir  string
	logs *memorySink

	mu        sync.Mutex
	functions map[string]*lambda.Function
}

func (w *world) Function(_ context.Context, arn string) (*lambda.Function, error) {
	base, _, _ := lambda.SplitARN(arn)
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.functions[base]; f != nil {
		c := *f
		return &c, nil
	}
	return nil, lambda.ErrNotFound(arn)
}

type memorySink struct {
	mu    sync.Mutex
	lines []string
	where map[string]bool
}

func (s *memorySink) Log(_ *lambda.Function, group, stream string, lines []lambda.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		s.lines = append(s.lines, l.Message)
	}
	s.where[group+" "+stream] = true
}

func (s *memorySink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), logs: &memorySink{where: map[string]bool{}}, functions: map[string]*lambda.Function{}}
	cfg := Config{Functions: w, Logs: w.logs, Dir: filepath.Join(w.dir, "run")}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Runtime = r
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := r.Warm(); n != 0 {
			t.Errorf("%d instances outlive Close", n)
		}
	})
	return w
}

type files map[string]string

// makeZip returns an archive; names ending in * are executable.
func makeZip(t testing.TB, content files) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, text := range content {
		h := &zip.FileHeader{Name: strings.TrimSuffix(name, "*"), Method: zip.Deflate}
		h.SetMode(0o644)
		if strings.HasSuffix(name, "*") {
			h.SetMode(0o755)
		}
		f, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var serial int

// add deploys a function and returns its ARN.
func (w *world) add(content files, f lambda.Function) string {
	w.t.Helper()
	b := makeZip(w.t, content)
	sum := sha256.Sum256(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	serial++
	name := filepath.Join(w.dir, fmt.Sprintf("code-%d.zip", serial))
	if err := os.WriteFile(name, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if f.Name == "" {
		f.Name = fmt.Sprintf("f%d", serial)
	}
	if f.Timeout == 0 {
		f.Timeout = 30 * time.Second // AWS's 3 s are too few for a loaded machine under the race detector
	}
	f.Account, f.Region = "123456789012", "us-east-1"
	f.ARN = "arn:aws:lambda:us-east-1:123456789012:function:" + f.Name
	f.Code = lambda.Code{SHA256: base64.StdEncoding.EncodeToString(sum[:]), Size: int64(len(b)), Location: name}
	f.Revision = fmt.Sprint(serial)
	w.functions[f.ARN] = &f
	return f.ARN
}

func (w *world) python(code string, f lambda.Function) string {
	f.Runtime, f.Handler = "python3.11", "app.handler"
	return w.add(files{"app.py": code}, f)
}

func (w *world) node(code string, f lambda.Function) string {
	f.Runtime, f.Handler = "nodejs20.x", "app.handler"
	return w.add(files{"app.mjs": code}, f)
}

// call invokes with a bound in time, well above what a loaded machine needs.
func (w *world) call(arn, payload string) *lambda.Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	res, err := w.Invoke(ctx, lambda.Invocation{FunctionARN: arn, Payload: []byte(payload), LogTail: true})
	if err != nil {
		w.t.Fatalf("invoke %s: %v", arn, err)
	}
	return res
}

// ok invokes a function that must succeed and returns its answer.
func (w *world) ok(arn, payload string) string {
	w.t.Helper()
	res := w.call(arn, payload)
	if res.FunctionError != "" {
		w.t.Fatalf("the function failed: %s\n%s", res.Payload, res.LogTail)
	}
	return string(res.Payload)
}

func self(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if errors.Is(err, fs.ErrNotExist) {
		name, _ := os.Executable()
		b, err = os.ReadFile(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
