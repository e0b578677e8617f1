package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/watcher"
)

// comes puts stations on the wire that nobody notices before asking: each address has a MAC of its
// own, or that of all.
func (m *model) comes(mac func(i int) string, ips ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stations = map[netip.Addr]string{}
	for i, ip := range ips {
		m.stations[netip.MustParseAddr(ip)] = mac(i)
	}
}

func alike(int) string { return strangeMAC }

func other(i int) string { return fmt.Sprintf("02:00:00:00:01:%02x", i) }

func tenIPs() (ips []string) {
	for i := range 10 {
		ips = append(ips, fmt.Sprintf("198.18.64.%d", i+1))
	}
	return ips
}

// TestStationThatCameAMomentAgo: an address was probed and found free, then a station took it
// without a word. The Service that gets the address gets another one within half a second.
func TestStationThatCameAMomentAgo(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(time.Minute)
		m.comes(alike, "198.18.64.2", "198.18.64.3")
		for _, name := range []string{"a", "b", "c"} {
			m.create(name, nil, "n1", "n2", "n3")
			m.bound(name)
			m.pass(500 * time.Millisecond)
			if ip := m.ip(name); ip == "198.18.64.2" || ip == "198.18.64.3" {
				t.Errorf("%s has %s, which a station has", name, ip)
			} else if got := m.owners(ip); len(got) != 1 {
				t.Errorf("%s is answered by %v", ip, got)
			}
		}
		m.pass(time.Minute)
		got := m.told("AddressConflict")
		if len(got) != 2 {
			t.Errorf("events %q", got)
		}
		for _, text := range got {
			if !strings.Contains(text, strangeMAC) || strings.Count(text, "198.18.64.") != 3 {
				t.Errorf("event %q", text)
			}
		}
	}, tenAddresses)
}

// TestStationWhereItIsAskedFor: a Service that asks for the very address keeps it, and learns of
// the station once.
func TestStationWhereItIsAskedFor(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(time.Minute)
		m.comes(alike, "198.18.64.7")
		m.create("web", func(s *watcher.Service) {
			s.Annotations = [][2]string{{"starling-lb.io/loadBalancerIPs", "198.18.64.7"}}
		}, "n1", "n2", "n3")
		m.bound("web")
		m.pass(10 * time.Second)
		if ip := m.ip("web"); ip != "198.18.64.7" {
			t.Errorf("it has %s", ip)
		}
		want := []string{"web: " + strangeMAC + " also answers for 198.18.64.7 on the network of node " + m.owners("198.18.64.7")[0] +
			": find the machine with this hardware address and give it another address, or exclude the address from its pool"}
		if got := m.told("AddressConflict"); !slices.Equal(got, want) {
			t.Errorf("events %q", got)
		}
	}, tenAddresses)
}

// TestStationAtAnAddressInUse: somebody uses an address as soon as it was announced for a second,
// so a Service keeps one at which a station appears later; also when another node takes it over, or
// a speaker has just learned of it.
func TestStationAtAnAddressInUse(t *testing.T) {
	for name, event := range map[string]func(*model, string){
		"its owner leaves":   func(m *model, owner string) { m.leaves(owner) },
		"its owner restarts": func(m *model, owner string) { m.leaves(owner); m.start(owner) },
		"its owner dies":     func(m *model, owner string) { m.dies(owner, 500*time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				m.pass(2 * time.Second)
				m.comes(alike, ip)
				event(m, m.one(ip))
				m.pass(time.Minute)
				if now := m.ip("web"); now != ip {
					t.Errorf("moved from %s to %s", ip, now)
				}
				if got := m.told("AddressConflict"); len(got) == 0 || strings.Contains(got[0], "instead") {
					t.Errorf("events %q", got)
				}
			}, tenAddresses)
		})
	}
}

// TestStationBeforeTheFirstEndpoint: the address is bound long before anybody announces it, and
// unused until then.
func TestStationBeforeTheFirstEndpoint(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil)
		ip := m.bound("web")
		m.pass(30 * time.Second)
		m.comes(alike, ip)
		m.serve("web", "n1", "n2", "n3")
		m.pass(500 * time.Millisecond)
		if now := m.ip("web"); now == ip || len(m.owners(now)) != 1 {
			t.Errorf("the Service has %s, answered by %v", now, m.owners(now))
		}
		if got := m.owners(ip); len(got) != 0 {
			t.Errorf("%s is answered by %v", ip, got)
		}
	}, tenAddresses)
}

// TestStationsEverywhere: where something answers for every address as soon as it is bound, a
// Service is moved three times at most, and told why it stays.
func TestStationsEverywhere(t *testing.T) {
	for name, tc := range map[string]struct {
		mac   func(int) string
		moves int
	}{
		"one station":   {alike, 1},
		"many stations": {other, 3},
	} {
		t.Run(name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.pass(time.Minute)
				m.comes(tc.mac, tenIPs()...)
				m.create("web", nil, "n1", "n2", "n3")
				m.bound("web")
				m.pass(time.Minute)
				if ip := m.ip("web"); len(m.owners(ip)) != 1 {
					t.Errorf("%s is answered by %v", ip, m.owners(ip))
				}
				released, told := m.told("IPReleased"), m.told("AddressConflict")
				if len(released) != tc.moves || len(told) != tc.moves+1 || !strings.Contains(told[tc.moves], "is not moved again") {
					t.Errorf("released %q, told %q", released, told)
				}
			}, tenAddresses)
		})
	}
}

// TestStationAndAFreedAddress: the only other address was released a moment ago. It is given as
// soon as the wire says that it is free, and there is one event, of the change.
func TestStationAndAFreedAddress(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(time.Minute)
		m.create("first", nil, "n1", "n2", "n3")
		freed := m.bound("first")
		m.pass(time.Minute)
		m.remove("first")
		taken := netip.MustParseAddr("198.18.64.1")
		if taken.String() == freed {
			taken = taken.Next()
		}
		m.comes(alike, taken.String())
		m.create("web", nil, "n1", "n2", "n3")
		m.until("the other address", time.Second, func() bool { return m.ip("web") == freed })
		m.pass(time.Minute)
		if got := m.told("AddressConflict"); len(got) != 1 || !strings.Contains(got[0], "it has "+freed+" instead") {
			t.Errorf("events %q", got)
		}
	}, "default=198.18.64.1-198.18.64.2")
}
