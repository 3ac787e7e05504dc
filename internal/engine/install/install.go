package install

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// The release of llama.cpp that this version was tried with, and where its
// archives are listed. An archive is held to the digest that the release API
// states, which is recorded beside it.
const (
	releaseTag       = "b11549"
	officialReleases = "https://api.github.com/repos/ggml-org/llama.cpp/releases"
)

// The wheel of xllamacpp that this version was tried with.
const (
	wheelProject = "xllamacpp"
	wheelVersion = "2026.10.11549"
)

type wheel struct {
	platform     string // GOOS/GOARCH
	freeThreaded bool
	sha256       string
}

// wheels are pinned: another file of that version is refused.
var wheels = []wheel{
	{"linux/amd64", false, "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261"},
	{"linux/arm64", false, "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e"},
	{"darwin/arm64", false, "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781"},
	{"darwin/amd64", false, "1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689"},
	{"windows/amd64", false, "1b76730ab9af47ec8d05a3d55154305fa92642f694dd9ad87d9e5a5e9956a59d"},
	{"linux/amd64", true, "b9d341c07245b246d235a7186b0df8b892a3665fd92e37e1de606eaeff1d5265"},
	{"linux/arm64", true, "cd580dd0a984e0d3ad2d1f7115a064fc2383b9d7a616521819e7a37e7de2c6d2"},
	{"darwin/arm64", true, "9993211c112a8f0ecc338b4a9a2ea40a5f12a1a10b980089eb0f684fa32f921b"},
	{"darwin/amd64", true, "7a04d90562878fde09a106f9618810e67cfa07ed46b946705e0b95c9e5f33edb"},
	{"windows/amd64", true, "aef25324f172925988378cf5c14dc6ec4291b889a06aa0388332e75d69c8bd93"},
}

func (w wheel) fits(platform string) bool { return w.platform == platform }

func (w wheel) dir() string {
	d := "xllamacpp-" + wheelVersion + "-" + strings.ReplaceAll(w.platform, "/", "-")
	if w.freeThreaded {
		d += "-freethreaded"
	}
	return d
}

// Install puts an engine into the cache and returns it: the official release
// archive first, then the wheel. An engine that is already there is returned as
// it is. The error names what each source said.
func Install(ctx context.Context, cfg Config) (Program, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Program{}, err
	}
	if p, err := findCached(ctx, cfg); err == nil {
		return p, nil
	}
	if cfg.Offline {
		return Program{}, fmt.Errorf("engine: %w", fetch.ErrOffline)
	}
	unlock, err := fetch.Lock(ctx, filepath.Join(cfg.engineDir(), ".lock"))
	if err != nil {
		return Program{}, err
	}
	defer unlock()
	if p, err := findCached(ctx, cfg); err == nil {
		return p, nil // another process was faster
	}
	var failures []error
	for _, try := range []struct {
		name string
		run  func(context.Context, Config) (Program, error)
	}{{"llama.cpp release", fromRelease}, {"package index", fromWheel}} {
		p, err := try.run(ctx, cfg)
		if err == nil {
			cfg.Logger.Info("engine installed", "form", p.Form, "version", p.Version, "path", p.Path)
			return p, nil
		}
		if ctx.Err() != nil {
			return Program{}, ctx.Err()
		}
		cfg.Logger.Debug("engine source failed", "source", try.name, "err", err)
		failures = append(failures, fmt.Errorf("%s: %w", try.name, err))
	}
	return Program{}, fmt.Errorf("install engine: %w", errors.Join(failures...))
}

// assetPattern matches the plain CPU build (on macOS: Metal) for the platform;
// builds for other accelerators carry their name between system and CPU.
func assetPattern(platform string) *regexp.Regexp {
	names := map[string]string{
		"linux/amd64": "ubuntu-x64", "linux/arm64": "ubuntu-arm64",
		"darwin/arm64": "macos-arm64", "darwin/amd64": "macos-x64",
		"windows/amd64": "win-cpu-x64", "windows/arm64": "win-cpu-arm64",
	}
	n, ok := names[platform]
	if !ok {
		return nil
	}
	return regexp.MustCompile(`^llama-b[0-9]+-bin-` + regexp.QuoteMeta(n) + `\.(zip|tar\.gz)$`)
}

type release struct {
	Tag    string `json:"tag_name"`
	Assets []struct {
		Name   string `json:"name"`
		URL    string `json:"browser_download_url"`
		Digest string `json:"digest"` // sha256:…
		Size   int64  `json:"size"`
	} `json:"assets"`
}

func fromRelease(ctx context.Context, cfg Config) (Program, error) {
	pattern := assetPattern(cfg.Platform)
	if pattern == nil {
		return Program{}, fmt.Errorf("no archive is made for %s", cfg.Platform)
	}
	r, err := getRelease(ctx, cfg, "/tags/"+releaseTag)
	if e, ok := errors.AsType[*fetch.StatusError](err); ok && e.Status == http.StatusNotFound {
		r, err = getRelease(ctx, cfg, "/latest")
	}
	if err != nil {
		return Program{}, err
	}
	if !regexp.MustCompile(`^b[0-9]+$`).MatchString(r.Tag) {
		return Program{}, fmt.Errorf("release has an unexpected name %q", r.Tag)
	}
	for _, a := range r.Assets {
		if !pattern.MatchString(a.Name) {
			continue
		}
		sum, ok := strings.CutPrefix(a.Digest, "sha256:")
		if !ok {
			return Program{}, fmt.Errorf("%s: the release states no SHA-256", a.Name)
		}
		client := &fetch.Client{HTTP: cfg.HTTP, Progress: cfg.Progress}
		archive := filepath.Join(cfg.engineDir(), a.Name)
		if _, err := client.Get(ctx, fetch.File{URL: a.URL, Path: archive, SHA256: sum, Size: a.Size, Label: "llama.cpp " + r.Tag}); err != nil {
			return Program{}, err
		}
		defer os.Remove(archive)
		dir := filepath.Join(cfg.engineDir(), "llama.cpp-"+r.Tag)
		check := func(tmp string) error {
			path, err := serverIn(tmp)
			if err != nil {
				return fmt.Errorf("%s: no %s in it", a.Name, serverName())
			}
			if _, err := probe(ctx, path, "--version"); err != nil {
				return fmt.Errorf("the program does not run here: %w", err)
			}
			return os.WriteFile(filepath.Join(tmp, "SHA256"), []byte(sum+"  "+a.Name+"\n"), 0o644)
		}
		if err := unpackTo(archive, dir, check); err != nil {
			return Program{}, err
		}
		path, err := serverIn(dir)
		return Program{Form: Server, Path: path, From: "cache", Version: r.Tag}, err
	}
	return Program{}, fmt.Errorf("release %s has no archive for %s", r.Tag, cfg.Platform)
}

func getRelease(ctx context.Context, cfg Config, path string) (*release, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.ReleasesURL+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "outcrop")
	client := cfg.HTTP
	if client == nil {
		client = fetch.NewHTTPClient(fetch.ConnectTimeout)
		defer client.CloseIdleConnections()
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &fetch.StatusError{URL: req.URL.Redacted(), Status: resp.StatusCode}
	}
	var r release
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&r); err != nil {
		return nil, fmt.Errorf("read release: %w", err)
	}
	return &r, nil
}

// unpackTo unpacks beside dir, lets check look at it, and moves it into place.
func unpackTo(archive, dir string, check func(tmp string) error) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".unpack-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if strings.HasSuffix(archive, ".tar.gz") {
		err = fetch.Untar(archive, tmp)
	} else {
		err = fetch.Unzip(archive, tmp)
	}
	if err != nil {
		return err
	}
	if err := check(tmp); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return fetch.SyncDir(filepath.Dir(dir))
}

func fromWheel(ctx context.Context, cfg Config) (Program, error) {
	py, err := findPython(ctx, cfg)
	if err != nil {
		return Program{}, err
	}
	for _, w := range wheels {
		if !w.fits(cfg.Platform) || w.freeThreaded != py.freeThreaded {
			continue
		}
		x := cfg.index()
		defer x.Client().CloseIdleConnections()
		f, err := x.Find(ctx, wheelProject, "", w.sha256)
		if err != nil {
			return Program{}, err
		}
		client := &fetch.Client{HTTP: cmp.Or(cfg.HTTP, x.Client()), Progress: cfg.Progress}
		archive := filepath.Join(cfg.engineDir(), filepath.Base(f.Name))
		if _, err := client.Get(ctx, fetch.File{URL: f.URL, Path: archive, SHA256: w.sha256, Size: f.Size, Label: "xllamacpp " + wheelVersion}); err != nil {
			return Program{}, err
		}
		defer os.Remove(archive)
		lib := filepath.Join(cfg.engineDir(), w.dir())
		err = unpackTo(archive, lib, func(tmp string) error {
			_, err := probe(ctx, py.path, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import xllamacpp; xllamacpp.Server", tmp)
			return err
		})
		if err != nil {
			return Program{}, fmt.Errorf("the wheel does not load in %s: %w", py.path, err)
		}
		return Program{Form: Wheel, Path: py.path, Lib: lib, From: "cache", Version: wheelVersion}, nil
	}
	return Program{}, fmt.Errorf("no wheel is made for %s (free-threaded Python: %v)", cfg.Platform, py.freeThreaded)
}
