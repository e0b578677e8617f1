package speaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-lb/starling/watcher"
)

// backFrom starts a speaker anew that has nothing but its snapshot file, of which edit says how it
// differs from what the others know. Either it alone is without the API server, or all are.
func (m *model) backFrom(name string, alone bool, edit func(map[watcher.Key]*watcher.Service)) {
	m.leaves(name)
	m.pass(time.Second)
	for other := range m.speakers {
		if !alone && other != name {
			m.set(other, func(b *node) { b.silent = time.Now() })
		}
	}
	m.start(name, func(b *node) {
		b.stale, b.silent = true, time.Now()
		edit(b.changes)
	})
}

// connect lets all speakers know what there is.
func (m *model) connect() {
	for name := range m.speakers {
		m.set(name, func(b *node) {
			b.stale, b.silent, b.reset = false, time.Time{}, true
			for k, s := range m.services {
				b.changes[k] = &s
			}
			poke(b.kubed)
		})
	}
}

// TestNewerThanTheSnapshotFile: a speaker that comes back without the API server does not know the
// latest address, which all others elect it for. They keep it for as long as it does not take it.
func TestNewerThanTheSnapshotFile(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprint("it alone: ", alone), func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("old", nil, "n1", "n2", "n3")
				m.bound("old")
				m.create("new", nil, "n1", "n2", "n3")
				ip := m.bound("new")
				top, _, _ := m.rank(ip)
				m.pass(10 * time.Second)
				gap, double := m.during(ip, func() {
					m.backFrom(top, alone, func(known map[watcher.Key]*watcher.Service) {
						delete(known, watcher.Key{Namespace: "default", Name: "new"})
					})
					m.pass(2 * time.Minute)
				})
				if got := m.one(ip); gap > 0 || double > 100*time.Millisecond || got == top {
					t.Errorf("no answer for %s, two for %s, %s answers", gap, double, got)
				}
				gap, double = m.during(ip, func() {
					m.connect()
					m.pass(20 * time.Second)
				})
				if got := m.one(ip); gap > 0 || double > 100*time.Millisecond || got != top {
					t.Errorf("with the API server: no answer for %s, two for %s, %s answers, want %s", gap, double, got, top)
				}
			}, tenAddresses)
		})
	}
}

// TestOlderThanTheSnapshotFile: a speaker that comes back without the API server announces the
// address of a Service that was deleted just before. Nobody answers beside it, and it falls silent
// when the API server is back.
func TestOlderThanTheSnapshotFile(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprint("it alone: ", alone), func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("old", nil, "n1", "n2", "n3")
				ip := m.bound("old")
				top, _, _ := m.rank(ip)
				m.pass(10 * time.Second)
				key := watcher.Key{Namespace: "default", Name: "old"}
				was := m.services[key]
				m.remove("old")
				m.pass(10 * time.Second)
				if who := m.owners(ip); len(who) > 0 {
					t.Fatalf("%v answer for a Service that is gone", who)
				}
				_, double := m.during(ip, func() {
					m.backFrom(top, alone, func(known map[watcher.Key]*watcher.Service) { known[key] = &was })
					m.pass(2 * time.Minute)
				})
				if who := m.owners(ip); double > 0 || len(who) > 1 {
					t.Errorf("two answers for %s, in the end from %v", double, who)
				}
				m.connect()
				m.pass(10 * time.Second)
				if who := m.owners(ip); len(who) > 0 {
					t.Errorf("%v answer although all know that the Service is gone", who)
				}
			}, tenAddresses)
		})
	}
}
