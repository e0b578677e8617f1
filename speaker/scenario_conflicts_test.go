package speaker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/claims"
)

// contested: a claim is defended against 0.2 s later, once in 10 s if it is a stranger's, then not
// before 0.5 and 0.8 s if it is a member's. Who is asked for an address is silent after 45 ms, or
// at once.
func contested() []scenario {
	insist := func(s *scene, times int, pause time.Duration) {
		for range times {
			s.forge(s.second)
			s.pass(pause)
		}
	}
	return []scenario{
		{"two elect themselves", 3, func(s *scene) {
			s.web(local)
			s.limit("views differ", 0, 210*ms, func() { s.believe(s.second, s.second); s.pass(20 * time.Second) })
			s.believes(s.top, 0)
			s.serve("web", s.second)
			s.within("the next in line has it", 155*ms, s.owns(s.second))
		}},
		{"a neighbor believed the lower one", 3, func(s *scene) {
			s.web()
			s.forge(s.second)
			s.believes(s.top, 205*ms)
		}},
		{"a neighbor believed the higher one", 3, func(s *scene) {
			s.web(local)
			s.serve("web", s.second)
			s.pass(20 * time.Second)
			s.forge(s.top)
			s.believes(s.second, 205*ms)
		}},
		{"a member claims it twice", 3, func(s *scene) {
			s.web()
			insist(s, 1, 600*ms)
			s.forge(s.second)
			s.believes(s.top, 205*ms)
		}},
		{"a member claims it again and again", 3, func(s *scene) {
			s.web()
			insist(s, 3, 850*ms)
			s.forge(s.second)
			s.believes(s.top, 205*ms)
			if !slices.Equal(s.conflicts(s.top), []string{claims.OfMember}) {
				s.t.Errorf("conflicts %q", s.conflicts(s.top))
			}
			s.pass(95 * time.Second) // 30 s, seen when conflicts are forgotten, which is once a minute
			if len(s.conflicts(s.top)) > 0 {
				s.t.Errorf("there are still conflicts %q", s.conflicts(s.top))
			}
		}},
		{"a stranger claims it", 3, func(s *scene) {
			s.web()
			s.claim(s.ip, strangeMAC)
			s.within("it is reported", 205*ms, func() bool { return len(s.conflicts(s.top)) > 0 })
			s.believes(s.top, 5*ms)
			for range 9 {
				s.claim(s.ip, strangeMAC)
				s.pass(time.Second)
				if s.client.cache[netip.MustParseAddr(s.ip)] != strangeMAC {
					s.t.Errorf("defended again within 10 s")
				}
			}
			s.pass(10 * time.Second)
			s.claim(s.ip, strangeMAC)
			s.believes(s.top, 205*ms)
			s.pass(9 * time.Minute)
			if len(s.conflicts(s.top)) == 0 {
				s.t.Errorf("the conflict is forgotten")
			}
			s.pass(3 * time.Minute)
			if len(s.conflicts(s.top)) > 0 {
				s.t.Errorf("the conflict is not forgotten")
			}
		}},
		{"who announces it is known", 3, func(s *scene) {
			s.web()
			heard := func(by, of string) bool {
				return (*modelWire)(s.speakers[by]).State().Heard[netip.MustParseAddr(s.ip)] == of
			}
			for _, n := range []string{s.second, s.third} {
				if !heard(n, s.speakers[s.top].mac) {
					s.t.Errorf("%s has not heard the owner", n)
				}
			}
			for _, mac := range []string{s.speakers[s.second].mac, s.speakers[s.third].mac, strangeMAC} {
				s.claim(s.ip, mac)
				s.pass(5 * ms)
				for _, n := range s.others("") {
					if mac != s.speakers[n].mac && !heard(n, mac) {
						s.t.Errorf("%s has not heard %s", n, mac)
					}
				}
				s.pass(15 * time.Second)
			}
		}},
		{"who announces it is known, whatever it is to the node", 3, func(s *scene) {
			s.web(local)
			s.serve("web", s.second)
			s.pass(20 * time.Second)
			heard := func(what, mac string) {
				s.claim(s.ip, mac)
				s.pass(5 * ms)
				if (*modelWire)(s.speakers[s.second]).State().Heard[netip.MustParseAddr(s.ip)] != mac {
					s.t.Errorf("%s: %s has not heard %s", what, s.second, mac)
				}
			}
			heard("owner", s.speakers[s.top].mac)
			s.pass(20 * time.Second)
			s.cut(s.third, true, s.second)
			s.serve("web", s.third)
			s.pass(100 * ms)
			for _, mac := range []string{s.speakers[s.top].mac, strangeMAC, s.speakers[s.third].mac} {
				heard("handing over", mac)
			}
		}},
		{"the higher one is not heard for a while", 3, func(s *scene) {
			s.web(local)
			s.believe(s.second, s.second)
			s.pass(20 * time.Second)
			s.cut(s.top, true, s.second)
			s.cut(s.second, true, s.top)
			s.pass(8 * time.Second)
			s.cut(s.top, false, s.second)
			s.cut(s.second, false, s.top)
			s.within("one answers", 1100*ms, s.owns(s.top))
		}},
	}
}
