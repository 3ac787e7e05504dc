package job

import (
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func BenchmarkEnqueueClaimComplete(b *testing.B) {
	s := storetest.New(b)
	q := &table{s}
	for b.Loop() {
		err := s.Update(b.Context(), func(tx *store.Tx) error { _, _, err := Enqueue(tx, Spec{Kind: "k"}); return err })
		if err != nil {
			b.Fatal(err)
		}
		jobs, _, err := q.claim(b.Context(), "me", []string{"k"}, 1, time.Minute)
		if err != nil || len(jobs) != 1 {
			b.Fatal(len(jobs), err)
		}
		if err := q.finish(b.Context(), jobs[0].Job, outcome{event: Complete}, func(*store.Tx, State) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
