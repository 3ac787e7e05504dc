package process

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// runtimes of the benchmarks: a function that answers its event, and the program
// that runs it doing nothing.
var runtimes = []struct {
	name, runtime string
	deploy        func(w *world) string
	bare          []string
}{
	{"python", "python3.11", func(w *world) string { return w.python("def handler(e, c): return e", lambda.Function{}) }, []string{"-c", "pass"}},
	{"node", "nodejs20.x", func(w *world) string {
		return w.node("export const handler = async (e) => e;", lambda.Function{MemoryMB: 256})
	}, []string{"-e", "0"}},
}

// BenchmarkWarmInvoke is a call of a jailed function whose instance waits for it.
func BenchmarkWarmInvoke(b *testing.B) {
	for _, c := range runtimes {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, nil)
			arn := c.deploy(w)
			w.ok(arn, `{}`)
			var took []time.Duration
			for b.Loop() {
				from := time.Now()
				if _, err := w.Invoke(b.Context(), lambda.Invocation{FunctionARN: arn, Payload: []byte(`{"a":1}`)}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(from))
			}
			report(b, "warm", took)
		})
	}
}

// BenchmarkColdStart is a call that starts its instance in a new jail, beside the
// interpreter's own start and end on the bare machine in the same loop: over is
// what the jail, the bootstrap and the call cost.
func BenchmarkColdStart(b *testing.B) {
	for _, c := range runtimes {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, nil)
			arn := c.deploy(w)
			w.ok(arn, `{}`)
			program, err := w.inters.host(b.Context(), c.runtime) // the one that runs in the jail: a name on the PATH may be a shim
			if err != nil {
				b.Fatal(err)
			}
			var cold, bare, over []time.Duration
			for b.Loop() {
				w.Forget(arn)
				from := time.Now()
				w.ok(arn, `{}`)
				cold = append(cold, time.Since(from))
				from = time.Now()
				if out, err := exec.CommandContext(b.Context(), program.command, c.bare...).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				bare = append(bare, time.Since(from))
				over = append(over, cold[len(cold)-1]-bare[len(bare)-1])
			}
			report(b, "cold", cold)
			report(b, "bare", bare)
			report(b, "over", over)
		})
	}
}

func report(b *testing.B, what string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, what+"-ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, what+"-ms-p99")
}
