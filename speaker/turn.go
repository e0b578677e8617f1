package speaker

import (
	"maps"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
)

// turn reads the world, decides and applies. The lease steps that are due are
// returned in the world, because they are written beside the loop.
func (s *Speaker) turn(now time.Time) *world {
	w := s.look(now)
	w.wake = now.Add(idleTurn)
	if w.meta.Returning {
		w.wake = earlier(w.wake, s.hold.until)
	}
	s.elect(w)
	s.yields = w.yields
	s.speak(w) // first of all: somebody may be waiting for an answer
	s.lease(w)
	s.tell(w)
	s.publish(w)
	s.ended, s.took = time.Now(), time.Since(now)
	s.metrics.turn.Observe(s.took.Seconds())
	s.beat.Store(s.ended.UnixNano())
	return w
}

// elect names the owner of every bound address and remembers since when.
func (s *Speaker) elect(w *world) {
	elected := s.call(w)
	w.verdicts = make([]owner.Verdict, len(w.vips))
	for i, v := range w.vips {
		w.verdicts[i] = s.yield(w, v.IP, elected[i])
		was, known := s.owned[v.IP]
		if known && was.owner == w.verdicts[i].Owner {
			continue
		}
		s.owned[v.IP] = ownership{owner: w.verdicts[i].Owner, since: w.now}
		w.moves = append(w.moves, move{i, was.owner, known})
	}
	if len(s.owned) > len(w.vips) {
		maps.DeleteFunc(s.owned, func(ip netip.Addr, _ ownership) bool { _, bound := w.find(ip); return !bound })
	}
}

// candidate joins the Services of an address into what election needs.
func (s *Speaker) candidate(w *world, v lease.VIP) owner.VIP {
	c := owner.VIP{IP: v.IP, Scope: w.scopes.of(v.Pool)}
	for _, k := range v.Services {
		nodes := w.cluster.Endpoints[watcherKey(k)].Nodes
		if len(nodes) == 0 {
			continue // has no say where the others go
		}
		c.Serving = true
		if svc, ok := s.table.Get(k); ok && svc.Local {
			c.Local = append(c.Local, nodes)
		}
	}
	return c
}

// speak tells the wire which addresses to answer for: those that this node
// owns, and those whose new owner has not been heard yet. Watch comes first, so
// that no address is for an instant answered and defended against its successor,
// and before it where none may be.
func (s *Speaker) speak(w *world) {
	var answer, watch []netip.Addr
	mine := make(map[netip.Addr]bool)
	for i, v := range w.vips {
		if w.verdicts[i].Owner == s.cfg.Node {
			mine[v.IP] = true
			answer = append(answer, v.IP)
		} else {
			watch = append(watch, v.IP)
		}
	}
	answer = append(answer, s.handOver(w, mine)...)
	s.cfg.Wire.Meet(s.company(w))
	s.cfg.Wire.Confine(w.limits())
	s.cfg.Wire.Watch(watch)
	s.cfg.Wire.Set(answer)
}
