// Package metrics exports the counters of a worker to Prometheus. The worker
// itself depends on no monitoring system: it counts in package meter, and a
// [Collector] reads that when it is scraped.
package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// Source is the scraped worker; worker.Server implements it.
type Source interface {
	Meter() *meter.Meter
	Stats() transport.Stats
	Staged() int64
	Detached() int
	Ready() bool
}

// Collector implements [prometheus.Collector] over a worker.
type Collector struct {
	source  Source
	metrics []metric
}

// New makes a collector. version is that of the program.
func New(source Source, version string) *Collector {
	return &Collector{source, table(version)}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		out <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	s := sample{
		Meter: c.source.Meter(), stats: c.source.Stats(), staged: c.source.Staged(), detached: c.source.Detached(), ready: c.source.Ready(),
	}
	for _, m := range c.metrics {
		m.collect(&s, func(v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
		}, func(h *meter.Histogram, labels ...string) {
			upTo, n, sum := h.Snapshot()
			out <- prometheus.MustNewConstHistogram(m.desc, n, sum, upTo, labels...)
		})
	}
}

// sample is a worker at one moment.
type sample struct {
	*meter.Meter
	stats    transport.Stats
	staged   int64
	detached int
	ready    bool
}

// metric is one line of the table.
type metric struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	collect func(s *sample, value func(v float64, labels ...string), times func(h *meter.Histogram, labels ...string))
}

func describe(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("genie_worker_"+name, help, labels, nil)
}

// gauge and counter are metrics without labels.
func gauge(name, help string, get func(s *sample) int64) metric {
	return metric{
		describe(name, help, nil), prometheus.GaugeValue,
		func(s *sample, value func(float64, ...string), _ func(*meter.Histogram, ...string)) {
			value(float64(get(s)))
		},
	}
}

func counter(name, help string, get func(s *sample) int64) metric {
	m := gauge(name, help, get)
	m.kind = prometheus.CounterValue
	return m
}

// named is a counter with a name of its own.
func named(name, help string, get func(s *sample) float64) metric {
	return metric{
		prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue,
		func(s *sample, value func(float64, ...string), _ func(*meter.Histogram, ...string)) { value(get(s)) },
	}
}

// gauges and counters are metrics with labels.
func gauges(name, help string, labels []string, each func(s *sample, value func(float64, ...string))) metric {
	return metric{
		describe(name, help, labels), prometheus.GaugeValue,
		func(s *sample, value func(float64, ...string), _ func(*meter.Histogram, ...string)) { each(s, value) },
	}
}

func counters(name, help string, labels []string, each func(s *sample, value func(float64, ...string))) metric {
	m := gauges(name, help, labels, each)
	m.kind = prometheus.CounterValue
	return m
}

// histogram is a distribution of durations.
func histogram(name, help string, labels []string, each func(s *sample, times func(*meter.Histogram, ...string))) metric {
	return metric{
		desc:    describe(name, help, labels),
		collect: func(s *sample, _ func(float64, ...string), times func(*meter.Histogram, ...string)) { each(s, times) },
	}
}

// typeName is the label of a type of request; peers may send unknown types.
func typeName(t wire.Type) string {
	if !t.Known() {
		return "unknown"
	}
	return t.String()
}

// codeName is the label of an error code: the text of its cause.
func codeName(code uint32) string {
	cause := (&transport.RemoteError{Code: code}).Unwrap()
	return strings.TrimPrefix(cause.Error(), "genie: ")
}

// byCause gives the bytes of one direction.
func byCause(direction string, bytes transport.ByCause, value func(float64, ...string)) {
	for c, n := range bytes {
		value(float64(n), direction, plan.Cause(c).String())
	}
}
