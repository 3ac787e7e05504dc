package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/test/crash/powerfs"
)

// needsFUSE skips where no file system can be mounted; in CI that is a failure.
func needsFUSE(t *testing.T) {
	t.Helper()
	if err := powerfs.Supported(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the power-cut rig must run here: %v", err)
		}
		t.Skipf("no FUSE here: %v (needs /dev/fuse and root, or fusermount3 of Debian's fuse3)", err)
	}
}

// rig is a simulated disk that outlives power cuts.
type rig struct {
	dir    string // mount point
	image  *powerfs.Image
	fs     *powerfs.FS
	fsyncs int
}

func (r *rig) on(t *testing.T) {
	t.Helper()
	fs, err := powerfs.Mount(r.dir, r.image)
	if err != nil {
		t.Fatal(err)
	}
	r.fs = fs
}

func (r *rig) off(t *testing.T) {
	t.Helper()
	r.fsyncs += r.fs.Fsyncs()
	if err := r.fs.Unmount(); err != nil {
		t.Fatal(err)
	}
}

// cut kills a writer in its work, cuts the power and has another process check
// what the disk holds then.
func (r *rig) cut(t *testing.T, n int, m *model, rng *rand.Rand, point string, env ...string) findings {
	t.Helper()
	data := filepath.Join(r.dir, "data")
	r.on(t)
	killed(t, data, n, m, rng, point, env...)
	image := r.fs.Cut(n%2 == 1, rng)
	r.off(t)
	r.image = image
	r.on(t)
	f := r.check(t, data, m)
	// The checker's own writes (recovery, its clean close) are kept: the next
	// writer starts from a disk that was put away properly.
	r.image = r.fs.Cut(false, rng)
	r.off(t)
	return f
}

func (r *rig) check(t *testing.T, data string, m *model) (f findings) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(path, mustMarshal(m), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, out, errs := spawn(t, "checker", envDir+"="+data, envModel+"="+path)
	derr := json.NewDecoder(out).Decode(&f)
	if err := cmd.Wait(); err != nil || derr != nil {
		t.Fatalf("checker: %v, %v\n%s", err, derr, errs)
	}
	return f
}

func TestPowerCuts(t *testing.T) {
	needsFUSE(t)
	cuts := env("OUTCROP_CRASH_CUTS", 30)
	rng := rand.New(rand.NewPCG(5, uint64(cuts)))
	r := &rig{dir: t.TempDir()}
	m := newModel()
	total := int64(0)
	for i := range cuts {
		if i%10 == 0 { // a new disk: the making of the files is cut as well
			total += m.Acked
			r.image, m = nil, newModel()
		}
		point := ""
		if i%5 < 3 {
			p := failpoints[rng.IntN(len(failpoints))]
			point = fmt.Sprintf("%s:%d", p.name, 1+rng.IntN(p.upTo))
		}
		f := r.cut(t, i, m, rng, point)
		if len(f.Lost)+len(f.Wrong) > 0 {
			t.Fatalf("cut %d (%q), %d acknowledged:\nlost %v\nwrong %v", i, point, m.Acked, f.Lost, f.Wrong)
		}
		m.settle(f)
	}
	total += m.Acked
	if total < int64(cuts)*5 {
		t.Errorf("only %d operations in %d cuts: the rig shows little", total, cuts)
	}
	if int64(r.fsyncs) < total {
		t.Errorf("%d fsyncs for %d acknowledged operations", r.fsyncs, total)
	}
	t.Logf("%d power cuts: %d acknowledged, 0 lost, %d fsyncs", cuts, total, r.fsyncs)
}

// TestPowerCutsFindLossesWithoutSync holds the rig to its purpose: a store that does
// not sync must be caught.
func TestPowerCutsFindLossesWithoutSync(t *testing.T) {
	needsFUSE(t)
	const cuts = 8
	rng := rand.New(rand.NewPCG(5, cuts))
	caught, lost := 0, 0
	for i := range cuts {
		r := &rig{dir: t.TempDir()}
		// The disk is made with sync on, so that what is lost is acknowledged rows and
		// not the file.
		m := newModel()
		if f := r.cut(t, 0, m, rng, "store.before-commit:10"); len(f.Lost)+len(f.Wrong) > 0 {
			t.Fatalf("with sync: %+v", f)
		} else {
			m.settle(f)
		}
		f := r.cut(t, i+1, m, rng, "store.before-commit:60", envNoSync+"=1")
		if len(f.Lost) > 0 || len(f.Wrong) > 0 {
			caught++
			lost += len(f.Lost)
		}
	}
	if caught < cuts/2 || lost == 0 {
		t.Errorf("sync was off and only %d of %d cuts showed it (%d findings): the rig does not work", caught, cuts, lost)
	}
	t.Logf("without sync: %d of %d cuts lost something, %d findings", caught, cuts, lost)
}
