package matrix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a running server and who calls it.
type house struct {
	t     testing.TB
	conn  *server.Connection
	http  *http.Client
	admin sigv4.Credentials
}

func open(t testing.TB) *house {
	t.Helper()
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c, err := config.Load(fs, []string{"--listen", "127.0.0.1:0", "--data", t.TempDir(), "--engine", "script", "--account", account, "--region", region}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *server.Connection, 1), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(c *server.Connection) { ready <- c }) }()
	tr := &http.Transport{}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the server did not stop")
		}
	})
	h := &house{t: t, http: &http.Client{Transport: tr, Timeout: 30 * time.Second}}
	select {
	case h.conn = <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(errors.Join(errors.New("the server did not start"), err))
	}
	h.admin = sigv4.Credentials{AccessKeyID: h.conn.AccessKey, SecretAccessKey: h.conn.SecretKey}
	return h
}

// query calls IAM or STS and answers the text between the first <element> there.
func (h *house) query(service, version, action string, kv ...string) func(element string) string {
	h.t.Helper()
	form := url.Values{"Action": {action}, "Version": {version}}
	for i := 0; i < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	code, _, body := h.send(h.admin, service, http.MethodPost, "/", "", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, []byte(form.Encode()))
	if code != http.StatusOK {
		h.t.Fatalf("%s: %d %s", action, code, body)
	}
	return func(element string) string {
		_, rest, _ := strings.Cut(string(body), "<"+element+">")
		text, _, ok := strings.Cut(rest, "</"+element+">")
		if !ok {
			h.t.Fatalf("%s: no %s in %s", action, element, body)
		}
		return text
	}
}

func (h *house) iam(action string, kv ...string) func(string) string {
	h.t.Helper()
	return h.query("iam", "2010-05-08", action, kv...)
}

// user makes a user with one key and no policy.
func (h *house) user(name string) *caller {
	h.t.Helper()
	h.iam("CreateUser", "UserName", name)
	key := h.iam("CreateAccessKey", "UserName", name)
	return &caller{h, name, "arn:aws:iam::" + account + ":user/" + name, sigv4.Credentials{AccessKeyID: key("AccessKeyId"), SecretAccessKey: key("SecretAccessKey")}}
}

type caller struct {
	*house

	name, arn string
	keys      sigv4.Credentials
}

type statement struct {
	Effect    string
	Action    []string `json:",omitempty"`
	NotAction []string `json:",omitempty"`
	Resource  []string
	Condition map[string]map[string]any `json:",omitempty"`
}

func document(statements ...statement) string {
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func allow(action string, resources ...string) statement {
	return statement{Effect: "Allow", Action: []string{action}, Resource: resources}
}

// may replaces the user's policy.
func (c *caller) may(statements ...statement) {
	c.t.Helper()
	c.iam("PutUserPolicy", "UserName", c.name, "PolicyName", "p", "PolicyDocument", document(statements...))
}

// ask sends the request and answers status, error type and message.
func (c *caller) ask(r *request) (int, string, string) {
	c.t.Helper()
	header := r.Header.Clone()
	code, answered, body := c.send(c.keys, "bedrock", r.Method, r.Path, r.Query, header, r.Body)
	var e struct{ Message string }
	if code >= 400 {
		if err := json.Unmarshal(body, &e); err != nil {
			c.t.Errorf("%s: the error is no JSON: %s", r.Case, body)
		}
	}
	return code, answered.Get("X-Amzn-Errortype"), e.Message
}

func (h *house) send(keys sigv4.Credentials, service, method, path, query string, header http.Header, body []byte) (int, http.Header, []byte) {
	h.t.Helper()
	at := h.conn.Endpoint + path
	if query != "" {
		at += "?" + query
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, at, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	hash := sigv4.HashPayload(body)
	if header.Get("Content-Type") == "application/vnd.amazon.eventstream" {
		hash = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
	}
	sigv4.Sign(r, keys, region, service, time.Now(), hash)
	resp, err := h.http.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}

// refusal is AWS's text.
func refusal(who, action, resource, why string) string {
	s := "User: " + who + " is not authorized to perform: " + action
	if resource != "" {
		s += " on resource: " + resource
	}
	return s + " " + why
}

func noPolicy(action string) string {
	return "because no identity-based policy allows the " + action + " action"
}

const explicit = "with an explicit deny in an identity-based policy"

// wrong is another resource of the same type.
func wrong(arn string) string {
	if before, ok := strings.CutSuffix(arn, "*"); ok {
		return before + "OTHER"
	}
	return arn + "OTHER"
}

func TestEveryOperationIsAllowedAndRefusedAsThePoliciesSay(t *testing.T) {
	h := open(t)
	may, must, mustNot, other := h.user("may"), h.user("has-no-policy"), h.user("denied"), h.user("elsewhere")
	made := requests(t)
	cells := map[string]int{}
	beyond := map[string]bool{} // operations that need more than their own permission
	var bare []string           // without resource type
	check := func(cell string, c *caller, r *request, want string) {
		t.Helper()
		cells[cell]++
		code, kind, msg := c.ask(r)
		if code != http.StatusForbidden || kind != "AccessDeniedException" || msg != want {
			t.Errorf("%s, %s:\n got %d %s %q\nwant 403 AccessDeniedException %q", r.Case, cell, code, kind, msg, want)
		}
	}
	allowed := func(c *caller, r *request, w *row, resources []string) {
		t.Helper()
		cells["allow"]++
		code, kind, msg := c.ask(r)
		own := strings.HasPrefix(msg, refusal(c.arn, w.action, "", ""))
		switch {
		case code == http.StatusForbidden && kind == "AccessDeniedException" && !own && strings.Contains(msg, "not authorized to perform: "):
			beyond[w.key()+": "+msg] = true // the operation itself asked for something else
		case code == http.StatusForbidden, code == http.StatusNotFound && kind == "UnknownOperationException":
			t.Errorf("%s with %s on %v: got %d %s %q, want the operation's answer", r.Case, w.action, resources, code, kind, msg)
		}
	}
	rows := readList(t)
	for i := range rows {
		w := &rows[i]
		all := made[w.key()]
		if len(all) == 0 {
			t.Errorf("%s: no request", w.key())
		}
		for n, r := range all {
			if r.Events {
				r.Header.Set("Content-Type", "application/vnd.amazon.eventstream")
				r.Body = nil
			}
			needs := r.resources(w)
			if n > 0 && slices.EqualFunc(needs, all[0].resources(w), slices.Equal) {
				continue // nothing new in what it names
			}
			var every []string // first names of all needs
			for _, names := range needs {
				every = append(every, names[0])
			}
			first := ""
			if len(every) > 0 {
				first = every[0]
			}
			// Everything else is allowed, so the action alone decides.
			must.may(statement{Effect: "Allow", NotAction: []string{w.action}, Resource: []string{"*"}})
			check("implicit deny", must, r, refusal(must.arn, w.action, first, noPolicy(w.action)))
			if len(needs) == 0 {
				if n == 0 {
					bare = append(bare, w.key())
				}
				may.may(allow(w.action, "*"))
				allowed(may, r, w, nil)
				mustNot.may(allow("*", "*"), statement{Effect: "Deny", Action: []string{w.action}, Resource: []string{"*"}})
				check("explicit deny", mustNot, r, refusal(mustNot.arn, w.action, "", explicit))
				// An action without resource type is not allowed on any resource.
				other.may(allow(w.action, "arn:aws:bedrock:*:*:*"))
				check("a resource where there is none", other, r, refusal(other.arn, w.action, "", noPolicy(w.action)))
				continue
			}
			may.may(allow(w.action, every...))
			allowed(may, r, w, every)
			for j, names := range needs {
				for _, name := range names {
					mustNot.may(allow("*", "*"), statement{Effect: "Deny", Action: []string{w.action}, Resource: []string{name}})
					check("explicit deny", mustNot, r, refusal(mustNot.arn, w.action, name, explicit))
					if name != names[0] {
						one := slices.Clone(every)
						one[j] = name
						may.may(allow(w.action, one...))
						allowed(may, r, w, one)
					}
				}
				rest := slices.Clone(every)
				rest[j] = wrong(rest[j])
				if slices.Contains(rest, every[j]) {
					continue // named twice
				}
				other.may(allow(w.action, rest...))
				check("wrong resource", other, r, refusal(other.arn, w.action, every[j], noPolicy(w.action)))
			}
		}
		if t.Failed() && testing.Short() {
			break
		}
	}
	t.Logf("%d operations; cells: %v", len(rows), cells)
	t.Logf("%d operations have no resource type and so no wrong resource: %s", len(bare), strings.Join(bare, " "))
	for k := range beyond {
		t.Logf("asked for more after its own permission: %s", k)
	}
	if len(rows) != 219 || cells["allow"] < 219 || cells["implicit deny"] < 219 || cells["explicit deny"] < 219 || cells["wrong resource"]+cells["a resource where there is none"] < 219 {
		t.Errorf("the matrix is not whole: %v", cells)
	}
}
