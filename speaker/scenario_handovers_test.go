package speaker

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// handovers: the successor is asked when it is heard, or 50 ms later, and after a second the
// address is left to it anyway, or after 3 s by a node that leaves.
func handovers() []scenario {
	return []scenario{
		{"an address moves back while its new owner says that it has it", 3, func(s *scene) {
			s.web(local)
			for i := range 60 { // what meets at one instant does so in any order
				s.serve("web", s.second)
				s.pass(210 * ms) // which has announced it a moment ago
				s.limit(fmt.Sprintf("moved back after %d ms", i%2), 0, 60*ms, func() {
					s.believe(s.top, s.top)
					s.pass(time.Duration(i%2) * ms)
					s.believe(s.top)
					s.pass(time.Second)
				})
				s.serve("web", s.others("")...)
				s.pass(10 * time.Second)
			}
		}},
		{"an address is handed over", 3, func(s *scene) {
			s.web(local)
			s.limit("hand-over", 0, 20*ms, func() { s.serve("web", s.second); s.pass(3 * time.Second) })
			s.limit("back", 0, 20*ms, func() { s.serve("web", s.top); s.pass(3 * time.Second) })
			s.believes(s.top, 0)
		}},
		{"the successor was not heard", 3, func(s *scene) {
			s.web(local)
			s.cut(s.second, true, s.top)
			s.limit("hand-over", 0, 80*ms, func() {
				s.serve("web", s.second)
				s.pass(10 * ms)
				s.cut(s.second, false, s.top)
				s.pass(3 * time.Second)
			})
		}},
		{"the successor cannot be heard", 4, func(s *scene) {
			s.web(local)
			s.cut(s.second, true, s.top)
			s.limit("hand-over", 0, 1010*ms, func() { s.serve("web", s.second); s.pass(5 * time.Second) })
		}},
		{"a node leaves that cannot hear its successor", 4, func(s *scene) {
			s.web()
			s.cut(s.second, true, s.top)
			begun := time.Now()
			s.leaves(s.top)
			if took := time.Since(begun); took > 3100*ms || took < 2900*ms {
				s.t.Errorf("it left after %s", took)
			}
		}},
		{"a node leaves", 3, func(s *scene) {
			s.web()
			s.limit("leave", 0, 20*ms, func() { s.leaves(s.top); s.pass(3 * time.Second) })
			s.believes(s.second, 0)
		}},
		{"the successor is faster than the news", 3, func(s *scene) {
			s.web(local)
			s.believe(s.top, s.others("")...)
			s.limit("hand-over", 0, 115*ms, func() {
				s.serve("web", s.second)
				s.pass(100 * ms)
				s.set(s.top, func(b *node) { b.endpoints = nil; poke(b.kubed) })
				s.pass(3 * time.Second)
			})
		}},
	}
}

// announcements: at once, after 0.2, 1, 2 and 4 s, and then once a minute.
func announcements() (all []scenario) {
	for deaf, limit := range map[time.Duration]time.Duration{
		100 * ms: 205 * ms, 700 * ms: 1205 * ms, 2 * time.Second: 3205 * ms, 5 * time.Second: 7205 * ms, 30 * time.Second: 67205 * ms,
	} {
		all = append(all, scenario{fmt.Sprintf("a neighbor is deaf for %v", deaf), 3, func(s *scene) {
			s.web(local)
			s.cut(s.second, true, s.client.name)
			s.serve("web", s.second)
			begun := time.Now()
			s.pass(deaf)
			s.cut(s.second, false, s.client.name)
			s.believes(s.second, limit+10*ms-time.Since(begun))
		}})
	}
	slices.SortFunc(all, func(a, b scenario) int { return strings.Compare(a.name, b.name) })
	return all
}
