package weights

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// DefaultHub is the hub that is asked when HF_ENDPOINT names none.
const DefaultHub = "https://huggingface.co"

func (s *Store) hubURL() string {
	return strings.TrimRight(cmp.Or(s.cfg.Getenv("HF_ENDPOINT"), DefaultHub), "/")
}

func (s *Store) hubHeader() http.Header {
	h := http.Header{}
	if t := cmp.Or(s.cfg.Getenv("HF_TOKEN"), s.cfg.Getenv("HUGGING_FACE_HUB_TOKEN")); t != "" {
		h.Set("Authorization", "Bearer "+t)
	}
	return h
}

// hubRepo is what the hub tells about a repository at a revision.
type hubRepo struct {
	SHA      string `json:"sha"` // commit that the revision names
	Siblings []struct {
		Name string `json:"rfilename"`
		Size int64  `json:"size"`
		LFS  *struct {
			SHA256 string `json:"sha256"`
			Size   int64  `json:"size"`
		} `json:"lfs"`
	} `json:"siblings"`
}

var (
	commitID  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (s *Store) hubInfo(ctx context.Context, h *Hub, revision string) (*hubRepo, error) {
	u := s.hubURL() + "/api/models/" + h.Repo + "/revision/" + url.PathEscape(revision) + "?blobs=true"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	req.Header = s.hubHeader()
	req.Header.Set("User-Agent", "outcrop")
	client := s.cfg.HTTP
	if client == nil {
		client = fetch.NewHTTPClient(fetch.ConnectTimeout)
		defer client.CloseIdleConnections()
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("hub refuses %s (%d): accept the model's terms there and set HF_TOKEN", h.Repo, resp.StatusCode)
	default:
		return nil, &fetch.StatusError{URL: u, Status: resp.StatusCode}
	}
	var repo hubRepo
	if err := json.NewDecoder(io.LimitReader(resp.Body, 32<<20)).Decode(&repo); err != nil {
		return nil, fmt.Errorf("read hub's answer about %s: %w", h.Repo, err)
	}
	if !commitID.MatchString(repo.SHA) {
		return nil, fmt.Errorf("hub names no commit for %s at %s", h.Repo, revision)
	}
	return &repo, nil
}

// pin is what was learnt about a hub's file at first sight. A later answer that
// differs for the same revision is an error, not news.
type pin struct {
	Revision string            `json:"revision"`
	Digests  map[string]string `json:"digests"`
}

func (s *Store) readPin(name string) pin {
	var p pin
	if b, err := os.ReadFile(filepath.Join(s.models(), name+".pin.json")); err == nil && json.Unmarshal(b, &p) != nil {
		return pin{}
	}
	return p
}

// fromHub fetches at the commit that the revision named when the model was first
// fetched, and holds the file to the digest that the hub stated then.
func (s *Store) fromHub(ctx context.Context, m Model, h *Hub) (record, error) {
	p := s.readPin(m.Name)
	repo, err := s.hubInfo(ctx, h, cmp.Or(p.Revision, h.Revision, "main"))
	if err != nil {
		return record{}, err
	}
	if p.Revision != "" && p.Revision != repo.SHA {
		return record{}, fmt.Errorf("hub answers commit %s for %s of %s", repo.SHA, p.Revision, h.Repo)
	}
	if p.Digests == nil {
		p.Digests = map[string]string{}
	}
	p.Revision = repo.SHA
	one := func(file, to string) (sum string, size int64, err error) {
		name, want, size, err := repo.digest(file)
		if err != nil {
			return "", 0, fmt.Errorf("hub repository %s: %w", h.Repo, err)
		}
		if m.SHA256 != "" && file == h.File && want != m.SHA256 {
			return "", 0, fmt.Errorf("hub states digest %s for %s, the list pins %s", want, file, m.SHA256)
		}
		if was := p.Digests[file]; was != "" && was != want {
			return "", 0, fmt.Errorf("hub changed the digest of %s from %s to %s: refusing it; remove the model to accept", file, was, want)
		}
		if p.Digests[file] == "" {
			p.Digests[file] = want
			b, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				return "", 0, err
			}
			if err := writeFile(filepath.Join(s.models(), m.Name+".pin.json"), b); err != nil {
				return "", 0, err
			}
			s.cfg.Logger.Info("hub digest recorded at first fetch", "model", m.Name, "file", file, "revision", repo.SHA, "sha256", want)
		}
		sum, err = s.fetcher().Get(ctx, fetch.File{
			URL:    s.hubURL() + "/" + h.Repo + "/resolve/" + repo.SHA + "/" + escapePath(name),
			Header: s.hubHeader(), Path: to, SHA256: want, Size: size, Label: file,
		})
		return sum, size, err
	}
	r := record{Source: "hub " + h.Repo, Revision: repo.SHA}
	if h.Project != "" {
		r.Projector = m.Name + ".mmproj.gguf"
		if r.ProjectorSum, _, err = one(h.Project, filepath.Join(s.models(), r.Projector)); err != nil {
			return record{}, err
		}
	}
	r.SHA256, r.Size, err = one(h.File, s.path(m.Name))
	return r, err
}

// digest finds a file's spelling on the hub and its stated SHA-256, by its exact name, else ignoring
// case: quantisers spell it either way.
func (r *hubRepo) digest(file string) (name, sum string, size int64, err error) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, f := range r.Siblings {
			if !same(f.Name, file) {
				continue
			}
			if f.LFS == nil || !hexDigest.MatchString(f.LFS.SHA256) {
				return "", "", 0, fmt.Errorf("%s: the hub states no SHA-256", file)
			}
			return f.Name, f.LFS.SHA256, cmp.Or(f.LFS.Size, f.Size), nil
		}
	}
	return "", "", 0, fmt.Errorf("%s: no such file", file)
}

func escapePath(p string) string {
	parts := strings.Split(path.Clean(p), "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
