package status

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// shareAge is for how long all who ask get the same answer: it costs as much for a thousand as for
// ten a second.
const shareAge = 100 * time.Millisecond

// share returns a function that gives what f gave less than an age ago, and calls f if there is no
// such thing. Nothing is kept for longer.
func share[T any](f func() T) func() T {
	var (
		mu   sync.Mutex // guards the following
		last T
		full bool
	)
	forget := func() {
		mu.Lock()
		defer mu.Unlock()
		var none T
		last, full = none, false
	}
	return func() T {
		mu.Lock()
		defer mu.Unlock()
		if !full {
			last, full = f(), true
			time.AfterFunc(shareAge, forget)
		}
		return last
	}
}

// sharedGatherer gathers once for all who ask within an age.
func sharedGatherer(g prometheus.Gatherer) prometheus.Gatherer {
	type gathered struct {
		families []*dto.MetricFamily
		err      error
	}
	get := share(func() gathered {
		families, err := g.Gather()
		return gathered{families, err}
	})
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all := get()
		return all.families, all.err
	})
}
