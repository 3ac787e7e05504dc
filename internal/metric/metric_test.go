package metric

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.Date(2026, 1, 2, 3, 4, 30, 0, time.UTC)

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("scrape: %d %v", w.Code, err)
	}
	return string(b)
}

// value finds a datapoint's sum and count.
func value(pts []Datapoint, name string, at time.Time, dims ...Dimension) (sum, n float64) {
	for _, d := range pts {
		if d.Name == name && d.Time.Equal(at) && slices.Equal(d.Dimensions, dims) {
			sum, n = sum+d.Sum, n+d.SampleCount
		}
	}
	return sum, n
}

func TestRecordCountsByTheGuidesDefinitions(t *testing.T) {
	now := t0
	r := New(Config{Now: func() time.Time { return now }})
	base := Invocation{Account: "1", Region: "us-east-1", Model: "m"}
	with := func(f func(*Invocation)) { i := base; f(&i); r.Record(&i) }
	with(func(i *Invocation) {
		i.Latency, i.FirstToken, i.InputTokens, i.OutputTokens = 250*time.Millisecond, 40*time.Millisecond, 15, 12
	})
	with(func(i *Invocation) {
		i.Latency, i.InputTokens, i.OutputTokens, i.Legacy = 750*time.Millisecond, 5, 3, true
	})
	with(func(i *Invocation) { i.Outcome = Throttled })
	with(func(i *Invocation) { i.Outcome, i.Refused = ClientError, true })
	with(func(i *Invocation) { i.Outcome = ClientError })
	with(func(i *Invocation) { i.Outcome = ServerError })
	with(func(i *Invocation) {
		i.Latency, i.InputTokens, i.OutputTokens, i.Images, i.ImageSize, i.Steps = time.Second, -1, -1, 2, "512x512", "<=50"
	})
	r.Record(&Invocation{Account: "1", Region: "us-east-1", Model: "other", InputTokens: 100, OutputTokens: 1, Latency: time.Millisecond})
	at := t0.Truncate(time.Minute)
	check := func() {
		t.Helper()
		pts := r.Points(Query{})
		id := Dimension{"ModelId", "m"}
		for _, c := range []struct {
			name   string
			dims   []Dimension
			sum, n float64
		}{
			{Invocations, []Dimension{id}, 5, 5}, {Invocations, nil, 6, 6},
			{InvocationThrottles, []Dimension{id}, 1, 1},
			{InvocationClientErrors, []Dimension{id}, 2, 2}, {InvocationServerErrors, []Dimension{id}, 1, 1},
			{InvocationLatency, []Dimension{id}, 2000, 3}, {InvocationLatency, nil, 2001, 4}, {TimeToFirstToken, []Dimension{id}, 40, 1},
			{InputTokenCount, []Dimension{id}, 20, 2}, {InputTokenCount, nil, 120, 3}, {OutputTokenCount, []Dimension{id}, 15, 2},
			{OutputImageCount, []Dimension{id}, 2, 1},
			{OutputImageCount, []Dimension{id, {"ImageSize", "512x512"}, {"BucketedStepSize", "<=50"}}, 2, 1},
			{LegacyModelInvocations, []Dimension{id}, 1, 1},
		} {
			if sum, n := value(pts, c.name, at, c.dims...); sum != c.sum || n != c.n {
				t.Errorf("%s %v = %v of %v samples, want %v of %v", c.name, c.dims, sum, n, c.sum, c.n)
			}
		}
	}
	check()
	now = now.Add(time.Minute) // the minute ends: what was counted stays where it was
	r.Record(&base)
	check()
	if sum, _ := value(r.Points(Query{}), Invocations, at.Add(time.Minute), Dimension{"ModelId", "m"}); sum != 1 {
		t.Errorf("the next minute has %v", sum)
	}
	text := scrape(t, r)
	for _, want := range []string{
		`outcrop_bedrock_invocations_total{account="1",model_id="m",region="us-east-1"} 6`,
		`outcrop_bedrock_invocation_throttles_total{account="1",model_id="m",region="us-east-1"} 1`,
		`outcrop_bedrock_input_tokens_sum{account="1",model_id="m",region="us-east-1"} 20`,
		`outcrop_bedrock_invocation_latency_milliseconds_count{account="1",model_id="m",region="us-east-1"} 4`,
		`outcrop_bedrock_invocation_latency_milliseconds_bucket{account="1",model_id="m",region="us-east-1",le="512"} 2`,
		`outcrop_bedrock_invocation_latency_milliseconds_bucket{account="1",model_id="m",region="us-east-1",le="+Inf"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics lacks %s in\n%s", want, text)
		}
	}
}

func TestNothingIsLostOrDoubledUnderLoad(t *testing.T) {
	r := New(Config{Keep: time.Hour})
	const writers, each = 8, 3000
	stop := make(chan struct{})
	var wg, readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.Points(Query{})
			}
		}
	})
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				at := t0.Add(time.Duration(i/300) * time.Minute) // ten minutes pass
				r.Record(&Invocation{Account: "1", Region: "r", Model: fmt.Sprint("m", w%3), At: at, InputTokens: 1, Latency: time.Duration(i) * time.Millisecond})
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	var by, all, buckets float64
	for _, d := range r.Points(Query{}) {
		if d.Name != InputTokenCount {
			continue
		}
		if d.Dimensions == nil {
			all += d.Sum
		} else {
			by += d.Sum
		}
		for _, b := range d.Buckets {
			buckets += float64(b.Count)
		}
	}
	if by != writers*each || all != by || buckets != 2*by {
		t.Errorf("%v by model, %v over all, %v in buckets, want %d", by, all, buckets, writers*each)
	}
}

func TestTheRingForgets(t *testing.T) {
	r := New(Config{Keep: 3 * time.Minute})
	for i := range 10 {
		at := t0.Add(time.Duration(i) * time.Minute)
		r.Record(&Invocation{Account: "1", Model: "m", At: at})
		r.Put(Sample{Account: "1", Name: "ModelInvocationLogsS3DeliverySuccess", Value: 1, At: at})
	}
	n := map[string]int{}
	for _, d := range r.Points(Query{}) {
		n[d.Name+fmt.Sprint(len(d.Dimensions))]++
	}
	if n[Invocations+"1"] < 3 || n[Invocations+"1"] > 3+r.invocations.lanes || n["ModelInvocationLogsS3DeliverySuccess0"] != 3 {
		t.Errorf("datapoints kept: %v", n)
	}
	pts := r.Points(Query{From: t0.Add(8 * time.Minute).Truncate(time.Minute), To: t0.Add(9 * time.Minute).Truncate(time.Minute), Account: "1"})
	for _, d := range pts {
		if !d.Time.Equal(t0.Add(8 * time.Minute).Truncate(time.Minute)) {
			t.Errorf("outside of the asked minute: %v", d.Time)
		}
	}
	if len(pts) == 0 || len(r.Points(Query{Account: "2"})) != 0 {
		t.Error("query by time or account")
	}
}

func TestPercentile(t *testing.T) {
	r := New(Config{})
	var all []float64
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		v := rng.ExpFloat64() * 300
		all = append(all, v)
		r.Put(Sample{Name: "x", Value: v, At: t0})
	}
	slices.Sort(all)
	d := r.Points(Query{})[0]
	for _, p := range []float64{10, 50, 90, 99} {
		want := all[int(p/100*5000)]
		if got := d.Percentile(p); got < want*0.93 || got > want*1.07 {
			t.Errorf("p%v = %v, want %v", p, got, want)
		}
	}
	if d.Percentile(0) < d.Min || d.Percentile(100) > d.Max || d.SampleCount != 5000 {
		t.Errorf("bounds of %+v", d)
	}
}

func TestBucketsHoldTheirValues(t *testing.T) {
	for _, v := range []float64{0, 0.3, 0.999, 1, 1.1249, 1.125, 7, 8, 1000, 1e6, 3e9, 1e300} {
		i := index(v)
		if v < upper(len(hist{})-1) && (v >= upper(i) || (i > 0 && v < upper(i-1))) {
			t.Errorf("%v is in bucket %d [%v, %v)", v, i, upper(max(i-1, 0)), upper(i))
		}
	}
}

func TestFacade(t *testing.T) {
	r := New(Config{Process: true})
	r.Counter("a_total", "A.", "x").With("1").Add(2)
	r.Counter("a_total", "A.", "x").With("1").Inc()
	g := r.Gauge("b", "B.").With()
	g.Set(5)
	g.Dec()
	r.Histogram("c", "C.", []float64{1, 2}).With().Observe(1.5)
	text := scrape(t, r)
	for _, want := range []string{`a_total{x="1"} 3`, "b 4", `c_bucket{le="2"} 1`, "go_goroutines"} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("one name with two label sets is taken")
		}
	}()
	r.Counter("a_total", "A.", "y")
}

func TestPointsAreCopies(t *testing.T) {
	r := New(Config{})
	for i := range 2 {
		r.Record(&Invocation{Account: "1", Model: "m", Latency: time.Second, At: t0.Add(time.Duration(i) * time.Minute)})
	}
	first := r.Points(Query{})
	want := r.Points(Query{})
	for i := range first {
		for j := range first[i].Buckets {
			first[i].Buckets[j].Count = 99
		}
	}
	if d := cmp.Diff(want, r.Points(Query{})); d != "" {
		t.Errorf("a reader changed the ring:\n%s", d)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := New(Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := Invocation{Account: "123456789012", Region: "us-east-1", Model: "anthropic.claude-v2:1",
			Latency: 300 * time.Millisecond, FirstToken: 20 * time.Millisecond, InputTokens: 100, OutputTokens: 200}
		for pb.Next() {
			r.Record(&i)
		}
	})
}
