package s3

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func (h *house) environment(dir string) []string {
	return outcroptest.Client(h.url, h.admin.ID, h.admin.Secret.Reveal(), "", "AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE="+filepath.Join(dir, "config"), "TZ=UTC")
}

func TestBoto3(t *testing.T) {
	py := outcroptest.PythonWith(t, "boto3", "awscli")
	h := open(t, options{})
	script, err := os.ReadFile("testdata/boto.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), py, "-")
	cmd.Stdin, cmd.Env = bytes.NewReader(script), h.environment(t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "all of boto3 agrees\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheAWSCLI(t *testing.T) {
	py := outcroptest.PythonWith(t, "boto3", "awscli")
	h := open(t, options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[default]\ns3 =\n  multipart_threshold = 8MB\n  multipart_chunksize = 5MB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), py, append([]string{filepath.Join(filepath.Dir(py), "aws")}, args...)...)
		cmd.Env, cmd.Dir = h.environment(dir), dir
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	data := random(20<<20+3, 9)
	files := map[string]string{"src/a.txt": "hello", "src/sub/b c.txt": "more", "src/ü.txt": ""}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	aws(0, "s3", "mb", "s3://cli")
	aws(0, "s3", "cp", "big", "s3://cli/big") // in parts
	aws(0, "s3", "cp", "s3://cli/big", "s3://cli/copy")
	aws(0, "s3", "cp", "s3://cli/copy", "back")
	if back, err := os.ReadFile(filepath.Join(dir, "back")); err != nil || sha256.Sum256(back) != sha256.Sum256(data) {
		t.Errorf("the copy came back with %d bytes, %v", len(back), err)
	}
	if out := aws(0, "s3", "sync", "src", "s3://cli/dir"); strings.Count(out, "upload:") != 3 {
		t.Errorf("sync: %s", out)
	}
	if out := aws(0, "s3", "sync", "src", "s3://cli/dir"); out != "" {
		t.Errorf("sync of what is there: %s", out)
	}
	aws(0, "s3", "sync", "s3://cli/dir", "dst")
	for name, text := range files {
		if b, err := os.ReadFile(filepath.Join(dir, strings.Replace(name, "src", "dst", 1))); err != nil || string(b) != text {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if out := aws(0, "s3", "ls", "s3://cli/dir/"); !strings.Contains(out, "PRE sub/") || !strings.Contains(out, "a.txt") {
		t.Errorf("ls: %s", out)
	}
	if out := aws(0, "s3", "ls"); !strings.Contains(out, " cli") {
		t.Errorf("ls: %s", out)
	}
	url := strings.TrimSpace(aws(0, "s3", "presign", "s3://cli/dir/a.txt"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if got := do(t, r); got.body != "hello" {
		t.Errorf("presigned %s: %d %s", url, got.status, got.body)
	}
	aws(0, "s3", "mv", "s3://cli/dir/a.txt", "s3://cli/dir/moved.txt")
	aws(0, "s3", "rm", "s3://cli/copy")
	if out := aws(1, "s3", "rb", "s3://cli"); !strings.Contains(out, "BucketNotEmpty") {
		t.Errorf("rb: %s", out)
	}
	aws(0, "s3api", "head-object", "--bucket", "cli", "--key", "dir/moved.txt")
	aws(0, "s3", "rm", "--recursive", "s3://cli/dir")
	aws(0, "s3", "rb", "--force", "s3://cli")
	if out := aws(0, "s3", "ls"); out != "" {
		t.Errorf("ls: %s", out)
	}
}

func TestTheGoSDKsUploader(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	data := random(20<<20+1, 4)
	c := h.root()
	_, err := manager.NewUploader(c).Upload(t.Context(), &s3.PutObjectInput{Bucket: new("things"), Key: new("big"), Body: bytes.NewReader(data)}) //nolint:staticcheck // what programs have
	if err != nil {
		t.Fatal(err)
	}
	buf := manager.NewWriteAtBuffer(nil)
	n, err := manager.NewDownloader(c).Download(t.Context(), buf, &s3.GetObjectInput{Bucket: new("things"), Key: new("big")}) //nolint:staticcheck // what programs have
	if err != nil || n != int64(len(data)) || !bytes.Equal(buf.Bytes(), data) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
