package speaker

import (
	"fmt"
	"net/netip"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// yielding is an address that this node would own by its own election, and that
// it has heard another announcing to which it is to be left.
type yielding struct {
	to, mac string
	sure    bool // asked, the other said that it holds on to the address
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
//	the same, and it answers no more     own it
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
	case mac == y.mac && gone:
		return yielding{}
	case mac != y.mac && name != "" && name != self && owner.Outranks(name, self, ip):
		return yielding{to: name, mac: mac, sure: y.sure && !gone}
	case gone:
		return yielding{}
	}
	y.sure = y.sure || y.to != "" && !answer.Last.IsZero()
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
