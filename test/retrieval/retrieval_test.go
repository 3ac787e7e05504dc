package main

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// The searching process of the million is this test program again.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args[1:], "-search") {
		if err := search(context.Background()); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSmallRunOfTheDrawnParts(t *testing.T) {
	speed := &table{title: "speed"}
	if err := measureSpeed(t.Context(), speed, t.TempDir(), t.TempDir(), 2000, false); err != nil {
		t.Fatal(err)
	}
	million := &table{title: "million"}
	if err := measureMillion(t.Context(), million, t.TempDir(), 2000); err != nil {
		t.Fatal(err)
	}
	page := speed.markdown() + million.markdown()
	t.Log(page)
	for _, what := range []string{"search, p50", "1 % passes", "recall@10", "chunks/s", "deleting", "open and first", "resident memory"} {
		if !strings.Contains(page, what) {
			t.Errorf("no row about %q", what)
		}
	}
	// Times are not judged here: recall is.
	for _, m := range append(speed.missed, million.missed...) {
		if strings.Contains(m, "recall") || strings.Contains(m, "memory") {
			t.Errorf("missed: %s", m)
		}
	}
}

func TestAMissedBarIsAnError(t *testing.T) {
	a, b := &table{title: "a"}, &table{title: "b"}
	a.row("fine", "1", "2", "< 2", true)
	a.row("told", "1", "2", "", false)
	if err := missedOf([]*table{a, b}); err != nil {
		t.Error(err)
	}
	b.row("slow", "3", "2", "< 2", false)
	if err := missedOf([]*table{a, b}); err == nil || !strings.Contains(err.Error(), "b: slow") {
		t.Error(err)
	}
	if !strings.Contains(b.markdown(), "**missed**") || strings.Contains(a.markdown(), "missed") {
		t.Error(a.markdown(), b.markdown())
	}
}

func TestTheExactScanIsExact(t *testing.T) {
	cloud := vectortest.NewCloud(48, 20, 5)
	var rows [][]float32
	for range 777 {
		rows = append(rows, cloud.Next())
	}
	f := flatOf(rows)
	keep := func(row int) bool { return row%3 == 0 }
	for range 20 {
		q := cloud.Next()
		var want []near
		for i, r := range rows {
			if keep(i) {
				want = append(want, near{i, dot(q, r)})
			}
		}
		slices.SortStableFunc(want, func(a, b near) int {
			if a.dot > b.dot {
				return -1
			}
			return 1
		})
		got := f.nearest(q, 10, keep)
		if !slices.Equal(got, want[:10]) {
			t.Fatalf("%v, want %v", got, want[:10])
		}
	}
	if got := recall([][]int{{1, 2}, {3, 4}}, [][]int{{2, 9}, {4, 3}}); got != 0.75 {
		t.Errorf("recall %v", got)
	}
}

func TestGainsAreThoseOfTheFormula(t *testing.T) {
	for _, c := range []struct {
		right []bool
		all   int
		want  float64
	}{
		{[]bool{true}, 1, 1},
		{[]bool{false, true}, 1, 1 / math.Log2(3)},
		{[]bool{true, false, true}, 2, (1 + 0.5) / (1 + 1/math.Log2(3))},
		{[]bool{false, false}, 3, 0},
		{nil, 1, 0},
		{append(make([]bool, 10), true), 1, 0}, // the eleventh does not count
	} {
		if got := ndcg(c.right, c.all); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("ndcg(%v, %d) = %v, want %v", c.right, c.all, got, c.want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	var v []float64
	for range 400 {
		v = append(v, random.NormFloat64()+3)
	}
	low, high := interval(v)
	// The standard error of 400 values with deviation one is 0.05.
	if low > mean(v) || high < mean(v) || high-low < 0.15 || high-low > 0.25 {
		t.Errorf("mean %v in %v to %v", mean(v), low, high)
	}
}

const somePage = `<html><head><title>no</title></head><body><div class="related"><h3>Navigation</h3><p>elsewhere</p></div>
<h1>2. The&#160;Archive<a class="headerlink" href="#">¶</a></h1><p>First
paragraph.</p><ul><li><p>An item</p></li><li>Another</li></ul>
<h2>2.1. Sections of <code>main</code></h2><pre>a  b
c</pre><div class="toc"><p>list</p></div><table><tr><td>x</td><td>y</td></tr></table></body></html>`

func TestSectionsOfAPage(t *testing.T) {
	got, err := readSections(strings.NewReader(somePage))
	if err != nil {
		t.Fatal(err)
	}
	want := []section{
		{Title: "The Archive", Blocks: []string{"First paragraph.", "An item", "Another"}},
		{Title: "Sections of main", Blocks: []string{"a  b\nc", "x y"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// smallLibrary writes pages as the packages have them. Each section is about words of
// its own, and repeats its title.
func smallLibrary(t *testing.T) (*library, string) {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 3))
	for i := range shelves {
		if err := os.MkdirAll(filepath.Join(dir, shelves[i].Package, "usr", "share"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(dir, "debian-policy", "usr", "share", "doc", "debian-policy")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for p := range 12 {
		var b strings.Builder
		for s := range 8 {
			title := "Matter " + word(p*8+s) + " of " + word(1000+p*8+s)
			b.WriteString("<h2>" + title + "</h2><p>This is about " + title + ".</p>")
			for range 12 {
				b.WriteString("<p>")
				for range 20 {
					b.WriteString([]string{word(p*8 + s), word(1000 + p*8 + s), word(5000 + random.IntN(300))}[random.IntN(3)] + " ")
				}
				b.WriteString(".</p>")
			}
		}
		b.WriteString("<h2>Matter that is everywhere</h2><p>" + strings.Repeat(word(9000+p)+" is said on each page. ", 10) + "</p>")
		if err := os.WriteFile(filepath.Join(folder, "page-"+word(p)+".html"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "genindex.html"), []byte("<h1>Long listing words</h1><p>"+strings.Repeat("indexed words ", 40)+"</p>"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := readLibrary(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return l, dir
}

func word(n int) string {
	var b strings.Builder
	for range 4 {
		b.WriteByte("bdfgklmnprstvz"[n%14])
		b.WriteByte("aeiou"[n%5])
		n = n*31%10007 + 11
	}
	return b.String()
}

func TestTheLibraryHoldsNoTitleAndNoHeldOutPassage(t *testing.T) {
	l, _ := smallLibrary(t)
	if len(l.Questions) < 80 || len(l.HeldOut) < 10 || len(l.Passages) < 10*len(l.HeldOut)*8/10 {
		t.Fatalf("%d passages, %d questions, %d held out", len(l.Passages), len(l.Questions), len(l.HeldOut))
	}
	text := map[int]string{}
	for _, p := range l.Passages {
		text[p.Section] += "\n" + p.Text
		if slices.Contains(l.HeldOut, p.Text) {
			t.Errorf("%q is indexed and held out", p.Text)
		}
		if strings.Contains(p.Text, "indexed words") {
			t.Error("the page of an index was read")
		}
	}
	for _, q := range l.Questions {
		if strings.Contains(q.Text, "everywhere") {
			t.Error("a title of many sections is asked")
		}
		if text[q.Section] == "" || strings.Contains(text[q.Section], q.Text) {
			t.Errorf("%q has no text, or its text repeats it", q.Text)
		}
	}
}

// hashing embeds by the words of a text, each a direction of its own: enough to find
// and to be held against the exact scan.
func hashing(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		v := make([]float32, dimension)
		for w := range strings.FieldsSeq(strings.ToLower(text)) {
			h := fnv.New64a()
			_, _ = h.Write([]byte(strings.Trim(w, ".")))
			r := rand.New(rand.NewPCG(h.Sum64(), 1))
			for k := range v {
				v[k] += float32(r.NormFloat64())
			}
		}
		out[i] = vectortest.Unit(v)
	}
	return out, nil
}

func TestSmallRunOfTheRealParts(t *testing.T) {
	l, dir := smallLibrary(t)
	s, err := indexLibrary(t.Context(), l, t.TempDir(), hashing)
	if err != nil {
		t.Fatal(err)
	}
	rec, items := &table{title: "recall"}, &table{title: "items"}
	if err := measureRecall(t.Context(), rec, s, 100, 200); err != nil {
		t.Fatal(err)
	}
	if err := measureItems(t.Context(), items, s, 30); err != nil {
		t.Fatal(err)
	}
	t.Log(rec.markdown() + items.markdown())
	if len(rec.missed) > 0 {
		t.Errorf("missed: %v", rec.missed)
	}
	if page := rec.markdown() + items.markdown(); strings.Count(page, "recall@10") != 4 || !strings.Contains(page, "rescored") || strings.Count(page, "nDCG@10") != 4 {
		t.Error(page)
	}
	if got := licences(dir); strings.Count(got, "\n") != len(shelves) || !strings.Contains(got, "debian-policy ? (GPL-2.0-or-later;") {
		t.Error(got)
	}
	tuning, asked := s.halves()
	pages := map[string]bool{}
	page := map[int]string{}
	for _, p := range s.Passages {
		page[p.Section] = p.Page
	}
	for _, i := range tuning {
		pages[page[s.Questions[i].Section]] = true
	}
	for _, i := range asked {
		if pages[page[s.Questions[i].Section]] {
			t.Errorf("the page of %q is in both halves", s.Questions[i].Text)
		}
	}
	// Wrong answers must lower the gain: the measure sees what it is given.
	err = s.with(t.Context(), never, func(x *embedded.Index) error {
		right, err := s.gains(t.Context(), x, byWords, asked)
		if err != nil {
			return err
		}
		slices.Reverse(s.titles)
		slices.Reverse(s.Questions)
		for i, j := 0, len(s.Questions)-1; i < j; i, j = i+1, j-1 { // sections stay where they were
			s.Questions[i].Section, s.Questions[j].Section = s.Questions[j].Section, s.Questions[i].Section
		}
		wrong, err := s.gains(t.Context(), x, byWords, asked)
		if mean(right) < 0.5 || mean(wrong) > 0.1 {
			t.Errorf("gain %v with right questions, %v with exchanged ones", mean(right), mean(wrong))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hashingEngine embeds without a model.
type hashingEngine struct{ engine.Engine }

func (hashingEngine) Embed(ctx context.Context, q *engine.EmbedRequest) (*engine.EmbedResult, error) {
	v, err := hashing(ctx, q.Inputs)
	return &engine.EmbedResult{Vectors: v}, err
}

func TestVectorsAreKept(t *testing.T) {
	dir := t.TempDir()
	texts := []string{"one text", "another text", "one text"}
	want, _ := hashing(t.Context(), texts)
	opened := 0
	open := func() (engine.Engine, error) { opened++; return hashingEngine{}, nil }
	for round := range 3 {
		c, err := openCache(dir, dimension)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.embed(t.Context(), open, "weights", texts)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Fatal(err, cmp.Diff(want, got))
		}
		if opened != 1 {
			t.Errorf("round %d opened the engine for the %d. time", round, opened)
		}
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
		// A row that was cut off is written over.
		if f, err := os.OpenFile(filepath.Join(dir, embeddingModel+".vectors"), os.O_APPEND|os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		} else if _, err := f.WriteString("half a row"); err != nil {
			t.Fatal(err)
		} else {
			f.Close()
		}
	}
	c, err := openCache(dir, dimension)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.embed(t.Context(), open, "other weights", texts); err != nil || opened != 2 {
		t.Errorf("other weights used the kept vectors: opened %d, %v", opened, err)
	}
}

func TestTheScriptsCompile(t *testing.T) {
	python := outcroptest.PythonWith(t, "ast")
	for name, script := range map[string]string{"raw.py": rawScript, "sqlitevec.py": sqliteVecScript} {
		cmd := exec.CommandContext(t.Context(), python, "-I", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	if onePercent().Check() != nil || !onePercent().Match(vector.Metadata{"percent": vector.NumberValue(0)}) {
		t.Error("the filter is not what it says")
	}
}
