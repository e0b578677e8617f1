package arpd

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counters without a label per address. Those of the hot path are
// looked up once.
type metrics struct {
	requests   prometheus.Counter
	responses  prometheus.Counter
	gratuitous prometheus.Counter
	asked      prometheus.Counter
	probes     prometheus.Counter
	echoes     prometheus.Counter
	conflicts  *prometheus.CounterVec
	dropped    [drops]prometheus.Counter
}

// newMetrics registers the metrics; a nil registry is allowed.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "starling", Subsystem: "layer2", Name: name, Help: help}
	}
	m := &metrics{
		requests:   prometheus.NewCounter(counter("requests_received_total", "ARP requests and neighbour solicitations for addresses of this node.")),
		responses:  prometheus.NewCounter(counter("responses_sent_total", "Answers to them.")),
		gratuitous: prometheus.NewCounter(counter("gratuitous_sent_total", "Frames that announced an address without being asked.")),
		asked:      prometheus.NewCounter(counter("questions_sent_total", "Frames that asked whether another speaker is there or answers for an address.")),
		probes:     prometheus.NewCounter(counter("probes_sent_total", "Frames that asked whether a station has an address that nobody should have, or one of this node's.")),
		echoes:     prometheus.NewCounter(counter("pings_answered_total", "ICMP echo requests for addresses of this node that were answered.")),
		conflicts:  prometheus.NewCounterVec(counter("conflicts_total", "Frames in which another station claimed an address of this node: a stranger, or a member of the mesh."), []string{"kind"}),
	}
	dropped := prometheus.NewCounterVec(counter("dropped_total", "Frames that passed the kernel filter and were not answered, or could not be sent."), []string{"reason"})
	for d := range drops {
		if d != kept {
			m.dropped[d] = dropped.WithLabelValues(d.String())
		}
	}
	m.conflicts.WithLabelValues(stranger)
	m.conflicts.WithLabelValues(member)
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.responses, m.gratuitous, m.asked, m.probes, m.echoes, m.conflicts, dropped} {
		if err := reg.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metric: %w", err))
		}
	}
	return m, errors.Join(errs...)
}
