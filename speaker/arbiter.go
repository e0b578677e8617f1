package speaker

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// yielding is an address that this node would own by its own election, and that
// it has heard another announcing to which it is to be left.
type yielding struct {
	to, mac string
	sure    bool      // asked, the other said that it holds on to the address
	lost    time.Time // since when it, or the one before, does not say so any more; zero: it does, or never did
	before  station   // that held on to the address until lost, while another is asked
}

// station is a node at one of its MACs.
type station struct{ name, mac string }

// lostMost is for how long a node that held on to an address and is silent is asked on: frames may have been lost.
const lostMost = 10 * time.Second

// missed is what remains when the other does not answer.
func (y yielding) missed(now time.Time) yielding {
	switch {
	case y.sure:
		return yielding{to: y.to, mac: y.mac, lost: now}
	case y.lost.IsZero() || now.Sub(y.lost) >= lostMost:
		return yielding{}
	case y.before != station{}:
		return yielding{to: y.before.name, mac: y.before.mac, lost: y.lost}
	}
	return y
}

// replaced is what follows when another node is heard that outranks this one. Who was asked before may still hold on to
// the address, and the new one not.
func (y yielding) replaced(name, mac string, gone bool, now time.Time) yielding {
	next := yielding{to: name, mac: mac, sure: y.sure && !gone}
	if y = y.missed(now); !next.sure && y.to != "" {
		next.lost, next.before = y.lost, station{y.to, y.mac}
	}
	return next
}

// question asks the other whether it holds on to the address.
func (y yielding) question(ip netip.Addr) arpd.Question { return arpd.Question{IP: ip, MAC: y.mac} }

// arbitrate is the last word on an address that this node would own. Two nodes
// that see different members, endpoints or tiers may both elect themselves; then
// they hear each other on the wire, and the plain rank decides, which both
// compute alike:
//
//	heard                                ->
//	nobody                               own it
//	a node that this one outranks        own it; the wire defends it
//	a node that outranks this one        ask that node; own it until it answers
//	the same, and it answers             leave it to that node, and go on asking
//	the same, and it answers no more     own it, and go on asking for a while
//
// An address is left only to a node that answers for it when asked, whatever
// either of them believes, so arbitration never leaves it with nobody. Nor does
// it follow an announcement that crossed this node's own: who is handing the
// address over does not answer the question.
func arbitrate(w *world, self string, ip netip.Addr, mine bool, y yielding) yielding {
	answer := w.wire.Answers[y.question(ip)]
	gone := y.to != "" && answer.Silent
	if !mine && !y.sure {
		return yielding{}
	}
	mac := w.wire.Heard[ip]
	switch name := w.names[mac]; {
	case mac != y.mac && name != "" && name != self && owner.Outranks(name, self, ip):
		return y.replaced(name, mac, gone, w.now)
	case gone:
		return y.missed(w.now)
	}
	if y.to != "" && !answer.Last.IsZero() {
		y.sure, y.lost, y.before = true, time.Time{}, station{}
	}
	return y
}

// yield applies arbitrate to the verdict on an address.
func (s *Speaker) yield(w *world, ip netip.Addr, v owner.Verdict) owner.Verdict {
	if v.Owner != s.cfg.Node || w.wire.Heard[ip] == "" && s.yields[ip].to == "" {
		return v
	}
	y := arbitrate(w, s.cfg.Node, ip, s.mine[ip], s.yields[ip])
	if y.to == "" {
		return v
	}
	w.yields[ip] = y
	w.ask = append(w.ask, y.question(ip))
	if !y.sure {
		return v
	}
	return owner.Verdict{
		Owner: y.to, Next: s.cfg.Node,
		Reason: fmt.Sprintf("announces it and outranks %s, which sees it otherwise", s.cfg.Node),
	}
}

// reachable tells whether a member takes part: by gossip or on the wire.
func reachable(m mesh.Member) bool { return m.State == mesh.Alive || m.State == onWire }
