//go:build unix

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/knowledge/ingest"
)

// ingestPoints are all failpoints of a sync, with how often a job passes them at least
// when every document of the small shelf has changed.
var ingestPoints = []struct {
	name   string
	passes int
}{
	{ingest.AtTurn, 1}, {ingest.AtRead, 20}, {ingest.AtParsed, 20}, {ingest.AtCut, 20}, {ingest.AtEmbed, 2}, {ingest.AtEmbedded, 2},
	{ingest.AtReplace, 20}, {ingest.AtReplaced, 20}, {ingest.AtCheckpoint, 1}, {ingest.AtCommitted, 1}, {ingest.AtWalked, 1},
	{ingest.AtDelete, 1}, {ingest.AtDeleted, 1}, {ingest.AtEnd, 1},
}

const (
	smallShelf  = 30
	smallBroken = 1
)

// TestIngestionSurvivesAKillAtEveryPoint kills the server at each named point of a sync
// that finds every document changed, one new and one gone. The server that follows
// finishes the job, and what it holds is what a server holds that was never killed and
// synced the same files, chunk by chunk, with the same statistics.
func TestIngestionSurvivesAKillAtEveryPoint(t *testing.T) {
	kills := min(max(env("OUTCROP_CRASH_KILLS", 0), len(ingestPoints)), 50)
	rng := rand.New(rand.NewPCG(12, uint64(kills)))
	files, dir := t.TempDir(), t.TempDir()
	e, other := newEmbedder(t), newEmbedder(t)
	calm := openReading(t, t.TempDir(), other)
	write := func(revision int) {
		t.Helper()
		for i := range smallShelf {
			shelfFile(t, files, i, revision)
		}
	}
	sync := func(r *reading, want types.IngestionJobStatistics) {
		t.Helper()
		r.upload(t, files)
		r.complete(t, r.start(t), want)
	}
	write(1)
	const failed, metadata = smallBroken, 3 // 3, 13 and 23 have metadata, 7 is damaged
	whole := types.IngestionJobStatistics{NumberOfDocumentsScanned: smallShelf, NumberOfMetadataDocumentsScanned: metadata,
		NumberOfNewDocumentsIndexed: smallShelf - failed, NumberOfDocumentsFailed: failed}
	r := openReading(t, dir, e)
	sync(r, whole)
	sync(calm, whole)
	for k := range kills {
		p := ingestPoints[k%len(ingestPoints)]
		point := fmt.Sprintf("%s:%d", p.name, 1+rng.IntN(p.passes))
		r.stop(t)
		r = openMortal(t, dir, e, point)

		// Everything changes; one document goes, and that which went before comes back.
		write(k + 2)
		if err := os.Remove(filepath.Join(files, shelfName(k%2))); err != nil {
			t.Fatal(err)
		}
		want := types.IngestionJobStatistics{NumberOfDocumentsScanned: smallShelf - 1, NumberOfMetadataDocumentsScanned: metadata,
			NumberOfModifiedDocumentsIndexed: smallShelf - failed - 1, NumberOfDocumentsDeleted: 1, NumberOfDocumentsFailed: failed}
		if k > 0 {
			want.NumberOfNewDocumentsIndexed, want.NumberOfModifiedDocumentsIndexed = 1, want.NumberOfModifiedDocumentsIndexed-1
		}
		r.upload(t, files)
		_, lost := r.agents.StartIngestionJob(t.Context(), &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: &r.base.ID, DataSourceId: &r.base.Source},
			func(o *bedrockagent.Options) { o.RetryMaxAttempts = 1 }) // its answer may die with the server
		if !r.server.Died(time.Minute) {
			t.Fatalf("%s: the server lives on (%v)\n%s", point, lost, r.server.Log())
		}
		r.client.CloseIdleConnections()
		r = openReading(t, dir, e)
		r.complete(t, r.newest(t), want)
		sync(calm, want)
		states, calmStates := r.states(t), calm.states(t)
		if diff := cmp.Diff(calmStates, states); diff != "" {
			t.Errorf("%s: documents (-undisturbed +killed):\n%s", point, diff)
		}
		if diff := cmp.Diff(calm.content(t, calmStates), r.content(t, states)); diff != "" {
			t.Errorf("%s: chunks (-undisturbed +killed):\n%s", point, diff)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d kills at %d points", kills, len(ingestPoints))
	r.stop(t)
	calm.stop(t)
}

// newest is the id of the job that was started last: its own answer may have died.
func (r *reading) newest(t *testing.T) string {
	t.Helper()
	out, err := r.agents.ListIngestionJobs(t.Context(), &bedrockagent.ListIngestionJobsInput{KnowledgeBaseId: &r.base.ID, DataSourceId: &r.base.Source,
		SortBy: &types.IngestionJobSortBy{Attribute: types.IngestionJobSortByAttributeStartedAt, Order: types.SortOrderDescending}})
	if err != nil {
		t.Fatal(err)
	}
	return *out.IngestionJobSummaries[0].IngestionJobId
}
