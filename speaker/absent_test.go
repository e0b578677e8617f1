package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// absences: speakers are away while their hosts forward: for a minute nothing moves, and another
// one answers with the owner's MAC. Gossip finds out about a crash after 0.5 s.
func absences() []scenario {
	const grace = time.Minute
	keeps := func(name string, nodes int, run func(s *scene)) scenario {
		return scenario{name, nodes, func(s *scene) {
			s.patient(grace)
			s.web()
			run(s)
		}}
	}
	return []scenario{
		keeps("a speaker restarts", 3, func(s *scene) {
			s.still("restart", 0, func() {
				s.leaves(s.top)
				s.pass(2 * time.Second)
				if v := s.speakers[s.third].speaker.Snapshot().VIPs[0]; v.Owner != s.top || v.AnsweredBy != s.second {
					s.t.Errorf("status shows that %s has it and %s answers: %s", v.Owner, v.AnsweredBy, v.Reason)
				}
				s.begin(s.top)
				s.pass(10 * time.Second)
			})
			if !s.owns(s.top)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}),
		keeps("a speaker crashes and is back", 3, func(s *scene) {
			s.still("crash", 510*ms, func() {
				s.kill(s.top)
				s.within("it is absent", 510*ms, s.sees(s.second, s.top, mesh.State(peers.Absent)))
				s.pass(5 * time.Second)
				s.begin(s.top)
				s.pass(10 * time.Second)
			})
		}),
		keeps("a process is stopped and continued, and others kept its addresses", 3, func(s *scene) {
			s.still("stop", 510*ms, func() { s.freeze(s.top); s.pass(10 * time.Second); s.thaw(s.top); s.pass(10 * time.Second) })
		}),
		keeps("a host dies, its watchers say so, and the next node hears none of them", 9, func(s *scene) {
			s.unheard(s.second)
			s.limit("death", 1950*ms, 0, func() { s.dies(s.top, 500*ms); s.pass(5 * time.Second) })
		}),
		{"a speaker crashes whose deputy does not know the Service", 4, func(s *scene) {
			s.patient(grace)
			s.plan()
			s.misses(s.second)
			s.answersWithin(2 * ms)
			s.still("crash", 870*ms, func() { s.kill(s.top); s.pass(5 * time.Second) })
			s.still("the deputy learns of it", 0, func() { s.learns(s.second); s.pass(5 * time.Second) })
			s.still("return", 0, func() { s.begin(s.top); s.pass(10 * time.Second) })
		}},
		keeps("a host dies whose speaker is away", 3, func(s *scene) {
			s.leaves(s.top)
			s.pass(5 * time.Second)
			s.limit("death", 100*ms, 0, func() { s.set(s.top, func(b *node) { b.up = false }); s.pass(3 * time.Second) })
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}),
		keeps("a speaker does not come back", 3, func(s *scene) {
			s.leaves(s.top)
			s.pass(grace - 5*time.Second)
			if !s.owns(s.top)() {
				s.t.Errorf("%v answer within the grace", s.owners(s.ip))
			}
			s.limit("end of the grace", 0, 0, func() { s.pass(10 * time.Second) })
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer after the grace", s.owners(s.ip))
			}
		}),
		keeps("a deputy ends as well", 4, func(s *scene) {
			s.still("two restarts", 0, func() {
				s.leaves(s.top)
				s.pass(2 * time.Second)
				s.leaves(s.second)
				s.pass(2 * time.Second)
				s.begin(s.second)
				s.pass(5 * time.Second)
				s.begin(s.top)
				s.pass(10 * time.Second)
			})
		}),
		keeps("a node is cordoned, and its speaker ends", 3, func(s *scene) {
			s.still("cordon", 0, func() {
				s.setNode(s.top, func(n *watcher.Node) { n.Cordoned = true })
				s.pass(10 * time.Second)
			})
			s.limit("end", 0, 5*ms, func() { s.leaves(s.top); s.pass(3 * time.Second) })
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}),
		unheard("never answered", 0),
		unheard("answer no more", time.Second),
		keeps("a node is selected no more, and its speaker ends", 3, func(s *scene) {
			s.mu.Lock()
			s.placement = &watcher.Placement{NodeSelector: map[string]string{"edge": "yes"}}
			s.mu.Unlock()
			for _, name := range s.others(s.top) {
				s.setNode(name, func(n *watcher.Node) { n.Labels = map[string]string{"edge": "yes"} })
			}
			s.limit("end", 0, 5*ms, func() { s.leaves(s.top); s.pass(3 * time.Second) })
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}),
		keeps("a speaker restarts while gossip is blocked", 3, func(s *scene) {
			names := s.others("")
			between(names, names, s.block)
			s.pass(10 * time.Second)
			// Who is back does not learn that others kept its addresses, and is returning.
			s.limit("restart", 0, 5*ms, func() { s.leaves(s.top); s.pass(3 * time.Second); s.begin(s.top); s.pass(10 * time.Second) })
		}),
		keeps("a link is back while gossip is blocked and a speaker is away, the last one's", 3, func(s *scene) {
			s.apart(grace, s.third)
			if !s.owns(s.top)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}),
		keeps("a link is back while gossip is blocked and a speaker is away, the next one's", 3, func(s *scene) {
			s.apart(grace, s.second)
		}),
		{"a member sees it otherwise while a speaker is away", 3, func(s *scene) { s.otherwise(grace, false) }},
		{"a member of higher rank sees it otherwise while a speaker is away", 3, func(s *scene) { s.otherwise(grace, true) }},
		keeps("a stranger claims it while a speaker is away", 3, func(s *scene) {
			s.leaves(s.top)
			s.pass(2 * time.Second)
			s.claim(s.ip, strangeMAC)
			s.within("it is reported", 205*ms, func() bool { return len(s.conflicts(s.second)) > 0 })
		}),
		keeps("all speakers restart at once", 3, func(s *scene) {
			x := s.meter(s.ip, func() {
				s.restarts([]string{s.second, s.third, s.top}, pauses)
				s.pass(10 * time.Second)
			})
			if x.double > 0 || x.others(s.top) || x.longest > 3*time.Second {
				s.t.Errorf("%v answered, nobody for %s, two for %s", x.seen, x.longest, x.double)
			}
		}),
		keeps("all speakers are restarted one after the other", 4, func(s *scene) {
			s.still("rolling restart", 0, func() {
				for _, n := range s.others("") {
					s.leaves(n)
					s.pass(2 * time.Second)
					s.begin(n)
					s.pass(5 * time.Second)
				}
			})
		}),
	}
}

// apart has a node come back that hears no gossip and knows nothing of an absence. It takes the
// others for dead, and then hands over to a deputy.
func (s *scene) apart(grace time.Duration, name string) {
	all := s.others("")
	between(all, all, s.block)
	s.set(name, func(b *node) { b.up, b.nics = false, []string{}; poke(b.wired) })
	s.pass(grace + 10*time.Second)
	s.freeze(s.top)
	s.pass(3 * time.Second)
	s.limit("link", 0, 60*ms, func() { // the successor is asked after 50 ms
		s.set(name, func(b *node) { b.up, b.nics = true, nil; poke(b.wired) })
		s.pass(10 * time.Second)
	})
}

// unheard is what happens to the addresses of nodes whose kernels answer nobody from so long after
// the start of their speakers.
func unheard(how string, after time.Duration) scenario {
	return scenario{"speakers end and crash whose kernels " + how, 3, func(s *scene) {
		s.rules.grace = time.Minute
		for _, n := range s.others("") {
			s.leaves(n)
			s.begin(n)
			s.pass(after)
			s.set(n, func(b *node) { b.mute = true })
			s.pass(time.Second)
		}
		s.pass(20 * time.Second)
		s.web()
		s.silentKernels(s.others("")...)
		s.limit("end", 0, 5*ms, func() { s.leaves(s.top); s.pass(3 * time.Second) })
		if !s.owns(s.second)() {
			s.t.Errorf("%v answer after the end of %s", s.owners(s.ip), s.top)
		}
		s.limit("crash", 620*ms, 0, func() { s.kill(s.second); s.pass(5 * time.Second) })
		if !s.owns(s.third)() {
			s.t.Errorf("%v answer after the crash of %s", s.owners(s.ip), s.second)
		}
	}}
}

// restart starts a speaker anew that asks for a grace.
func (s *scene) restart(name string, grace time.Duration) {
	s.rules.grace = grace
	s.leaves(name)
	s.begin(name)
	s.pass(time.Second)
}

// otherwise has a node elect itself, and answer, while another one is the deputy of who is away:
// the deputy gives way, whether it outranks that node or not.
func (s *scene) otherwise(grace time.Duration, higher bool) {
	for _, n := range s.others("") {
		s.restart(n, grace)
	}
	s.pass(10 * time.Second)
	s.web(local)
	claimant := s.third
	if higher {
		claimant = s.second
		s.setNode(claimant, func(n *watcher.Node) { n.Going = "DrainInProgress" })
	}
	s.leaves(s.top)
	s.pass(2 * time.Second)
	s.limit("views differ", 0, 10*ms, func() { s.believe(claimant, claimant); s.pass(5 * time.Second) })
	if !s.owns(claimant)() {
		s.t.Errorf("%v answer in the end", s.owners(s.ip))
	}
}

// still runs f, during which one MAC alone answers for the address, always the same, but for a gap.
func (s *scene) still(what string, gap time.Duration, f func()) {
	x := s.meter(s.ip, f)
	if x.longest > gap || x.double > 0 {
		s.t.Errorf("%s: no answer for %s, allowed %s; two for %s", what, x.longest, gap, x.double)
	}
	if x.others(s.top) {
		s.t.Errorf("%s: it moved: %v answered", what, x.seen)
	}
}

// TestAbsenceIsSeen: status says until when a node keeps its addresses and who answers for them; an
// event does so after some seconds, once. When the grace is over it is counted that addresses
// moved.
func TestAbsenceIsSeen(t *testing.T) {
	eight(t, func(m *model, _ map[string]string, _ func(f func()) []*meter) {
		ended := time.Now()
		m.leaves("n5")
		m.pass(2 * time.Second)
		got := m.member("n1", "n5")
		until := ended.Add(time.Minute).UTC()
		if got.State != api.Absent || !strings.HasPrefix(got.Away, "keeps its addresses until "+until.Format(time.TimeOnly)+", and n") || got.KeepsUntil.Sub(until) > time.Second {
			t.Errorf("status says %q until %v, want %v", got.Away, got.KeepsUntil, until)
		}
		if !strings.Contains(got.Verdict, got.Away) {
			t.Errorf("the verdict is %q", got.Verdict)
		}
		if told := m.told(report.SpeakerAway); len(told) > 0 {
			t.Errorf("an event after two seconds: %q", told)
		}
		m.pass(10 * time.Second)
		told := m.told(report.SpeakerAway)
		slices.Sort(told)
		if told = slices.Compact(told); len(told) != 1 || !strings.HasPrefix(told[0], "n5: the speaker of n5 is away: the node "+got.Away) {
			t.Errorf("events: %q", told)
		}
		for _, e := range m.events {
			if e.Reason == report.SpeakerAway && e.Warning {
				t.Errorf("a warning: %s", e.Message)
			}
		}
		m.pass(time.Minute)
		for _, n := range []string{"n1", "n2", "n3", "n4"} {
			if moved := m.value(n, "starling_member_absences_moved_total"); moved != 1 {
				t.Errorf("%s has counted %v absences that ended in a move", n, moved)
			}
			if got := m.member(n, "n5"); got.Away != "" || !got.KeepsUntil.IsZero() {
				t.Errorf("%s shows %q until %v", n, got.Away, got.KeepsUntil)
			}
		}
	})
}

// value is the sum of a metric of a speaker.
func (m *model) value(name, metric string) (sum float64) {
	m.t.Helper()
	families, err := m.speakers[name].registry.Gather()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			if f.GetName() == metric {
				sum += x.GetCounter().GetValue()
			}
		}
	}
	return sum
}
