package speaker

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of the loop. Gauges are read from the last view when
// somebody asks, so they cost a turn nothing.
type metrics struct {
	changes *prometheus.CounterVec
	turn    prometheus.Histogram
	alarms  prometheus.Counter
	givenUp prometheus.Counter
	deaths  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, last *atomic.Pointer[view]) *metrics {
	m := &metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_ownership_changes_total",
			Help: "Changes of the owner of an address as seen by this speaker, by reason.",
		}, []string{"reason"}),
		turn: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "starling_turn_seconds",
			Help:    "Time that one turn of the loop takes.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}),
		deaths: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_member_deaths_total",
			Help: "Members that this speaker gave up by all that gossip and the wire say, so that others have their addresses.",
		}),
		alarms: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_wire_alarms_total",
			Help: "Members that this node watches and whose kernel fell silent on the wire.",
		}),
		givenUp: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_wire_deaths_total",
			Help: "Members that were given up because they fell silent on the wire, before gossip knew.",
		}),
	}
	for _, reason := range []string{causeNew, causeEligible, causeLost, causeMoved} {
		m.changes.WithLabelValues(reason) // from the beginning, so that a rate sees the first one
	}
	if reg != nil {
		reg.MustRegister(m.changes, m.turn, m.alarms, m.givenUp, m.deaths, newGauges(last))
	}
	return m
}

// gauges shows the last view.
type gauges struct {
	last                                                *atomic.Pointer[view]
	ready, owned, known, ownerless, onWire, differing   *prometheus.Desc
	conflicts, problems, total, inUse, waiting, ofNodes *prometheus.Desc
}

func newGauges(last *atomic.Pointer[view]) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("starling_"+name, help, labels, nil)
	}
	return &gauges{
		last:      last,
		ready:     desc("ready", "1 if this node may own addresses."),
		owned:     desc("owned_addresses", "Addresses that this node owns."),
		known:     desc("addresses", "Bound addresses that this speaker knows."),
		ownerless: desc("addresses_without_owner", "Bound addresses that no node may announce."),
		onWire:    desc("members_on_wire", "Members that gossip does not reach and that answer on the wire."),
		differing: desc("members_with_other_config", "Live members with other pools or another class than this node."),
		conflicts: desc("conflicts", "Addresses of this node that another station answers for, by kind: stranger, member.", "kind"),
		problems:  desc("problems", "Problems that the status tells, each in words there."),
		total:     desc("allocator_addresses_total", "Addresses of a pool.", "pool"),
		inUse:     desc("allocator_addresses_in_use_total", "Addresses of a pool that Services hold.", "pool"),
		waiting:   desc("allocator_services_waiting", "Services that wait for an address of a pool.", "pool"),
		ofNodes:   desc("allocator_addresses_of_nodes", "Addresses of a pool that are a node's own and never handed out.", "pool"),
	}
}

func (g *gauges) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		g.ready, g.owned, g.known, g.ownerless, g.onWire, g.differing, g.conflicts, g.problems, g.total, g.inUse, g.waiting, g.ofNodes,
	}
}

// Describe is part of prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.all() {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	v, ready := g.last.Load(), 0.0
	if v.fit {
		ready = 1
	}
	gauge(g.ready, ready)
	gauge(g.owned, float64(v.mine))
	gauge(g.known, float64(len(v.vips)))
	gauge(g.ownerless, float64(v.ownerless()))
	gauge(g.onWire, float64(v.onWire()))
	gauge(g.differing, float64(v.differing))
	gauge(g.problems, float64(len(v.problems)))
	for kind, n := range v.disputed() {
		gauge(g.conflicts, float64(n), kind)
	}
	for _, u := range v.pools {
		gauge(g.total, float64(u.Size), u.Pool)
		gauge(g.inUse, float64(u.Used), u.Pool)
		gauge(g.waiting, float64(u.Waiting), u.Pool)
		gauge(g.ofNodes, float64(v.ofNodes[u.Pool]), u.Pool)
	}
}
