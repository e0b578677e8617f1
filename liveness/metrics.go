package liveness

import "github.com/prometheus/client_golang/prometheus"

// Reasons of moves.
const (
	late     = "late"
	lost     = "lost"
	failed   = "failed"
	untested = "untested"
)

type metrics struct {
	silentHosts prometheus.Counter
	wireDeaths  prometheus.Counter
	deaths      prometheus.Counter
	absences    prometheus.Counter
	moved       *prometheus.CounterVec
	drops       prometheus.Counter
}

// newMetrics registers unless the registry is nil.
func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "starling_" + name, Help: help})
	}
	m := &metrics{
		deaths:      counter("member_deaths_total", "Members that this speaker declared dead, by gossip and the wire together. Other nodes then announce their addresses."),
		silentHosts: counter("wire_alarms_total", "Watched hosts whose kernel stopped replying on the wire."),
		absences:    counter("member_absences_total", "Members whose speakers this one found to be away while their hosts were there."),
		moved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "starling_member_absences_moved_total",
			Help: "Absences of members that ended with their addresses at other nodes, by reason. Late: the speaker was not back within --restart-grace. Lost: the host is gone. Failed: the node does not forward, or its kube-proxy is gone. Untested: nobody could test whether it forwards.",
		}, []string{"reason"}),
		drops:      counter("member_forwarding_failures_total", "Nodes that this speaker found not to forward what comes for addresses of Services, while another node did, or whose kube-proxy was gone while their speakers were away."),
		wireDeaths: counter("wire_deaths_total", "Members declared dead because they stopped replying on the wire, before gossip noticed."),
	}
	for _, reason := range []string{late, lost, failed, untested} {
		m.moved.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(m.silentHosts, m.wireDeaths, m.deaths, m.absences, m.moved, m.drops)
	}
	return m
}
