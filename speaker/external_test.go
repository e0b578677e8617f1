package speaker

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

// lists is an edit that makes a Service of another type with these externalIPs.
func lists(ips ...string) func(*watcher.Service) {
	return func(s *watcher.Service) { s.Type, s.ExternalIPs = "ClusterIP", ips }
}

// TestListedAddressIsNotHandedOut: one in externalIPs of a Service of whatever type, to nobody
// else.
func TestListedAddressIsNotHandedOut(t *testing.T) {
	lab(t, func(m *model) {
		m.create("lister", lists("198.18.64.1", "2001:db8::1"), "n1")
		m.pass(time.Second)
		m.create("web", nil, "n1")
		m.create("six", func(s *watcher.Service) { s.Families = []string{"IPv6"} }, "n1")
		if ip := m.bound("web"); ip != "198.18.64.2" {
			t.Errorf("web has %s", ip)
		}
		if ip := m.bound("six"); ip != "2001:db8::2" {
			t.Errorf("six has %s", ip)
		}
	}, "default=198.18.64.1-198.18.64.10,2001:db8::1-2001:db8::10")
}

// TestListedAddressThatIsHeld: it stays, both Services have one event however often the list
// changes on the other one, and every speaker has the condition for as long as it lasts.
func TestListedAddressThatIsHeld(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.create("lister", lists(ip), "n1")
		m.pass(2 * time.Second)
		for name, b := range m.speakers {
			found := 0
			for _, c := range b.speaker.Conditions() {
				if c.Code == health.AddressListed {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%s has the condition %d times", name, found)
			}
		}
		for range 5 {
			m.edit("lister", lists())
			m.pass(time.Second)
			m.edit("lister", lists(ip))
			m.pass(time.Second)
		}
		web := 0
		for _, e := range m.told("AddressConflict") {
			if strings.HasPrefix(e, "web: ") {
				web++
			}
		}
		if web != 1 {
			t.Errorf("the Service that has the address is told %d times: %q", web, m.told("AddressConflict"))
		}
		if got := m.ip("web"); got != ip || m.writes != 2 {
			t.Errorf("%s has become %s by %d writes", ip, got, m.writes)
		}
		m.remove("lister")
		m.pass(time.Second)
		for name, b := range m.speakers {
			for _, c := range b.speaker.Conditions() {
				if c.Code == health.AddressListed {
					t.Errorf("%s has the condition still", name)
				}
			}
		}
	}, tenAddresses)
}
