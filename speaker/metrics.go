package speaker

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/report"
)

// metrics are the counters of the loop. Gauges are read from the last turn when
// somebody asks, so they cost a turn nothing.
type metrics struct {
	changes *prometheus.CounterVec
	turn    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, collectors ...prometheus.Collector) *metrics {
	m := &metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_ownership_changes_total",
			Help: "Changes of the owner of an address, as this speaker sees them, by reason.",
		}, []string{"reason"}),
		turn: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "starling_turn_seconds",
			Help:    "Duration of one turn of the loop.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}),
	}
	for _, reason := range []string{report.CauseNew, report.CauseEligible, report.CauseLost, report.CauseMoved} {
		m.changes.WithLabelValues(reason) // from the beginning, so that a rate sees the first one
	}
	if reg != nil {
		reg.MustRegister(append(collectors, m.changes, m.turn)...)
	}
	return m
}

// collector reads gauges from the last turn.
type collector struct {
	descs map[string]*prometheus.Desc // by name
	read  func(report.Emit)
}

func newCollector(gauges []report.Gauge, read func(report.Emit)) *collector {
	c := &collector{descs: map[string]*prometheus.Desc{}, read: read}
	for _, g := range gauges {
		c.descs[g.Name] = prometheus.NewDesc("starling_"+g.Name, g.Help, g.Labels, nil)
	}
	return c
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.read(func(name string, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[name], prometheus.GaugeValue, value, labels...)
	})
}

// newGauges shows a turn, what is wrong, and how many wait.
func newGauges(last func() *report.World, wrong func() []health.Condition, lacks func() []lease.Lack) *collector {
	return newCollector(report.Gauges(), func(emit report.Emit) { last().Measure(wrong(), lacks(), emit) })
}

// newAddresses shows each address that this node announces, where that is asked for.
func newAddresses(last func() *report.World) *collector {
	return newCollector(report.AddressGauges(), func(emit report.Emit) { last().MeasureAddresses(emit) })
}
