//go:build unix

package embedded

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

const (
	crashDir   = "OUTCROP_TEST_VECTOR_CRASH_DIR"
	crashPoint = "OUTCROP_TEST_VECTOR_CRASH_POINT" // name, or empty for the parent's own time
	crashAt    = "OUTCROP_TEST_VECTOR_CRASH_AT"    // the n-th pass of the point
	crashFirst = "OUTCROP_TEST_VECTOR_CRASH_FIRST" // version to begin with
	crashKills = "OUTCROP_TEST_VECTOR_KILLS"       // how many kills, 30 without it
	crashDocs  = 4
)

// crashChunks is a document as of a version: its size, ids and vectors follow from
// it, so a mixture of two versions shows.
func crashChunks(doc, version int) []vector.Chunk {
	chunks := make([]vector.Chunk, 1+version%7*100)
	for i := range chunks {
		chunks[i] = vector.Chunk{
			ID: fmt.Sprintf("%d/%d", doc, i), Ordinal: i, Text: fmt.Sprintf("version%d of document%d", version, doc), Vector: []float32{float32(doc + 1), float32(version%1000 + 1), float32(i)},
			Metadata: vector.Metadata{"version": vector.NumberValue(float64(version))},
		}
	}
	return chunks
}

// TestCrashChild is the process that is killed; by itself it does nothing.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return
	}
	point, passes := os.Getenv(crashPoint), 0
	at, _ := strconv.Atoi(os.Getenv(crashAt))
	first, _ := strconv.Atoi(os.Getenv(crashFirst))
	s := open(t, Config{Dir: dir, Hook: func(p string) error {
		if p == point {
			if passes++; passes == at {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // it is on its way
			}
		}
		return nil
	}})
	x := create(t, s, define(3))
	for v := first; ; v++ {
		doc := v % crashDocs
		fmt.Printf("try %d %d\n", doc, v)
		var err error
		if v%9 == 8 {
			err = x.Delete(context.Background(), fmt.Sprint("d", doc))
		} else {
			err = x.Replace(context.Background(), vector.Document{ID: fmt.Sprint("d", doc), Version: strconv.Itoa(v)}, crashChunks(doc, v))
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("ack %d %d\n", doc, v)
	}
}

// TestKilled kills a writer at the named points and at random times, and looks
// whether what it had acknowledged is there, whole, and nothing by halves.
func TestKilled(t *testing.T) {
	kills := 30
	if n, err := strconv.Atoi(os.Getenv(crashKills)); err == nil {
		kills = n
	}
	dir := t.TempDir()
	acked := map[int]int{} // document → version, 0: deleted or never there
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	points := []string{HookBegun, HookRemoved, HookBeforeCommit, HookAfterCommit, ""}
	next, writes, unacked := 1, 0, 0
	for k := range kills {
		point := points[k%len(points)]
		tried := run(t, dir, point, 1+random.IntN(6), next, time.Duration(20+random.IntN(200))*time.Millisecond, func(doc, version int) {
			writes++
			if acked[doc] = version; version%9 == 8 {
				acked[doc] = 0
			}
		})
		next = tried + 1
		if verify(t, dir, acked, tried) {
			unacked++
		}
		if t.Failed() {
			t.Fatalf("after kill %d at %q, last tried %d", k, point, tried)
		}
	}
	t.Logf("%d kills, %d acknowledged writes, %d durable before they were acknowledged", kills, writes, unacked)
	if writes < kills {
		t.Errorf("only %d writes: the test is blind", writes)
	}
}

// run starts the child, hands on what it acknowledges, and answers the last version
// it tried. With a point it dies by itself, else after a time.
func run(t *testing.T, dir, point string, at, first int, after time.Duration, ack func(doc, version int)) (tried int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"="+point, fmt.Sprint(crashAt, "=", at), fmt.Sprint(crashFirst, "=", first))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	tried = first - 1
	armed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var doc, version int
		switch n, _ := fmt.Sscanf(strings.TrimPrefix(strings.TrimPrefix(lines.Text(), "try "), "ack "), "%d %d", &doc, &version); {
		case n != 2:
			t.Log(lines.Text())
		case strings.HasPrefix(lines.Text(), "try"):
			tried = version
			if point == "" && !armed { // it is at work: its time runs
				armed = true
				timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
				defer timer.Stop()
			}
		default:
			ack(doc, version)
		}
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended otherwise: %v", err)
	}
	return tried
}

// verify opens the folder as a restart does. The write that was tried last may have
// happened; acked is brought up to what there is.
func verify(t *testing.T, dir string, acked map[int]int, tried int) (ahead bool) {
	t.Helper()
	s, err := New(Config{Dir: dir, Sealer: sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	x := create(t, s, define(3))
	var word string
	if err := x.file.reader.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&word); err != nil || word != "ok" {
		t.Errorf("integrity: %q, %v", word, err)
	}
	hits, err := x.Search(t.Context(), vector.Query{Vector: []float32{1, 1, 1}, K: vector.MaxResults, Mode: vector.Hybrid, Text: "version"})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for doc := range crashDocs {
		id := fmt.Sprint("d", doc)
		docs, err := x.Documents(t.Context(), id, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		version := 0
		if len(docs) == 1 {
			version, _ = strconv.Atoi(docs[0].Version)
		}
		last := tried%crashDocs == doc && (version == tried || version == 0 && tried%9 == 8)
		if version != acked[doc] {
			if !last {
				t.Errorf("document %d is version %d, acknowledged was %d, tried last %d", doc, version, acked[doc], tried)
			}
			ahead = true
			acked[doc] = version
		}
		want := 0
		if version > 0 {
			want = len(crashChunks(doc, version))
		}
		total += want
		chunks, err := x.Chunks(t.Context(), id)
		if err != nil || len(chunks) != want {
			t.Errorf("document %d version %d has %d chunks, want %d, %v", doc, version, len(chunks), want, err)
		}
		for _, h := range hits {
			if h.Chunk.Document == id {
				want--
				if int(h.Chunk.Metadata["version"].Num()) != version || h.Chunk.Text != fmt.Sprintf("version%d of document%d", version, doc) {
					t.Errorf("document %d version %d: a search finds %v", doc, version, h.Chunk)
				}
			}
		}
		if want != 0 {
			t.Errorf("document %d version %d: a search finds %d too few", doc, version, want)
		}
	}
	if st, err := x.Stats(t.Context()); err != nil || st.Chunks != total || st.Vectors != total {
		t.Errorf("%d chunks, counted %+v, %v", total, st, err)
	}
	return ahead
}
