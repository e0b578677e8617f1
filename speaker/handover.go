package speaker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
)

// How long an address is answered for after another node became its owner, if
// that node is never heard announcing it. A leaving speaker waits longer: its
// successors must first learn that it leaves. Both stay well below the grace
// period of the pod, 10 s.
const (
	moveLimit  = time.Second
	drainLimit = 3 * time.Second
	// askAfter is when a successor that was not heard is asked: it may have
	// announced the address long ago, when the link between the two was cut.
	askAfter = 50 * time.Millisecond
)

// handing is an address on its way to another node.
type handing struct{ ask, until time.Time }

// questions ask the successor, at all its MACs, whether it has the address and
// whether it is there at all.
func (h handing) questions(w *world, ip netip.Addr, successor string) []arpd.Question {
	if w.now.Before(h.ask) {
		return nil
	}
	var r []arpd.Question
	for _, m := range w.members {
		if m.Name == successor {
			for _, mac := range m.Meta.MACs {
				r = append(r, arpd.Question{IP: ip, MAC: mac}, arpd.Question{MAC: mac})
			}
		}
	}
	return r
}

// handOver keeps answering for addresses that this node answered for until now
// and that another live node owns from now on, until the wire has heard the
// successor announce the address, or the limit has passed. A stranger that is
// heard instead is no reason to fall silent. So the successor speaks first and
// no packet finds the address unanswered. An address that nobody holds any more,
// or nobody may own, is dropped at once.
//
// The limit is for nodes that do not hear each other. A successor that does
// answer on the wire, but not for the address, sees things differently: it does
// not take it, so this node keeps it.
func (s *Speaker) handOver(w *world) []netip.Addr {
	var still []netip.Addr
	held := s.handing
	s.handing = map[netip.Addr]handing{}
	for _, i := range s.leaving(w, held) {
		ip, successor := w.vips[i].IP, w.seats[i].verdict().Owner
		h, ok := held[ip]
		if !ok {
			h = handing{ask: w.now.Add(askAfter), until: w.now.Add(moveLimit)}
			if w.draining {
				h.until = w.now.Add(drainLimit)
			}
		}
		ask := h.questions(w, ip, successor)
		if w.succeeded(ip, s.cfg.Node, successor) || w.taken(ask) {
			continue
		}
		if !w.now.Before(h.until) && (w.draining || !w.refused(ip, ask)) {
			continue
		}
		w.ask = append(w.ask, ask...)
		s.handing[ip] = h
		still = append(still, ip)
		for _, t := range []time.Time{h.ask, h.until} {
			if w.now.Before(t) {
				w.wake = earlier(w.wake, t)
			}
		}
	}
	return still
}

// leaving are the positions of the addresses that this node answered for in the last turn and that another live
// node owns in this one, sorted.
func (s *Speaker) leaving(w *world, held map[netip.Addr]handing) []int {
	var at []int
	for _, m := range w.moves {
		if m.was == s.cfg.Node && s.mine[w.vips[m.at].IP] { // the first saves looking up most of the second
			at = append(at, m.at)
		}
	}
	for ip := range held {
		if i, ok := w.find(ip); ok {
			at = append(at, i)
		}
	}
	at = slices.DeleteFunc(at, func(i int) bool {
		owner := w.seats[i].verdict().Owner
		return owner == s.cfg.Node || !alive(w.members, owner)
	})
	slices.Sort(at)
	return slices.Compact(at)
}

// taken tells whether a question about an address was answered: it is held.
func (w *world) taken(ask []arpd.Question) bool {
	return slices.ContainsFunc(ask, func(q arpd.Question) bool {
		a := w.wire.Answers[q]
		return q.IP.IsValid() && !a.Last.IsZero() && !a.Silent
	})
}

// refused tells whether the successor is there and does not hold the address, and
// no other node was heard to have it.
func (w *world) refused(ip netip.Addr, ask []arpd.Question) bool {
	there, silent := false, true
	for _, q := range ask {
		a := w.wire.Answers[q]
		if q.IP.IsValid() {
			silent = silent && a.Silent
		} else {
			there = there || !a.Last.IsZero() && !a.Silent
		}
	}
	return there && silent && w.names[w.wire.Heard[ip]] == ""
}

// drained tells whether a leaving speaker may fall silent: every address has
// been handed over, or there is nobody to take it.
func (s *Speaker) drained(w *world) bool {
	return w.draining && len(s.handing) == 0
}

func alive(members []mesh.Member, name string) bool {
	for _, m := range members {
		if m.Name == name {
			return reachable(m)
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
