package powerfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sh runs a shell on the mounted folder; this process must not touch it. Not even
// by cmd.Dir: the fork waits, in a system call that the scheduler does not see, for
// a chdir that this process has to serve.
func sh(t *testing.T, dir, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", "cd "+dir+"\n"+script)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func must(t *testing.T, dir, script string) string {
	t.Helper()
	out, err := sh(t, dir, script)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

func mount(t *testing.T, image *Image) (*FS, string) {
	t.Helper()
	if err := Supported(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("FUSE must work here: %v", err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	f, err := Mount(dir, image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return f, dir
}

func TestCutForgetsWhatWasNotSynced(t *testing.T) {
	f, dir := mount(t, nil)
	must(t, dir, `mkdir sub; printf aaaa >synced; printf bbbb >sub/half; sync synced sub/half .; sync sub
		printf cccc >synced; printf x >>sub/half; printf new >fresh; mv sub/half sub/moved; rm -f gone`)
	if out := must(t, dir, `cat synced sub/moved fresh; ls -R`); !strings.HasPrefix(out, "ccccbbbbxnew") {
		t.Errorf("before the cut: %s", out)
	}
	image := f.Cut(false, nil)
	_, dir = mount(t, image)
	if out := must(t, dir, `cat synced sub/half; ls; ls sub`); out != "aaaabbbbsub\nsynced\nhalf" {
		t.Errorf("after the cut: %q", out)
	}
	if f.Fsyncs() != 4 {
		t.Errorf("%d fsyncs, want 4", f.Fsyncs())
	}
}

func TestTornCutKeepsParts(t *testing.T) {
	kept, whole, torn := 0, 0, 0
	for seed := range uint64(12) {
		f, dir := mount(t, nil)
		must(t, dir, `head -c 65536 /dev/zero >a; sync a .; tr '\0' x </dev/zero | dd of=a bs=4096 count=16 conv=notrunc status=none iflag=fullblock`)
		got := f.Cut(true, rand.New(rand.NewPCG(seed, seed))).Files["a"]
		if len(got) != 65536 {
			t.Fatalf("%d bytes", len(got))
		}
		for at := 0; at < len(got); at += pageSize {
			switch strings.Count(string(got[at:at+pageSize]), "x") {
			case 0:
			case pageSize:
				whole++
			default:
				torn++
			}
			kept++
		}
	}
	if whole == 0 || torn == 0 || whole+torn >= kept {
		t.Errorf("of %d pages %d survived whole and %d torn", kept, whole, torn)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		errno  syscall.Errno
		script string
		ok     string // what still works under the fault
	}{
		{syscall.ENOSPC, `printf x >>a`, `cat a; rm b; sync a`},
		{syscall.EROFS, `rm a`, `cat a; sync a`},
		{syscall.EIO, `sync a`, `ls`},
	} {
		t.Run(c.errno.Error(), func(t *testing.T) {
			f, dir := mount(t, nil)
			must(t, dir, `printf a >a; printf b >b; sync a b .`)
			f.Inject(Fault{Errno: c.errno, At: 1, Sticky: true})
			must(t, dir, c.ok)
			if f.Heal() && c.errno != syscall.EIO {
				t.Errorf("%q met the fault", c.ok)
			}
			f.Inject(Fault{Errno: c.errno, At: 1, Sticky: true})
			if out, err := sh(t, dir, c.script); err == nil {
				t.Errorf("%q went through: %s", c.script, out)
			}
			if !f.Heal() {
				t.Error("the fault did not strike")
			}
			must(t, dir, c.script)
		})
	}
	f, dir := mount(t, nil)
	f.Inject(Fault{Errno: syscall.ENOSPC, At: 3})
	for i, want := range []bool{true, false, true, true} { // create, write; create fails; …
		_, err := sh(t, dir, fmt.Sprintf(`printf x >f%d`, i))
		if (err == nil) != want {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
