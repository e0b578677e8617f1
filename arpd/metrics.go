package arpd

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/claims"
)

// metrics are counters without a label per address, but for the tally. Those of the hot path are
// looked up once.
type metrics struct {
	requests   prometheus.Counter
	responses  prometheus.Counter
	gratuitous prometheus.Counter
	asked      prometheus.Counter
	probes     prometheus.Counter
	echoes     prometheus.Counter
	handshakes prometheus.Counter
	conflicts  *prometheus.CounterVec
	dropped    [drops]prometheus.Counter
	tally      *tally // nil: nothing is counted by address
}

// newMetrics registers the metrics; a nil registry is allowed.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "starling", Subsystem: "layer2", Name: name, Help: help}
	}
	m := &metrics{
		requests:   prometheus.NewCounter(counter("requests_received_total", "ARP requests and neighbor solicitations received for addresses of this node.")),
		responses:  prometheus.NewCounter(counter("responses_sent_total", "ARP replies and neighbor advertisements sent in response to requests.")),
		gratuitous: prometheus.NewCounter(counter("gratuitous_sent_total", "Gratuitous ARP frames and unsolicited neighbor advertisements sent to announce addresses.")),
		asked:      prometheus.NewCounter(counter("questions_sent_total", "Probes sent to find out whether another node's host or speaker is there, or answers for an address.")),
		probes:     prometheus.NewCounter(counter("probes_sent_total", "Probes sent to find stations that use a free address or one of this node's.")),
		echoes:     prometheus.NewCounter(counter("pings_answered_total", "Replies sent to ICMP echo requests for addresses of this node.")),
		handshakes: prometheus.NewCounter(counter("handshakes_sent_total", "TCP connections begun to test whether another node forwards what comes for addresses of Services.")),
		conflicts:  prometheus.NewCounterVec(counter("conflicts_total", "Frames in which another station claimed an address of this node, by kind: stranger, or member of the mesh."), []string{"kind"}),
	}
	dropped := prometheus.NewCounterVec(counter("dropped_total", "Frames that the speaker received and did not answer, or could not send, by reason."), []string{"reason"})
	for d := range drops {
		if d != kept {
			m.dropped[d] = dropped.WithLabelValues(d.String())
		}
	}
	m.conflicts.WithLabelValues(claims.OfStranger)
	m.conflicts.WithLabelValues(claims.OfMember)
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.responses, m.gratuitous, m.asked, m.probes, m.echoes, m.handshakes, m.conflicts, dropped} {
		if err := reg.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metric: %w", err))
		}
	}
	return m, errors.Join(errs...)
}
