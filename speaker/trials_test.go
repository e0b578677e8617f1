package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/arpd"
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
			if t, tried := b.card.trials[netip.MustParseAddr(ip)]; tried {
				b.tried(netip.MustParseAddr(ip), t.Begun, strangeMAC)
			}
		}
	}
}

// TestAllocationDoesNotWaitForTrials: what is picked next was tried out before,
// one Service after another.
func TestAllocationDoesNotWaitForTrials(t *testing.T) {
	lab(t, func(m *model) {
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			begun := time.Now()
			m.create(name, nil, "n1")
			m.bound(name)
			if took := time.Since(begun); took > 20*time.Millisecond {
				t.Errorf("%s has an address after %v", name, took)
			}
		}
	}, tenAddresses)
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
		if got := m.told("AllocationFailed"); len(got) != 1 || !strings.HasSuffix(got[0], "a station with the MAC "+strangeMAC+" answers for it") {
			t.Errorf("events %q", got)
		}
	}, tenAddresses)
}

// TestTrialOfAnAddressThatIsAskedFor: nobody can know it in advance, so the
// Service waits for as long as a trial takes, and no longer.
func TestTrialOfAnAddressThatIsAskedFor(t *testing.T) {
	lab(t, func(m *model) {
		begun := time.Now()
		m.create("web", func(s *watcher.Service) {
			s.Annotations = [][2]string{{"starling-lb.io/loadBalancerIPs", "198.18.200.7"}}
		}, "n1")
		m.bound("web")
		lasts := m.speakers["n1"].speaker.cfg.Trial
		if took := time.Since(begun); took < lasts || took > lasts+trialSlack {
			t.Errorf("bound after %v, a trial takes %v", took, lasts)
		}
	}, "default=198.18.64.0-198.18.255.254")
}

// TestKernelIsAProblem: what the node's kernel does with addresses of Services is
// said with what to do, and the node goes on.
func TestKernelIsAProblem(t *testing.T) {
	lab(t, func(m *model) {
		f := arpd.Finding{Kind: arpd.KernelAnswers, Interface: "eth0", Text: "the kernel answers", Advice: "set strictARP: true"}
		m.set("n1", func(b *node) { b.findings = []arpd.Finding{f} })
		m.pass(idleTurn)
		got := m.speakers["n1"].speaker.Snapshot()
		if !got.Ready || !slices.Contains(got.Problems, "the kernel answers: set strictARP: true") {
			t.Errorf("ready %v, problems %q", got.Ready, got.Problems)
		}
	}, tenAddresses)
}

// TestTrialsAreForThePicker: of three speakers only the one that picks for the
// pool asks the wire.
func TestTrialsAreForThePicker(t *testing.T) {
	lab(t, func(m *model) {
		m.mu.Lock()
		defer m.mu.Unlock()
		var asked []int
		for _, b := range m.speakers {
			asked = append(asked, len(b.card.trials))
		}
		slices.Sort(asked)
		if !slices.Equal(asked, []int{0, 0, 10}) {
			t.Errorf("addresses tried out by the three: %v", asked)
		}
	}, tenAddresses)
}
