package speaker

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// gateways is a pool of addresses that others hand out, announced whatever endpoints there are.
var gateways = lease.Pool{
	Name: "gateways", Ranges: []string{"198.18.65.1-198.18.65.10"}, Allocate: new(bool), ExternalIPs: true, Endpoints: "ignore",
}

// TestGivenAddresses: what another allocator has written is announced by one node and moves when
// that one dies; nobody writes to the Service.
func TestGivenAddresses(t *testing.T) {
	lab(t, func(m *model) {
		given := gateways
		given.Endpoints = ""
		m.configure(compiled(t, given))
		m.create("theirs", func(s *watcher.Service) { s.Class, s.Ingress = "io.cilium/l2", []string{"198.18.65.3"} }, "n1", "n2", "n3")
		m.create("listed", lists("198.18.65.4"), "n2")
		m.pass(time.Second)
		writes, owner := m.writes, m.one("198.18.65.3")
		m.one("198.18.65.4")
		m.dies(owner, 500*time.Millisecond)
		m.pass(5 * time.Second)
		if next := m.one("198.18.65.3"); next == owner {
			t.Errorf("%s is dead and announces on", owner)
		}
		m.edit("theirs", func(s *watcher.Service) { s.Ingress = []string{"198.18.65.5"} })
		m.pass(time.Second)
		m.one("198.18.65.5")
		m.answered("198.18.65.3")
		if m.writes != writes {
			t.Errorf("%d writes to Services of others", m.writes-writes)
		}
		m.remove("theirs")
		m.pass(time.Second)
		m.answered("198.18.65.5")
	})
}

// TestEndpointsThatDoNotMatter: by annotation or pool an address is announced without endpoints, or
// with some that no node runs; without either it is not.
func TestEndpointsThatDoNotMatter(t *testing.T) {
	annotation := func(value string) func(*watcher.Service) {
		return func(s *watcher.Service) {
			if s.Annotations = nil; value != "" {
				s.Annotations = [][2]string{{lease.EndpointsAnnotation, value}}
			}
		}
	}
	lab(t, func(m *model) {
		plain := gateways
		plain.Endpoints = ""
		m.configure(compiled(t, plain))
		m.create("gateway", func(s *watcher.Service) { s.Class, s.Ingress, s.Local = "x/y", []string{"198.18.65.3"}, true })
		m.pass(time.Second)
		m.answered("198.18.65.3")
		m.edit("gateway", annotation("ignore"))
		m.pass(time.Second)
		m.one("198.18.65.3")
		m.edit("gateway", annotation("ignored"))
		m.pass(time.Second)
		m.answered("198.18.65.3")
		m.configure(compiled(t, gateways))
		m.pass(time.Second)
		m.one("198.18.65.3")
		m.configure(compiled(t, plain))
		m.pass(time.Second)
		m.answered("198.18.65.3")
	})
}
