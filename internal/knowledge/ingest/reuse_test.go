package ingest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
)

// small cuts texts into chunks of ten words.
func small(w *world) {
	w.source.Ingestion = &bedrockagent.VectorIngestionConfiguration{ChunkingConfiguration: &bedrockagent.ChunkingConfiguration{
		ChunkingStrategy:               bedrockagent.ChunkingStrategyFixedSize,
		FixedSizeChunkingConfiguration: &bedrockagent.FixedSizeChunkingConfiguration{MaxTokens: 10, OverlapPercentage: 10},
	}}
}

// asked answers the texts that were embedded since, and begins anew.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Sorted(maps.Keys(w.embedded))
	clear(w.embedded)
	return out
}

func attributes4(genre string, embed bool) string {
	return fmt.Sprintf(`{"metadataAttributes":{"genre":{"value":{"type":"STRING","stringValue":%q},"includeForEmbedding":%t},"year":2024}}`, genre, embed)
}

func TestOnlyWhatIsEmbeddedOtherwiseIsEmbeddedAgain(t *testing.T) {
	w := newWorld(t, small)
	w.file("a.txt", prose(1, 100))
	w.file("a.txt.metadata.json", attributes4("film", false))
	complete(t, w.sync(), [7]int64{1, 1, 1, 0, 0, 0, 0})
	first := w.texts("")
	if got := w.asked(); len(got) != len(first) || len(first) < 10 {
		t.Fatalf("%d texts embedded for %d chunks", len(got), len(first))
	}

	w.file("a.txt.metadata.json", attributes4("book", false))
	complete(t, w.sync(), [7]int64{1, 1, 0, 0, 1, 0, 0})
	if got := w.asked(); len(got) > 0 {
		t.Errorf("embedded %q after a change of metadata that is not embedded", got)
	}
	for _, c := range w.chunks("s3://docs/a.txt") {
		if c.Metadata["genre"].Str() != "book" || !slices.Equal(c.Vector, vectorOf(c.Text)) {
			t.Errorf("%q: genre %v, vector %v", c.Text, c.Metadata["genre"].Any(), c.Vector)
		}
	}

	w.file("a.txt", prose(1, 100)+" One more sentence.")
	complete(t, w.sync(), [7]int64{1, 1, 0, 1, 0, 0, 0})
	want := slices.DeleteFunc(slices.Sorted(slices.Values(w.texts(""))), func(s string) bool { return slices.Contains(first, s) })
	if got := w.asked(); !slices.Equal(got, want) || len(got) == 0 || len(got) > 2 {
		t.Errorf("embedded %q after a change at the end, want %q", got, want)
	}

	w.file("a.txt.metadata.json", attributes4("film", true))
	complete(t, w.sync(), [7]int64{1, 1, 0, 0, 1, 0, 0})
	now := w.texts("")
	if got := w.asked(); len(got) != len(now) || !strings.HasPrefix(got[0], "genre: film\n") {
		t.Errorf("%d of %d texts embedded after a change of what is embedded with them: %q", len(got), len(now), got[:1])
	}

	// Chunks of an index that knew nothing of it yet.
	x, err := w.Index(t.Context(), nil)
	must(t, err)
	defer func() { must(t, x.Close()) }()
	docs, err := x.Documents(t.Context(), "", "", 1)
	must(t, err)
	chunks := w.chunks("s3://docs/a.txt")
	for i := range chunks {
		chunks[i].Source = knowledge.Passage{DataSource: srcID, Place: knowledge.Place{S3: "s3://docs/a.txt"}}.Encode()
	}
	must(t, x.Replace(t.Context(), docs[0], chunks))
	w.file("a.txt.metadata.json", attributes4("film", true)+"\n")
	complete(t, w.sync(), [7]int64{1, 1, 0, 0, 1, 0, 0})
	if got := w.asked(); len(got) != len(now) {
		t.Errorf("%d texts embedded of %d whose vectors are not known to fit", len(got), len(now))
	}
}

// However the files came to be as they are, the index is as if they had always been so.
func TestReusedVectorsAreThoseOfAFreshIngestion(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	w := newWorld(t, small)
	files := map[string]string{}
	write := func(key, text string) { files[key] = text; w.file(key, text) }
	saved := 0
	for range 12 {
		for k := range 4 {
			key := fmt.Sprintf("%c.txt", 'a'+k)
			if old := files[key]; old == "" || rng.IntN(3) == 0 {
				write(key, prose(rng.Uint64N(1000), 10+rng.IntN(80)))
			} else if words := strings.Fields(old); rng.IntN(2) == 0 {
				at := rng.IntN(len(words))
				words[at] = fmt.Sprintf("new%d", rng.IntN(100))
				write(key, strings.Join(words, " "))
			}
			if rng.IntN(2) == 0 {
				write(key+".metadata.json", attributes4([]string{"film", "book"}[rng.IntN(2)], rng.IntN(2) == 0))
			}
		}
		if j := w.sync(); j.Status != bedrockagent.IngestionJobStatusComplete || numbers(j)[6] != 0 {
			t.Fatalf("%s %v", j.Status, j.FailureReasons)
		}
		saved += len(w.texts("")) - len(w.asked())
	}
	fresh := newWorld(t, small)
	for key, text := range files {
		fresh.file(key, text)
	}
	fresh.sync()
	if diff := cmp.Diff(fresh.content(), w.content(), cmp.Comparer(func(a, b float32) bool { return a-b < 1e-6 && b-a < 1e-6 })); diff != "" {
		t.Errorf("(-fresh +changed)\n%s", diff)
	}
	if saved < 50 {
		t.Errorf("only %d vectors were used again: the test shows little", saved)
	}
}
