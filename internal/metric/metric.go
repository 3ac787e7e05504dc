package metric

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config of a Registry.
type Config struct {
	Now  func() time.Time // default time.Now
	Keep time.Duration    // how long datapoints stay in memory; default 3 h
	// Process adds the process's and the Go runtime's own series to /metrics.
	Process bool
}

// Registry holds all series of a process.
type Registry struct {
	now  func() time.Time
	keep int64 // minutes
	prom *prometheus.Registry

	invocations
	samples
}

// New returns an empty registry.
func New(cfg Config) *Registry {
	r := &Registry{now: cfg.Now, keep: int64(cfg.Keep / time.Minute), prom: prometheus.NewRegistry()}
	if r.now == nil {
		r.now = time.Now
	}
	if r.keep <= 0 {
		r.keep = 180
	}
	r.invocations.init()
	r.prom.MustRegister(&r.invocations)
	if cfg.Process {
		r.prom.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	return r
}

// Handler serves the Prometheus text form.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.prom, promhttp.HandlerOpts{})
}

// Counter only goes up.
type Counter struct{ vec *prometheus.CounterVec }

// Gauge goes up and down.
type Gauge struct{ vec *prometheus.GaugeVec }

// Histogram counts observations in buckets.
type Histogram struct{ vec *prometheus.HistogramVec }

// Adder is a counter or gauge with its labels set; keep it where it is used often.
type Adder interface {
	Inc()
	Add(v float64)
}

// Setter is a gauge with its labels set.
type Setter interface {
	Adder
	Set(v float64)
	Dec()
}

// Observer is a histogram with its labels set.
type Observer interface{ Observe(v float64) }

func register[T prometheus.Collector](r *Registry, c T) T {
	err := r.prom.Register(c)
	if dup, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := dup.ExistingCollector.(T); ok {
			return old
		}
	}
	if err != nil {
		panic("BUG: metric: " + err.Error())
	}
	return c
}

// Counter returns the counter of that name, made at the first call. The same name
// with other labels or help is a BUG and panics.
func (r *Registry) Counter(name, help string, labels ...string) Counter {
	return Counter{register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))}
}

// Gauge is Counter for a gauge.
func (r *Registry) Gauge(name, help string, labels ...string) Gauge {
	return Gauge{register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))}
}

// Histogram is Counter for a histogram; nil buckets mean Prometheus's own (seconds).
func (r *Registry) Histogram(name, help string, buckets []float64, labels ...string) Histogram {
	return Histogram{register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))}
}

// With sets the labels, in the order of the declaration.
func (c Counter) With(values ...string) Adder { return c.vec.WithLabelValues(values...) }

// With sets the labels, in the order of the declaration.
func (g Gauge) With(values ...string) Setter { return g.vec.WithLabelValues(values...) }

// With sets the labels, in the order of the declaration.
func (h Histogram) With(values ...string) Observer { return h.vec.WithLabelValues(values...) }
