package sigv4

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// suiteDir holds the v4 cases of aws-c-auth, with their licence beside them.
const suiteDir = "testdata/aws-signing-test-suite/v4"

type suiteContext struct {
	Credentials struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Token           string `json:"token"`
	} `json:"credentials"`
	Expiration int       `json:"expiration_in_seconds"`
	Normalize  bool      `json:"normalize"`
	Region     string    `json:"region"`
	Service    string    `json:"service"`
	SignBody   bool      `json:"sign_body"`
	Timestamp  time.Time `json:"timestamp"`
	OmitToken  bool      `json:"omit_session_token"`
}

type keyMap map[string]Key

func (m keyMap) Lookup(_ context.Context, id string) (Key, error) {
	k, ok := m[id]
	if !ok {
		return Key{}, ErrUnknownKey
	}
	return k, nil
}

// readRequest reads the suite's text form, which holds what net/http refuses: a
// space in the target.
func readRequest(t testing.TB, text string) (*http.Request, []byte) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target, ok := strings.CutSuffix(rest, " HTTP/1.1")
	if !ok {
		t.Fatalf("request line %q", lines[0])
	}
	path, query, _ := strings.Cut(target, "?")
	r := &http.Request{Method: method, RequestURI: target, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}}
	var name string
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, " ") { // a folded value, as net/http unfolds it
			vs := r.Header[name]
			vs[len(vs)-1] += " " + strings.TrimSpace(line)
			continue
		}
		n, v, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if name = textproto.CanonicalMIMEHeaderKey(n); name == "Host" {
			r.Host = v
			continue
		}
		r.Header[name] = append(r.Header[name], strings.TrimSpace(v))
	}
	return r.WithContext(t.Context()), []byte(strings.TrimRight(body, "\n"))
}

func suiteFile(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(b), "\n")
}

func suiteCases(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob(suiteDir + "/*")
	if err != nil || len(dirs) != 38 {
		t.Fatalf("the suite has %d cases, want 38 (%v)", len(dirs), err)
	}
	return dirs
}

func loadContext(t testing.TB, dir string) suiteContext {
	t.Helper()
	var c suiteContext
	if err := json.Unmarshal([]byte(suiteFile(t, dir, "context.json")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func suiteVerifier(t testing.TB, c suiteContext) *Verifier {
	t.Helper()
	v, err := New(Config{
		Now: func() time.Time { return c.Timestamp.Add(time.Minute) },
		Keys: keyMap{c.Credentials.AccessKeyID: {
			Secret: c.Credentials.SecretAccessKey, Temporary: c.Credentials.Token != "", TokenSHA256: HashToken(c.Credentials.Token), Principal: "somebody",
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSuite(t *testing.T) {
	for _, dir := range suiteCases(t) {
		c := loadContext(t, dir)
		for _, form := range []string{"header", "query"} {
			t.Run(filepath.Base(dir)+"/"+form, func(t *testing.T) {
				r, body := readRequest(t, suiteFile(t, dir, form+"-signed-request.txt"))
				if !c.SignBody && len(body) > 0 {
					t.Fatal("a body that is not signed: the test would prove nothing")
				}
				q, perr := parse(r)
				if perr != nil {
					t.Fatal(perr)
				}
				var s scratch
				v := variant{normalize: c.Normalize, bareToken: c.OmitToken}
				payload, perr := q.payloadHash(Payload{Bytes: body})
				if perr != nil {
					t.Fatal(perr)
				}
				s.build(q, v, payload)
				if want := suiteFile(t, dir, form+"-canonical-request.txt"); string(s.canonical) != want {
					t.Fatalf("canonical request\n%s\nwant\n%s", s.canonical, want)
				}
				if want := suiteFile(t, dir, form+"-string-to-sign.txt"); string(s.toSign) != want {
					t.Fatalf("string to sign\n%s\nwant\n%s", s.toSign, want)
				}
				res, err := suiteVerifier(t, c).Verify(r, Payload{Bytes: body})
				if err != nil {
					t.Fatal(err)
				}
				if res.Principal != "somebody" || res.Service != c.Service || res.Region != c.Region || res.AccessKeyID != c.Credentials.AccessKeyID || !res.Date.Equal(c.Timestamp) {
					t.Fatalf("%+v", res)
				}
				if want := map[string]Form{"header": FormHeader, "query": FormQuery}[form]; res.Form != want {
					t.Fatalf("form %v", res.Form)
				}
				if sc, ok := ScopeOf(r); !ok || sc.Service != c.Service || sc.Region != c.Region || sc.AccessKeyID != c.Credentials.AccessKeyID {
					t.Fatalf("ScopeOf: %+v %v", sc, ok)
				}
			})
		}
	}
}

// Each part of each case of the suite is changed once, and each change must be
// refused: a field that may change unnoticed is a field that is not signed.
func TestSuiteMutations(t *testing.T) {
	n := 0
	for _, dir := range suiteCases(t) {
		c := loadContext(t, dir)
		v := suiteVerifier(t, c)
		for _, form := range []string{"header", "query"} {
			text := suiteFile(t, dir, form+"-signed-request.txt")
			must := func(what string, change func(r *http.Request, body *[]byte)) {
				t.Helper()
				r, body := readRequest(t, text)
				body = bytes.Clone(body)
				change(r, &body)
				if _, err := v.Verify(r, Payload{Bytes: body}); err == nil {
					t.Errorf("%s/%s: accepted with another %s", filepath.Base(dir), form, what)
				}
				n++
			}
			must("method", func(r *http.Request, _ *[]byte) { r.Method = "PUT" })
			must("path", func(r *http.Request, _ *[]byte) {
				p, q, found := strings.Cut(r.RequestURI, "?")
				r.RequestURI = p + "x"
				if found {
					r.RequestURI += "?" + q
				}
			})
			must("query", func(r *http.Request, _ *[]byte) {
				sep := "?"
				if strings.Contains(r.RequestURI, "?") {
					sep = "&"
				}
				r.RequestURI += sep + "more=1"
			})
			must("host", func(r *http.Request, _ *[]byte) { r.Host += ":8080" })
			must("body", func(_ *http.Request, b *[]byte) { *b = append(*b, 'x') })
			r, _ := readRequest(t, text)
			q, err := parse(r)
			if err != nil {
				t.Fatal(err)
			}
			for name := range strings.SplitSeq(q.signed, ";") {
				if name == "host" {
					continue
				}
				must("header "+name, func(r *http.Request, _ *[]byte) {
					k := textproto.CanonicalMIMEHeaderKey(name)
					r.Header[k] = append([]string{"changed"}, r.Header[k]...)
				})
				must("lost header "+name, func(r *http.Request, _ *[]byte) { r.Header.Del(name) })
			}
			flip := func(s, part string) string {
				i := strings.Index(s, part)
				if i < 0 {
					t.Fatalf("no %s in %s", part, s)
				}
				b := []byte(s)
				i += len(part)
				if b[i]++; b[i] == ':' || b[i] == 'g' {
					b[i] = '0'
				}
				return string(b)
			}
			change := func(part string) func(*http.Request, *[]byte) {
				return func(r *http.Request, _ *[]byte) {
					if form == "header" {
						r.Header.Set("Authorization", flip(r.Header.Get("Authorization"), part))
						return
					}
					r.RequestURI = flip(r.RequestURI, "X-Amz-"+part)
				}
			}
			for _, part := range []string{"Credential=", "SignedHeaders=", "Signature="} {
				must(part, change(part))
			}
			must("region", func(r *http.Request, _ *[]byte) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "us-east-2", 1))
				r.RequestURI = strings.Replace(r.RequestURI, "us-east-1", "us-east-2", 1)
			})
			must("service", func(r *http.Request, _ *[]byte) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/service/", "/servics/", 1))
				r.RequestURI = strings.Replace(r.RequestURI, "service", "servics", 1)
			})
			if form == "query" {
				must("expiry", func(r *http.Request, _ *[]byte) {
					r.RequestURI = strings.Replace(r.RequestURI, "X-Amz-Expires=3600", "X-Amz-Expires=7200", 1)
				})
				must("date", func(r *http.Request, _ *[]byte) {
					r.RequestURI = strings.Replace(r.RequestURI, "X-Amz-Date=20150830T1236", "X-Amz-Date=20150830T1237", 1)
				})
				if c.Credentials.Token != "" {
					must("token", change("Security-Token="))
				}
			} else {
				must("date", func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Date", "20150830T123601Z") })
				if c.Credentials.Token != "" {
					must("token", func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Security-Token", "other") })
				}
			}
		}
	}
	if n < 38*2*10 {
		t.Fatalf("only %d mutations were tried", n)
	}
	t.Logf("%d mutations refused", n)
}
