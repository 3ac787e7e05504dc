package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
	"github.com/outcrop-dev/outcrop/internal/service"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func TestMain(m *testing.M) {
	if sandbox.Main() { // a stage of a jail is this same program
		return
	}
	// The SDK leaves its error relay behind when a stream is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/aws/aws-sdk-go-v2/service/bedrockruntime.newAsyncEventStreamReader.func1"))
}

// logBuffer is a log that tests read while the server writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func settings(t *testing.T, args ...string) config.Config {
	t.Helper()
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c, err := config.Load(fs, append([]string{"--listen", "127.0.0.1:0", "--data", t.TempDir(), "--engine", "script"}, args...), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a server until the test ends or stop is called.
func start(t *testing.T, args ...string) (conn *Connection, log *logBuffer, stop func() error) {
	t.Helper()
	log = new(logBuffer)
	s, err := Open(t.Context(), Options{Config: settings(t, args...), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *Connection, 1), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(c *Connection) { ready <- c }) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("the server did not stop")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return <-ready, log, stop
}

func client(conn *Connection, hc *http.Client) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: conn.Region, BaseEndpoint: aws.String(conn.Endpoint), RetryMaxAttempts: 1, HTTPClient: hc,
		Credentials: credentials.NewStaticCredentialsProvider(conn.AccessKey, conn.SecretKey, ""),
	})
}

const haiku = "anthropic.claude-3-haiku-20240307-v1:0"

func hello(ctx context.Context, c *sdk.Client) (string, error) {
	out, err := c.Converse(ctx, &sdk.ConverseInput{ModelId: aws.String(haiku), Messages: []types.Message{{
		Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hello"}},
	}}})
	if err != nil {
		return "", err
	}
	return out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value, nil
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func freshClient(t *testing.T) *http.Client {
	tr := new(http.Transport)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestAServerAnswersLogsAndCounts(t *testing.T) {
	hc := freshClient(t)
	conn, log, stop := start(t)
	if got, err := hello(t.Context(), client(conn, hc)); err != nil || got != "You said: hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": `outcrop_requests_total{operation="Converse",service="bedrock-runtime",status="200"} 1`} {
		if code, body := get(t, hc, conn.Endpoint+path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d without %q", path, code, want)
		}
	}
	hc.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"msg=ready", "msg=request operation=Converse status=200", "model=script-chat", "msg=stopping"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "hello") || strings.Contains(log.String(), conn.SecretKey) {
		t.Error("the log holds a prompt or a secret")
	}
}

func TestADataFolderHasOneServer(t *testing.T) {
	dir := t.TempDir()
	start(t, "--data", dir)
	_, err := Open(t.Context(), Options{Config: settings(t, "--data", dir)})
	if !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v, want that the folder is in use", err)
	}
}

func TestTheKeyIsTheSameAfterARestart(t *testing.T) {
	dir := t.TempDir()
	first, _, stop := start(t, "--data", dir)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	second, _, _ := start(t, "--data", dir)
	if first.AccessKey != second.AccessKey || first.SecretKey != second.SecretKey || first.AccessKey == "" {
		t.Error("the administrator's key changed")
	}
	if info, err := os.Stat(filepath.Join(dir, connectionFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: others can read the key", info, err)
	}
}

func TestTLSWithAGeneratedCertificate(t *testing.T) {
	conn, _, _ := start(t, "--tls", "auto")
	pem, err := os.ReadFile(conn.CABundle)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) || !strings.HasPrefix(conn.Endpoint, "https://127.0.0.1:") {
		t.Fatalf("endpoint %s, certificate %s", conn.Endpoint, pem)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	hc := &http.Client{Transport: tr}
	if _, err := hello(t.Context(), client(conn, hc)); err != nil {
		t.Error(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", conn.Endpoint+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("spoke %s over TLS", resp.Proto)
	}
}

func TestAStopEndsStreamsWithAnException(t *testing.T) {
	script := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(script, []byte("default: {text: \"a b c d e f g h\", chunks: 8, gap: 30s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hc := freshClient(t)
	conn, _, stop := start(t, "--engine", "script:"+script, "--grace", "200ms")
	// Bytes, not the SDK: when an answer begins while the request is still being
	// written off, Go's HTTP client can close the connection by itself.
	body := `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`
	r, err := http.NewRequestWithContext(t.Context(), "POST", conn.Endpoint+"/model/"+strings.ReplaceAll(haiku, ":", "%3A")+"/converse-stream", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sigv4.Sign(r, sigv4.Credentials{AccessKeyID: conn.AccessKey, SecretAccessKey: conn.SecretKey}, conn.Region, "bedrock", time.Now(), sigv4.HashPayload([]byte(body)))
	resp, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	frames := eventstream.NewDecoder(resp.Body)
	if _, err := frames.Next(); err != nil {
		t.Fatal(err) // it runs
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	last := ""
	for {
		m, err := frames.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		_, last = m.Kind()
	}
	if last != "serviceUnavailableException" {
		t.Errorf("the last frame was %s, want serviceUnavailableException", last)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestAPortForEachService(t *testing.T) {
	log := new(logBuffer)
	s, err := Open(t.Context(), Options{Config: settings(t, "--port-per-service"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if len(s.listeners) != 5 {
		t.Errorf("got %d ports, want one for all and four", len(s.listeners))
	}
	if len(s.handlers) > 2 && s.handlers[2].Only != "bedrock-runtime" {
		t.Errorf("the third port serves %q", s.handlers[2].Only)
	}
}

func TestNoDeskLacksARoom(t *testing.T) {
	if built, _ := BuiltOperations(); built < 97 {
		t.Errorf("only %d operations are built", built)
	}
	if service.Missing(&service.BedrockRuntime{}) != "Runtime" {
		t.Error("a nil room is not noticed")
	}
	for _, c := range []struct {
		desk      any
		operation string
		want      service.State
	}{
		{(*service.BedrockRuntime)(nil), "Converse", service.Built},
		{(*service.BedrockAgentRuntime)(nil), "GenerateQuery", service.Refused},
		{(*service.BedrockAgentRuntime)(nil), "InvokeFlow", service.Unbuilt},
		{(*service.BedrockAgent)(nil), "NoSuchOperation", service.Unbuilt},
	} {
		if got := service.StateOf(c.desk, c.operation); got != c.want {
			t.Errorf("%s is %s, want %s", c.operation, got, c.want)
		}
	}
}
