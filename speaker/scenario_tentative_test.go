package speaker

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/watcher"
)

// tentatives: three probes 50 ms apart and 0.1 s to listen; looked at again every minute; a member
// is asked every 0.1 s for 2 s.
func tentatives() []scenario {
	asking := func(ip string) func(*watcher.Service) {
		return func(v *watcher.Service) { v.Annotations = [][2]string{{"starling-lb.io/loadBalancerIPs", ip}} }
	}
	picker := func(s *scene) string {
		for _, n := range s.others("") {
			if len((*modelWire)(s.speakers[n]).State().Probed) > 0 {
				return n
			}
		}
		s.t.Fatalf("nobody tries addresses out")
		return ""
	}
	return []scenario{
		{"an address is asked for", 3, func(s *scene) {
			begun := time.Now()
			s.create("web", asking("198.18.64.7"), "n1")
			s.bound("web")
			if took := time.Since(begun); took > 20*ms {
				s.t.Errorf("bound after %s, though it was probed before", took)
			}
		}},
		{"a member announces a tentative address", 3, func(s *scene) {
			s.pass(time.Second)
			n := picker(s)
			for ip := range (*modelWire)(s.speakers[n]).State().Probed {
				for _, o := range s.others(n) {
					s.claim(ip.String(), s.speakers[o].mac)
					s.pass(5 * ms)
					if got := (*modelWire)(s.speakers[n]).State().Probed[ip]; got.MAC != s.speakers[o].mac || got.Known {
						s.t.Errorf("%s announces %s, known is %+v", o, ip, got)
					}
				}
			}
		}},
		{"a station comes to a free address", 3, func(s *scene) {
			s.pass(time.Minute)
			n := picker(s)
			s.mu.Lock()
			s.stations = map[netip.Addr]string{netip.MustParseAddr("198.18.64.9"): strangeMAC}
			s.mu.Unlock()
			probed := func() claims.Probed {
				return (*modelWire)(s.speakers[n]).State().Probed[netip.MustParseAddr("198.18.64.9")]
			}
			s.within("it is known", 67*time.Second, func() bool { return probed().MAC == strangeMAC })
			s.mu.Lock()
			s.stations = nil
			s.mu.Unlock()
			s.within("it is known to be gone", 202*time.Second, func() bool { return probed().MAC == "" })
		}},
		{"a silent station took it a moment ago", 3, func(s *scene) {
			s.web()
			s.pass(30 * time.Second)
			s.mu.Lock()
			s.stations = map[netip.Addr]string{netip.MustParseAddr(s.ip): strangeMAC}
			s.mu.Unlock()
			s.within("it is reported", 10*time.Second+210*ms, func() bool { return len(s.conflicts(s.top)) > 0 })
		}},
		{"a silent station took it after long", 3, func(s *scene) {
			s.web()
			s.pass(11 * time.Minute)
			s.mu.Lock()
			s.stations = map[netip.Addr]string{netip.MustParseAddr(s.ip): strangeMAC}
			s.mu.Unlock()
			s.within("it is reported", 66*time.Second+210*ms, func() bool { return len(s.conflicts(s.top)) > 0 })
		}},
	}
}
