package watcher

import (
	"context"
	"time"

	"github.com/starling-lb/starling/watcher/kube"
)

// When the snapshot file is read and written.
const (
	snapshotSoon  = 1 * time.Second // at start an API server that fails has this long
	snapshotWait  = 3 * time.Second // and one that is silent this long
	saveEvery     = 5 * time.Second // after a change of Services or Nodes
	saveEndpoints = time.Minute     // after a change of endpoints alone, which are never still in a large cluster
	saveContact   = time.Minute     // the file's time is the time of the last contact, kept this exact
)

// keepSnapshot reads the file if the API server keeps us waiting, and from then on writes what
// changes.
func (w *Watcher) keepSnapshot(ctx context.Context) error {
	if w.saved.dir == "" {
		return nil
	}
	if w.keptWaiting(ctx) {
		w.loadSnapshot()
	}
	w.saveSnapshots(ctx)
	return nil
}

// keptWaiting reports whether the API server fails soon or stays silent for long.
func (w *Watcher) keptWaiting(ctx context.Context) bool {
	if !kube.Sleep(ctx, snapshotSoon) || w.services.synced() {
		return false
	}
	return len(w.health.list()) > 0 || kube.Sleep(ctx, snapshotWait-snapshotSoon)
}

func (w *Watcher) loadSnapshot() {
	if w.services.synced() {
		return
	}
	s, ok := w.saved.read()
	if !ok {
		return
	}
	if s.Cluster != "" && !w.health.isCluster(s.Cluster) {
		w.saved.refused(ErrForeign)
		return
	}
	if !w.services.load(s.Services) {
		return
	}
	w.nodes.load(s.Nodes)
	w.endpoints.load(s.Endpoints)
	w.health.heardAt(s.Contact)
	w.log.Warn().Time("contact", s.Contact).Int("services", len(s.Services)).Msg("API server unavailable: started from the snapshot file")
	w.changed()
}

// revisions reports whether something changed since a save.
type revisions struct{ services, nodes, endpoints uint64 }

func (w *Watcher) revisions() revisions {
	return revisions{w.services.revision(), w.nodes.revision(), w.endpoints.revision()}
}

func (w *Watcher) saveSnapshots(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	var k saver
	for {
		select {
		case <-ctx.Done():
			w.save(&k, true)
			return
		case <-tick.C:
			w.save(&k, false)
		}
	}
}

// saver remembers what the file holds.
type saver struct {
	last    revisions
	contact time.Time // the file's time
	at      time.Time // of the last attempt to write
	failed  bool      // and whether it failed
}

// save writes the file if something changed, or, once in a while, its time.
func (w *Watcher) save(k *saver, final bool) {
	if !w.synced() {
		return
	}
	now, contact := w.revisions(), w.health.lastContact()
	urgent := now.services != k.last.services || now.nodes != k.last.nodes
	switch {
	case now != k.last && (final || urgent && !k.failed || time.Since(k.at) >= saveEndpoints):
		k.at, k.failed = time.Now(), !w.saved.write(w.content())
		if !k.failed {
			k.last, k.contact = now, contact
		}
	case final || contact.Sub(k.contact) >= saveContact:
		if w.saved.touch(contact) {
			k.contact = contact
		}
	}
}

func (w *Watcher) content() saved {
	return saved{
		Cluster: w.health.clusterID(), Contact: w.health.lastContact(),
		Services: w.services.all(), Nodes: w.nodes.list(), Endpoints: w.endpoints.snapshot(),
	}
}
