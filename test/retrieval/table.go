package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// table gathers the rows of one part.
type table struct {
	title, about string
	rows         []string
	missed       []string
}

// row adds what was measured, the figure that it is held against, and the bar. Without
// a bar a row only informs.
func (t *table) row(what, measured, beside, bar string, met bool) {
	state := ""
	if bar != "" {
		if state = "met"; !met {
			state = "**missed**"
			t.missed = append(t.missed, what)
		}
	}
	t.rows = append(t.rows, fmt.Sprintf("| %s | %s | %s | %s | %s |", what, measured, beside, bar, state))
}

func (t *table) markdown() string {
	return fmt.Sprintf("\n## %s\n\n%s\n\n| what | measured | compared with | bar | |\n|---|---|---|---|---|\n%s\n", t.title, t.about, strings.Join(t.rows, "\n"))
}

// missedOf says which bars were missed.
func missedOf(tables []*table) error {
	var all []string
	for _, t := range tables {
		for _, m := range t.missed {
			all = append(all, t.title+": "+m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("missed: %s", strings.Join(all, "; "))
}

func ms(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}

func mb(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// times are durations of the same act.
type times []time.Duration

func (t times) part(p float64) time.Duration {
	if len(t) == 0 {
		return -1
	}
	s := slices.Sorted(slices.Values(t))
	return s[min(len(s)-1, int(p*float64(len(s))))]
}

func (t times) p50() time.Duration { return t.part(0.5) }
func (t times) p99() time.Duration { return t.part(0.99) }

// both is the median and the 99th part.
func (t times) both() string { return ms(t.p50()) + " (p99 " + ms(t.p99()) + ")" }
