//go:build unix

package dir

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/object"
)

var bucket = object.Bucket{Account: "123456789012", Region: "us-east-1", Name: "crash"}

func at(key string) object.Address { return object.Address{Bucket: bucket, Key: key} }

// blobs lists the files below blobs/.
func blobs(t testing.TB, dir string) (names []string) {
	t.Helper()
	root := filepath.Join(dir, "blobs")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// content is what the crash child writes as version v of key: a header that says
// so, and bytes that follow from it, so that a mixture of two versions shows.
func content(key string, v, size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%s#%d", key, v))
	_, _ = rand.NewChaCha8(seed).Read(b)
	return append([]byte(fmt.Sprintf("%s#%d#%d\n", key, v, size)), b...)
}

const (
	crashEnv = "OUTCROP_TEST_OBJECT_CRASH_DIR"
	roleEnv  = "OUTCROP_TEST_OBJECT_CRASH_ROLE" // write, write-unsynced, check
)

// TestCrashChild is the process that the crash tests start; without one of them it
// does nothing, and they fail when it never reports.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashEnv)
	if dir == "" {
		return
	}
	s, err := Open(t.Context(), Config{
		Dir: dir, unsynced: os.Getenv(roleEnv) == "write-unsynced",
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Println("fail open", err)
		return
	}
	if os.Getenv(roleEnv) == "check" {
		check(s)
		return
	}
	if err := s.CreateBucket(t.Context(), bucket); err != nil && !errors.Is(err, object.ErrExists) {
		t.Fatal(err)
	}
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Fprintf(os.Stdout, format+"\n", args...)
	}
	base := int(time.Now().UnixMilli()) // versions rise over restarts
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 1; i < 1_000_000; i++ {
				key := fmt.Sprintf("w%d/%d", w, i%5)
				v := base*1000 + i
				var err error
				switch i % 7 {
				case 3:
					say("try %s 0", key)
					if err = s.Delete(context.Background(), at(key), object.If{}); err == nil {
						say("ack %s 0", key)
					}
				default:
					size := []int{100, 40_000, 3000, 400_000}[(i+w)%4]
					say("try %s %d", key, v)
					_, err = s.Put(context.Background(), at(key), bytes.NewReader(content(key, v, size)), object.PutOptions{})
					if err == nil {
						say("ack %s %d", key, v)
					}
				}
				if err != nil {
					say("fail %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// check opens the folder as a restart would and says which version of each key is
// there, whole, and how many blobs lie about.
func check(s *Store) {
	defer func() { _ = s.Close() }()
	<-s.swept
	if err := s.HeadBucket(context.Background(), bucket); errors.Is(err, object.ErrNoBucket) {
		fmt.Println("end x 0")
		return
	}
	page, err := s.List(context.Background(), bucket, object.ListOptions{})
	if err != nil {
		fmt.Println("fail list", err)
		return
	}
	large := 0
	for _, o := range page.Objects {
		c, err := s.Get(context.Background(), at(o.Key), object.Range{})
		if err != nil {
			fmt.Println("bad", o.Key, err)
			continue
		}
		b, err := io.ReadAll(c.Body)
		_ = c.Body.Close()
		head, _, _ := strings.Cut(string(b[:min(len(b), 100)]), "\n")
		f := append(strings.Split(head, "#"), "", "")
		v, _ := strconv.Atoi(f[1])
		size, _ := strconv.Atoi(f[2])
		h := object.NewHasher()
		_, _ = h.Write(b)
		if err != nil || f[0] != o.Key || !bytes.Equal(b, content(o.Key, v, size)) || h.Sums() != c.Info.Sums {
			fmt.Println("bad", o.Key, len(b), err)
			continue
		}
		if len(b) > 32<<10 {
			large++
		}
		fmt.Println("is", o.Key, v)
	}
	stored := 0
	_ = filepath.WalkDir(filepath.Join(s.cfg.Dir, "blobs"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			stored++
		}
		return err
	})
	fmt.Println("end x", stored-large)
}

// state is what the parent knows of a key: the last acknowledged change (0: absent)
// and those begun after it, of which any may have happened.
type state struct {
	version int
	begun   []int
}

// child starts the test binary in a role and hands each line to f until it says stop.
func child(t *testing.T, dir, role string, f func([]string) (stop bool)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.count=1", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), crashEnv+"="+dir, roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	killed := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) >= 3 && f(w) && !killed {
			killed = true
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); killed && (!ok || ws.Signal() != syscall.SIGKILL) {
		t.Fatalf("the writer ended by itself: %v", cmd.ProcessState)
	}
}

// write lets a writer work and kills it within the work; it answers the number of
// acknowledged changes.
func write(t *testing.T, dir, role string, known map[string]*state) (acks int) {
	t.Helper()
	n, after := 0, 1+rand.IntN(120) // lines before the kill
	child(t, dir, role, func(w []string) bool {
		if w[0] == "fail" {
			t.Fatalf("writer: %v", w)
		}
		v, err := strconv.Atoi(w[2])
		if err != nil || (w[0] != "try" && w[0] != "ack") {
			return false
		}
		st := known[w[1]]
		if st == nil {
			st = &state{}
			known[w[1]] = st
		}
		if w[0] == "try" {
			st.begun = append(st.begun, v)
		} else {
			st.version, st.begun = v, nil
			acks++
		}
		n++
		return n >= after
	})
	if n == 0 {
		t.Fatal("the writer said nothing")
	}
	return acks
}

// faults compares the folder with what is known, and takes it as the new truth.
func faults(t *testing.T, dir string, known map[string]*state) (out []string) {
	t.Helper()
	found, ended := map[string]int{}, false
	child(t, dir, "check", func(w []string) bool {
		switch w[0] {
		case "is":
			found[w[1]], _ = strconv.Atoi(w[2])
		case "end":
			if ended = true; w[2] != "0" {
				out = append(out, w[2]+" blobs too many: leftovers were not swept")
			}
		case "bad", "fail":
			out = append(out, strings.Join(w, " "))
		}
		return false
	})
	if !ended {
		out = append(out, "the checker did not end")
	}
	for key, st := range known {
		if v := found[key]; v != st.version && !slices.Contains(st.begun, v) {
			out = append(out, fmt.Sprintf("%s: version %d, acknowledged %d, begun %v", key, v, st.version, st.begun))
		}
		st.version, st.begun = found[key], nil
	}
	return out
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	dir, known, acks := t.TempDir(), map[string]*state{}, 0
	for round := range kills {
		acks += write(t, dir, "write", known)
		if f := faults(t, dir, known); len(f) > 0 {
			t.Fatalf("after kill %d: %v", round+1, f)
		}
	}
	if acks < kills {
		t.Errorf("only %d acknowledged writes in %d kills: nothing was tested", acks, kills)
	}
	t.Logf("%d kills, %d acknowledged writes, none lost", kills, acks)
}

// A failure of each risky call, one at a time, must answer the port's error, keep
// what was there, and pass once the fault is gone.
func TestFaults(t *testing.T) {
	for _, fault := range []struct{ err, want error }{
		{syscall.ENOSPC, object.ErrFull}, {syscall.EIO, object.ErrIO},
	} {
		seen := map[string]int{}
		for n := 1; ; n++ {
			var (
				calls int
				armed bool
				hit   string
			)
			s := open(t, Config{fault: func(op, _ string) error {
				if !armed {
					return nil
				}
				if calls++; calls == n {
					hit = op
					return fault.err
				}
				return nil
			}})
			if err := s.CreateBucket(t.Context(), bucket); err != nil {
				t.Fatal(err)
			}
			old := content("k", 1, 50_000)
			put := func(key string, v, size int) error {
				_, err := s.Put(t.Context(), at(key), bytes.NewReader(content(key, v, size)), object.PutOptions{})
				return err
			}
			if err := put("k", 1, 50_000); err != nil {
				t.Fatal(err)
			}
			armed = true
			err := put("k", 2, 3<<20)
			_, cerr := s.Copy(t.Context(), at("k"), at("c"), object.CopyOptions{})
			armed = false
			if hit == "" {
				if len(seen) < 6 {
					t.Errorf("only %v were struck", seen)
				}
				break
			}
			seen[hit]++
			if err == nil && cerr == nil && hit != "link" { // a link that fails becomes a copy
				t.Errorf("%v at call %d (%s) was swallowed", fault.err, n, hit)
			}
			for _, e := range []error{err, cerr} {
				if e != nil && !errors.Is(e, fault.want) {
					t.Errorf("%v at %s: %v, want %v", fault.err, hit, e, fault.want)
				}
			}
			c, gerr := s.Get(t.Context(), at("k"), object.Range{})
			if gerr != nil {
				t.Fatal(gerr)
			}
			got, _ := io.ReadAll(c.Body)
			_ = c.Body.Close()
			if err != nil && !bytes.Equal(got, old) {
				t.Errorf("%v at %s: a failed put changed the object", fault.err, hit)
			}
			if err := put("k", 3, 100_000); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		}
	}
}

// Before a put is answered, its content, its folder and its row are synced, in
// this order. Without this test a store that never syncs would pass every kill.
func TestSyncOrder(t *testing.T) {
	var (
		mu  sync.Mutex
		ops []string
	)
	s := open(t, Config{fault: func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		ops = append(ops, op+" "+filepath.Base(path))
		return nil
	}})
	if err := s.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), at("warm"), bytes.NewReader(content("warm", 1, 50_000)), object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 63 { // back to the same shard, whose folder exists by now
		s.next.Add(1)
	}
	ops = nil
	if _, err := s.Put(t.Context(), at("k"), bytes.NewReader(content("k", 1, 50_000)), object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range ops {
		kinds = append(kinds, strings.Fields(o)[0])
	}
	if got := strings.Join(kinds, " "); got != "create write sync syncdir commit" {
		t.Errorf("a put did: %s", got)
	}
	var mode, level string
	if err := errors.Join(s.write.QueryRow("PRAGMA journal_mode").Scan(&mode), s.write.QueryRow("PRAGMA synchronous").Scan(&level)); err != nil {
		t.Fatal(err)
	}
	if mode != "wal" || level != "2" {
		t.Errorf("journal_mode %s, synchronous %s; an answered write needs wal and 2 (FULL)", mode, level)
	}
}

func TestFolderHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if other, err := Open(t.Context(), Config{Dir: dir}); err == nil {
		_ = other.Close()
		t.Fatal("a second store opened the same folder")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Dir: dir})
}

func TestNothingIsLeftBehind(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if err := s.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	big := func(seed int) io.Reader { return bytes.NewReader(content("k", seed, 100_000)) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		_, err := s.Put(t.Context(), at("k"), big(i), object.PutOptions{})
		must(err)
	}
	_, err := s.Copy(t.Context(), at("k"), at("c"), object.CopyOptions{})
	must(err)
	_, err = s.Put(t.Context(), at("k"), big(9), object.PutOptions{Verify: func(int64, object.Sums) error { return errors.New("no") }})
	if err == nil {
		t.Fatal("verify was not asked")
	}
	_, err = s.Put(t.Context(), at("k"), big(9), object.PutOptions{If: object.If{Absent: true}})
	if !errors.Is(err, object.ErrPrecondition) {
		t.Fatal(err)
	}
	u, err := s.StartUpload(t.Context(), at("u"), object.Attributes{}, nil)
	must(err)
	for n := range 3 {
		_, err := s.PutPart(t.Context(), u, n/2+1, big(n), nil)
		must(err)
	}
	if n := len(blobs(t, dir)); n != 4 { // k, c, two parts
		t.Errorf("%d blobs: %v", n, blobs(t, dir))
	}
	must(s.AbortUpload(t.Context(), u))
	// A reader keeps what it reads; the last one out takes it along.
	c, err := s.Get(t.Context(), at("k"), object.Range{})
	must(err)
	must(s.Delete(t.Context(), at("k"), object.If{}))
	if n := len(blobs(t, dir)); n != 2 {
		t.Errorf("%d blobs while one is read", n)
	}
	must(c.Body.Close())
	must(s.Delete(t.Context(), at("c"), object.If{}))
	if b := blobs(t, dir); len(b) != 0 {
		t.Errorf("blobs left: %v", b)
	}
	must(s.Delete(t.Context(), at("none"), object.If{}))
	must(s.Close())
	s = open(t, Config{Dir: dir})
	var rows int
	must(s.read.QueryRow(`SELECT (SELECT count(*) FROM blob) + (SELECT count(*) FROM content) + (SELECT count(*) FROM part)`).Scan(&rows))
	if rows != 0 {
		t.Errorf("%d rows of gone content left", rows)
	}
}

func TestShortBlobIsAnErrorAndNotAShortObject(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if err := s.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), at("k"), bytes.NewReader(content("k", 1, 100_000)), object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "blobs", blobs(t, dir)[0]), 99_000); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(io.Reader) error{
		"Read":    func(r io.Reader) error { _, err := io.ReadAll(struct{ io.Reader }{r}); return err },
		"WriteTo": func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
	} {
		c, err := s.Get(t.Context(), at("k"), object.Range{})
		if err != nil {
			t.Fatal(err)
		}
		if err := read(c.Body); !errors.Is(err, object.ErrIO) {
			t.Errorf("%s of a cut blob: %v", name, err)
		}
		_ = c.Body.Close()
	}
}

func TestTimesRiseEvenWhenTheClockDoesNot(t *testing.T) {
	still := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, Config{Now: func() time.Time { return still }})
	if err := s.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for i := range 3 {
		info, err := s.Put(t.Context(), at("k"), bytes.NewReader(content("k", i, 10)), object.PutOptions{})
		if err != nil || !info.Modified.After(last) {
			t.Errorf("put %d at %v, the one before at %v (%v)", i, info.Modified, last, err)
		}
		last = info.Modified
	}
}

// An object of several blobs opens them one by one; all must outlive its deletion.
func TestAReaderOfManyPartsKeepsThemAll(t *testing.T) {
	s := open(t, Config{MinPart: 1})
	if err := s.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	u, err := s.StartUpload(t.Context(), at("k"), object.Attributes{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	var refs []object.PartRef
	for n := 1; n <= 3; n++ {
		b := content("k", n, 50_000)
		if _, err := s.PutPart(t.Context(), u, n, bytes.NewReader(b), nil); err != nil {
			t.Fatal(err)
		}
		want, refs = append(want, b...), append(refs, object.PartRef{Number: n})
	}
	if _, err := s.CompleteUpload(t.Context(), u, refs, object.If{}); err != nil {
		t.Fatal(err)
	}
	c, err := s.Get(t.Context(), at("k"), object.Range{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), at("k"), object.If{}); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	_ = c.Body.Close()
	if b := blobs(t, s.cfg.Dir); len(b) != 0 {
		t.Errorf("blobs left: %v", b)
	}
}
