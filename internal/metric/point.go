package metric

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Namespace of all datapoints.
const Namespace = "AWS/Bedrock"

// Names of the metrics of an invocation.
const (
	Invocations            = "Invocations"
	InvocationLatency      = "InvocationLatency"
	InvocationClientErrors = "InvocationClientErrors"
	InvocationServerErrors = "InvocationServerErrors"
	InvocationThrottles    = "InvocationThrottles"
	InputTokenCount        = "InputTokenCount"
	OutputTokenCount       = "OutputTokenCount"
	OutputImageCount       = "OutputImageCount"
	LegacyModelInvocations = "LegacyModelInvocations"
	TimeToFirstToken       = "TimeToFirstToken"
	dimModel               = "ModelId"
	dimImageSize           = "ImageSize"
	dimSteps               = "BucketedStepSize"
	unitCount              = "Count" // the guide's "SampleCount" is a statistic, no member of CloudWatch's units
	unitMs                 = "Milliseconds"
)

// Dimension is one name and value of a series.
type Dimension struct{ Name, Value string }

// Bucket says that Count samples lay near Value (within 6.25 %).
type Bucket struct {
	Value float64
	Count uint64
}

// Datapoint is one minute of one series.
type Datapoint struct {
	Account, Region string
	Name, Unit      string
	Dimensions      []Dimension // none: over all models
	Time            time.Time   // start of the minute, UTC
	SampleCount     float64
	Sum, Min, Max   float64
	Buckets         []Bucket // rising; merge them for percentiles over minutes and series
}

// Percentile returns the value below which p percent (0 to 100) of the samples lie,
// as far as the buckets tell, never outside Min and Max.
func (d Datapoint) Percentile(p float64) float64 {
	var n uint64
	for _, b := range d.Buckets {
		n += b.Count
	}
	at := uint64(math.Ceil(p / 100 * float64(n)))
	var seen uint64
	for _, b := range d.Buckets {
		if seen += b.Count; seen >= at {
			return min(max(b.Value, d.Min), d.Max)
		}
	}
	return d.Max
}

// stat sums up samples.
type stat struct {
	n             float64
	sum, min, max float64
}

func (s *stat) add(v float64) {
	if s.n == 0 || v < s.min {
		s.min = v
	}
	if s.n == 0 || v > s.max {
		s.max = v
	}
	s.n++
	s.sum += v
}

func (s *stat) merge(o stat) {
	switch {
	case o.n == 0:
		return
	case s.n == 0:
		*s = o
		return
	}
	s.n, s.sum, s.min, s.max = s.n+o.n, s.sum+o.sum, min(s.min, o.min), max(s.max, o.max)
}

// hist counts samples by size: bucket 0 below 1, then eight to each doubling.
type hist [1 + 8*32]uint32

func (h *hist) add(v float64) { h[index(v)]++ }

func index(v float64) int {
	if !(v >= 1) { // NaN too
		return 0
	}
	b := math.Float64bits(v)
	return min(1+int(b>>52-1023)*8+int(b>>49&7), len(hist{})-1)
}

// upper returns the end of a bucket; bucket i holds values in [upper(i-1), upper(i)).
func upper(i int) float64 {
	if i == 0 {
		return 1
	}
	return math.Ldexp(1+float64((i-1)%8+1)/8, (i-1)/8)
}

// middle stands for the samples of a bucket.
func middle(i int) float64 {
	if i == 0 {
		return 0.5
	}
	return (upper(i) + upper(i-1)) / 2
}

func (h *hist) buckets() (out []Bucket) {
	for i, n := range h {
		if n > 0 {
			out = append(out, Bucket{middle(i), uint64(n)})
		}
	}
	return out
}

func mergeBuckets(a, b []Bucket) []Bucket {
	if len(a) == 0 {
		return slices.Clone(b)
	}
	for _, x := range b {
		i, ok := slices.BinarySearchFunc(a, x.Value, func(y Bucket, v float64) int { return cmp.Compare(y.Value, v) })
		if ok {
			a[i].Count += x.Count
		} else {
			a = slices.Insert(a, i, x)
		}
	}
	return a
}

func (d *Datapoint) merge(s stat, b []Bucket) {
	mine := stat{d.SampleCount, d.Sum, d.Min, d.Max}
	mine.merge(s)
	d.SampleCount, d.Sum, d.Min, d.Max = mine.n, mine.sum, mine.min, mine.max
	d.Buckets = mergeBuckets(d.Buckets, b)
}
