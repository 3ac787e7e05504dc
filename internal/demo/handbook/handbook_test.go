package handbook

import (
	"strings"
	"testing"
)

func TestEveryQuestionIsAnsweredByItsFile(t *testing.T) {
	for range 20 {
		h, err := Draw()
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Questions) != 10 {
			t.Fatalf("%d questions", len(h.Questions))
		}
		for _, q := range h.Questions {
			if m := q.Missing(h.Files[q.File]); len(m) > 0 {
				t.Errorf("%s does not hold %v, which answers %q", q.File, m, q.Ask)
			}
		}
		for name, text := range h.Files {
			if strings.Contains(text, "competitor") || strings.Contains(text, "share price") {
				t.Errorf("%s answers what nothing should", name)
			}
		}
	}
}
