package embedded

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
)

// corpus is an index of so many chunks, a hundred a document, with text and
// attributes. It is written once for all benchmarks of one size.
type corpus struct {
	dir       string
	chunks    int
	dim       int
	questions [][]float32
	took      time.Duration
}

var corpora struct {
	sync.Mutex
	made map[string]*corpus
}

// prose draws English-looking text by Zipf's law over a made-up vocabulary.
func prose(random *rand.Rand, z *rand.Zipf, words int) string {
	var b strings.Builder
	for range words {
		fmt.Fprintf(&b, "%s%d ", [...]string{"the", "system", "docu", "index", "retriev", "config", "mod", "vect"}[random.IntN(8)], z.Uint64())
	}
	return b.String()
}

func document(cloud *vectortest.Cloud, random *rand.Rand, z *rand.Zipf, doc, n, words int) []vector.Chunk {
	chunks := make([]vector.Chunk, n)
	for i := range chunks {
		chunks[i] = vector.Chunk{
			ID: fmt.Sprintf("%08d-%04d", doc, i), Ordinal: i, Text: prose(random, z, words), Vector: cloud.Next(),
			Metadata: vector.Metadata{
				"percent": vector.NumberValue(float64(random.IntN(100))), "source": vector.StringValue("s3://bucket/" + strconv.Itoa(doc)),
				"half": vector.BoolValue(i%2 == 0), "tags": vector.ListValue("a", strconv.Itoa(doc%10)),
			},
			Source: []byte(`{"page":1}`),
		}
	}
	return chunks
}

func corpusOf(b testing.TB, chunks, dim, words int) *corpus {
	b.Helper()
	corpora.Lock()
	defer corpora.Unlock()
	name := fmt.Sprint(chunks, dim, words)
	if c := corpora.made[name]; c != nil {
		return c
	}
	dir, err := os.MkdirTemp("", "outcrop-vector-bench-")
	if err != nil {
		b.Fatal(err)
	}
	benchFolders = append(benchFolders, dir)
	c := &corpus{dir: dir, chunks: chunks, dim: dim}
	s := open(b, Config{Dir: dir})
	x := create(b, s, define(dim))
	cloud := vectortest.NewCloud(dim, 2000, 1)
	random := rand.New(rand.NewPCG(1, 1))
	z := rand.NewZipf(random, 1.1, 5, 20_000)
	for doc := range chunks / 100 {
		d := document(cloud, random, z, doc, 100, words)
		if doc%(chunks/1000+1) == 0 && len(c.questions) < 200 {
			c.questions = append(c.questions, cloud.Near(d[0].Vector, 0.5))
		}
		start := time.Now()
		if err := x.Replace(b.Context(), vector.Document{ID: strconv.Itoa(doc)}, d); err != nil {
			b.Fatal(err)
		}
		c.took += time.Since(start)
	}
	b.Logf("%d chunks written in %v, %.0f a second", chunks, c.took, float64(chunks)/c.took.Seconds())
	if corpora.made == nil {
		corpora.made = map[string]*corpus{}
	}
	corpora.made[name] = c
	return c
}

// benchFolders are removed when the tests end.
var benchFolders []string

// timed runs f for the benchmark and reports the median and the 99th part.
func timed(b *testing.B, f func(i int)) {
	b.Helper()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		f(i)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func benchSearch(b *testing.B, c *corpus, exactBelow int, q vector.Query) {
	b.Helper()
	s := open(b, Config{Dir: c.dir, ExactBelow: exactBelow})
	x := create(b, s, define(c.dim))
	recall, rescored, err := 0.0, 0, error(nil)
	if exactBelow < c.chunks {
		if recall, rescored, err = x.Measure(b.Context()); err != nil || rescored == 0 {
			b.Fatalf("measured recall %v, rescored %d, %v", recall, rescored, err)
		}
	}
	search := func(i int) {
		q.Vector = c.questions[i%len(c.questions)]
		if hits, err := x.Search(b.Context(), q); err != nil || len(hits) != q.K {
			b.Fatal(len(hits), err)
		}
	}
	search(0)
	timed(b, search)
	if rescored > 0 {
		b.ReportMetric(recall, "recall")
	}
}

func percentBelow(n float64) *vector.Filter {
	return &vector.Filter{Op: vector.LessThan, Key: "percent", Values: []vector.Value{vector.NumberValue(n)}}
}

const never = 1 << 30

func BenchmarkSearch100k(b *testing.B) {
	c := corpusOf(b, 100_000, 384, 100)
	b.Run("two stages", func(b *testing.B) { benchSearch(b, c, 0, vector.Query{K: 10}) })
	b.Run("exact", func(b *testing.B) { benchSearch(b, c, never, vector.Query{K: 10}) })
	b.Run("filter 1 percent", func(b *testing.B) { benchSearch(b, c, 0, vector.Query{K: 10, Filter: percentBelow(1)}) })
	b.Run("filter 49 percent", func(b *testing.B) { benchSearch(b, c, 0, vector.Query{K: 10, Filter: percentBelow(49)}) })
	b.Run("filter deep", func(b *testing.B) {
		f := &vector.Filter{Op: vector.AndAll, Of: []vector.Filter{
			{Op: vector.StringContains, Key: "source", Values: []vector.Value{vector.StringValue("/9")}},
			{Op: vector.ListContains, Key: "tags", Values: []vector.Value{vector.StringValue("a")}},
			{Op: vector.NotEquals, Key: "half", Values: []vector.Value{vector.BoolValue(true)}},
		}}
		benchSearch(b, c, 0, vector.Query{K: 10, Filter: f})
	})
	b.Run("hybrid", func(b *testing.B) {
		benchSearch(b, c, 0, vector.Query{K: 10, Mode: vector.Hybrid, Text: "the system12 of index3 and retriev77 docu1500"})
	})
	b.Run("100 hits", func(b *testing.B) { benchSearch(b, c, 0, vector.Query{K: 100}) })
}

func BenchmarkOpen100k(b *testing.B) {
	c := corpusOf(b, 100_000, 384, 100)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := New(Config{Dir: c.dir, Sealer: sealer(b)})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Open(b.Context(), define(384).Name); err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, mode := range []vector.Mode{vector.Semantic, vector.Hybrid} {
		b.Run("open and first search "+string(mode), func(b *testing.B) {
			for b.Loop() {
				s, err := New(Config{Dir: c.dir, Sealer: sealer(b)})
				if err != nil {
					b.Fatal(err)
				}
				x, err := s.Open(b.Context(), define(384).Name)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := x.Search(b.Context(), vector.Query{Vector: c.questions[0], K: 10, Mode: mode, Text: "system12"}); err != nil {
					b.Fatal(err)
				}
				st, err := x.Stats(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(st.MemoryBytes)/1e6, "memory-MB")
				b.ReportMetric(float64(st.DiskBytes)/1e6, "disk-MB")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	s := open(b, Config{})
	x := create(b, s, define(384))
	cloud := vectortest.NewCloud(384, 100, 1)
	random := rand.New(rand.NewPCG(1, 1))
	z := rand.NewZipf(random, 1.1, 5, 20_000)
	docs := make([][]vector.Chunk, 20)
	for i := range docs {
		docs[i] = document(cloud, random, z, i, 100, 100)
	}
	chunks := 0
	for i := 0; b.Loop(); i++ {
		if err := x.Replace(b.Context(), vector.Document{ID: strconv.Itoa(i % 20)}, docs[i%20]); err != nil {
			b.Fatal(err)
		}
		chunks += 100
	}
	b.ReportMetric(float64(chunks)/b.Elapsed().Seconds(), "chunks/s")
}

func BenchmarkDelete100k(b *testing.B) {
	c := corpusOf(b, 100_000, 384, 100)
	s := open(b, Config{Dir: c.dir})
	x := create(b, s, define(384))
	if _, err := x.Search(b.Context(), vector.Query{Vector: c.questions[0], K: 1}); err != nil {
		b.Fatal(err)
	}
	i := 0
	var took []time.Duration
	for b.Loop() {
		id := strconv.Itoa(i % 500)
		i++
		b.StopTimer()
		chunks, err := x.Chunks(b.Context(), id)
		if err != nil {
			b.Fatal(err)
		}
		ids := make([]string, len(chunks))
		for j, ch := range chunks {
			ids[j] = ch.ID
		}
		chunks, err = x.Get(b.Context(), ids, true)
		if err != nil || len(chunks) != 100 {
			b.Fatal(len(chunks), err)
		}
		b.StartTimer()
		start := time.Now()
		if err := x.Delete(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		b.StopTimer()
		if err := x.Replace(b.Context(), vector.Document{ID: id}, chunks); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
}

func BenchmarkDot8(b *testing.B) {
	v, w := make([]int8, 384), make([]int8, 384)
	b.Run("here", func(b *testing.B) {
		for b.Loop() {
			dot8(v, w)
		}
	})
	b.Run("plain Go", func(b *testing.B) {
		for b.Loop() {
			dot8Go(v, w)
		}
	})
}

// envLarge lets the benchmark of a million chunks run: it takes minutes and 3 GB of disk.
const envLarge = "OUTCROP_BENCH_MILLION"

func BenchmarkSearch1M(b *testing.B) {
	if os.Getenv(envLarge) == "" {
		b.Skipf("set %s to run it", envLarge)
	}
	c := corpusOf(b, 1_000_000, 384, 40)
	q := vector.Query{K: 10}
	b.Run("two stages", func(b *testing.B) { benchSearch(b, c, 0, q); b.ReportMetric(rssMB(b), "rss-MB") })
	b.Run("exact", func(b *testing.B) { benchSearch(b, c, never, q) })
	b.Run("filter 1 percent", func(b *testing.B) {
		benchSearch(b, c, 0, vector.Query{K: 10, Filter: percentBelow(1)})
	})
	b.Run("hybrid", func(b *testing.B) {
		benchSearch(b, c, 0, vector.Query{K: 10, Mode: vector.Hybrid, Text: "the system12 of index3 and retriev77 docu1500"})
		b.ReportMetric(rssMB(b), "rss-MB")
	})
}

// rssMB is what the process has in memory now.
func rssMB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0 // not Linux
	}
	f := strings.Fields(string(text))
	pages, _ := strconv.ParseFloat(f[1], 64)
	return pages * float64(os.Getpagesize()) / 1e6
}
