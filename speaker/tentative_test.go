package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

const strangeMAC = "02:00:00:00:00:99"

// has puts a station on the wire that answers for addresses. Who tries them out
// already notices when it looks again.
func (m *model) has(ips ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stations = map[netip.Addr]string{}
	for _, ip := range ips {
		m.stations[netip.MustParseAddr(ip)] = strangeMAC
		for _, b := range m.speakers {
			if b.card.machine.Role(netip.MustParseAddr(ip)) == claims.Tentative {
				b.hear(claims.Claim{IP: netip.MustParseAddr(ip), MAC: hardware(strangeMAC)})
			}
		}
	}
}

// TestAllocationDoesNotWaitForProbes: what is picked next was probed before,
// fifty Services a second.
func TestAllocationDoesNotWaitForProbes(t *testing.T) {
	long(t)
	lab(t, func(m *model) {
		for i := range 200 {
			name, begun := fmt.Sprint("s", i), time.Now()
			m.create(name, nil, "n1", "n2", "n3")
			m.bound(name)
			if took := time.Since(begun); took > 20*time.Millisecond {
				t.Errorf("%s has an address after %v", name, took)
			}
			m.pass(20*time.Millisecond - time.Since(begun)%(20*time.Millisecond))
		}
	}, "default=198.18.64.0/20")
}

// TestStrangersAddressIsPassedOver: the first addresses of the pool are somebody
// else's; a Service gets the first free one at once, and one that asks for such
// an address learns why it may not have it.
func TestStrangersAddressIsPassedOver(t *testing.T) {
	lab(t, func(m *model) {
		m.has("198.18.64.1", "198.18.64.2", "198.18.64.9")
		m.pass(time.Minute)
		m.create("web", nil, "n1")
		m.bound("web")
		m.pass(time.Second)
		if ip := m.ip("web"); ip == "198.18.64.1" || ip == "198.18.64.2" {
			t.Errorf("a stranger's address %s is handed out", ip)
		}
		m.create("asking", func(s *watcher.Service) {
			s.Annotations = [][2]string{{"starling-lb.io/loadBalancerIPs", "198.18.64.9"}}
		}, "n1")
		m.pass(5 * time.Second)
		if ip := m.ip("asking"); ip != "" {
			t.Errorf("asked for a stranger's address and got %s", ip)
		}
		if got := m.told("AllocationFailed"); len(got) != 1 || !strings.Contains(got[0], "a station with the MAC "+strangeMAC+" answers for it") {
			t.Errorf("events %q", got)
		}
	}, tenAddresses)
}

// TestReleasedAddressIsAskedForAtOnce: the announcer learns later than the picker that a Service is
// gone. Its answers to the picker's probes are those of a member that is about to let go, and no
// reason to refuse the address to the next Service.
func TestReleasedAddressIsAskedForAtOnce(t *testing.T) {
	lab(t, func(m *model) {
		asking := func(ip string) func(*watcher.Service) {
			return func(s *watcher.Service) { s.Annotations = [][2]string{{"starling-lb.io/loadBalancerIPs", ip}} }
		}
		picks := func(name string) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.speakers[name].card.machine.Probed()) > 0
		}
		ip, late := "", ""
		for i := 1; late == ""; i++ {
			m.create("first", asking(fmt.Sprintf("198.18.64.%d", i)), "n1", "n2", "n3")
			ip = m.bound("first")
			if owner := m.one(ip); !picks(owner) {
				late = owner
				break
			}
			m.remove("first")
			m.pass(time.Second)
		}
		m.set(late, func(b *node) { b.lag = 500 * time.Millisecond })
		m.remove("first")
		begun := time.Now()
		m.pass(20 * time.Millisecond)
		m.create("second", asking(ip), "n1", "n2", "n3")
		m.bound("second")
		if took := time.Since(begun); took > time.Second {
			t.Errorf("bound after %v", took)
		}
		m.pass(2 * time.Second)
		if got := m.owners(ip); !slices.Equal(got, []string{late}) {
			t.Errorf("%v answer", got)
		}
		if got := m.told("AllocationFailed"); len(got) > 0 {
			t.Errorf("events %q", got)
		}
	}, tenAddresses)
}

// TestProbingOfAnAddressThatIsAskedFor: nobody can know it in advance, so the
// Service waits for as long as probing takes, and no longer.
func TestProbingOfAnAddressThatIsAskedFor(t *testing.T) {
	lab(t, func(m *model) {
		begun := time.Now()
		m.create("web", func(s *watcher.Service) {
			s.Annotations = [][2]string{{"starling-lb.io/loadBalancerIPs", "198.18.200.7"}}
		}, "n1")
		m.bound("web")
		lasts := m.speakers["n1"].speaker.cfg.ProbeTime
		if took := time.Since(begun); took < lasts || took > lasts+100*time.Millisecond {
			t.Errorf("bound after %v, probing takes %v", took, lasts)
		}
	}, "default=198.18.64.0-198.18.255.254")
}

// TestKernelIsAProblem: what the node's kernel does with addresses of Services is
// said with what to do, and the node goes on.
func TestKernelIsAProblem(t *testing.T) {
	lab(t, func(m *model) {
		c := health.New(health.KernelAnswers, health.Node(""), "the kernel answers").Do("set strictARP: true")
		m.set("n1", func(b *node) { b.kernel = []health.Condition{c} })
		m.pass(idleTurn)
		got := m.speakers["n1"].speaker.Snapshot()
		told := func(x health.Condition) bool {
			return x.Subject == health.Node("n1") && x.String() == "the kernel answers: set strictARP: true"
		}
		if !got.Ready || !slices.Contains(got.Problems, "the kernel answers") || !slices.ContainsFunc(got.Conditions, told) {
			t.Errorf("ready %v, problems %q", got.Ready, got.Problems)
		}
	}, tenAddresses)
}

// TestProbingIsForThePicker: of three speakers only the one that picks for the
// pool asks the wire.
func TestProbingIsForThePicker(t *testing.T) {
	lab(t, func(m *model) {
		m.mu.Lock()
		defer m.mu.Unlock()
		var asked []int
		for _, b := range m.speakers {
			asked = append(asked, len(b.card.machine.Probed()))
		}
		slices.Sort(asked)
		if !slices.Equal(asked, []int{0, 0, 10}) {
			t.Errorf("addresses tried out by the three: %v", asked)
		}
	}, tenAddresses)
}
