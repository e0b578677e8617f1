package speaker

import (
	"net/netip"
	"slices"
	"time"
)

// turn reads the world, decides and applies. The lease steps that are due are
// returned in the world, because they are written beside the loop.
func (s *Speaker) turn(now time.Time) *world {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	s.call(w)
	for i, old := range w.seats {
		next := s.vote(w, i)
		verdict := s.yield(w, w.vips[i].IP, next.elected)
		if next == old && verdict == old.verdict() {
			continue
		}
		if next == old {
			next = old.copied() // views show the old one
		}
		next.leave(verdict)
		switch {
		case old == nil:
			w.moves = append(w.moves, move{at: i})
			next.since = w.now
		case old.verdict().Owner != verdict.Owner:
			w.moves = append(w.moves, move{i, old.verdict().Owner, true})
			next.since, next.warned = w.now, false
		}
		w.seats[i] = next
	}
}

// speak tells the wire which addresses to answer for: those that this node
// owns, and those whose new owner has not been heard yet. Where none may be comes
// first, so that no address is for an instant answered there.
func (s *Speaker) speak(w *world) {
	still := s.handOver(w)
	s.settle(w)
	answer := s.answer
	if len(still) > 0 {
		answer = slices.Concat(answer, still)
	}
	s.cfg.Wire.Meet(s.company(w))
	s.cfg.Wire.Confine(w.limits())
	s.cfg.Wire.Assign(answer, s.watch)
}

// settle notes which addresses are this node's. The lists that the wire was given stay the same as long as
// nothing moves.
func (s *Speaker) settle(w *world) {
	if s.mine != nil && len(w.moves) == 0 && len(w.gone) == 0 {
		return
	}
	if s.mine == nil {
		s.mine = make(map[netip.Addr]bool)
		for i, v := range w.vips {
			s.own(v.IP, w.seats[i].verdict().Owner == s.cfg.Node)
		}
	}
	for _, ip := range w.gone {
		s.own(ip, false)
	}
	for _, m := range w.moves {
		s.own(w.vips[m.at].IP, w.seats[m.at].verdict().Owner == s.cfg.Node)
	}
	all := make([]netip.Addr, len(w.vips)) // room for both lists, which are not changed any more
	s.answer, s.watch = all[:0:len(s.mine)], all[len(s.mine):len(s.mine)]
	for i, v := range w.vips {
		if w.seats[i].verdict().Owner == s.cfg.Node {
			s.answer = append(s.answer, v.IP)
		} else {
			s.watch = append(s.watch, v.IP)
		}
	}
}

// own notes whether an address is this node's.
func (s *Speaker) own(ip netip.Addr, mine bool) {
	if mine {
		s.mine[ip] = true
	} else {
		delete(s.mine, ip)
	}
}
