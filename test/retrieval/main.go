package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/weights"
)

// options of one run.
type options struct {
	cache, out, only string
	limit            time.Duration
}

func main() {
	var o options
	searching := flag.Bool("search", false, "be the searching process of the million (internal)")
	flag.StringVar(&o.cache, "cache", "", "folder of packages, vectors and rivals; default bench-retrieval in the cache folder of outcrop")
	flag.StringVar(&o.out, "write", "", "also write the page to this file, after a run of all parts")
	flag.StringVar(&o.only, "only", "", "parts to measure, with commas: "+strings.Join(parts, ", "))
	flag.DurationVar(&o.limit, "limit", 3*time.Hour, "longest time of everything; most of a first run is embedding")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	run := func() error { return measure(ctx, o) }
	if *searching {
		run = func() error { return search(ctx) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "retrieval:", err)
		cancel()
		stop()
		os.Exit(1)
	}
}

// parts in the order in which they run.
var parts = []string{"speed", "million", "recall", "items", "embed"}

// measure runs the parts, prints the page, writes it, and answers what was missed.
func measure(ctx context.Context, o options) error {
	if o.only != "" && o.out != "" {
		return errors.New("-write takes the whole page, so -only cannot be with it")
	}
	want := map[string]bool{}
	for p := range strings.SplitSeq(o.only, ",") {
		want[p] = true
	}
	asked := func(part string) bool { return o.only == "" || want[part] }
	if o.cache == "" {
		dir, err := weights.DefaultDir(os.Getenv)
		if err != nil {
			return err
		}
		o.cache = filepath.Join(dir, "bench-retrieval")
	}
	if err := os.MkdirAll(filepath.Join(o.cache, "packages"), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "outcrop-retrieval-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	begin, loadBefore := time.Now(), load()
	var tables []*table
	part := func(name, title, about string, f func(t *table, dir string) error) error {
		if !asked(name) {
			return nil
		}
		at := load()
		t := &table{title: title, about: about}
		fmt.Fprintf(os.Stderr, "%s: %s\n", time.Now().UTC().Format(time.TimeOnly), title)
		dir := filepath.Join(scratch, name)
		if err := f(t, dir); err != nil {
			return fmt.Errorf("%s: %w", title, err)
		}
		t.about += fmt.Sprintf(" Load average before and after this part: %s, %s.", at, load())
		tables = append(tables, t)
		fmt.Print(t.markdown())
		return os.RemoveAll(dir)
	}
	err = part("speed", "100,000 chunks, 384 numbers each", "Drawn vectors: clusters of low rank with a decaying spectrum and noise. Questions are stored vectors with noise of half their length.",
		func(t *table, dir string) error { return measureSpeed(ctx, t, dir, o.cache, 100_000, true) })
	if err != nil {
		return err
	}
	err = part("million", "1,000,000 chunks, 384 numbers each", "The same distribution, chunks of 40 words; searched by a process of its own.",
		func(t *table, dir string) error { return measureMillion(ctx, t, dir, 1_000_000) })
	if err != nil {
		return err
	}
	texts := ""
	if asked("recall") || asked("items") || asked("embed") {
		if texts, err = measureReal(ctx, o.cache, filepath.Join(scratch, "real"), asked, part); err != nil {
			return err
		}
	}
	p := head(begin, loadBefore)
	for _, t := range tables {
		p += t.markdown()
	}
	p += texts
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(p), 0o644); err != nil {
			return err
		}
	}
	return missedOf(tables)
}

// measureReal is what needs real text and the engine.
func measureReal(ctx context.Context, cache, dir string, asked func(string) bool, part func(name, title, about string, f func(t *table, dir string) error) error) (texts string, err error) {
	packages := filepath.Join(cache, "packages")
	if err := fetchPackages(ctx, packages); err != nil {
		return "", err
	}
	l, err := readLibrary(ctx, packages)
	if err != nil {
		return "", err
	}
	e, err := openEngine()
	if err != nil {
		return "", fmt.Errorf("open the engine: %w", err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Prepare(ctx); err != nil {
		return "", fmt.Errorf("fetch the engine: %w", err)
	}
	hash, err := modelHash(ctx, e)
	if err != nil {
		return "", err
	}
	if asked("recall") || asked("items") {
		kept, err := openCache(cache, dimension)
		if err != nil {
			return "", err
		}
		defer kept.close()
		embed := func(ctx context.Context, texts []string) ([][]float32, error) {
			return kept.embed(ctx, func() (engine.Engine, error) { return e, nil }, hash, texts)
		}
		s, err := indexLibrary(ctx, l, dir, embed)
		if err != nil {
			return "", err
		}
		err = part("recall", "Recall on real embeddings", "Vectors of "+embeddingModel+" by the house's engine; texts below, cut by the house's chunker into about "+strconv.Itoa(chunkTokens)+" tokens, without their titles. This run embedded "+strconv.Itoa(kept.made)+" of them, the others were kept from an earlier one.",
			func(t *table, _ string) error { return measureRecall(ctx, t, s, 24_000, 10_000) })
		if err != nil {
			return "", err
		}
		err = part("items", "Section titles find their sections", "Questions are titles of sections in Debian's own documents that no other section has; right are the chunks of that section, from which the title is taken out. "+
			"The index is that of the part above, with the manuals of git, PostgreSQL and Python in between. Differences are paired by question; intervals by bootstrap, 10,000 draws.",
			func(t *table, _ string) error { return measureItems(ctx, t, s, 400) })
		if err != nil {
			return "", err
		}
	}
	err = part("embed", "Embedding throughput", "The same 256 texts by the adapter and by the same engine program without it, in short turns in changing order.",
		func(t *table, _ string) error {
			var some []string
			for i := range 256 { // long enough that the beginning of a turn, with nothing to compute yet, does not count
				some = append(some, l.Passages[i*len(l.Passages)/256].Text)
			}
			return measureThroughput(ctx, t, e, some, 3)
		})
	return "\n## The texts\n\nPackages of Debian, fetched by the program, kept in the cache folder, not distributed:\n\n" + licences(packages), err
}

// head says when, where and beside what.
func head(begin time.Time, loadBefore string) string {
	cpu := "?"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(b); m != nil {
			cpu = string(m[1])
		}
	}
	shared := ""
	if f, err := strconv.ParseFloat(loadBefore, 64); err == nil && f > 0.5 {
		shared = " **The machine was shared**: its load average was " + loadBefore + " before the first part. Times are no better than that; compare a row with its neighbours of the same part."
	}
	return fmt.Sprintf("# Retrieval benchmarks\n\nWritten by `make bench-retrieval` on %s: %d cores (%s), %s, in %s.%s\n\nA row's last columns hold its bar, if it has one. Times are medians of single acts, one at a time, in this process unless the row says otherwise.\n",
		begin.UTC().Format("2006-01-02"), runtime.NumCPU(), cpu, runtime.Version(), time.Since(begin).Round(time.Second), shared)
}

// load is the load average of the last minute, "?" where the system does not tell.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
