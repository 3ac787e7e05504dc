//go:build unix

package crash

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/failpoint"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
	"go.uber.org/goleak"
)

// Environment by which this binary is another process of a test.
const (
	envRole   = "OUTCROP_CRASH_ROLE"
	envDir    = "OUTCROP_CRASH_DIR"
	envSeed   = "OUTCROP_CRASH_SEED"
	envNoSync = "OUTCROP_CRASH_NOSYNC"
	envModel  = "OUTCROP_CRASH_MODEL"
)

func TestMain(m *testing.M) {
	roles := map[string]func(context.Context) error{"writer": writer, "checker": checker, "finisher": finisher, "faulty": faulty}
	if role := os.Getenv(envRole); role != "" {
		if err := roles[role](context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		outcroptest.Clean()
		os.Exit(code)
	}))
}

// writer does operations until it is killed.
func writer(ctx context.Context) error {
	hook := failpoint.FromEnvironment()
	s, err := open(ctx, os.Getenv(envDir), os.Getenv(envNoSync) != "", hook)
	if err != nil {
		return err
	}
	r, err := job.New(job.Config{Store: s, Kinds: []job.Kind{quarry(hook)}, Slots: 2})
	if err != nil {
		return err
	}
	go func() {
		if err := r.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "jobs:", err)
			os.Exit(1)
		}
	}()
	salt := os.Getenv(envSeed)
	seed, err := strconv.ParseUint(salt, 10, 64)
	if err != nil {
		return err
	}
	g := &generator{rng: rand.New(rand.NewPCG(seed, 1)), salt: "w" + salt}
	for {
		o := g.next()
		// Straight to the pipe: what is written to it survives this process.
		if _, err := fmt.Printf("begin %s\n", o); err != nil {
			return err
		}
		if err := apply(ctx, s, o); err != nil {
			return err
		}
		if _, err := fmt.Printf("ack %s\n", o); err != nil {
			return err
		}
	}
}

// checker reads a model and prints its findings.
func checker(ctx context.Context) error {
	b, err := os.ReadFile(os.Getenv(envModel))
	if err != nil {
		return err
	}
	m := newModel()
	if err := json.Unmarshal(b, m); err != nil {
		return err
	}
	f, err := check(ctx, os.Getenv(envDir), m)
	if err != nil {
		f.wrong("%v", err)
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// finisher runs the jobs that are left and ends when there are none.
func finisher(ctx context.Context) error {
	s, err := open(ctx, os.Getenv(envDir), false, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	k := quarry(func(string) error { return nil })
	r, err := job.New(job.Config{Store: s, Kinds: []job.Kind{k}})
	if err != nil {
		cancel()
		return err
	}
	go func() { ended <- r.Run(ctx) }()
	err = drained(ctx, s)
	cancel()
	return cmp.Or(errors.Join(err, <-ended, s.Close()), nil)
}

// mustMarshal is for values that always encode.
func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
