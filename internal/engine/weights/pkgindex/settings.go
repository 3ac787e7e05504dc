package pkgindex

import (
	"bufio"
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Settings are the index settings of pip that matter for finding files.
type Settings struct {
	URLs []string // simple-index roots, in order, without a closing slash
	// Default says that pip's own default stands before URLs, since no index-url
	// is configured.
	Default bool
	// Cert is a file of trusted certificates in PEM, "" for the system's.
	Cert string
	// NoIndex forbids asking any index.
	NoIndex bool
}

// LoadSettings reads pip's configuration files and environment variables, the
// later overruling the earlier as in pip: global file, user file, file of the
// active environment, PIP_CONFIG_FILE, PIP_… variables.
func LoadSettings(getenv func(string) string) Settings {
	if getenv == nil {
		getenv = os.Getenv
	}
	values := map[string]string{}
	for _, path := range configFiles(getenv) {
		readConfig(path, values)
	}
	for _, key := range []string{"index-url", "extra-index-url", "no-index", "cert"} {
		if v := getenv("PIP_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))); v != "" {
			values[key] = v
		}
	}
	s := Settings{Cert: values["cert"], NoIndex: truthy(values["no-index"])}
	if s.NoIndex {
		return s
	}
	s.Default = values["index-url"] == ""
	for _, u := range append([]string{values["index-url"]}, strings.Fields(values["extra-index-url"])...) {
		u = strings.TrimRight(strings.TrimSpace(u), "/")
		if u != "" && !slices.Contains(s.URLs, u) {
			s.URLs = append(s.URLs, u)
		}
	}
	return s
}

func truthy(v string) bool {
	switch strings.ToLower(v) {
	case "1", "true", "yes", "on", "t", "y":
		return true
	}
	return false
}

func configFiles(getenv func(string) string) []string {
	if getenv("PIP_CONFIG_FILE") == os.DevNull {
		return nil // pip's own way to say "no files at all"
	}
	var files []string
	home := cmp.Or(getenv("HOME"), getenv("USERPROFILE"))
	switch runtime.GOOS {
	case "windows":
		if d := getenv("ProgramData"); d != "" {
			files = append(files, filepath.Join(d, "pip", "pip.ini"))
		}
		if home != "" {
			files = append(files, filepath.Join(home, "pip", "pip.ini"))
		}
		if d := getenv("APPDATA"); d != "" {
			files = append(files, filepath.Join(d, "pip", "pip.ini"))
		}
	default:
		for _, d := range filepath.SplitList(cmp.Or(getenv("XDG_CONFIG_DIRS"), "/etc/xdg")) {
			files = append(files, filepath.Join(d, "pip", "pip.conf"))
		}
		if runtime.GOOS == "darwin" {
			files = append(files, "/Library/Application Support/pip/pip.conf")
		}
		files = append(files, "/etc/pip.conf")
		if home != "" {
			files = append(files, filepath.Join(home, ".pip", "pip.conf"))
			if runtime.GOOS == "darwin" {
				files = append(files, filepath.Join(home, "Library", "Application Support", "pip", "pip.conf"))
			}
		}
		if d := cmp.Or(getenv("XDG_CONFIG_HOME"), join(home, ".config")); d != "" {
			files = append(files, filepath.Join(d, "pip", "pip.conf"))
		}
	}
	name := "pip.conf"
	if runtime.GOOS == "windows" {
		name = "pip.ini"
	}
	if d := getenv("VIRTUAL_ENV"); d != "" {
		files = append(files, filepath.Join(d, name))
	}
	if f := getenv("PIP_CONFIG_FILE"); f != "" {
		files = append(files, f)
	}
	return files
}

func join(home, sub string) string {
	if home == "" {
		return ""
	}
	return filepath.Join(home, sub)
}

// readConfig reads the sections [global], [install] and [download] of an INI
// file; a value goes on over indented lines.
func readConfig(path string, into map[string]string) {
	f, err := os.Open(path)
	if err != nil {
		return // pip, too, passes over files that are not there
	}
	defer f.Close()
	var section, key string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := sc.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]"):
			section, key = strings.ToLower(trimmed[1:len(trimmed)-1]), ""
			continue
		case (line[0] == ' ' || line[0] == '\t') && key != "":
			into[key] = strings.TrimSpace(into[key] + " " + trimmed)
			continue
		}
		k, v, ok := strings.Cut(trimmed, "=")
		if !ok {
			k, v, ok = strings.Cut(trimmed, ":")
		}
		key = ""
		if !ok || (section != "global" && section != "install" && section != "download") {
			continue
		}
		key = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(k)), "_", "-")
		into[key] = strings.TrimSpace(v)
	}
}

// redact hides a password in an index URL, for messages.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "package index"
	}
	return u.Redacted()
}
