package install

import (
	"os"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

func TestARealEngineIsInstalled(t *testing.T) {
	if os.Getenv("OUTCROP_REAL_MODEL") == "" {
		t.Skip("set OUTCROP_REAL_MODEL=1")
	}
	cfg := Config{Progress: fetch.NewProgress(os.Stderr)}
	p, err := Install(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", p)
	found, err := Find(t.Context(), cfg)
	if err != nil || found != p {
		t.Errorf("Find: %+v, %v", found, err)
	}
	for _, f := range Doctor(t.Context(), cfg) {
		t.Logf("%-8s %-8s %s | %s", f.Check, f.Level, f.Detail, f.Fix)
	}
}
