package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/watcher"
)

// overwrite is what another load balancer does to a Service.
func (m *model) overwrite(name, by string, ips ...string) {
	m.edit(name, func(s *watcher.Service) { s.Ingress, s.Writer = ips, by })
}

// TestOverwrittenStatusIsPutRight: at once, without trying the address out again, by one write, and
// with one event.
func TestOverwrittenStatusIsPutRight(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*watcher.Service)
		with []string
	}{
		{"another address of the pool", nil, []string{"198.18.64.7"}},
		{"an address of no pool", nil, []string{"203.0.113.7"}},
		{"a hostname", nil, []string{"lb.example"}},
		{"Local", func(s *watcher.Service) { s.Local = true }, []string{"198.18.64.7"}},
		{"one of two families", func(s *watcher.Service) {
			s.Families, s.FamilyPolicy = []string{"IPv4", "IPv6"}, "RequireDualStack"
		}, []string{"198.18.64.7"}},
		{"IPv6", func(s *watcher.Service) { s.Families = []string{"IPv6"} }, []string{"2001:db8::7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", tt.edit, "n1", "n2", "n3")
				ip := m.bound("web")
				owner := m.one(ip)
				m.pass(time.Minute)
				m.mu.Lock()
				m.events, m.writes = nil, 0
				before := m.services[watcher.Key{Namespace: "default", Name: "web"}].Ingress
				m.mu.Unlock()
				m.overwrite("web", "controller", tt.with...)
				begun := time.Now()
				m.until("it is put right", 5*time.Second, func() bool {
					m.mu.Lock()
					defer m.mu.Unlock()
					return slices.Equal(m.services[watcher.Key{Namespace: "default", Name: "web"}].Ingress, before)
				})
				if took := time.Since(begun); took > 50*time.Millisecond {
					t.Errorf("put right after %v", took)
				}
				m.until("it is announced again", time.Second, func() bool { return slices.Equal(m.owners(ip), []string{owner}) })
				m.pass(time.Minute)
				got := m.told("StatusOverwritten")
				if len(got) != 1 || !strings.Contains(got[0], `by "controller": set back to `+ip) || m.writes != 1 || len(m.events) != 1 {
					t.Errorf("%d writes, events %+v", m.writes, m.events)
				}
			}, "default=198.18.64.1-198.18.64.10,2001:db8::1-2001:db8::10")
		})
	}
}

// TestRivalThatKeepsWriting: another load balancer writes its address whenever it sees ours. That
// is bounded, told once, and shown for as long as it goes on; when it ends, the Service has its
// address again.
func TestRivalThatKeepsWriting(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.pass(time.Minute)
		before := m.writes
		for range 600 * 20 {
			if m.ip("web") != "198.18.64.7" {
				m.overwrite("web", "controller", "198.18.64.7")
			}
			m.pass(50 * time.Millisecond)
		}
		if n := m.writes - before; n > 35 {
			t.Errorf("%d writes in ten minutes", n)
		}
		if got := m.told("StatusOverwritten"); len(got) != 1 {
			t.Errorf("events %q", got)
		}
		for name, b := range m.speakers {
			if list := b.speaker.Snapshot().Waiting; len(list) != 1 || list[0].Code != "status-overwritten" {
				t.Errorf("%s: %+v", name, list)
			}
		}
		m.until("the address is back", time.Minute, func() bool { return m.ip("web") == ip })
		m.one(ip)
		m.pass(time.Minute)
		for name, b := range m.speakers {
			if list := b.speaker.Snapshot().Waiting; len(list) > 0 {
				t.Errorf("%s: %+v", name, list)
			}
		}
	}, tenAddresses)
}

// TestOverwrittenWhileTheFirstRestarts: whoever is left puts it right, also one that has just
// started.
func TestOverwrittenWhileTheFirstRestarts(t *testing.T) {
	for _, leaving := range [][]string{{"n1"}, {"n2"}, {"n3"}, {"n1", "n2", "n3"}} {
		lab(t, func(m *model) {
			m.create("web", nil, "n1", "n2", "n3")
			ip := m.bound("web")
			for _, name := range leaving {
				m.leaves(name)
			}
			m.overwrite("web", "controller", "198.18.64.7")
			m.pass(time.Second)
			for _, name := range leaving {
				m.start(name)
			}
			m.pass(10 * time.Second)
			if got := m.ip("web"); got != ip {
				t.Errorf("%v restarted: %s, want %s", leaving, got, ip)
			}
			m.one(ip)
		}, tenAddresses)
	}
}
