package speaker

import (
	"testing"
	"time"
)

// oneAddress is a pool that is used up by one Service.
const oneAddress = "default=198.18.64.1-198.18.64.1"

// passesOn has a Service wait for the only address, lets something happen, and removes the Service
// that has it. It returns how long the waiting one waits from then on.
func passesOn(t *testing.T, before func(m *model, announcer string)) (took, double time.Duration) {
	t.Helper()
	lab(t, func(m *model) {
		m.create("first", nil, "n1", "n2", "n3")
		ip := m.bound("first")
		m.pass(2 * time.Second)
		m.create("second", nil, "n1", "n2", "n3")
		m.pass(2 * time.Second)
		before(m, m.one(ip))
		_, double = m.during(ip, func() {
			begun := time.Now()
			m.remove("first")
			m.until("second has the address", 20*time.Second, func() bool { return m.ip("second") == ip })
			took = time.Since(begun)
			m.pass(time.Second)
		})
		m.pass(10 * time.Second)
		if got := m.owners(ip); len(got) != 1 {
			t.Errorf("%s is answered by %v", ip, got)
		}
	}, oneAddress)
	return took, double
}

// TestFreedAddress: an address that a Service waits for is given to it as soon as the wire says
// that nobody answers for it any more, and otherwise after a rest.
func TestFreedAddress(t *testing.T) {
	soon, rest := [2]time.Duration{0, 300 * time.Millisecond}, [2]time.Duration{5 * time.Second, 6 * time.Second}
	for name, tc := range map[string]struct {
		before func(m *model, announcer string)
		within [2]time.Duration
	}{
		"its announcer lets go at once": {func(*model, string) {}, soon},
		"its announcer learns late": {func(m *model, announcer string) {
			m.set(announcer, func(b *node) { b.lag = time.Second })
		}, [2]time.Duration{time.Second, 2500 * time.Millisecond}}, // it may be the one that picks
		"its announcer is stopped": {func(m *model, announcer string) {
			m.freeze(announcer)
			time.AfterFunc(10*time.Second, func() { m.thaw(announcer) })
		}, rest},
		"the address is on no network of a node": {func(m *model, _ string) {
			for _, name := range []string{"n1", "n2", "n3"} {
				m.set(name, func(b *node) { b.network = "198.18.0.0/18" })
			}
			m.pass(time.Second)
		}, rest},
	} {
		t.Run(name, func(t *testing.T) {
			took, double := passesOn(t, tc.before)
			if took < tc.within[0] || took > tc.within[1] {
				t.Errorf("given after %v, want %v", took, tc.within)
			}
			if double > 0 {
				t.Errorf("two answered for %v", double)
			}
		})
	}
}
