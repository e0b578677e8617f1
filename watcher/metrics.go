package watcher

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

type metrics struct {
	writes       *prometheus.CounterVec
	writeSeconds prometheus.Histogram
	events       *prometheus.CounterVec
	watches      *prometheus.CounterVec
	lists        *prometheus.CounterVec
	snapshots    *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, w *Watcher) *metrics {
	auto := promauto.With(r)
	counter := func(name, help string, label string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: "starling_watcher_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, f func() float64) {
		auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "starling_watcher_" + name, Help: help}, f)
	}
	gauge("services", "Services kept: those that hold or want an address.", func() float64 { return float64(w.services.size()) })
	gauge("nodes", "Nodes known.", func() float64 { return float64(len(w.nodes.list())) })
	gauge("contact_age_seconds", "Time since the API server last answered.", w.contactAge)
	return &metrics{
		writes: counter("writes_total", "Writes of services/status by result: ok, conflict, gone, forbidden, timeout, error.", "result"),
		writeSeconds: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "starling_watcher_write_seconds", Help: "Duration of a write of services/status.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		events:    counter("events_total", "Events about Services and Nodes by result: sent, repeated (counted up), known (another speaker reported it before; renewed), limited, dropped, failed.", "result"),
		watches:   counter("watches_total", "Watches begun or resumed.", "resource"),
		lists:     counter("lists_total", "Lists requested without streaming; 0 where the API server streams them.", "resource"),
		snapshots: counter("snapshots_total", "Snapshot files by result: written, failed, loaded, refused.", "result"),
	}
}

// contactAge is 0 before the first contact.
func (w *Watcher) contactAge() float64 {
	at := w.health.lastContact()
	if at.IsZero() {
		return 0
	}
	return time.Since(at).Seconds()
}

func (m *metrics) wrote(err error, took time.Duration) {
	m.writes.WithLabelValues(writeResult(err)).Inc()
	m.writeSeconds.Observe(took.Seconds())
}

func writeResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrConflict):
		return "conflict"
	case errors.Is(err, ErrGone):
		return "gone"
	case apierrors.IsForbidden(err):
		return "forbidden"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}
