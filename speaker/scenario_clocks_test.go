package speaker

import (
	"fmt"
	"net/netip"
	"time"
)

// clocks: a wall clock that jumps changes nothing, and all that has a time keeps it. The rest is as
// in the other scenarios.
func clocks() (all []scenario) {
	for _, by := range []time.Duration{-time.Hour, -time.Minute, -ms, time.Minute, time.Hour} {
		all = append(all, scenario{fmt.Sprintf("a clock jumps by %v, and the host dies", by), 3, func(s *scene) {
			s.web(local)
			s.limit("jump", 0, 0, func() { s.jump(s.top, by); s.healthy(); s.pass(2 * time.Minute) })
			s.limit("death", 210*ms, 0, func() { s.die(s.top); s.pass(3 * time.Second) })
		}})
	}
	return append(all,
		scenario{"clocks jump apart, and an address is handed over", 3, func(s *scene) {
			s.web(local)
			s.limit("jumps", 0, 0, func() {
				for i, n := range s.others("") {
					s.jump(n, time.Duration(i-1)*time.Hour)
				}
				s.healthy()
				s.pass(2 * time.Minute)
			})
			s.limit("hand-over", 0, 20*ms, func() { s.serve("web", s.second); s.pass(3 * time.Second) })
			s.believes(s.second, 0)
		}},
		scenario{"a clock jumps while its node lets others go first", 3, func(s *scene) {
			s.web()
			s.pass(6 * time.Minute)
			for i, by := range []time.Duration{-time.Hour, time.Hour} {
				s.flap()
				s.jump(s.top, by)
				s.back(3 * time.Second << i)
			}
		}},
		scenario{"a clock jumps away from the API server", 3, func(s *scene) {
			s.web(local)
			s.set(s.top, silent(time.Now()))
			s.pass(5 * time.Second)
			s.limit("jumps", 0, 0, func() {
				for _, by := range []time.Duration{2 * time.Hour, -4 * time.Hour} {
					s.jump(s.top, by)
					s.pass(25 * time.Second)
				}
			})
			s.within("it is passed over", 11*time.Second, s.owns(s.second))
		}},
		scenario{"a clock jumps while a stranger claims the address", 3, func(s *scene) {
			s.web()
			s.claim(s.ip, strangeMAC)
			s.jump(s.top, time.Hour)
			s.believes(s.top, 205*ms)
			s.jump(s.top, time.Hour)
			s.claim(s.ip, strangeMAC)
			s.pass(9 * time.Second)
			if s.client.cache[netip.MustParseAddr(s.ip)] != strangeMAC {
				s.t.Errorf("defended again within 10 s")
			}
			s.jump(s.top, -3*time.Hour)
			s.pass(time.Second)
			s.claim(s.ip, strangeMAC)
			s.believes(s.top, 205*ms)
		}},
	)
}

// healthy: the loops of all nodes are seen to take turns.
func (s *scene) healthy() {
	for name, b := range s.speakers {
		if err := b.speaker.Healthy(); err != nil {
			s.t.Errorf("%s: %v", name, err)
		}
	}
}
