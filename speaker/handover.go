package speaker

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/mesh"
)

// How long an address is answered for after another node became its owner, if
// that node is never heard announcing it. A leaving speaker waits longer: its
// successors must first learn that it leaves. Both stay well below the grace
// period of the pod, 10 s.
const (
	moveLimit  = time.Second
	drainLimit = 3 * time.Second
)

// handing is an address on its way to another node.
type handing struct{ until time.Time }

// handOver keeps answering for addresses that this node answered for until now
// and that another live node owns from now on, until the wire has heard the
// successor announce the address, or the limit has passed. A stranger that is
// heard instead is no reason to fall silent. So the successor speaks first and
// no packet finds the address unanswered. An address that nobody holds any more,
// or nobody may own, is dropped at once.
func (s *Speaker) handOver(w *world, mine map[netip.Addr]bool) []netip.Addr {
	var still []netip.Addr
	held := s.handing
	s.handing = map[netip.Addr]handing{}
	for i, v := range w.vips {
		if mine[v.IP] || !s.answers(v.IP, held) || !alive(w.members, w.verdicts[i].Owner) {
			continue
		}
		h, ok := held[v.IP]
		if !ok {
			h = handing{until: w.now.Add(moveLimit)}
			if w.draining {
				h.until = w.now.Add(drainLimit)
			}
		}
		if w.succeeded(v.IP, s.cfg.Node, w.verdicts[i].Owner) || !w.now.Before(h.until) {
			continue
		}
		s.handing[v.IP] = h
		still = append(still, v.IP)
		w.wake = earlier(w.wake, h.until)
	}
	s.mine = mine
	return still
}

// answers tells whether the wire has been answering for the address.
func (s *Speaker) answers(ip netip.Addr, held map[netip.Addr]handing) bool {
	_, ok := held[ip]
	return ok || s.mine[ip]
}

// drained tells whether a leaving speaker may fall silent: every address has
// been handed over, or there is nobody to take it.
func (s *Speaker) drained(w *world) bool {
	return w.draining && len(s.handing) == 0
}

func alive(members []mesh.Member, name string) bool {
	for _, m := range members {
		if m.Name == name {
			return m.State == mesh.Alive
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
