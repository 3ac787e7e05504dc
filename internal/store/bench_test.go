package store_test

import (
	"fmt"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func filled(b *testing.B, n int) *store.Store {
	b.Helper()
	s := storetest.New(b)
	err := s.Update(b.Context(), func(tx *store.Tx) error {
		for i := range n {
			id := fmt.Sprintf("row-%06d", i)
			if _, err := rows.Create(tx, at(id), row{"a body of some sixty bytes, as small resources have them."}, store.Columns{Name: id, Status: "READY"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filled(b, 10_000)
	for i := 0; b.Loop(); i++ {
		if _, err := textOf(b, s, fmt.Sprintf("row-%06d", i%10_000)); err != nil {
			b.Fatal(err)
		}
	}
}

func textOf(b *testing.B, s *store.Store, id string) (out string, err error) {
	err = s.View(b.Context(), func(tx *store.Tx) error {
		rec, err := rows.Get(tx, at(id))
		out = rec.Body.Text
		return err
	})
	return out, err
}

func BenchmarkInsert(b *testing.B) {
	s := storetest.New(b)
	for i := 0; b.Loop(); i++ {
		put(b, s, fmt.Sprint("row-", i), "a body of some sixty bytes, as small resources have them.")
	}
}

func BenchmarkList(b *testing.B) {
	s := filled(b, 10_000)
	for _, clear := range []bool{false, true} {
		b.Run(fmt.Sprint("clear=", clear), func(b *testing.B) {
			q := store.Query{Account: "1", Region: "r", Limit: 100, Clear: clear}
			for b.Loop() {
				err := s.View(b.Context(), func(tx *store.Tx) error {
					p, err := rows.List(tx, q)
					if q.Cursor = p.Next; err == nil && len(p.Records) != 100 {
						return fmt.Errorf("%d rows", len(p.Records))
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSealOpen(b *testing.B) {
	s, err := store.OpenLocalSealer(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	plain, aad := make([]byte, 512), []byte("row")
	for b.Loop() {
		sealed, err := s.Seal(b.Context(), "", aad, plain)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Open(b.Context(), "", aad, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
