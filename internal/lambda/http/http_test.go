package http

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const arn = "arn:aws:lambda:us-west-2:123456789012:function:weather"

// serve runs a stand-in for the test's time and gives a client of its own, whose
// connections end with it.
func serve(t *testing.T, h nethttp.HandlerFunc) (string, *nethttp.Client) {
	t.Helper()
	s := httptest.NewServer(h)
	c := plainClient()
	t.Cleanup(func() { c.CloseIdleConnections(); s.Close() })
	return s.URL, c
}

func TestEndpointSpeaksInvoke(t *testing.T) {
	var signed string
	url, client := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		for k, want := range map[string]string{"X-Amz-Invocation-Type": "RequestResponse", "X-Amz-Log-Type": "Tail",
			"X-Amz-Client-Context": base64.StdEncoding.EncodeToString([]byte(`{"custom":{}}`)), "Authorization": "signed", "Content-Type": "application/json"} {
			if got := r.Header.Get(k); got != want {
				t.Errorf("%s is %q, want %q", k, got, want)
			}
		}
		if r.Method != "POST" || r.URL.EscapedPath() != "/2015-03-31/functions/arn:aws:lambda:us-west-2:123456789012:function:weather/invocations" || r.URL.RawQuery != "Qualifier=live" || string(body) != `{"city":"Seoul"}` {
			t.Errorf("%s %s %s", r.Method, r.URL, body)
		}
		w.Header().Set("X-Amz-Executed-Version", "7")
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte("START\nEND\n")))
		w.Header().Set("X-Amzn-Requestid", "id-1")
		_, _ = io.WriteString(w, `{"warm":true}`)
	})
	e, err := NewEndpoint(EndpointConfig{URL: url + "/", Client: client, Sign: func(_ context.Context, r *nethttp.Request, sum string) error {
		signed = sum
		r.Header.Set("Authorization", "signed")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn + ":live", Payload: []byte(`{"city":"Seoul"}`), LogTail: true, ClientContext: []byte(`{"custom":{}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != 200 || string(res.Payload) != `{"warm":true}` || res.Version != "7" || string(res.LogTail) != "START\nEND\n" || res.RequestID != "id-1" || res.FunctionError != "" {
		t.Errorf("got %+v", res)
	}
	if signed != "606c2577f5586a6f1867cde1fcb2d1c8c73699f58ae3e1f63f789db18fad6bae" {
		t.Errorf("hash %q", signed)
	}
}

func TestEndpointErrors(t *testing.T) {
	for _, c := range []struct {
		name, kind, body string
		status           int
		want             lambda.Kind
		message          string
	}{
		{"gone", "ResourceNotFoundException:http://internal.amazon.com/", `{"Type":"User","Message":"Function not found"}`, 404, lambda.NotFound, "Function not found"},
		{"throttled", "TooManyRequestsException", `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`, 429, lambda.TooMany, "Rate Exceeded."},
		{"in the body only", "", `{"__type":"com.amazonaws#InvalidRequestContentException","Message":"no"}`, 400, lambda.InvalidRequest, "no"},
		{"denied", "AccessDeniedException", `{"Message":"User: x is not authorized"}`, 403, lambda.AccessDenied, "User: x is not authorized"},
		{"unknown name", "SomethingNewException", `{}`, 403, lambda.AccessDenied, "the endpoint of functions answers 403 Forbidden"},
		{"not Lambda at all", "", `<html>`, 500, lambda.Service, "the endpoint of functions answers 500 Internal Server Error"},
		{"redirect", "", ``, 307, lambda.Service, "the endpoint of functions answers 307 Temporary Redirect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, client := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
				if c.kind != "" {
					w.Header().Set("X-Amzn-Errortype", c.kind)
				}
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			e, err := NewEndpoint(EndpointConfig{URL: url, Client: client, ByName: true})
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn})
			got, ok := errors.AsType[*lambda.Error](err)
			if !ok || got.Kind != c.want || got.Message != c.message {
				t.Errorf("got %v", err)
			}
		})
	}
	url, client := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_, _ = io.WriteString(w, `{"errorType":"E","errorMessage":"m"}`)
	})
	e, _ := NewEndpoint(EndpointConfig{URL: url, Client: client})
	res, err := e.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn})
	if err != nil || res.FunctionError != "Unhandled" {
		t.Errorf("%+v, %v", res, err)
	}
	if f, ok := res.Failure(); !ok || f.Message != "m" {
		t.Errorf("failure %+v", f)
	}
}

// A connection that breaks after the event was sent is told, not tried again.
func TestNothingIsSentTwice(t *testing.T) {
	var calls atomic.Int64
	url, client := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if calls.Add(1) == 1 {
			_, _ = io.WriteString(w, "1")
			return
		}
		c, _, err := nethttp.NewResponseController(w).Hijack()
		if err == nil {
			_ = c.Close()
		}
	})
	h, err := NewHook(HookConfig{URL: url, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn, Payload: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn, Payload: []byte("2")})
	if e, ok := errors.AsType[*lambda.Error](err); !ok || e.Kind != lambda.Service {
		t.Errorf("got %v", err)
	}
	if calls.Load() != 2 {
		t.Errorf("two events were sent %d times", calls.Load())
	}
}

func TestHook(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		want, failed string
	}{
		{"JSON", `{"a":1}`, 200, `{"a":1}`, ""},
		{"nothing", ``, 204, `null`, ""},
		{"text", `sunny`, 200, `"sunny"`, ""},
		{"error of a function", `{"errorType":"E","errorMessage":"no"}`, 500, `{"errorType":"E","errorMessage":"no"}`, "Unhandled"},
		{"error of a server", `oops`, 502, `{"errorMessage":"RequestId: r-1 Error: the function answers 502 Bad Gateway: oops","errorType":"Hook.Status"}`, "Unhandled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, client := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
				if r.Header.Get("Lambda-Runtime-Invoked-Function-Arn") != arn || r.Header.Get("X-Token") != "t" {
					t.Errorf("headers %v", r.Header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			})
			h, err := NewHook(HookConfig{URL: url, Client: client, Header: map[string]string{"X-Token": "t"}})
			if err != nil {
				t.Fatal(err)
			}
			res, err := h.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn, Payload: []byte(`{}`), RequestID: "r-1"})
			if err != nil {
				t.Fatal(err)
			}
			if string(res.Payload) != c.want || res.FunctionError != c.failed {
				t.Errorf("got %s, %q", res.Payload, res.FunctionError)
			}
		})
	}
}

func TestHookTimesOut(t *testing.T) {
	end := make(chan struct{})
	url, client := serve(t, func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		select {
		case <-r.Context().Done():
		case <-end:
		}
	})
	t.Cleanup(func() { close(end) })
	h, err := NewHook(HookConfig{URL: url, Client: client, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn})
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := res.Failure(); f.Type != "Sandbox.Timedout" || !strings.Contains(f.Message, "Task timed out after 0.05 seconds") {
		t.Errorf("got %s", res.Payload)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := h.Invoke(ctx, lambda.Invocation{FunctionARN: arn}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's end answers %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "localhost:80", "ftp://x", "http://", "http://u:p@x", "http://%zz"} {
		if _, err := NewEndpoint(EndpointConfig{URL: bad}); err == nil {
			t.Errorf("endpoint takes %q", bad)
		}
		if _, err := NewHook(HookConfig{URL: bad}); err == nil {
			t.Errorf("hook takes %q", bad)
		}
	}
	if e, err := NewEndpoint(EndpointConfig{URL: "http://127.0.0.1:1"}); err != nil {
		t.Error(err)
	} else if _, err := e.Invoke(t.Context(), lambda.Invocation{FunctionARN: arn}); err == nil {
		t.Error("a closed port answers")
	}
}
