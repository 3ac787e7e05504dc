package install

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*http2clientConnReadLoop).run"))
}

const goodServer = "#!/bin/sh\necho 'version: 11549 (abc)' >&2\n"

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

type member struct {
	name, body, link string
	mode             int64
}

func tarball(t *testing.T, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Size: int64(len(m.body)), Mode: m.mode, Typeflag: tar.TypeReg}
		if m.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	return buf.Bytes()
}

// sources is a stand-in for the release page and the package index.
type sources struct {
	*httptest.Server
	archive []byte // of the release; nil when there is none
	digest  string // stated for it
	wheel   []byte
}

func newSources(t *testing.T) *sources {
	s := &sources{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/releases/tags/"), r.URL.Path == "/releases/latest":
			if s.archive == nil || strings.HasPrefix(r.URL.Path, "/releases/tags/") { // only the latest is there
				w.WriteHeader(404)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"tag_name": "b99999", "assets": []any{
				map[string]any{"name": "llama-b99999-bin-ubuntu-vulkan-x64.tar.gz", "browser_download_url": s.URL + "/wrong", "digest": "sha256:00"},
				map[string]any{"name": "llama-b99999-bin-ubuntu-x64.tar.gz", "browser_download_url": s.URL + "/archive", "digest": s.digest, "size": len(s.archive)},
			}})
		case r.URL.Path == "/archive":
			_, _ = w.Write(s.archive)
		case r.URL.Path == "/simple/xllamacpp/" && s.wheel != nil:
			w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
			_ = json.NewEncoder(w).Encode(map[string]any{"files": []any{map[string]any{"filename": "xllamacpp-1-cp310-abi3-any.whl", "url": "/wheel", "hashes": map[string]string{"sha256": sumOf(s.wheel)}}}})
		case r.URL.Path == "/wheel":
			_, _ = w.Write(s.wheel)
		case r.URL.Path == "/simple/":
		default:
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// machine is a computer with the named programs (scripts) on its PATH.
func machine(t *testing.T, s *sources, env map[string]string, programs map[string]string) Config {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in programs are shell scripts")
	}
	bin := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Config{
		Dir: t.TempDir(), Platform: "linux/amd64", ReleasesURL: s.URL + "/releases", HTTP: s.Client(),
		Getenv: func(k string) string {
			switch k {
			case "PIP_INDEX_URL":
				return s.URL + "/simple"
			case "PIP_CONFIG_FILE":
				return os.DevNull
			case "HF_ENDPOINT":
				return s.URL + "/hub"
			}
			return env[k]
		},
		LookPath: func(name string) (string, error) {
			p := name
			if !filepath.IsAbs(name) {
				p = filepath.Join(bin, name)
			}
			if _, err := os.Stat(p); err != nil {
				return "", err
			}
			return p, nil
		},
	}
}

// pythonScript answers as an interpreter of the given version.
func pythonScript(version, minor, free string) string {
	return fmt.Sprintf("#!/bin/sh\ncase \"$2\" in *platform*) echo 3 %s CPython True %s %s; echo \"$0\";; esac\n", minor, free, version)
}

func fakeWheel(t *testing.T, freeThreaded bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.Create("xllamacpp/__init__.py")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("pass"))
	z.Close()
	old := wheels
	wheels = []wheel{{"linux/amd64", freeThreaded, sumOf(buf.Bytes())}}
	t.Cleanup(func() { wheels = old })
	return buf.Bytes()
}

func TestTheReleaseArchiveComesFirst(t *testing.T) {
	s := newSources(t)
	s.archive = tarball(t,
		member{name: "llama-b99999/libllama.so.1", body: "lib", mode: 0o644},
		member{name: "llama-b99999/libllama.so", link: "libllama.so.1"},
		member{name: "llama-b99999/llama-server", body: goodServer, mode: 0o755})
	s.digest = "sha256:" + sumOf(s.archive)
	cfg := machine(t, s, nil, nil)
	if _, err := Find(t.Context(), cfg); !errors.Is(err, ErrMissing) {
		t.Errorf("before: %v", err)
	}
	p, err := Install(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p.Form != Server || p.Version != "b99999" || filepath.Base(p.Path) != "llama-server" {
		t.Errorf("%+v", p)
	}
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(p.Path), "libllama.so")); err != nil || string(b) != "lib" {
		t.Errorf("link: %q, %v", b, err)
	}
	if f, err := Find(t.Context(), cfg); err != nil || f != p {
		t.Errorf("found %+v, %v", f, err)
	}
	entries, _ := os.ReadDir(filepath.Join(cfg.Dir, "engine"))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".unpack") || strings.HasSuffix(e.Name(), ".gz") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestAnArchiveThatCannotBeTrustedOrRunIsPassedOver(t *testing.T) {
	good := member{name: "b/llama-server", body: goodServer, mode: 0o755}
	for name, c := range map[string]struct {
		members []member
		digest  string
		says    string
	}{
		"other digest":   {[]member{good}, "sha256:" + strings.Repeat("0", 64), "checksum differs"},
		"no digest":      {[]member{good}, "", "states no SHA-256"},
		"does not run":   {[]member{{name: "b/llama-server", body: "#!/bin/sh\necho Illegal instruction >&2; exit 132\n", mode: 0o755}}, "", "does not run here"},
		"no server":      {[]member{{name: "b/README", body: "x", mode: 0o644}}, "", "no llama-server in it"},
		"leaves its dir": {[]member{good, {name: "../../evil", body: "x", mode: 0o644}}, "", "unpack"},
		"links outside":  {[]member{good, {name: "b/x", link: "../../../etc/passwd"}}, "", "outside the archive"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSources(t)
			s.archive = tarball(t, c.members...)
			s.digest = c.digest
			if s.digest == "" && name != "no digest" {
				s.digest = "sha256:" + sumOf(s.archive)
			}
			s.wheel = fakeWheel(t, false)
			cfg := machine(t, s, nil, map[string]string{"python3": pythonScript("3.12.1", "12", "False")})
			p, err := Install(t.Context(), cfg)
			if err != nil || p.Form != Wheel {
				t.Fatalf("the wheel does not help: %+v, %v", p, err)
			}
			_, err = fromRelease(t.Context(), must(cfg.withDefaults()))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(cfg.Dir), "evil")); err == nil {
				t.Error("a file was written outside")
			}
		})
	}
}

func must(c Config, err error) Config {
	if err != nil {
		panic(err)
	}
	return c
}

func TestTheWheelNeedsItsPythonAndItsDigest(t *testing.T) {
	for name, c := range map[string]struct {
		python  map[string]string
		env     map[string]string
		free    bool
		alter   bool
		wantErr string
	}{
		"good":                  {python: map[string]string{"python3": pythonScript("3.10.0", "10", "False")}},
		"second name":           {python: map[string]string{"python3": pythonScript("3.8.1", "8", "False"), "python3.13": pythonScript("3.13.0", "13", "False")}},
		"free threads":          {python: map[string]string{"python3": pythonScript("3.14.0", "14", "True")}, free: true},
		"free threads, no such": {python: map[string]string{"python3": pythonScript("3.14.0", "14", "True")}, wantErr: "no wheel is made"},
		"too old":               {python: map[string]string{"python3": pythonScript("3.9.2", "9", "False")}, wantErr: "3.9.2"},
		"none":                  {wantErr: "no Python 3.10"},
		"other file":            {python: map[string]string{"python3": pythonScript("3.10.0", "10", "False")}, alter: true, wantErr: "not in the package index"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSources(t)
			s.wheel = fakeWheel(t, c.free)
			if c.alter {
				s.wheel = append(s.wheel, 0)
			}
			p, err := Install(t.Context(), machine(t, s, c.env, c.python))
			if c.wantErr == "" {
				if err != nil || p.Form != Wheel || p.Lib == "" {
					t.Errorf("%+v, %v", p, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
		})
	}
}

func TestTheEnvironmentComesBeforePathAndPathBeforeCache(t *testing.T) {
	s := newSources(t)
	s.archive = tarball(t, member{name: "x/llama-server", body: goodServer, mode: 0o755})
	s.digest = "sha256:" + sumOf(s.archive)
	cfg := machine(t, s, nil, map[string]string{"llama-server": goodServer, "mine": goodServer})
	p, err := Find(t.Context(), cfg)
	if err != nil || p.From != "PATH" || p.Version != "11549 (abc)" {
		t.Errorf("%+v, %v", p, err)
	}
	cfg = machine(t, s, map[string]string{"OUTCROP_LLAMA_SERVER": "mine"}, map[string]string{"llama-server": goodServer, "mine": goodServer})
	if p, err = Find(t.Context(), cfg); err != nil || p.From != "OUTCROP_LLAMA_SERVER" {
		t.Errorf("%+v, %v", p, err)
	}
	cfg = machine(t, s, map[string]string{"OUTCROP_LLAMA_SERVER": "nothing"}, map[string]string{"llama-server": goodServer})
	if _, err = Find(t.Context(), cfg); err == nil || errors.Is(err, ErrMissing) {
		t.Errorf("a wrong setting is passed over: %v", err)
	}
	cfg = machine(t, s, nil, nil)
	cfg.Offline = true
	if _, err = Install(t.Context(), cfg); !errors.Is(err, fetch.ErrOffline) {
		t.Errorf("offline: %v", err)
	}
}

func TestEveryPinIsADigestAndEachPlatformHasOne(t *testing.T) {
	digest := regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := map[string]bool{}
	for _, w := range wheels {
		if !digest.MatchString(w.sha256) || seen[w.sha256] || seen[w.dir()] {
			t.Errorf("%+v", w)
		}
		seen[w.sha256], seen[w.dir()] = true, true
	}
	for _, p := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64"} {
		if assetPattern(p) == nil {
			t.Errorf("%s has no archive", p)
		}
	}
	if assetPattern("linux/amd64/musl") != nil || !assetPattern("darwin/arm64").MatchString("llama-b11549-bin-macos-arm64.tar.gz") || assetPattern("windows/amd64").MatchString("llama-b11549-bin-win-cuda-12.4-x64.zip") {
		t.Error("asset patterns")
	}
}

func TestTheDoctorSaysWhatIsMissingAndWhatToDo(t *testing.T) {
	find := func(fs []Finding, check string) Finding {
		for _, f := range fs {
			if f.Check == check {
				return f
			}
		}
		t.Fatalf("no finding %s in %+v", check, fs)
		return Finding{}
	}
	s := newSources(t)
	healthy := Doctor(t.Context(), machine(t, s, nil, map[string]string{"llama-server": goodServer, "python3": pythonScript("3.12.1", "12", "False")}))
	for _, check := range []string{"engine", "python", "cache", "network"} {
		if f := find(healthy, check); f.Level != OK || f.Fix != "" {
			t.Errorf("%+v", f)
		}
	}
	if f := find(healthy, "models"); f.Level != Warning || !strings.Contains(f.Fix, "models pull") {
		t.Errorf("%+v", f)
	}
	noPython := Doctor(t.Context(), machine(t, s, nil, nil))
	if f := find(noPython, "python"); f.Level == OK || !strings.Contains(f.Fix, "python3") {
		t.Errorf("%+v", f)
	}
	if f := find(noPython, "engine"); f.Level == OK || f.Fix == "" {
		t.Errorf("%+v", f)
	}
	cfg := machine(t, s, nil, nil)
	s.Close()
	alone := Doctor(t.Context(), cfg)
	for _, check := range []string{"engine", "python", "network", "models"} {
		if f := find(alone, check); f.Level != Problem || f.Fix == "" {
			t.Errorf("without a network: %+v", f)
		}
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = filepath.Join(blocked, "cache")
	if f := find(Doctor(t.Context(), cfg), "cache"); f.Level != Problem || !strings.Contains(f.Fix, "OUTCROP_CACHE") {
		t.Errorf("%+v", f)
	}
}
