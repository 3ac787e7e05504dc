package http

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// Signer signs a request for service lambda; payloadHash is the lower-case hex
// SHA-256 of the body.
type Signer func(ctx context.Context, req *nethttp.Request, payloadHash string) error

// EndpointConfig of an Endpoint.
type EndpointConfig struct {
	URL    string // base, such as http://localhost:4566; required
	Sign   Signer // nil sends unsigned requests
	Client *nethttp.Client
	// ByName calls functions by their name; default is by their whole ARN, which
	// also reaches other accounts.
	ByName bool
}

// Endpoint is another server that has Lambda's Invoke operation.
type Endpoint struct {
	cfg EndpointConfig
}

var _ lambda.Invoker = (*Endpoint)(nil)

// NewEndpoint checks the address; it does not call it.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	if err := checkURL(cfg.URL); err != nil {
		return nil, err
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	cfg.Client = cmp.Or(cfg.Client, plainClient())
	return &Endpoint{cfg}, nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("lambda: address of functions: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("lambda: %q is no http address of functions", s)
	}
	return nil
}

// plainClient follows no redirect: a signed event goes where it was sent.
func plainClient() *nethttp.Client {
	return &nethttp.Client{
		Transport:     &nethttp.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute, Proxy: nethttp.ProxyFromEnvironment},
		CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse },
	}
}

// Invoke implements lambda.Invoker.
func (e *Endpoint) Invoke(ctx context.Context, in lambda.Invocation) (*lambda.Result, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx, in)
	defer cancel()
	base, qualifier, ok := lambda.SplitARN(in.FunctionARN)
	if !ok {
		return nil, &lambda.Error{Kind: lambda.InvalidValue, Message: fmt.Sprintf("%q is no function ARN", in.FunctionARN)}
	}
	name := base
	if e.cfg.ByName {
		name = base[strings.LastIndexByte(base, ':')+1:]
	}
	to := e.cfg.URL + "/2015-03-31/functions/" + url.PathEscape(name) + "/invocations"
	if qualifier != "" {
		to += "?Qualifier=" + url.QueryEscape(qualifier)
	}
	req, err := request(ctx, to, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Amz-Invocation-Type", string(cmp.Or(in.Type, lambda.RequestResponse)))
	if in.LogTail {
		req.Header.Set("X-Amz-Log-Type", "Tail")
	}
	if len(in.ClientContext) > 0 {
		req.Header.Set("X-Amz-Client-Context", base64.StdEncoding.EncodeToString(in.ClientContext))
	}
	if e.cfg.Sign != nil {
		sum := sha256.Sum256(in.Payload)
		if err := e.cfg.Sign(ctx, req, hex.EncodeToString(sum[:])); err != nil {
			return nil, fmt.Errorf("sign a call of %s: %w", in.FunctionARN, err)
		}
	}
	from := time.Now()
	resp, body, err := send(ctx, e.cfg.Client, req, in) //nolint:bodyclose // send has read the body to its end and closed it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, refusal(resp, body)
	}
	res := &lambda.Result{
		Status: resp.StatusCode, Payload: body, Version: cmp.Or(resp.Header.Get("X-Amz-Executed-Version"), lambda.LatestVersion),
		RequestID: cmp.Or(resp.Header.Get("X-Amzn-Requestid"), req.Header.Get("X-Amzn-Requestid")), Duration: time.Since(from),
	}
	res.Billed = (res.Duration + time.Millisecond - 1).Truncate(time.Millisecond)
	if resp.Header.Get("X-Amz-Function-Error") != "" {
		res.FunctionError = lambda.UnhandledError
	}
	if tail := resp.Header.Get("X-Amz-Log-Result"); tail != "" {
		if b, err := base64.StdEncoding.DecodeString(tail); err == nil {
			res.LogTail = b[max(0, len(b)-lambda.MaxLogTail):]
		}
	}
	return res, nil
}

// refusal turns an error answer of the Invoke operation into the port's error.
func refusal(resp *nethttp.Response, body []byte) error {
	var doc struct {
		Type    string `json:"__type"`
		Message string `json:"Message"`
		Lower   string `json:"message"`
		Reason  string `json:"Reason"`
	}
	_ = json.Unmarshal(body, &doc)
	kind := cmp.Or(resp.Header.Get("X-Amzn-Errortype"), doc.Type)
	kind, _, _ = strings.Cut(kind, ":")
	if i := strings.LastIndexByte(kind, '#'); i >= 0 {
		kind = kind[i+1:]
	}
	e := &lambda.Error{Kind: lambda.Service, Message: cmp.Or(doc.Message, doc.Lower, fmt.Sprintf("the endpoint of functions answers %s", resp.Status)), Reason: doc.Reason}
	switch k := lambda.Kind(kind); k {
	case lambda.NotFound, lambda.InvalidRequest, lambda.InvalidValue, lambda.TooLarge, lambda.TooMany, lambda.NotReady, lambda.Conflict,
		lambda.InvalidRuntime, lambda.InvalidZip, lambda.AccessDenied, lambda.RecursionHalted:
		e.Kind = k
	default:
		switch resp.StatusCode {
		case nethttp.StatusNotFound:
			e.Kind = lambda.NotFound
		case nethttp.StatusForbidden, nethttp.StatusUnauthorized:
			e.Kind = lambda.AccessDenied
		case nethttp.StatusTooManyRequests:
			e.Kind = lambda.TooMany
		case nethttp.StatusRequestEntityTooLarge:
			e.Kind = lambda.TooLarge
		}
		if kind != "" {
			e.Err = errors.New(kind)
		}
	}
	return e
}

// HookConfig of a Hook.
type HookConfig struct {
	URL     string        // required
	Timeout time.Duration // of one call; default 15 min, Lambda's longest
	Client  *nethttp.Client
	Header  map[string]string // sent with every event, a token for instance
}

// Hook is a plain URL in a function's place: the event is the body of a POST, the
// answer's body is the function's answer. An answer of 400 or more is a function
// error.
type Hook struct {
	cfg HookConfig
}

var _ lambda.Invoker = (*Hook)(nil)

// NewHook checks the address; it does not call it.
func NewHook(cfg HookConfig) (*Hook, error) {
	if err := checkURL(cfg.URL); err != nil {
		return nil, err
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 15*time.Minute)
	cfg.Client = cmp.Or(cfg.Client, plainClient())
	return &Hook{cfg}, nil
}

// Invoke implements lambda.Invoker. An Event is sent and waited for as any other
// call; who wants to queue it stands before the hook.
func (h *Hook) Invoke(ctx context.Context, in lambda.Invocation) (*lambda.Result, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	id := cmp.Or(in.RequestID, rand.Text())
	if in.Type == lambda.DryRun {
		return &lambda.Result{Status: nethttp.StatusNoContent, Version: lambda.LatestVersion, RequestID: id}, nil
	}
	outer := ctx
	ctx, cancel := bounded(ctx, in)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, h.cfg.Timeout)
	defer stop()
	in.RequestID = id
	req, err := request(ctx, h.cfg.URL, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Lambda-Runtime-Aws-Request-Id", id)
	req.Header.Set("Lambda-Runtime-Invoked-Function-Arn", in.FunctionARN)
	for k, v := range h.cfg.Header {
		req.Header.Set(k, v)
	}
	from := time.Now()
	resp, body, err := send(ctx, h.cfg.Client, req, in) //nolint:bodyclose // send has read the body to its end and closed it
	res := &lambda.Result{Status: nethttp.StatusOK, Version: lambda.LatestVersion, RequestID: id, Duration: time.Since(from)}
	res.Billed = (res.Duration + time.Millisecond - 1).Truncate(time.Millisecond)
	fail := func(kind, message string) *lambda.Result {
		res.FunctionError = lambda.UnhandledError
		res.Payload, _ = json.Marshal(lambda.Failure{Message: "RequestId: " + id + " Error: " + message, Type: kind})
		return res
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && outer.Err() == nil && (in.Deadline.IsZero() || time.Now().Before(in.Deadline)):
		return fail("Sandbox.Timedout", fmt.Sprintf("Task timed out after %.2f seconds", h.cfg.Timeout.Seconds())), nil
	case err != nil:
		return nil, err
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, &lambda.Error{Kind: lambda.Service, Message: "The address that stands in for the function answers " + resp.Status}
	case resp.StatusCode >= 400:
		var f lambda.Failure
		if json.Unmarshal(body, &f) == nil && f.Message != "" {
			res.Payload, res.FunctionError = body, lambda.UnhandledError
			return res, nil
		}
		return fail("Hook.Status", fmt.Sprintf("the function answers %s: %.500s", resp.Status, body)), nil
	case len(body) == 0:
		body = []byte("null")
	case !json.Valid(body):
		// A function can only answer JSON; a server that sends text meant a string.
		body, _ = json.Marshal(string(body))
	}
	res.Payload = body
	return res, nil
}

func bounded(ctx context.Context, in lambda.Invocation) (context.Context, context.CancelFunc) {
	if in.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, in.Deadline)
}

func request(ctx context.Context, to string, in lambda.Invocation) (*nethttp.Request, error) {
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, to, bytes.NewReader(in.Payload))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", in.FunctionARN, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if in.TraceID != "" {
		req.Header.Set("X-Amzn-Trace-Id", in.TraceID)
	}
	// The standard client repeats a POST only with a body that it can read again;
	// without this it cannot, and an event is never sent twice.
	req.GetBody = nil
	return req, nil
}

// send returns an answer with its whole body, up to the limit of a response; the
// body of the response itself is closed.
func send(ctx context.Context, c *nethttp.Client, req *nethttp.Request, in lambda.Invocation) (*nethttp.Response, []byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, &lambda.Error{Kind: lambda.Service, Message: "The endpoint of the function cannot be reached", Err: fmt.Errorf("call %s: %w", in.FunctionARN, err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, lambda.MaxResponse+1))
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, &lambda.Error{Kind: lambda.Service, Message: "The function's answer was cut", Err: err}
	}
	if len(body) > lambda.MaxResponse {
		return nil, nil, &lambda.Error{Kind: lambda.Service, Message: fmt.Sprintf("The function's answer is larger than %d bytes", lambda.MaxResponse)}
	}
	return resp, body, nil
}
