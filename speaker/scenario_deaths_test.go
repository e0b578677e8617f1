package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
)

// deaths: pace 40 ms; silent after four misses, suspect after two; a speaker is silent after 75 ms;
// a message or reply takes 2 ms.
func deaths() (all []scenario) {
	for _, offset := range []time.Duration{0, 13 * ms, 27 * ms} {
		all = append(all, scenario{fmt.Sprintf("a host dies, %v", offset), 5, func(s *scene) {
			s.web()
			s.pass(offset)
			s.limit("death", 210*ms, 0, func() { s.die(s.top); s.pass(3 * time.Second) })
			for _, n := range s.others(s.top) {
				if !s.sees(n, s.top, mesh.Dead)() {
					s.t.Errorf("%s does not take %s for dead", n, s.top)
				}
			}
		}})
	}
	for _, offset := range []time.Duration{0, 40 * ms, 80 * ms, 160 * ms, 240 * ms} {
		all = append(all, scenario{fmt.Sprintf("a process dies while gossip is blocked, %v", offset), 3, func(s *scene) {
			s.web()
			names := s.others("")
			between(names, names, s.block)
			s.limit("blocked", 0, 0, func() { s.pass(10*time.Second + offset) })
			s.limit("death", 420*ms, 0, func() { s.kill(s.top); s.pass(5 * time.Second) })
		}})
	}
	return append(all,
		scenario{"one node alone does not hear a host", 3, func(s *scene) {
			s.web()
			s.unrefuted()
			s.limit("one way", 0, 0, func() { s.cut(s.top, true, s.second); s.pass(5 * time.Second) })
		}},
		scenario{"a kernel answers nobody, its speaker does", 3, func(s *scene) {
			s.web()
			s.unrefuted()
			s.limit("mute kernel", 0, 0, func() { s.set(s.top, func(b *node) { b.mute = true }); s.pass(5 * time.Second) })
		}},
		scenario{"a kernel that answers nobody is named, once that is certain", 3, func(s *scene) {
			s.start("n4", func(b *node) { b.mute = true })
			s.start("n5", func(b *node) { b.mute, b.network = true, "192.0.2.0/24" })
			s.pass(14 * time.Second)
			s.silentKernels()
			s.pass(2 * time.Second)
			s.silentKernels("n4")
			s.web()
			s.set("n4", func(b *node) { b.mute = false })
			s.limit("mute kernel", 0, 0, func() { s.set(s.top, func(b *node) { b.mute = true }); s.pass(20 * time.Second) })
			s.silentKernels(s.top)
		}},
		scenario{"a host dies and the first messages are lost", 3, func(s *scene) {
			s.web()
			begun := time.Now()
			s.lossy = func() bool { return time.Since(begun) < 130*ms }
			s.limit("death", 215*ms, 0, func() { s.die(s.top); s.pass(3 * time.Second) })
		}},
		scenario{"a node of another network hears of a death", 3, func(s *scene) {
			s.start("n4", func(b *node) { b.network = "192.0.2.0/24" })
			s.web()
			s.die(s.top)
			s.within("n4 takes it for dead", 230*ms, s.sees("n4", s.top, mesh.Dead))
		}},
		scenario{"somebody makes members up", 3, func(s *scene) {
			s.web()
			s.limit("made up", 0, 0, func() { s.makeUp(20); s.pass(5 * time.Second) })
			s.limit("death", 210*ms, 0, func() { s.die(s.top); s.pass(3 * time.Second) })
		}},
		scenario{"a member that left gossip is there", 3, func(s *scene) {
			s.web()
			s.limit("left", 0, 60*ms, func() {
				s.set(s.top, func(b *node) { b.state, b.since = mesh.Left, time.Now() })
				s.gossip()
				s.pass(5 * time.Second)
			})
		}},
		scenario{"a node that gossip never met", 3, func(s *scene) {
			s.web()
			names := s.others("")
			between(names, names, s.block)
			s.leaves(s.top)
			s.pass(2 * time.Second)
			s.start(s.top)
			s.within("it is known by the wire", 3*time.Second, s.sees(s.top, s.second, mesh.State(peers.Wire)))
		}},
		scenario{"a process is stopped for a moment", 3, func(s *scene) {
			s.web()
			s.limit("stop", 700*ms, 0, func() { s.freeze(s.top); s.pass(700 * ms); s.thaw(s.top); s.pass(time.Second) })
			if n := s.deaths(); n > 0 {
				s.t.Errorf("%v members are declared dead", n)
			}
		}},
		scenario{"a process is stopped for long", 3, func(s *scene) {
			s.web()
			s.limit("stop", 910*ms, 0, func() { s.freeze(s.top); s.pass(5 * time.Second); s.thaw(s.top); s.pass(time.Second) })
			s.limit("afterwards", 0, 50*ms, func() { s.pass(20 * time.Second) })
		}},
		scenario{"a process is stopped for half a second, and neighbors learned another MAC", 3, func(s *scene) {
			s.web()
			s.freeze(s.top)
			s.pass(450 * ms)
			s.client.cache[netip.MustParseAddr(s.ip)] = s.speakers[s.second].mac
			s.thaw(s.top)
			s.believes(s.top, 5*ms)
		}},
		scenario{"a host that nobody hears, and gossip does", 3, func(s *scene) {
			s.web()
			s.unrefuted()
			s.set(s.top, func(b *node) { b.mute = true })
			s.cut(s.top, true, s.second, s.third)
			s.within("it is dead", 210*ms, s.sees(s.second, s.top, mesh.Dead))
			s.within("it is alive again", 10*time.Second+100*ms, s.sees(s.second, s.top, mesh.Alive))
		}},
	)
}

// silentKernels holds the nodes whose kernels any speaker says to be silent against those that are.
func (s *scene) silentKernels(want ...string) {
	var got []string
	for _, n := range s.others("") {
		for _, c := range s.speakers[n].speaker.Conditions() {
			if c.Code == health.KernelSilent {
				got = append(got, c.Subject.Name)
			}
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		s.t.Errorf("silent kernels %q, want %q", got, want)
	}
}
