package model_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/test/model"
)

// admin lets everybody in: signatures have tests of their own.
type admin struct{}

func (admin) Authenticate(*http.Request, []byte, bool) (gateway.Identity, error) {
	return gateway.Identity{Account: "123456789012", Region: "us-east-1", Principal: "arn:aws:iam::123456789012:user/admin"}, nil
}

// edge is the whole way of a request, with desks that have built nothing: what
// reaches an operation is answered 501 with the operation's name.
func edge(t *testing.T) http.Handler {
	t.Helper()
	h := gateway.New(gateway.Config{
		Authenticator: admin{},
		MaxBody:       64 << 20, // the largest broken bodies are larger than the usual limit
		Desks: []gateway.Desk{
			{Service: &bedrock.Service, API: bedrock.Unimplemented{}},
			{Service: &bedrockruntime.Service, API: bedrockruntime.Unimplemented{}},
			{Service: &bedrockagent.Service, API: bedrockagent.Unimplemented{}},
			{Service: &bedrockagentruntime.Service, API: bedrockagentruntime.Unimplemented{}},
		},
	})
	t.Cleanup(func() {
		if err := h.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// send returns the status, the exception and the message that answer a case.
func send(t *testing.T, h http.Handler, c model.Case) (int, string, string) {
	t.Helper()
	target := c.Path
	if c.Query != "" {
		target += "?" + c.Query
	}
	r := httptest.NewRequest(c.Method, target, bytes.NewReader(c.Body))
	r.Host = c.Service + ".us-east-1.amazonaws.com"
	for k, v := range c.Header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var body struct{ Message *string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Message == nil {
		t.Errorf("%s: answer %d %q has no message", c, w.Code, w.Body.String())
		return w.Code, "", ""
	}
	return w.Code, w.Header().Get("X-Amzn-Errortype"), *body.Message
}

func TestEveryOperationIsReachedOverHTTP(t *testing.T) {
	h := edge(t)
	reached := map[string]bool{}
	for _, svc := range services {
		for c := range model.Valid(svc) {
			status, kind, message := send(t, h, c)
			if status != http.StatusNotImplemented || kind != string(apierr.NotImplemented) || !strings.HasPrefix(message, c.Operation+" ") {
				t.Errorf("%s %s %s: %d %s %s", c, c.Method, c.Path, status, kind, message)
				continue
			}
			reached[c.Service+"."+c.Operation] = true
		}
	}
	if len(reached) != 219 {
		t.Errorf("%d operations reached, want 219", len(reached))
	}
}

func TestEveryBrokenConstraintIsAnsweredOverHTTP(t *testing.T) {
	h := edge(t)
	total, unrouted, wrong := 0, 0, 0
	for _, svc := range services {
		for c := range model.Broken(svc, nil) {
			total++
			status, kind, message := send(t, h, c)
			if c.EmptyLabel {
				// An empty segment names no route, as in AWS: it may be refused there.
				unrouted++
				if status != http.StatusNotFound && status != http.StatusBadRequest {
					t.Errorf("%s %s: %d %s %s", c, c.Path, status, kind, message)
				}
				continue
			}
			if status != http.StatusBadRequest || kind != string(c.Want) || !strings.Contains(message, "'"+c.At+"'") || !strings.Contains(message, c.Says) {
				if wrong++; wrong < 20 {
					t.Errorf("%s %s %s: %d %s %.500s\nwant 400 %s at '%s' %s", c, c.Method, c.Path, status, kind, message, c.Want, c.At, c.Says)
				}
			}
			if kind != string(apierr.Serialization) && !modelled(svc, kind) {
				t.Errorf("%s: %s is no exception of %s", c, kind, svc.Name)
			}
		}
	}
	t.Logf("%d broken requests, %d with an empty path segment, %d answered wrongly", total, unrouted, wrong)
	if wrong > 0 {
		t.Errorf("%d answered wrongly", wrong)
	}
	if total < 9000 || unrouted > total/20 {
		t.Errorf("%d requests, %d of them without a route", total, unrouted)
	}
}

func modelled(svc *api.Service, kind string) bool {
	return slices.ContainsFunc(svc.Exceptions, func(x api.Exception) bool { return x.Name == kind })
}
