package mesh

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	joins    prometheus.Counter
	failed   prometheus.Counter
	rejected *prometheus.CounterVec
	deaths   prometheus.Counter
}

// newMetrics registers unless the registry is nil.
func newMetrics(r prometheus.Registerer, t *table, lately *conditions) (*metrics, error) {
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
			Help: "Gossip packets, streams and joins that failed, by reason: " +
				"key (encrypted with another key), label (of another cluster), unlabeled (not gossip of starling), malformed, excess, old, no-node. " +
				"Also refused (a seed that answers with something else), udp (a probe that passes by TCP only), name (two nodes of one name). " +
				"Excess is more streams or bytes at once than a sender without proof of the key may use. " +
				"Old is of a member that has said something newer since, or of an earlier process of it. " +
				"No-node is a member whose name no Node of Kubernetes has.",
		}, []string{"reason"}),
	}
	m.deaths = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "starling_mesh_deaths_total",
		Help: "Members that gossip declared dead. The speaker then probes each of them on the wire.",
	})
	for _, k := range []kind{kindKey, kindLabel, kindUnlabeled, kindMalformed, kindExcess, kindOld, kindNoNode, kindRefused, kindUDP, kindName} {
		m.rejected.WithLabelValues(string(k))
	}
	if r == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.joins, m.failed, m.rejected, m.deaths, newConditionCollector(lately)}
	for _, s := range []State{Alive, Dead, Left} {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "starling_mesh_members",
			Help:        "Members of the mesh by state, this node included. Members that died or left count for five minutes.",
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

// conditionCollector names the peers that something is wrong with, one series for
// each as long as status tells of it: however many packets a peer sends, it is
// counted once. There are conditionLimit series at most at a time.
type conditionCollector struct {
	conditions *conditions
	desc       *prometheus.Desc
}

const conditionHelp = "1 for each peer, by address or node name, that has a problem: key (it uses another gossip key), " +
	"label (it is of another cluster), refused, udp, name. It ends a minute after the last sign of it, or at a good answer."

func newConditionCollector(t *conditions) conditionCollector {
	return conditionCollector{t, prometheus.NewDesc("starling_mesh_trouble", conditionHelp, []string{"reason", "peer"}, nil)}
}

// Describe implements prometheus.Collector.
func (c conditionCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector. Two conditions of one kind and peer,
// such as a third node of one name, make one series.
func (c conditionCollector) Collect(ch chan<- prometheus.Metric) {
	type series struct {
		kind kind
		who  string
	}
	seen := map[series]bool{}
	all, _ := c.conditions.current(time.Now())
	for _, what := range all {
		if one := (series{what.kind, what.who}); what.kind != kindBind && !seen[one] {
			seen[one] = true
			ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, 1, string(what.kind), what.who)
		}
	}
}
