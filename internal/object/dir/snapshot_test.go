package dir

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// A copy taken under writes opens and holds whole objects, all that were there
// before it began.
func TestASnapshotUnderWritesIsWhole(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	s, err := Open(t.Context(), Config{Dir: from})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := object.Bucket{Account: "123456789012", Region: "us-east-1", Name: "b"}
	if err := s.CreateBucket(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i%3*40_000) }
	put := func(i int) error {
		_, err := s.Put(t.Context(), object.Address{Bucket: b, Key: fmt.Sprint("k", i)}, bytes.NewReader(content(i)), object.PutOptions{})
		return err
	}
	for i := range 30 {
		if err := put(i); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 30; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := put(i); err != nil {
				t.Error(err)
				return
			}
			if err := s.Delete(t.Context(), object.Address{Bucket: b, Key: fmt.Sprint("k", i)}, object.If{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	err = Snapshot(t.Context(), from, to)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), Config{Dir: to})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 30 {
		r, err := c.Get(t.Context(), object.Address{Bucket: b, Key: fmt.Sprint("k", i)}, object.Range{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !bytes.Equal(got, content(i)) || r.Info.Size != int64(len(got)) {
			t.Errorf("k%d: %d bytes, %v", i, len(got), err)
		}
	}
	if err := Snapshot(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "index.db") {
		t.Errorf("a folder without objects: %v", err)
	}
}
