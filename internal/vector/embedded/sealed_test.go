package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

const customerKey = "arn:aws:kms:us-east-1:123456789012:key/1"

// secrets are byte strings of a chunk that no file may hold: text, attributes,
// source, vector, and the hashes of its terms.
func secretChunk() (vector.Chunk, map[string][]byte) {
	c := vector.Chunk{
		ID: "c1", Text: "zebrafish quarterly forecast " + strings.Repeat("confidential ", 200), Vector: []float32{0.1234567, -0.7654321, 0.3333333},
		Metadata: vector.Metadata{"clearance": vector.StringValue("topsecretvalue"), "tags": vector.ListValue("hiddenmember")},
		Source:   json.RawMessage(`{"uri":"s3://payroll-bucket/salaries.xlsx"}`),
	}
	find := map[string][]byte{}
	for _, s := range []string{"zebrafish", "ZEBRAFISH", "confidential", "clearance", "topsecretvalue", "hiddenmember", "payroll-bucket"} {
		find[s] = []byte(s)
	}
	for _, x := range c.Vector {
		find["a number of the vector"] = binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))
	}
	a, _ := analyse.New("")
	for _, t := range a.Question("zebrafish") {
		find["a term"] = binary.LittleEndian.AppendUint64(nil, uint64(t))
	}
	return c, find
}

func searchFiles(t *testing.T, dir string, find map[string][]byte) (found []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for what, bytesOf := range find {
			if bytes.Contains(b, bytesOf) {
				found = append(found, filepath.Base(path)+" holds "+what)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files searched, %v", files, err)
	}
	return found
}

func TestNothingIsReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("SQLITE_TMPDIR", temp)
	s := open(t, Config{Dir: dir, Sealer: &switched{Sealer: sealer(t)}})
	d := define(3)
	d.KeyARN = customerKey
	x := create(t, s, d)
	c, find := secretChunk()
	find["the id, which must be found"] = []byte("c1")
	write := func() {
		t.Helper()
		if err := x.Replace(t.Context(), vector.Document{ID: "doc"}, []vector.Chunk{c}); err != nil {
			t.Fatal(err)
		}
	}
	write()
	write() // old pages lie about
	q := vector.Query{Vector: c.Vector, K: 1, Mode: vector.Hybrid, Text: "zebrafish", Filter: &vector.Filter{Op: vector.Equals, Key: "clearance", Values: []vector.Value{vector.StringValue("topsecretvalue")}}}
	if got := ask(t, x, q); len(got) != 1 {
		t.Fatal(got)
	}
	look := func(when string) {
		t.Helper()
		seen := false
		for _, f := range searchFiles(t, dir, find) {
			if strings.HasSuffix(f, "must be found") {
				seen = true
				continue
			}
			t.Errorf("%s: %s", when, f)
		}
		if !seen {
			t.Errorf("%s: the search is blind", when)
		}
	}
	look("with the log") // index.db-wal is there
	if _, err := os.Stat(x.file.path + "-wal"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look("after closing")
}

func TestADisabledKeyStopsEverything(t *testing.T) {
	dir := t.TempDir()
	key := &switched{Sealer: sealer(t)}
	d := define(3)
	d.KeyARN = customerKey
	x := create(t, open(t, Config{Dir: dir, Sealer: key}), d)
	c, _ := secretChunk()
	if err := x.Replace(t.Context(), vector.Document{ID: "doc"}, []vector.Chunk{c}); err != nil {
		t.Fatal(err)
	}
	q := vector.Query{Vector: c.Vector, K: 1}
	if got := ask(t, x, q); len(got) != 1 {
		t.Fatal(got)
	}
	before := key.opens
	ask(t, x, q)
	if key.opens != before+1 {
		t.Errorf("a search asked for the key %d times", key.opens-before)
	}
	key.off = true
	for what, f := range map[string]func() error{
		"search":  func() error { _, err := x.Search(t.Context(), q); return err },
		"get":     func() error { _, err := x.Get(t.Context(), []string{"c1"}, false); return err },
		"chunks":  func() error { _, err := x.Chunks(t.Context(), "doc"); return err },
		"replace": func() error { return x.Replace(t.Context(), vector.Document{ID: "doc"}, nil) },
		"delete":  func() error { return x.Delete(t.Context(), "doc") },
		"rekey":   func() error { return x.Rekey(t.Context(), "") },
	} {
		if err := f(); !errors.Is(err, errOff) {
			t.Errorf("%s with a disabled key: %v", what, err)
		}
	}
	if _, err := x.Documents(t.Context(), "", "", 10); err != nil {
		t.Errorf("what lies in the clear is answered: %v", err)
	}
	key.off = false
	if got := ask(t, x, q); len(got) != 1 {
		t.Errorf("with the key on again: %v", got)
	}
}

func TestRekey(t *testing.T) {
	dir := t.TempDir()
	key := &switched{Sealer: sealer(t)}
	x := create(t, open(t, Config{Dir: dir, Sealer: key}), define(3))
	c, _ := secretChunk()
	if err := x.Replace(t.Context(), vector.Document{ID: "doc"}, []vector.Chunk{c}); err != nil {
		t.Fatal(err)
	}
	st, err := scanState(x.file.state.QueryRowContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	old := bytes.Clone(st.dataKey)
	if err := x.Rekey(t.Context(), customerKey); err != nil {
		t.Fatal(err)
	}
	if found := searchFiles(t, dir, map[string][]byte{"the old data key": old}); len(found) > 0 {
		t.Error(found)
	}
	q := vector.Query{Vector: c.Vector, K: 1}
	if got := ask(t, x, q); len(got) != 1 || x.Definition().KeyARN != customerKey {
		t.Error(got)
	}
	y := create(t, open(t, Config{Dir: dir, Sealer: key}), func() vector.Definition { d := define(3); d.KeyARN = customerKey; return d }())
	if got := ask(t, y, q); len(got) != 1 {
		t.Error(got)
	}
	key.off = true
	if _, err := y.Search(t.Context(), q); !errors.Is(err, errOff) {
		t.Errorf("the new key does not rule: %v", err)
	}
}

// Blocks that were moved or changed do not open.
func TestBlocksAreBoundToTheirPlace(t *testing.T) {
	x := create(t, open(t, Config{}), define(2))
	put := func(doc string) {
		t.Helper()
		if err := x.Replace(t.Context(), vector.Document{ID: doc}, []vector.Chunk{{ID: doc + "c", Text: "t", Vector: []float32{1, 0}}}); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	put("b")
	for what, query := range map[string]string{
		"bodies changed places": `UPDATE chunk SET body = (SELECT body FROM chunk WHERE id = 'bc') WHERE id = 'ac'`,
		"a bit of a vector":     `UPDATE segment SET vectors = CAST(substr(vectors, 1, length(vectors) - 1) || x'00' AS BLOB) WHERE document = 'a'`,
		"columns of another":    `UPDATE segment SET columns = (SELECT columns FROM segment WHERE document = 'b') WHERE document = 'a'`,
		"a block cut off":       `UPDATE segment SET columns = x'0011' WHERE document = 'a'`,
	} {
		put("a")
		put("b")
		if _, err := x.file.writer.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
		x.evict()
		if hits, err := x.Search(t.Context(), vector.Query{Vector: []float32{1, 0}, K: 5}); !errors.Is(err, vector.ErrCorrupt) {
			t.Errorf("%s: %v, %v", what, hits, err)
		}
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add([]byte{}, 1)
	f.Add(encodeColumns([]*vector.Chunk{{Metadata: vector.Metadata{"a": vector.ListValue("x", "y"), "b": vector.NumberValue(1)}}, {}}), 2)
	f.Add(encodeVectors([]*vector.Chunk{{Vector: []float32{1, 2}}}, []int{0}), 1)
	a, err := analyse.New("")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeTerms(a, []*vector.Chunk{{Text: "one two two"}}), 1)
	f.Fuzz(func(t *testing.T, b []byte, rows int) {
		rows = min(max(rows, 0), 1000)
		if offsets, floats, err := decodeVectors(b, 2); err == nil && len(floats) != 8*len(offsets) {
			t.Error("vectors of another size")
		}
		c := columns{}
		if decodeColumns(b, rows, func(key string, from, run int, v vector.Value) { c.put(key, from, run, v) }) == nil {
			for _, col := range c {
				if len(col.kind) > rows || len(col.kind) != len(col.val) {
					t.Errorf("%d rows became %d", rows, len(col.kind))
				}
			}
		}
		p := newPostings()
		if decodeTerms(b, rows, func(_, n int) { p.row(n) }, func(_ int, t analyse.Term, n int) { p.term(t, n) }) == nil && len(p.length) != rows {
			t.Errorf("%d rows of terms, want %d", len(p.length), rows)
		}
	})
}
