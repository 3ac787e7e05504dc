package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
)

// asked is what the searching process is told and what it answers.
type asked struct {
	Dir       string
	Questions [][]float32 `json:",omitempty"`

	P50, P99, P50Few, P50Words time.Duration
	Resident, WithWords, Peak  int64
	Loaded                     time.Duration
	Recall                     float64
	Rescored                   int
	Found                      float64 // of what the same index finds exactly
}

// measureMillion writes the index here and searches it in a process of its own, whose
// memory is nothing but the index.
func measureMillion(ctx context.Context, t *table, dir string, chunks int) error {
	d, err := draw(ctx, dir, chunks, 40, false)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := json.Marshal(asked{Dir: dir, Questions: d.questions})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-search")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the searching process: %w", err)
	}
	var a asked
	if err := json.Unmarshal(out, &a); err != nil {
		return err
	}
	raw := mb(int64(chunks) * dimension * 4)
	t.row("resident memory of a process that searches", mb(a.Resident), "the vectors in float32: "+raw, "< 1500 MB", a.Resident < 1_500_000_000)
	t.row("the same after hybrid searches, words of 40-word chunks loaded", mb(a.WithWords), "the most at any time, loading included: "+mb(a.Peak), "the most < 1500 MB", a.Peak < 1_500_000_000)
	t.row("search, p50", ms(a.P50)+" (p99 "+ms(a.P99)+")", fmt.Sprintf("calibration: recall %s with %d rescored", percent(a.Recall), a.Rescored), "< 15 ms", a.P50 < 15*time.Millisecond)
	t.row("recall@10 of these searches", percent(a.Found), "the same index scanned exactly, 50 questions", "≥ 97 %", a.Found >= 0.97)
	t.row("search behind a filter that 1 % passes, p50", ms(a.P50Few), "-", "", true)
	t.row("hybrid search, p50", ms(a.P50Words), "-", "", true)
	t.row("open, load and calibrate", ms(a.Loaded), "-", "", true)
	t.row("ingestion without embedding", fmt.Sprintf("%.0f chunks/s", float64(chunks)/d.took.Seconds()), "-", "", true)
	return nil
}

// search is the process of measureMillion.
func search(ctx context.Context) error {
	var a asked
	if err := json.NewDecoder(os.Stdin).Decode(&a); err != nil {
		return err
	}
	questions := a.Questions
	a.Questions = nil
	begin := time.Now()
	var got [][]string
	err := measured(ctx, a.Dir, "drawn", 0, func(x *embedded.Index) (err error) {
		a.Loaded = time.Since(begin)
		var took times
		if got, took, err = searchAll(ctx, x, questions, vector.Query{}, 2); err != nil {
			return err
		}
		a.P50, a.P99, a.Resident = took.p50(), took.p99(), memory("VmRSS:")
		if _, took, err = searchAll(ctx, x, questions, vector.Query{Filter: onePercent()}, 1); err != nil {
			return err
		}
		a.P50Few = took.p50()
		if _, took, err = searchAll(ctx, x, questions[:min(40, len(questions))], vector.Query{Mode: vector.Hybrid, Text: "the system12 of index3 and retriev77 docu1500"}, 1); err != nil {
			return err
		}
		a.P50Words, a.WithWords, a.Peak = took.p50(), memory("VmRSS:"), memory("VmHWM:")
		st, err := x.Stats(ctx)
		a.Recall, a.Rescored = st.Recall, st.Rescored
		return err
	})
	if err != nil {
		return err
	}
	err = measured(ctx, a.Dir, "drawn", never, func(x *embedded.Index) error {
		few := questions[:min(50, len(questions))]
		want, _, err := searchAll(ctx, x, few, vector.Query{}, 0)
		a.Found = recall(want, got[:len(few)])
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

// memory reads a line of this process's status, in bytes; 0 where there is none.
func memory(line string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^` + line + `\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}
