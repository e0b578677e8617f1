package speaker

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// pauses lie between the starts of five speakers.
var pauses = []time.Duration{0, 3 * time.Second, 200 * time.Millisecond, 10 * time.Second, 6 * time.Second}

// restarts stops all speakers within half a second, and begins them in an order, with those pauses
// before each.
func (m *model) restarts(order []string, pauses []time.Duration) {
	for _, n := range order {
		m.speakers[n].stop()
		m.pass(100 * time.Millisecond)
	}
	for _, n := range order {
		<-m.speakers[n].done
	}
	m.pass(2 * time.Second)
	for i, n := range order {
		m.pass(pauses[i])
		m.begin(n)
	}
}

// eight starts five speakers that keep the addresses of each other for a minute, with eight
// addresses, and tells where these are. Events of f are measured at all of them.
func eight(t *testing.T, story func(m *model, at map[string]string, metered func(f func()) []*meter)) {
	t.Helper()
	eightOn(t, 5, story)
}

// eightOn does the same with so many speakers.
func eightOn(t *testing.T, count int, story func(m *model, at map[string]string, metered func(f func()) []*meter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, tenAddresses)
		m.rules.grace = time.Minute
		defer m.end()
		var nodes []string
		for i := range count {
			nodes = append(nodes, fmt.Sprint("n", i+1))
			m.start(nodes[i])
		}
		m.pass(5 * time.Second)
		at, ips := map[string]string{}, []string{}
		for i := range 8 {
			name := fmt.Sprint("web", i)
			m.create(name, nil, nodes...)
			ips = append(ips, m.bound(name))
		}
		m.pass(10 * time.Second)
		for _, ip := range ips {
			at[ip] = m.one(ip)
		}
		story(m, at, func(f func()) (all []*meter) {
			for _, ip := range ips {
				next := f
				f = func() { all = append(all, m.meter(ip, next)) }
			}
			f()
			return all
		})
	})
}

// still fails if an address is not answered for with the MAC of the node where it was.
func (m *model) still(t *testing.T, at map[string]string) {
	t.Helper()
	for ip, n := range at {
		if got := m.owners(ip); !slices.Equal(got, []string{n}) {
			t.Errorf("%s is answered for %v, want %s", ip, got, n)
		}
	}
}

// TestAllRestart: all speakers restart at once. Whoever is back first does not take what others
// had, but answers for them.
func TestAllRestart(t *testing.T) {
	for i, order := range [][]string{{"n1", "n2", "n3", "n4", "n5"}, {"n4", "n2", "n5", "n1", "n3"}, {"n5", "n3", "n1", "n2", "n4"}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			variant(t, i)
			eight(t, func(m *model, at map[string]string, metered func(f func()) []*meter) {
				for _, x := range metered(func() {
					time.AfterFunc(500*time.Millisecond+2*time.Second+300*time.Millisecond, func() { m.still(t, at) })
					m.restarts(order, pauses)
					m.pass(2 * time.Minute)
				}) {
					if had := at[x.ip.String()]; x.others(had) || x.double > 0 {
						t.Errorf("%s was at %s: %v answered, two for %s", x.ip, had, x.seen, x.double)
					}
				}
				m.still(t, at)
			})
		})
	}
}

// stopped ends all speakers for good.
func (m *model) stopped() {
	for _, b := range m.speakers {
		b.stop()
	}
	m.pass(2 * time.Second)
}

// TestAllRestartAndOneIsGone: one speaker does not come back. After its grace its addresses move,
// and each is answered all the time. If its host has died as well, they move as soon as a speaker
// is ready.
func TestAllRestartAndOneIsGone(t *testing.T) {
	for i, host := range []bool{true, false} {
		t.Run(fmt.Sprintf("its host is there: %v", host), func(t *testing.T) {
			variant(t, i)
			eight(t, func(m *model, at map[string]string, metered func(f func()) []*meter) {
				m.stopped()
				m.set("n5", func(b *node) { b.up = host })
				for _, n := range []string{"n3", "n1", "n4", "n2"} {
					m.begin(n)
					m.pass(time.Second)
				}
				for _, x := range metered(func() {
					if host {
						m.still(t, at)
					}
					m.pass(50 * time.Second)
					if host {
						m.still(t, at)
					}
					m.pass(20 * time.Second)
				}) {
					had, now := at[x.ip.String()], m.one(x.ip.String())
					if x.longest > 0 || x.double > 5*ms || had != "n5" && x.others(had) || now == "n5" {
						t.Errorf("%s was at %s: %v answered, and now %s; nobody for %s, two for %s", x.ip, had, x.seen, now, x.longest, x.double)
					}
				}
			})
		})
	}
}

// TestRestartWithoutMemory: speakers that were away for longer than their grace take what is there,
// as ever.
func TestRestartWithoutMemory(t *testing.T) {
	eight(t, func(m *model, at map[string]string, _ func(f func()) []*meter) {
		m.stopped()
		m.pass(time.Minute)
		m.begin("n2")
		m.pass(time.Second)
		for ip := range at {
			if got := m.owners(ip); !slices.Equal(got, []string{"n2"}) {
				t.Errorf("%s is answered for %v, want n2", ip, got)
			}
		}
	})
}

// TestRestartWhileAnotherIsAway: who was away at the same time as another one learns nothing of
// that from gossip, since memberlist tells nobody of members that have left; but it remembers it,
// and those that went on say that it is absent.
func TestRestartWhileAnotherIsAway(t *testing.T) {
	eight(t, func(m *model, at map[string]string, metered func(f func()) []*meter) {
		for _, x := range metered(func() {
			m.leaves("n1")
			m.pass(time.Second)
			m.leaves("n2")
			m.pass(time.Second)
			m.begin("n2")
			m.pass(20 * time.Second)
			m.still(t, at)
			m.begin("n1")
			m.pass(10 * time.Second)
		}) {
			if had := at[x.ip.String()]; x.longest > 0 || x.double > 0 || x.others(had) {
				t.Errorf("%s was at %s: %v answered; nobody for %s, two for %s", x.ip, had, x.seen, x.longest, x.double)
			}
		}
	})
}

// TestRestartNearTheEndOfAnAbsence: who is back late in the absence of another one does not begin
// it anew: those that went on know when it ends.
func TestRestartNearTheEndOfAnAbsence(t *testing.T) {
	eight(t, func(m *model, at map[string]string, metered func(f func()) []*meter) {
		var deputy string
		for _, v := range m.speakers["n5"].speaker.Snapshot().VIPs {
			if v.Owner == "n5" {
				deputy = v.Next
			}
		}
		m.leaves("n5")
		m.pass(40 * time.Second)
		m.leaves(deputy)
		m.pass(time.Second)
		m.begin(deputy)
		m.pass(15 * time.Second)
		m.still(t, at)
		for _, x := range metered(func() { m.pass(10 * time.Second) }) {
			if now := m.one(x.ip.String()); x.longest > 0 || x.double > 5*ms || now == "n5" {
				t.Errorf("%s: %v answered, and now %s; nobody for %s, two for %s", x.ip, x.seen, now, x.longest, x.double)
			}
		}
		for _, b := range m.speakers {
			if b.name != "n5" && m.deputies(b.name) > 0 {
				t.Errorf("%s answers for n5 still", b.name)
			}
		}
	})
}

// deputies is for how many addresses a speaker answers in the name of another one.
func (m *model) deputies(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.speakers[name].speaker.deputy)
}

// TestManyRestart: there are more speakers than one can name that are absent. The next ones know by
// themselves that nobody can have taken their addresses.
func TestManyRestart(t *testing.T) {
	long(t)
	const count = 24
	eightOn(t, count, func(m *model, at map[string]string, metered func(f func()) []*meter) {
		m.stopped()
		m.begin("n1")
		m.pass(time.Second)
		m.still(t, at)
		for _, x := range metered(func() {
			for i := range count - 1 {
				m.begin(fmt.Sprint("n", i+2))
			}
			m.pass(5 * time.Second)
		}) {
			if had := at[x.ip.String()]; x.longest > 0 || x.double > 0 || x.others(had) {
				t.Errorf("%s was at %s: %v answered; nobody for %s, two for %s", x.ip, had, x.seen, x.longest, x.double)
			}
		}
	})
}
