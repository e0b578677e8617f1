package watcher

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Counts are what this node wrote since its speaker started, by result as in the metrics.
type Counts struct{ Writes, Events map[string]uint64 }

// Counts reads the counters; what never happened is left out.
func (w *Watcher) Counts() Counts {
	return Counts{Writes: totals(w.metrics.writes), Events: totals(w.metrics.events)}
}

// totals reads a counter with one label.
func totals(c prometheus.Collector) map[string]uint64 {
	all := make(chan prometheus.Metric)
	go func() {
		defer close(all)
		c.Collect(all)
	}()
	out := map[string]uint64{}
	for m := range all {
		var d dto.Metric
		if m.Write(&d) == nil && len(d.Label) == 1 { // a counter can always be written
			out[d.Label[0].GetValue()] = uint64(d.Counter.GetValue())
		}
	}
	return out
}
