package parse

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestDev(t *testing.T) {
	glob := os.Getenv("DEV_FILES")
	if glob == "" {
		return
	}
	files, _ := filepath.Glob(glob)
	for _, f := range files {
		data, _ := os.ReadFile(f)
		start := time.Now()
		d, err := read(&Input{Name: f, Data: data})
		took := time.Since(start)
		if err != nil {
			fmt.Printf("%-60s %6.2fs ERR %s: %s (%v)\n", filepath.Base(f), took.Seconds(), err.Reason, err.Message, err.Err)
			continue
		}
		if os.Getenv("DEV_SHOW") != "" {
			for _, b := range d.Blocks {
				fmt.Printf("[%d %s %d] %s\n", b.Page, b.Kind, b.Level, d.Of(b))
			}
		}
		rec, prec := 0.0, 0.0
		if strings.EqualFold(filepath.Ext(f), ".pdf") {
			ref, _ := exec.Command("pdftotext", "-q", "-enc", "UTF-8", f, "-").Output()
			rec, prec = bag(string(ref), d.Text)
		}
		fmt.Printf("%-60s %6.2fs pages %d blocks %d text %d rec %.3f prec %.3f %q %s\n", filepath.Base(f), took.Seconds(), d.Pages, len(d.Blocks), len(d.Text), rec, prec, d.Title, d.Language)
	}
}

func bag(a, b string) (float64, float64) {
	words := func(s string) map[string]int {
		m := map[string]int{}
		for _, w := range strings.FieldsFunc(clean(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			m[w]++
		}
		return m
	}
	x, y := words(a), words(b)
	common, nx, ny := 0, 0, 0
	for w, n := range x {
		nx += n
		common += min(n, y[w])
	}
	for _, n := range y {
		ny += n
	}
	return float64(common) / float64(max(nx, 1)), float64(common) / float64(max(ny, 1))
}
