//go:build unix

package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// The fault store is a conversation: this process works on a powerfs that its
// parent serves, and tells the parent when to arm the next fault and when to heal.
//
//	child: case N     parent: arms a fault at the N-th call, says go
//	child: heal       parent: heals, says go
//	child: {report}
//	… until the parent says stop: the N-th call was never reached

const (
	envCase   = "OUTCROP_CRASH_FAULT" // "open": faults from the first call on; "script": after opening
	faultStep = 40                    // operations of one case
)

// report is how one case ended.
type report struct {
	Case int
	// Error is the first error, empty when the fault was absorbed.
	Error string
	// Sentinel is which of store's sentinels it is, empty for none.
	Sentinel string
	// Bad is what went wrong after the fault ended, or lost meanwhile.
	Bad []string
}

func sentinelOf(err error) string {
	for name, s := range map[string]error{"io": store.ErrIO, "full": store.ErrFull, "read-only": store.ErrReadOnly, "corrupt": store.ErrCorrupt} {
		if errors.Is(err, s) {
			return name
		}
	}
	return ""
}

// faulty is the child's role.
func faulty(ctx context.Context) error {
	in := bufio.NewScanner(os.Stdin)
	ask := func(line string) bool {
		fmt.Println(line)
		return in.Scan() && in.Text() == "go"
	}
	f := &faultRun{dir: os.Getenv(envDir), opening: os.Getenv(envCase) == "open"}
	for n := 1; ; n++ {
		if !f.opening {
			if err := f.ready(ctx, n); err != nil { // without a fault: a failure here is real
				return err
			}
		}
		if !ask(fmt.Sprintf("case %d", n)) {
			return f.close()
		}
		r := report{Case: n}
		if err := f.work(ctx, n); err != nil {
			r.Error, r.Sentinel = err.Error(), sentinelOf(err)
		}
		if !ask("heal") {
			return errors.New("the parent left")
		}
		r.Bad = f.after(ctx, n)
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
}

type faultRun struct {
	dir     string
	opening bool
	folder  string
	store   *store.Store
	m       *model
	g       *generator
}

func (f *faultRun) fresh(n int) {
	f.folder = filepath.Join(f.dir, fmt.Sprint("case", n))
	f.m = newModel()
	f.g = &generator{rng: rand.New(rand.NewPCG(9, uint64(n))), salt: fmt.Sprint("f", n)}
}

// ready opens a store before the fault; it serves ten cases, so that a store also
// shows that it lives through many faults.
func (f *faultRun) ready(ctx context.Context, n int) (err error) {
	if n%10 != 1 {
		return nil
	}
	if err := f.close(); err != nil {
		return err
	}
	f.fresh(n)
	f.store, err = open(ctx, f.folder, false, nil)
	return err
}

func (f *faultRun) close() error {
	if f.store == nil {
		return nil
	}
	s := f.store
	f.store = nil
	return s.Close()
}

// work is the script: opening, if the case is about that, and operations up to the
// first error.
func (f *faultRun) work(ctx context.Context, n int) (err error) {
	steps := faultStep
	if f.opening {
		f.fresh(n)
		steps = 2
		if f.store, err = open(ctx, f.folder, false, nil); err != nil {
			return err
		}
	}
	for i := range steps {
		if i%15 == 14 { // brings the write-ahead log into the database
			if err := f.store.Driver().Scrub(ctx); err != nil {
				return err
			}
		}
		o := f.g.next()
		f.m.Open = &o
		if err := apply(ctx, f.store, o); err != nil {
			return err
		}
		f.m.apply(o)
		f.m.Open = nil
	}
	return nil
}

// after looks at the store when the fault is over: the same one must work, hold all
// that was acknowledged, and open again.
func (f *faultRun) after(ctx context.Context, n int) (bad []string) {
	note := func(what string, err error) {
		if err != nil {
			bad = append(bad, what+": "+err.Error())
		}
	}
	look := func(what string) {
		var found findings
		note(what, inspect(ctx, f.store, f.m, &found))
		for _, s := range slices.Concat(found.Lost, found.Wrong) {
			bad = append(bad, what+": "+s)
		}
		f.m.settle(found)
	}
	if f.store != nil {
		look("same store")
		o := op{"create", fmt.Sprintf("after-%d", n), 1}
		err := apply(ctx, f.store, o)
		note("first write after the fault", err)
		if err == nil {
			f.m.apply(o)
		}
	}
	if f.opening || n%10 == 0 {
		note("close", f.close())
		var err error
		if f.store, err = open(ctx, f.folder, false, nil); err != nil {
			note("open again", err)
			return bad
		}
		look("opened again")
	}
	if f.opening {
		note("close", f.close())
	}
	f.g.reset(f.m)
	return bad
}

// reset makes the generator continue from what is really there.
func (g *generator) reset(m *model) {
	g.alive = nil
	for id, seq := range m.Rows {
		if seq > 0 && !strings.HasPrefix(id, "after-") {
			g.alive = append(g.alive, op{"put", id, seq})
		}
	}
	slices.SortFunc(g.alive, func(a, b op) int { return strings.Compare(a.ID, b.ID) })
}
