//go:build unix

package crash

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// drained waits until no job is left to run.
func drained(ctx context.Context, s *store.Store) error {
	for range 6000 {
		var left int
		err := s.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM job WHERE finished = 0`, nil, &left)
		})
		if err != nil || left == 0 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("jobs are left after a minute")
}

// unfinished fails the test for every job of the model that is not completed.
func unfinished(t *testing.T, dir string, m *model) {
	t.Helper()
	s, err := open(t.Context(), dir, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = s.View(t.Context(), func(tx *store.Tx) error {
		for id := range m.Jobs {
			j, err := job.Get(tx, id)
			if err != nil {
				return err
			}
			if j.State != job.Completed {
				t.Errorf("job %s is %s", id, j.State)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
