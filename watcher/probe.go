package watcher

import (
	"context"
	"time"

	"github.com/starling-lb/starling/watcher/kube"
)

// When nothing was heard for quiet the API server is asked for a trifle, so that an idle cluster
// does not look like a dead server. A busy cluster is asked only while a write, an event or such a
// question has failed and was not repeated.
const (
	quiet        = 10 * time.Second
	probeEvery   = 5 * time.Second
	probeTimeout = 5 * time.Second
)

const probing = "get namespaces" // what the probe does

// probe asks for the Namespace kube-system, from the server's cache and with a right that ClusterID
// needs anyway.
func (w *Watcher) probe(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	known := false
	for {
		if !known || w.health.doubtful() || time.Since(w.health.lastContact()) > quiet {
			id, err := w.ask(ctx)
			if err == nil && !w.health.isCluster(id) {
				return ErrForeign
			}
			known = known || err == nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *Watcher) ask(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	id, err := kube.CachedClusterID(limited, w.client)
	if err == nil {
		w.health.heard()
	}
	w.health.report(ctx, probing, err)
	return id, err
}
