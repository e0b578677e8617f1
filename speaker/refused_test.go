package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/watcher"
)

// plan is web, but says what will be: the address of the Service and its ranking, which some nodes
// are not to hear of.
func (s *scene) plan() {
	s.ip = "198.18.64.1"
	var nodes []owner.Node
	for _, n := range s.others("") {
		nodes = append(nodes, owner.Node{Name: n})
	}
	list := owner.New(nodes).Ranking(owner.VIP{IP: netip.MustParseAddr(s.ip), Serving: true})
	s.top, s.second, s.third = list[0].Node, list[1].Node, list[2].Node
}

// misses has nodes hear nothing from the API server from now on.
func (m *model) misses(nodes ...string) {
	for _, n := range nodes {
		m.set(n, func(b *node) {
			if b.silent.IsZero() {
				b.lag, b.silent = time.Hour, time.Now()
			}
		})
	}
}

// learns has them know what there is, and go on.
func (m *model) learns(nodes ...string) {
	for _, n := range nodes {
		m.set(n, func(b *node) {
			b.lag, b.silent, b.reset, b.changes = 0, time.Time{}, true, map[watcher.Key]*watcher.Service{}
			for k, v := range m.services {
				b.changes[k] = &v
			}
			poke(b.kubed)
		})
	}
}

// answersWithin makes the Service and holds how long nobody answers, from when the address is
// bound, against what is allowed. It returns which nodes answered then.
func (s *scene) answersWithin(limit time.Duration) *meter {
	s.create("web", nil, s.others("")...)
	if s.bound("web") != s.ip {
		s.t.Fatalf("the first address is %s, not %s", s.bound("web"), s.ip)
	}
	x := s.meter(s.ip, func() { s.pass(3 * time.Second) })
	if x.longest > limit || x.double > 0 {
		s.t.Errorf("no answer for %s, allowed %s; two for %s", x.longest, limit, x.double)
	}
	return x
}

// instead is the address at second, because top does not know the Service.
func (s *scene) instead(grace time.Duration) {
	if grace > 0 {
		s.patient(grace)
	}
	s.plan()
	s.misses(s.top)
	s.answersWithin(350 * ms)
	s.within(s.second+" has it", 0, s.owns(s.second))
}

// refusals: an elected node has 0.3 s to be heard, one that comes next 0.1 s more; who is asked and
// has not the address is silent after 45 ms.
func refusals() (all []scenario) {
	for missing := 1; missing <= 3; missing++ {
		limit := 350*ms + time.Duration(missing-1)*150*ms
		all = append(all, scenario{fmt.Sprintf("the first %d of five do not know the Service", missing), 5, func(s *scene) {
			s.plan()
			ignorant := []string{s.top, s.second, s.third}[:missing]
			s.misses(ignorant...)
			s.answersWithin(limit)
			s.limit("later", 0, 0, func() { s.pass(30 * time.Second) })
			s.limit("known at last", 0, 15*ms, func() { s.learns(ignorant...); s.pass(2 * time.Second) })
			s.within(s.top+" has it", 0, s.owns(s.top))
		}})
	}
	for _, grace := range []time.Duration{0, time.Minute} {
		all = append(all,
			scenario{fmt.Sprint("who has the address instead is stopped for long, grace ", grace), 5, func(s *scene) {
				s.instead(grace)
				s.limit("stop", 910*ms, 5*ms, func() { s.freeze(s.second); s.pass(5 * time.Second); s.thaw(s.second); s.pass(2 * time.Second) })
				s.limit("later", 0, 0, func() { s.pass(10 * time.Second) })
			}},
			scenario{fmt.Sprint("who has the address instead is stopped, and the elected node hears of it, grace ", grace), 5, func(s *scene) {
				s.instead(grace)
				s.freeze(s.second)
				s.pass(2 * time.Second)
				s.learns(s.top)
				s.pass(time.Second)
				s.limit("stop", 0, 0, func() { s.thaw(s.second); s.pass(5 * time.Second) })
				s.within(s.top+" has it", 0, s.owns(s.top))
			}},
		)
	}
	return append(all,
		scenario{"the elected node hears of a Service a little later", 5, func(s *scene) {
			s.plan()
			s.set(s.top, func(b *node) { b.lag = 250 * ms })
			if x := s.answersWithin(255 * ms); x.others(s.top) {
				s.t.Errorf("%v answer, want %s alone", x.seen, s.top)
			}
		}},
		scenario{"who comes next asks a little later", 5, func(s *scene) {
			s.plan()
			s.misses(s.top)
			s.set(s.second, func(b *node) { b.lag = 80 * ms })
			if x := s.answersWithin(435 * ms); x.others(s.second) {
				s.t.Errorf("%v answer, want %s alone", x.seen, s.second)
			}
		}},
		scenario{"the owner dies, and the next does not know the Service", 5, func(s *scene) {
			s.plan()
			s.misses(s.second)
			s.answersWithin(2 * ms)
			s.limit("death", 560*ms, 0, func() { s.die(s.top); s.pass(3 * time.Second) })
			s.within(s.third+" has it", 0, s.owns(s.third))
			s.limit("known at last", 0, 15*ms, func() { s.learns(s.second); s.pass(2 * time.Second) })
			s.within(s.second+" has it", 0, s.owns(s.second))
		}},
		scenario{"who has the address instead dies too", 5, func(s *scene) {
			s.instead(0)
			s.limit("death", 260*ms, 0, func() { s.die(s.second); s.pass(3 * time.Second) })
			s.within(s.third+" has it", 0, s.owns(s.third))
		}},
		scenario{"who has the address instead leaves", 5, func(s *scene) {
			s.instead(0)
			s.limit("drain", 0, 15*ms, func() { s.leaves(s.second); s.pass(3 * time.Second) })
			s.within(s.third+" has it", 0, s.owns(s.third))
		}},
		scenario{"the owner keeps the address of a Service that better nodes do not know", 5, func(s *scene) {
			s.plan()
			s.misses(s.top, s.second)
			for _, n := range []string{s.top, s.second} {
				s.proxyIs(n, proxy.Absent)
			}
			s.pass(10 * time.Second)
			s.answersWithin(2 * ms)
			s.within(s.third+" has it", 0, s.owns(s.third))
			s.limit("the second is better", 0, 0, func() { s.proxyIs(s.second, proxy.Healthy); s.pass(20 * time.Second) })
			s.limit("the first is better still", 0, 0, func() { s.proxyIs(s.top, proxy.Healthy); s.pass(20 * time.Second) })
			s.limit("drain", 0, 15*ms, func() { s.leaves(s.third); s.pass(5 * time.Second) })
		}},
		scenario{"who comes next does not hear the elected node", 3, func(s *scene) {
			s.plan()
			s.cut(s.top, true, s.second)
			if x := s.answersWithin(2 * ms); x.others(s.top) {
				s.t.Errorf("%v answer, want %s alone", x.seen, s.top)
			}
		}},
		scenario{"a Service is gone, and one node has not heard of that for long", 5, func(s *scene) {
			s.plan()
			s.answersWithin(2 * ms)
			s.misses(s.third)
			s.pass(70 * time.Second)
			s.remove("web")
			s.pass(time.Second)
			s.die(s.top)
			s.pass(5 * time.Second)
			if got := s.owners(s.ip); len(got) > 0 {
				s.t.Errorf("%v answer for the address of a Service that is gone", got)
			}
		}},
	)
}

// TestWhoSaysWhy: the node that has an address instead of the elected one says so.
func TestWhoSaysWhy(t *testing.T) {
	hall(t, 3, func(m *model) {
		s := &scene{model: m}
		s.plan()
		m.misses(s.top)
		m.create("web", nil, "n1", "n2", "n3")
		m.bound("web")
		m.pass(3 * time.Second)
		got := m.speakers[s.second].speaker.Who(netip.MustParseAddr(s.ip))
		if want := s.top + " is elected and does not answer for it, as a node that does not know the Service"; got.VIP.Owner != s.second || got.VIP.Reason != want {
			t.Errorf("%s has it: %q, want %s, %q", got.VIP.Owner, got.VIP.Reason, s.second, want)
		}
	}, tenAddresses)
}
