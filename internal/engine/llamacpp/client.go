package llamacpp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// client speaks to one child.
type client struct {
	http *http.Client
	key  string
}

func newClient(network, address, key string) *client {
	var d net.Dialer
	return &client{key: key, http: &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, network, address) },
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 64,
		// Shorter than the child's own limit (5 s), or requests would meet
		// connections that it is just closing.
		IdleConnTimeout:    2 * time.Second,
		DisableCompression: true,
	}}}
}

// apiError is an answer of the child other than success.
type apiError struct {
	Status  int
	Type    string `json:"type"`
	Message string `json:"message"`
	Prompt  int    `json:"n_prompt_tokens"`
	Context int    `json:"n_ctx"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("engine answered %d %s: %s", e.Status, e.Type, e.Message)
}

func readAPIError(status int, body []byte) *apiError {
	var doc struct {
		Error json.RawMessage `json:"error"`
	}
	e := &apiError{Status: status}
	if json.Unmarshal(body, &doc) != nil || len(doc.Error) == 0 {
		e.Message = fmt.Sprintf("%.300s", body)
		return e
	}
	if json.Unmarshal(doc.Error, e) != nil || e.Message == "" {
		e.Message = wire.ErrorText(doc.Error)
	}
	e.Status = status
	return e
}

// do sends a request; the body of the answer is the caller's to close.
func (c *client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("BUG: request to engine: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	// Every call may be sent again when a kept connection turns out to be closed
	// before the first byte of an answer: none changes anything. The empty list
	// tells the transport so without sending the header.
	req.Header["Idempotency-Key"] = nil
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, readAPIError(resp.StatusCode, b)
	}
	return resp, nil
}

// call sends a request and reads a whole JSON answer into out.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		return err
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return &engine.Error{Kind: engine.BadOutput, Message: "the engine's answer cannot be read", Err: fmt.Errorf("%s: %w", path, err)}
	}
	return nil
}

// fail turns an error of a call into the port's. ctx is the caller's: when it
// ended, its error is returned unchanged. When the child has died, its obituary
// explains better than the broken connection.
func (i *instance) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*apiError](err); ok {
		return i.refused(e)
	}
	select { // a connection breaks a little before the process is reaped
	case <-i.dead:
	case <-time.After(i.grace):
	}
	if !i.alive() {
		if i.exit != nil {
			e := *i.exit
			if e.Kind == engine.Unavailable || e.Kind == engine.NotReady {
				e.Kind = engine.Crashed
			}
			return &e
		}
		return &engine.Error{Kind: engine.NotReady, Message: "the engine is stopping", Err: err}
	}
	return &engine.Error{Kind: engine.Crashed, Message: "the engine cut the answer", Err: err}
}

// settle waits a moment for the child to notice that a generation of ours was
// cancelled. Asked at once it would take another slot, without the prefix that
// the cancelled one holds.
func (i *instance) settle(ctx context.Context) {
	for range 30 {
		var slots []struct {
			Busy bool `json:"is_processing"`
		}
		if err := i.client.call(ctx, http.MethodGet, "/slots", nil, &slots); err != nil {
			return // it is only about speed
		}
		busy := 0
		for _, s := range slots {
			if s.Busy {
				busy++
			}
		}
		if busy < i.queue.taken() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (i *instance) refused(e *apiError) *engine.Error {
	out := &engine.Error{Message: e.Message, Status: e.Status, Err: e}
	switch {
	case e.Type == "exceed_context_size_error":
		out.Kind, out.Limit, out.Got = engine.TooLong, e.Context, e.Prompt
		out.Message = fmt.Sprintf("the input has %d tokens, the model takes %d", e.Prompt, e.Context)
	case e.Status == http.StatusServiceUnavailable:
		out.Kind, out.Message = engine.NotReady, "the model is loading"
	case e.Status == http.StatusTooManyRequests:
		out.Kind = engine.Overloaded
	case e.Status == http.StatusNotImplemented, e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed:
		out.Kind = engine.Unsupported
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		out.Kind, out.Message = engine.Unavailable, "the engine refuses our key"
	case e.Status >= 400 && e.Status < 500:
		out.Kind = engine.BadRequest
	default:
		out.Kind, out.Message = engine.BadOutput, "the engine failed to answer"
	}
	return out
}
