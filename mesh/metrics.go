package mesh

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	joins    prometheus.Counter
	failed   prometheus.Counter
	rejected *prometheus.CounterVec
}

// newMetrics registers unless the registry is nil.
func newMetrics(r prometheus.Registerer, t *table) (*metrics, error) {
	m := &metrics{
		joins: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_mesh_joins_attempted_total",
			Help: "Attempts to join the mesh through a seed.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "starling_mesh_joins_failed_total",
			Help: "Attempts to join the mesh that failed.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_mesh_rejected_total",
			Help: "Gossip packets, streams and joins that came to nothing, by reason: " +
				"key (encrypted with another key), label (of another cluster), unlabeled (no gossip of ours), malformed, " +
				"refused (a seed that answers with something else), udp (a probe that passes by tcp only), name (two nodes of one name).",
		}, []string{"reason"}),
	}
	for _, k := range []kind{kindKey, kindLabel, kindUnlabeled, kindMalformed, kindRefused, kindUDP, kindName} {
		m.rejected.WithLabelValues(string(k))
	}
	if r == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.joins, m.failed, m.rejected}
	for _, s := range []State{Alive, Dead, Left} {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "starling_mesh_members",
			Help:        "Members of the mesh by state, this node included; dead ones and ones that left for five minutes.",
			ConstLabels: prometheus.Labels{"state": string(s)},
		}, func() float64 { return float64(t.count(s)) }))
	}
	var errs []error
	for _, c := range all {
		if err := r.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register mesh metrics: %w", err))
		}
	}
	return m, errors.Join(errs...)
}
