package metric

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcome of an invocation.
type Outcome uint8

// The outcomes.
const (
	OK          Outcome = iota
	ClientError         // 4xx but not throttled
	ServerError         // 5xx
	Throttled           // 429 ThrottlingException
)

// Invocation is what happened to one request for a model.
type Invocation struct {
	Account, Region string
	Model           string // ModelId: the id the caller used; the full ARN for provisioned and custom models
	Outcome         Outcome
	Refused         bool // refused before it was accepted (identity, policy, validation): no Invocations
	Legacy          bool // the model is in its Legacy state

	At                        time.Time     // end of the request; zero: now
	Latency                   time.Duration // request received to last byte
	FirstToken                time.Duration // 0: not a stream, or nothing came
	InputTokens, OutputTokens int64         // -1 where the model has none (images)
	Images                    int64
	ImageSize, Steps          string // "512x512", "<=50"; with Images
}

type metricID int

const (
	mInvocations metricID = iota
	mClientErrors
	mServerErrors
	mThrottles
	mImages
	mLegacy
	mLatency // from here on with a histogram
	mFirstToken
	mInput
	mOutput
	metricCount
)

const firstHist = mLatency

var metrics = [metricCount]struct{ name, unit, prom, help string }{
	mInvocations:  {Invocations, unitCount, "invocations_total", "Accepted model invocations."},
	mClientErrors: {InvocationClientErrors, unitCount, "invocation_client_errors_total", "Invocations that ended in a client-side error."},
	mServerErrors: {InvocationServerErrors, unitCount, "invocation_server_errors_total", "Invocations that ended in a server-side error."},
	mThrottles:    {InvocationThrottles, unitCount, "invocation_throttles_total", "Invocations refused by a quota."},
	mImages:       {OutputImageCount, unitCount, "output_images_total", "Images in answers."},
	mLegacy:       {LegacyModelInvocations, unitCount, "legacy_model_invocations_total", "Invocations of models in the Legacy state."},
	mLatency:      {InvocationLatency, unitMs, "invocation_latency_milliseconds", "Time from request to last byte."},
	mFirstToken:   {TimeToFirstToken, unitMs, "time_to_first_token_milliseconds", "Time from request to first token of a stream."},
	mInput:        {InputTokenCount, unitCount, "input_tokens", "Tokens of input, by request."},
	mOutput:       {OutputTokenCount, unitCount, "output_tokens", "Tokens of output, by request."},
}

// agg is what a lane counts.
type agg struct {
	stats [metricCount]stat
	hists [metricCount - firstHist]hist
}

func (a *agg) add(m metricID, v float64) {
	a.stats[m].add(v)
	if m >= firstHist {
		a.hists[m-firstHist].add(v)
	}
}

func (a *agg) merge(o *agg) {
	for m := range a.stats {
		a.stats[m].merge(o.stats[m])
	}
	for m := range a.hists {
		for i, n := range o.hists[m] {
			a.hists[m][i] += n
		}
	}
}

type seriesKey struct{ account, region, model string }

// series is one model's numbers.
type series struct {
	key   seriesKey
	lanes []lane

	mu   sync.Mutex // ring
	ring []sealed   // rising minutes
}

// lane is a part of a series that has its own lock and cache lines.
type lane struct {
	mu     sync.Mutex
	minute int64
	cur    agg // of minute
	past   agg // of all minutes before, for Prometheus
	_      [64]byte
}

// sealed is a minute that has passed, without the empty buckets.
type sealed struct {
	minute  int64
	stats   [metricCount]stat
	buckets [metricCount - firstHist][]Bucket
}

type invocations struct {
	seed   maphash.Seed
	lanes  int
	descs  [metricCount]*prometheus.Desc
	shards [16]struct {
		mu sync.RWMutex
		m  map[seriesKey]*series
	}
}

func (v *invocations) init() {
	v.seed = maphash.MakeSeed()
	v.lanes = min(16, 1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)))
	for m, d := range metrics {
		v.descs[m] = prometheus.NewDesc("outcrop_bedrock_"+d.prom, d.help, []string{"account", "region", "model_id"}, nil)
	}
}

// Record counts one invocation. It never blocks on a reader for longer than that
// reader copies one lane.
func (r *Registry) Record(i *Invocation) {
	at := i.At
	if at.IsZero() {
		at = r.now()
	}
	s := r.invocations.series(seriesKey{i.Account, i.Region, i.Model})
	l := &s.lanes[0]
	if len(s.lanes) > 1 {
		l = &s.lanes[rand.Uint32()&uint32(len(s.lanes)-1)]
	}
	minute := at.Unix() / 60
	l.mu.Lock()
	if minute > l.minute {
		s.seal(l, r.keep)
		l.minute = minute
	}
	a := &l.cur
	if i.Outcome == Throttled {
		a.add(mThrottles, 1)
		l.mu.Unlock()
		return
	}
	if !i.Refused {
		a.add(mInvocations, 1)
		if i.Legacy {
			a.add(mLegacy, 1)
		}
	}
	switch i.Outcome {
	case ClientError:
		a.add(mClientErrors, 1)
	case ServerError:
		a.add(mServerErrors, 1)
	case OK:
		a.add(mLatency, ms(i.Latency))
		if i.FirstToken > 0 {
			a.add(mFirstToken, ms(i.FirstToken))
		}
		if i.InputTokens >= 0 {
			a.add(mInput, float64(i.InputTokens))
		}
		if i.OutputTokens >= 0 {
			a.add(mOutput, float64(i.OutputTokens))
		}
		if i.Images > 0 {
			a.add(mImages, float64(i.Images))
		}
	case Throttled:
	}
	l.mu.Unlock()
	if i.Images > 0 && i.ImageSize != "" && i.Outcome == OK {
		r.Put(Sample{Account: i.Account, Region: i.Region, Name: OutputImageCount, Value: float64(i.Images), At: at,
			Dimensions: []Dimension{{dimModel, i.Model}, {dimImageSize, i.ImageSize}, {dimSteps, i.Steps}}})
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (v *invocations) series(k seriesKey) *series {
	sh := &v.shards[maphash.Comparable(v.seed, k)%uint64(len(v.shards))]
	sh.mu.RLock()
	s, ok := sh.m[k]
	sh.mu.RUnlock()
	if ok {
		return s
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s, ok := sh.m[k]; ok {
		return s
	}
	if sh.m == nil {
		sh.m = map[seriesKey]*series{}
	}
	k = seriesKey{strings.Clone(k.account), strings.Clone(k.region), strings.Clone(k.model)}
	s = &series{key: k, lanes: make([]lane, v.lanes)}
	sh.m[k] = s
	return s
}

func (v *invocations) all() (out []*series) {
	for i := range v.shards {
		sh := &v.shards[i]
		sh.mu.RLock()
		for _, s := range sh.m {
			out = append(out, s)
		}
		sh.mu.RUnlock()
	}
	slices.SortFunc(out, func(a, b *series) int {
		return cmp.Or(cmp.Compare(a.key.account, b.key.account), cmp.Compare(a.key.region, b.key.region), cmp.Compare(a.key.model, b.key.model))
	})
	return out
}

// seal moves a lane's minute to the ring. The lane is locked.
func (s *series) seal(l *lane, keep int64) {
	if l.cur.stats == ([metricCount]stat{}) {
		return
	}
	s.mu.Lock()
	s.ring = into(s.ring, l.minute, keep, &l.cur)
	s.mu.Unlock()
	l.past.merge(&l.cur)
	l.cur = agg{}
}

// into merges a into ring's entry of the minute, and drops what is too old.
func into(ring []sealed, minute, keep int64, a *agg) []sealed {
	i, ok := slices.BinarySearchFunc(ring, minute, func(s sealed, m int64) int { return cmp.Compare(s.minute, m) })
	if !ok {
		ring = slices.Insert(ring, i, sealed{minute: minute})
	}
	e := &ring[i]
	for m := range e.stats {
		e.stats[m].merge(a.stats[m])
	}
	for m := range e.buckets {
		e.buckets[m] = mergeBuckets(e.buckets[m], a.hists[m].buckets())
	}
	old := 0
	for old < len(ring) && ring[old].minute <= ring[len(ring)-1].minute-keep {
		old++
	}
	return slices.Delete(ring, 0, old)
}

// minutes returns the series' minutes from first to last, the running one included.
func (s *series) minutes(first, last int64) []sealed {
	// Lanes before the ring: a lane that seals meanwhile must not be missed or seen
	// twice, so all are held.
	for i := range s.lanes {
		s.lanes[i].mu.Lock()
	}
	s.mu.Lock()
	out := slices.Clone(s.ring)
	for i := range out {
		for m := range out[i].buckets {
			out[i].buckets[m] = slices.Clone(out[i].buckets[m])
		}
	}
	s.mu.Unlock()
	for i := range s.lanes {
		if l := &s.lanes[i]; l.cur.stats != ([metricCount]stat{}) {
			out = into(out, l.minute, 1<<40, &l.cur)
		}
		s.lanes[i].mu.Unlock()
	}
	return slices.DeleteFunc(out, func(e sealed) bool { return e.minute < first || e.minute > last })
}

// Query chooses datapoints; empty strings and zero times choose all.
type Query struct {
	Account, Region string
	From, To        time.Time // minutes that begin in [From, To)
}

func (q Query) span() (first, last int64) {
	first, last = -1<<62, 1<<62
	if !q.From.IsZero() {
		first = (q.From.Unix() + 59) / 60
	}
	if !q.To.IsZero() {
		last = (q.To.Unix()+59)/60 - 1
	}
	return first, last
}

// Points returns datapoints in memory, ordered by account, Region, series and time:
// every metric by ModelId, then over all models (no dimension), then what Put
// brought. The running minute is as it stands. A keeper calls it once a minute with
// To at the minute's start, and so gets each finished minute once.
func (r *Registry) Points(q Query) []Datapoint {
	first, last := q.span()
	type where struct {
		account, region string
		m               metricID
		minute          int64
	}
	all := map[where]*Datapoint{}
	var order []where
	var out []Datapoint
	for _, s := range r.invocations.all() {
		if (q.Account != "" && q.Account != s.key.account) || (q.Region != "" && q.Region != s.key.region) {
			continue
		}
		minutes := s.minutes(first, last)
		for m := range metricCount {
			for _, e := range minutes {
				if e.stats[m].n == 0 {
					continue
				}
				var b []Bucket
				if m >= firstHist {
					b = e.buckets[m-firstHist]
				}
				d := Datapoint{
					Account: s.key.account, Region: s.key.region, Name: metrics[m].name, Unit: metrics[m].unit,
					Time: time.Unix(e.minute*60, 0).UTC(),
				}
				w := where{d.Account, d.Region, m, e.minute}
				sum := all[w]
				if sum == nil {
					sum = new(d)
					all[w] = sum
					order = append(order, w)
				}
				sum.merge(e.stats[m], b)
				d.Dimensions = []Dimension{{dimModel, s.key.model}}
				d.merge(e.stats[m], b)
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(order, func(a, b where) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.region, b.region), cmp.Compare(a.m, b.m), cmp.Compare(a.minute, b.minute))
	})
	for _, w := range order {
		out = append(out, *all[w])
	}
	return append(out, r.samples.points(q, first, last)...)
}

// Describe implements prometheus.Collector.
func (v *invocations) Describe(c chan<- *prometheus.Desc) {
	for _, d := range v.descs {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (v *invocations) Collect(c chan<- prometheus.Metric) {
	for _, s := range v.all() {
		var sum agg
		for i := range s.lanes {
			l := &s.lanes[i]
			l.mu.Lock()
			sum.merge(&l.past)
			sum.merge(&l.cur)
			l.mu.Unlock()
		}
		labels := []string{s.key.account, s.key.region, s.key.model}
		for m := range metricCount {
			if m < firstHist {
				c <- prometheus.MustNewConstMetric(v.descs[m], prometheus.CounterValue, sum.stats[m].sum, labels...)
				continue
			}
			// Every doubling is a bucket. Its bound is exclusive here and inclusive in
			// Prometheus; a sample exactly on a power of two counts one bucket higher.
			buckets := map[float64]uint64{}
			var n uint64
			for i, k := range sum.hists[m-firstHist] {
				n += uint64(k)
				if i%8 == 0 {
					buckets[upper(i)] = n
				}
			}
			c <- prometheus.MustNewConstHistogram(v.descs[m], uint64(sum.stats[m].n), sum.stats[m].sum, trim(buckets, n), labels...)
		}
	}
}

// trim leaves out the bounds above the first that holds everything.
func trim(buckets map[float64]uint64, n uint64) map[float64]uint64 {
	top := upper(len(hist{}) - 1)
	for bound, k := range buckets {
		if k == n {
			top = min(top, bound)
		}
	}
	for bound := range buckets {
		if bound > top {
			delete(buckets, bound)
		}
	}
	return buckets
}
