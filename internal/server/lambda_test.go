package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

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
