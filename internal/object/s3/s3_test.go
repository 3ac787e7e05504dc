package s3

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/object/objecttest"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// server starts moto's S3 on a free loopback port and ends it with the test.
func server(t *testing.T) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, outcroptest.PythonWith(t, "moto.server"), "-u", "-c",
		`from moto.server import main; main(["-H", "127.0.0.1", "-p", "0"])`)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ready := make(chan string, 1)
	go func() {
		defer close(done)
		at := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); { // read to the end, or the server blocks
			if u := at.FindString(lines.Text()); u != "" {
				select {
				case ready <- u:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		_ = cmd.Wait()
	})
	select {
	case u := <-ready:
		return u
	case <-done:
		t.Fatal("moto ended at once")
	case <-time.After(60 * time.Second):
		t.Fatal("moto did not start in 60 s")
	}
	return ""
}

func client(url string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(url), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
}

func realName(b object.Bucket) string {
	return strings.ToLower(b.Account + "-" + b.Region + "-" + b.Name)
}

func TestContract(t *testing.T) {
	c := client(server(t))
	objecttest.Run(t, func(t *testing.T) object.Store {
		s, err := Open(Config{Client: c, Name: realName})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, objecttest.Options{
		// What moto 5.2 does not do; Amazon S3 and Outcrop's own face do.
		NoConditionalCopy: true, AnyToken: true, LatePart: true, UnsortedUploads: true,
	})
}

func TestProbe(t *testing.T) {
	url := server(t)
	b := object.Bucket{Account: "1", Region: "r", Name: "probe"}
	s, err := Open(Config{Client: client(url)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), b); err != nil {
		t.Errorf("a server that honours conditions: %v", err)
	}
	// The same server behind a proxy that drops the condition.
	c := client(url)
	o := c.Options()
	o.HTTPClient = dropCondition{http.DefaultClient}
	s, err = Open(Config{Client: sdk.New(o)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), b); err == nil {
		t.Error("a server that ignores If-None-Match passed")
	}
}

type dropCondition struct{ c *http.Client }

func (d dropCondition) Do(r *http.Request) (*http.Response, error) {
	r.Header.Del("If-None-Match")
	return d.c.Do(r)
}

func TestUnreachableIsAStorageError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	o := client("http://" + l.Addr().String()).Options()
	o.RetryMaxAttempts = 1
	s, err := Open(Config{Client: sdk.New(o)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Head(t.Context(), object.Address{Bucket: object.Bucket{Account: "1", Region: "r", Name: "bbb"}, Key: "k"})
	if !errors.Is(err, object.ErrIO) {
		t.Errorf("error = %v, want ErrIO", err)
	}
}
