package neighbour_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/neighbour"
)

var update = flag.Bool("update", false, "write the answers of the golden files")

var changing = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "REQUEST-ID"},
	{regexp.MustCompile(`\b(AIDA|AROA|AGPA|ANPA|AKIA|ASIA)[A-Z2-7]{16,17}\b`), "${1}ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
}

// A golden file is a conversation: requests and answers in turn, each after a
// line of dashes. A request is "SERVICE METHOD PATH", headers, an empty line and
// the body (line ends in a form are left out); answers are written by -update.
func TestGoldenConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h := open(t, func(c *neighbour.Config) { c.Faces["kms"], c.Faces["lambda"] = keyFace{}, functions{} })
			var got bytes.Buffer
			parts := strings.Split(string(want), "----\n")
			for i := 0; i < len(parts); i += 2 {
				if i > 0 {
					got.WriteString("----\n")
				}
				got.WriteString(parts[i] + "----\n" + converse(t, h, parts[i]))
			}
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

func converse(t *testing.T, h *house, text string) string {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	f := strings.Fields(lines[0])
	header := map[string]string{}
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		header[k] = v
	}
	if strings.HasPrefix(header["Content-Type"], "application/x-www-form-urlencoded") {
		body = strings.ReplaceAll(body, "\n", "")
	}
	r := h.do(t, h.admin, f[0], f[1], f[2], strings.TrimSuffix(body, "\n"), header)
	out := strconv.Itoa(r.status) + " " + http.StatusText(r.status) + "\n" + "Content-Type: " + r.header.Get("Content-Type") + "\n"
	if e := r.header.Get("X-Amzn-Errortype"); e != "" {
		out += "X-Amzn-Errortype: " + e + "\n"
	}
	out += "\n" + r.body + "\n"
	for _, c := range changing {
		out = c.re.ReplaceAllString(out, c.to)
	}
	return out
}
