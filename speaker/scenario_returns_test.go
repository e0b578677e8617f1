package speaker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/peers"
)

// returns: a node that comes back lets others go first for 3 s, twice as long each time within five
// minutes, up to a minute. Contact with the API server is unsure after 30 s and lost after 60 s.
func returns() []scenario {
	return []scenario{
		{"a link is back", 3, func(s *scene) {
			s.web()
			s.pass(6 * time.Minute) // the start of a speaker is a return as well
			s.flap()
			s.back(3 * time.Second)
			s.pass(200 * time.Second)
			s.flap()
			s.back(6 * time.Second)
			for _, held := range []int{12, 24, 48, 60} {
				s.flap()
				s.back(time.Duration(held) * time.Second)
			}
		}},
		cutOff("lives", func(*scene) {}),
		cutOff("is stopped", func(s *scene) { s.freeze(s.top) }),
		{"all boot, and nodes that come back are held for good", 3, func(s *scene) {
			all := s.others("")
			s.rules.peers.Hold = peers.Never
			for _, n := range all {
				s.leaves(n)
			}
			s.pass(2 * time.Second)
			for _, n := range all {
				s.begin(n)
				s.pass(time.Second)
			}
			s.pass(3 * time.Second)
			for _, n := range all {
				if m := s.member(all[0], n); !m.Ready || m.Returning {
					s.t.Errorf("%s is ready %v, returning %v", n, m.Ready, m.Returning)
				}
			}
			s.pass(35 * time.Second)
			s.start("n9")
			s.pass(time.Minute)
			if !s.member(all[0], "n9").Returning {
				s.t.Errorf("who is much later than the others does not let them go first")
			}
		}},
		{"the owner is away from the API server", 3, func(s *scene) {
			s.web(local)
			s.set(s.top, silent(time.Now()))
			s.pass(55 * time.Second)
			if !s.owns(s.top)() {
				s.t.Errorf("%v answer after 55 s", s.owners(s.ip))
			}
			s.within("it is passed over", 11*time.Second, s.owns(s.second))
		}},
		{"all are away from the API server", 3, func(s *scene) {
			s.web(local)
			all := []string{s.top, s.second, s.third}
			s.limit("away and back", 0, 0, func() {
				for _, n := range all {
					s.set(n, silent(time.Now()))
					s.pass(5 * time.Second)
				}
				s.pass(3 * time.Minute)
				slices.Reverse(all)
				for _, n := range all {
					s.set(n, silent(time.Time{}))
					s.pass(5 * time.Second)
				}
				s.pass(time.Minute)
			})
		}},
	}
}

// cutOff cuts a node off behind its switch, so that it takes all addresses, and lets it back: it
// finds a peer on the wire within 250 ms, and leaves the addresses. Gossip stays blocked. The link
// is back when a node that asks once a second has just done so.
func cutOff(owner string, meanwhile func(s *scene)) scenario {
	return scenario{"a node that was cut off is back while the owner " + owner, 3, func(s *scene) {
		s.web()
		others := s.others(s.second)
		cut := func(lost bool) {
			between([]string{s.second}, others, func(listener, talker string) { s.cut(talker, lost, listener) })
		}
		between([]string{s.second}, others, s.block)
		cut(true)
		s.pass(4 * time.Second)
		meanwhile(s)
		s.pass(2560 * ms)
		if !slices.Contains(s.answering(netip.MustParseAddr(s.ip)), s.second) {
			s.t.Errorf("the node that is cut off does not answer")
		}
		s.limit("back", 0, 330*ms, func() { cut(false); s.pass(2 * time.Second) })
	}}
}

// flap takes the owner away for ten seconds, by its link.
func (s *scene) flap() { s.flaps(s.top) }

// back: who had the address before has it again after it was held, and not sooner.
func (s *scene) back(held time.Duration) {
	s.pass(held - 700*ms)
	if !s.owns(s.second)() {
		s.t.Errorf("%v answer %s after the return, want %s", s.owners(s.ip), held-700*ms, s.second)
	}
	s.within("it has it again", 1200*ms, s.owns(s.top))
}

func silent(since time.Time) func(b *node) { return func(b *node) { b.silent = since } }
