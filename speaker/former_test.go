package speaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-lb/starling/watcher"
)

// TestServiceMadeAgainHasItsAddress: by whoever picks, and within the time that probing takes.
func TestServiceMadeAgainHasItsAddress(t *testing.T) {
	six := func(s *watcher.Service) { s.Families = []string{"IPv6"} }
	local := func(s *watcher.Service) { s.Local = true }
	again := func(m *model) {
		m.remove("web")
		m.pass(10 * time.Millisecond)
	}
	for _, tt := range []struct {
		name  string
		edit  func(*watcher.Service)
		away  func(m *model)
		other bool // address
		long  bool
	}{
		{"at once", nil, again, false, false},
		{"IPv6", six, again, false, false},
		{"Local", local, again, false, false},
		{"after a while, with others made meanwhile", nil, func(m *model) {
			again(m)
			for i := range 3 {
				m.create(fmt.Sprint("other", i), nil, "n1")
				m.bound(fmt.Sprint("other", i))
			}
			m.pass(9 * time.Minute)
		}, false, true},
		{"after one speaker has left", nil, func(m *model) {
			again(m)
			m.leaves("n2")
		}, false, false},
		{"after the others have restarted", nil, func(m *model) {
			again(m)
			for _, name := range []string{"n2", "n3"} {
				m.leaves(name)
				m.start(name)
			}
			m.leaves("n3")
			m.leaves("n2")
			m.pass(time.Second)
		}, false, false},
		{"after eleven minutes", nil, func(m *model) {
			again(m)
			m.pass(11 * time.Minute)
		}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.long {
				long(t)
			}
			lab(t, func(m *model) {
				m.create("first", tt.edit, "n1")
				m.bound("first")
				m.create("web", tt.edit, "n1")
				ip := m.bound("web")
				m.pass(time.Minute)
				tt.away(m)
				begun := time.Now()
				m.create("web", tt.edit, "n1")
				if got := m.bound("web"); (got == ip) == tt.other {
					t.Errorf("it had %s and has %s", ip, got)
				}
				if took := time.Since(begun); took > 1500*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				m.one(m.ip("web"))
			}, "default=198.18.64.1-198.18.64.10,2001:db8::1-2001:db8::10")
		})
	}
}

// TestFlippedServiceHasItsAddress: a Service of type LoadBalancer that is of another type for a
// while.
func TestFlippedServiceHasItsAddress(t *testing.T) {
	for _, away := range []time.Duration{time.Millisecond, time.Minute} {
		lab(t, func(m *model) {
			m.create("web", nil, "n1")
			ip := m.bound("web")
			m.edit("web", func(s *watcher.Service) { s.Type, s.Ingress = "ClusterIP", nil })
			m.pass(away)
			m.create("other", nil, "n1")
			m.bound("other")
			m.edit("web", func(s *watcher.Service) { s.Type = "LoadBalancer" })
			if got := m.bound("web"); got != ip {
				t.Errorf("it had %s and has %s", ip, got)
			}
			m.one(ip)
		}, tenAddresses)
	}
}
