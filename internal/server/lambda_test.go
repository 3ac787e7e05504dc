package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
)

type oneZip struct{ location string }

func (o oneZip) Open(_ context.Context, c fn.Code) (fn.Zip, error) {
	if c.Location != o.location {
		return nil, errors.New("not there")
	}
	return fn.BytesZip([]byte("zip")), nil
}

func TestALinkToCodeIsGoodForThatCodeAndAWhile(t *testing.T) {
	now := time.Now()
	links, err := newCodeLinks(oneZip{"a/b/f/1"}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	get := func(u string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		links.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, u, nil))
		return w
	}
	link := links.url("http://127.0.0.1:1", fn.Code{Location: "a/b/f/1"})
	if w := get(link); w.Code != http.StatusOK || w.Body.String() != "zip" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	u, _ := url.Parse(link)
	for name, value := range map[string]string{"code": "a/b/f/2", "until": "99999999999", "signature": "x"} {
		q := u.Query()
		q.Set(name, value)
		if w := get(codePath + "?" + q.Encode()); w.Code != http.StatusForbidden {
			t.Errorf("with another %s: %d", name, w.Code)
		}
	}
	if w := get(links.url("", fn.Code{Location: "gone"})); w.Code != http.StatusNotFound {
		t.Errorf("code that is gone: %d", w.Code)
	}
	now = now.Add(codeLife + time.Second)
	if w := get(link); w.Code != http.StatusForbidden {
		t.Errorf("a link that has ended: %d", w.Code)
	}
}

func TestWhereFunctionsAreServed(t *testing.T) {
	const arn = "arn:aws:lambda:us-east-1:123456789012:function:"
	s := &Server{log: slog.New(slog.DiscardHandler), cfg: config.Config{Listen: "127.0.0.1:4580", Region: "us-east-1", Functions: map[string]string{
		"*": "http://all", "team-*": "http://team", "team-a-*": "http://team-a", "team-a-x": "http://x/hook", arn + "team-b-*": "lambda+http://K:S@b", "team-c": "https://c/base/2015-03-31/",
	}}}
	r, err := s.routes()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"other": "*", "team-x": "team-*", "team-a-y": "team-a-*", "team-a-x": "team-a-x", "team-b-1": arn + "team-b-*", "team-c:live": "team-c",
	} {
		got := r.Match(arn + name)
		if got == nil || got.Pattern != want || got.Queues != (want == "team-c" || strings.HasPrefix(want, "arn")) {
			t.Errorf("%s goes to %+v, want %s", name, got, want)
		}
	}
	for _, address := range []string{"http://127.0.0.1:4580/hook", "lambda+http://127.0.0.1:4580", "lambda+http://key@h", "http://"} {
		if _, _, err := s.elsewhere(address); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
	s.cfg.Functions, s.cfg.Neighbours = nil, map[string]string{"lambda": "http://h:1"}
	if r, err = s.routes(); err != nil || r.Match(arn+"any") == nil || !r.Match(arn+"any").Queues {
		t.Errorf("with --neighbour lambda: %+v, %v", r, err)
	}
	for path, want := range map[string]string{
		"/2015-03-31/functions/arn:aws:lambda:eu-west-1:1:function:f/invocations": "eu-west-1", "/2015-03-31/functions/f/invocations": "us-east-1",
	} {
		if got := regionOf(&url.URL{Path: path}, "us-east-1"); got != want {
			t.Errorf("%s is signed for %s", path, got)
		}
	}
}
