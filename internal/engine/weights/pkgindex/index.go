package pkgindex

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// ErrNotFound means that no configured index holds the project or the file.
var ErrNotFound = errors.New("not in the package index")

// Index asks the configured package indexes.
type Index struct {
	settings Settings
	client   *http.Client
}

// New returns an index reader. client may be nil; a certificate file of pip's
// settings is then trusted beside the system's.
func New(s Settings, client *http.Client) *Index {
	if client == nil {
		client = fetch.NewHTTPClient(fetch.ConnectTimeout)
		if pem, err := os.ReadFile(s.Cert); s.Cert != "" && err == nil {
			pool, err := x509.SystemCertPool()
			if err != nil {
				pool = x509.NewCertPool()
			}
			pool.AppendCertsFromPEM(pem)
			client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		}
	}
	return &Index{settings: s, client: client}
}

// Client is the HTTP client to fetch the index's files with.
func (x *Index) Client() *http.Client { return x.client }

// File is one file of a project.
type File struct {
	Name   string // such as pkg-1.0-py3-none-any.whl
	URL    string
	SHA256 string // hex; "" when the index does not tell
	Size   int64  // 0 when the index does not tell
	Yanked bool
}

// Reachable reports whether any configured index answers.
func (x *Index) Reachable(ctx context.Context) bool {
	roots, err := x.roots()
	if err != nil {
		return false
	}
	for _, u := range roots {
		if fetch.Reachable(ctx, x.client, u+"/") {
			return true
		}
	}
	return false
}

// roots are the indexes to ask, in order.
func (x *Index) roots() ([]string, error) {
	if !x.settings.Default {
		if len(x.settings.URLs) == 0 {
			return nil, errors.New("pip is configured not to use an index (no-index)")
		}
		return x.settings.URLs, nil
	}
	d, err := pipDefault()
	if err != nil {
		if len(x.settings.URLs) > 0 {
			return x.settings.URLs, nil // extra indexes alone
		}
		return nil, err
	}
	return append([]string{d}, x.settings.URLs...), nil
}

// Files lists the files of a project from the first index that knows it.
func (x *Index) Files(ctx context.Context, project string) ([]File, error) {
	roots, err := x.roots()
	if err != nil {
		return nil, fmt.Errorf("project %s: %w", project, err)
	}
	var last error
	for _, root := range roots {
		files, err := x.project(ctx, root+"/"+normalise(project)+"/")
		if err == nil {
			return files, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		last = fmt.Errorf("%s: %w", redact(root), err)
	}
	return nil, fmt.Errorf("project %s: %w", project, last)
}

// Find returns the file of a project by its digest when one is given, else by
// its name.
func (x *Index) Find(ctx context.Context, project, name, sum string) (File, error) {
	files, err := x.Files(ctx, project)
	if err != nil {
		return File{}, err
	}
	for _, f := range files {
		if sum != "" && f.SHA256 == sum || f.Name == name && (sum == "" || f.SHA256 == "") {
			return f, nil
		}
	}
	for _, f := range files {
		if f.Name == name {
			return File{}, fmt.Errorf("%s: the index has another digest (%s) than the pinned %s", name, f.SHA256, sum)
		}
	}
	return File{}, fmt.Errorf("%s: %w", cmp.Or(name, sum), ErrNotFound)
}

// Release returns the wheel of a version when there is one that any Python
// takes, else its source archive.
func (x *Index) Release(ctx context.Context, project, version string) (File, error) {
	files, err := x.Files(ctx, project)
	if err != nil {
		return File{}, err
	}
	stem := strings.ReplaceAll(normalise(project), "-", "_") + "-" + version
	var sdist *File
	for i, f := range files {
		n := strings.ToLower(f.Name)
		switch {
		case strings.HasPrefix(n, stem+"-") && strings.HasSuffix(n, "-none-any.whl"):
			return f, nil
		case strings.ReplaceAll(n, "-", "_") == strings.ReplaceAll(stem, "-", "_")+".tar.gz":
			sdist = &files[i]
		}
	}
	if sdist != nil {
		return *sdist, nil
	}
	return File{}, fmt.Errorf("project %s version %s: %w", project, version, ErrNotFound)
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalise spells a project name as PEP 503 wants it.
func normalise(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

// The JSON form comes first (PEP 691); an index that knows only HTML (PEP 503)
// answers that.
const accept = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

// maxPage bounds an index page; real ones of projects with thousands of files
// are a few megabytes.
const maxPage = 64 << 20

func (x *Index) project(ctx context.Context, page string) ([]File, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	if u := req.URL.User; u != nil {
		pass, _ := u.Password()
		req.SetBasicAuth(u.Username(), pass)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "outcrop")
	resp, err := x.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, ErrNotFound
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &fetch.StatusError{URL: redact(page), Status: resp.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, err
	}
	base := resp.Request.URL
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		return parseJSON(body, base)
	}
	return parseHTML(body, base), nil
}

func parseJSON(body []byte, base *url.URL) ([]File, error) {
	var doc struct {
		Files []struct {
			Filename string            `json:"filename"`
			URL      string            `json:"url"`
			Hashes   map[string]string `json:"hashes"`
			Size     int64             `json:"size"`
			Yanked   any               `json:"yanked"`
		} `json:"files"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("read index page: %w", err)
	}
	files := make([]File, 0, len(doc.Files))
	for _, f := range doc.Files {
		u, err := base.Parse(f.URL)
		if err != nil {
			continue
		}
		yanked := f.Yanked != nil && f.Yanked != false
		files = append(files, File{Name: f.Filename, URL: withUser(u, base), SHA256: strings.ToLower(f.Hashes["sha256"]), Size: f.Size, Yanked: yanked})
	}
	return files, nil
}

var (
	anchor = regexp.MustCompile(`(?is)<a\s([^>]*)>(.*?)</a\s*>`)
	href   = regexp.MustCompile(`(?is)(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)')`)
	yank   = regexp.MustCompile(`(?is)(?:^|\s)data-yanked(?:\s|=|$)`)
)

func parseHTML(body []byte, base *url.URL) []File {
	var files []File
	for _, m := range anchor.FindAllSubmatch(body, -1) {
		h := href.FindSubmatch(m[1])
		if h == nil {
			continue
		}
		u, err := base.Parse(html.UnescapeString(cmp.Or(string(h[1]), string(h[2]))))
		if err != nil {
			continue
		}
		f := File{Name: path.Base(u.Path), Yanked: yank.Match(m[1])}
		if sum, ok := strings.CutPrefix(u.Fragment, "sha256="); ok {
			f.SHA256 = strings.ToLower(sum)
		}
		u.Fragment = ""
		f.URL = withUser(u, base)
		files = append(files, f)
	}
	return files
}

// withUser keeps the index's credentials for files on the index's own host.
func withUser(u, base *url.URL) string {
	if u.Host == base.Host && u.User == nil {
		u.User = base.User
	}
	return u.String()
}
