package dir

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/test/crash/powerfs"
)

// cuts runs writers on a simulated disk whose power is cut after each kill, every
// other time with torn pages, and answers what was lost.
func cuts(t *testing.T, role string, n int) (lost []string, acks int) {
	t.Helper()
	if err := powerfs.Supported(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the power-cut rig must run here: %v", err)
		}
		t.Skipf("no FUSE here: %v", err)
	}
	var (
		dir   = t.TempDir()
		data  = filepath.Join(dir, "objects")
		known = map[string]*state{}
		rng   = rand.New(rand.NewPCG(1, uint64(n)))
		image *powerfs.Image
	)
	on := func(use func(*powerfs.FS)) {
		t.Helper()
		disk, err := powerfs.Mount(dir, image)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := disk.Unmount(); err != nil {
				t.Fatal(err)
			}
		}()
		use(disk)
	}
	for i := range n {
		on(func(disk *powerfs.FS) {
			acks += write(t, data, role, known)
			image = disk.Cut(i%2 == 1, rng)
		})
		on(func(disk *powerfs.FS) {
			lost = append(lost, faults(t, data, known)...)
			image = disk.Cut(false, rng)
		})
		if len(lost) > 0 {
			break
		}
	}
	return lost, acks
}

func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	n := 12
	if testing.Short() {
		n = 3
	}
	lost, acks := cuts(t, "write", n)
	if len(lost) > 0 || acks < n {
		t.Errorf("%d acknowledged writes over %d power cuts, lost: %v", acks, n, lost)
	}
	t.Logf("%d power cuts, %d acknowledged writes, none lost", n, acks)
}

// Without any fsync the same rig must find losses, or it proves nothing.
func TestPowerCutFindsAStoreThatDoesNotSync(t *testing.T) {
	if lost, acks := cuts(t, "write-unsynced", 10); len(lost) == 0 {
		t.Errorf("%d acknowledged writes without fsync, and none was lost: the rig is blind", acks)
	}
}
