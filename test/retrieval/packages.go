package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// shelf is documentation that a Debian package carries as HTML.
type shelf struct {
	Package string
	Licence string // as the package's copyright file names it
	// Pages selects the files, by their path below /usr/share.
	Pages *regexp.Regexp
	// Asked says that its section titles are questions of the known-item set.
	Asked bool
	// Every takes each n-th page only, 0 all.
	Every int
}

// shelves are what is indexed. The texts are fetched by the user's own package tool,
// kept in the cache folder and never distributed.
var shelves = []shelf{
	{"debian-policy", "GPL-2.0-or-later; the FHS and others in it their own, as free", regexp.MustCompile(`^doc/debian-policy/.*\.html$`), true, 1},
	{"developers-reference", "GPL-2.0-or-later", regexp.MustCompile(`^doc/developers-reference/[^/]*\.html$|^developers-reference/[^/]*\.html$`), true, 1},
	{"debian-reference-en", "GPL-2.0-or-later", regexp.MustCompile(`^debian-reference/.*\.en\.html$`), true, 1},
	{"debian-faq", "its own: copies, changed ones too, under the same notice", regexp.MustCompile(`^doc/debian/FAQ/.*\.en\.html$`), true, 1},
	{"maint-guide", "GPL-2.0-or-later", regexp.MustCompile(`^doc/maint-guide/html/.*\.en\.html$`), true, 1},
	{"debmake-doc", "MIT", regexp.MustCompile(`^doc/debmake-doc/html/.*\.en\.html$`), true, 1},
	{"harden-doc", "GPL-2.0-or-later", regexp.MustCompile(`^doc/harden-doc/html/en-US/.*\.html$`), true, 1},
	{"aptitude-doc-en", "GPL-2.0-or-later", regexp.MustCompile(`^doc/aptitude/html/en/.*\.html$`), true, 1},
	{"debian-kernel-handbook", "GPL-2.0-or-later", regexp.MustCompile(`^doc/debian-kernel-handbook/.*\.html$`), true, 1},
	{"debian-history", "GPL-2.0-or-later", regexp.MustCompile(`^doc/debian-history/docs/.*\.en\.html$`), true, 1},
	{"apt-doc", "GPL-2.0-or-later", regexp.MustCompile(`^doc/apt-doc/(guide|offline)\.html/.*\.html$`), true, 1},
	{"git-doc", "GPL-2.0-only", regexp.MustCompile(`^doc/git-doc/.*\.html$`), false, 1},
	{"postgresql-doc-15", "PostgreSQL", regexp.MustCompile(`^doc/postgresql-doc-15/html/.*\.html$`), false, 3},
	{"python3.11-doc", "PSF-2.0", regexp.MustCompile(`^doc/python3\.11/html/.*\.html$`), false, 3},
}

// noProse are pages that list words and not say anything.
var noProse = regexp.MustCompile(`/(genindex|search|py-modindex|bookindex|index|contents|toc)[^/]*\.html$`)

// page is one HTML file of a shelf.
type page struct {
	shelf *shelf
	path  string // below /usr/share
	file  string
}

// fetchPackages brings the packages into dir, unpacked, and answers what is missing
// as an error. What is there already is not fetched again.
func fetchPackages(ctx context.Context, dir string) error {
	var missing []string
	for i := range shelves {
		if _, err := os.Stat(filepath.Join(dir, shelves[i].Package)); err != nil {
			missing = append(missing, shelves[i].Package)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	down, err := os.MkdirTemp(dir, ".download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(down)
	if err := os.Chmod(down, 0o755); err != nil { // the tool's own user writes there where it runs as root
		return err
	}
	get := exec.CommandContext(ctx, "apt-get", append([]string{"download", "--quiet"}, missing...)...)
	get.Dir = down
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download: %w: %s", err, out)
	}
	for _, name := range missing {
		found, err := filepath.Glob(filepath.Join(down, name+"_*.deb"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("apt-get download brought no %s: %w", name, err)
		}
		to := filepath.Join(down, name)
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", found[0], to).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", name, err, out)
		}
		// The version is part of what was measured.
		version, err := exec.CommandContext(ctx, "dpkg-deb", "--field", found[0], "Version").Output()
		if err != nil {
			return fmt.Errorf("version of %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(to, "version"), version, 0o644); err != nil {
			return err
		}
		if err := os.Rename(to, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// version answers the version of a package that fetchPackages brought.
func version(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name, "version"))
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}

// pages lists the files of all shelves, in a fixed order.
func pages(dir string) ([]page, error) {
	var all []page
	for i := range shelves {
		s := &shelves[i]
		first := len(all)
		root := filepath.Join(dir, s.Package, "usr", "share")
		err := filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			rel, err := filepath.Rel(root, p)
			if rel = filepath.ToSlash(rel); err == nil && s.Pages.MatchString(rel) && !noProse.MatchString(rel) {
				all = append(all, page{s, rel, p})
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("pages of %s: %w", s.Package, err)
		}
		mine := all[first:] // in the order of WalkDir, which is fixed
		kept := 0
		for i := range mine {
			if i%max(1, s.Every) == 0 {
				mine[kept] = mine[i]
				kept++
			}
		}
		all = all[:first+kept]
	}
	return all, nil
}
