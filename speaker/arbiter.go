package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// yielding is an address that this node would own by its own election, and that
// it has heard another announcing to which it is to be left.
type yielding struct {
	to   station
	also station   // another that was heard announcing it, and is asked, too
	sure bool      // asked, to said that it holds on to the address
	lost time.Time // since when it does not say so any more; zero: it does, or never did
}

// station is a node at one of its MACs.
type station struct{ name, mac string }

// lostMost is for how long a node that held on to an address and is silent is asked on: frames may have been lost.
const lostMost = 10 * time.Second

// question asks a station whether it holds on to the address.
func (s station) question(ip netip.Addr) arpd.Question { return arpd.Question{IP: ip, MAC: s.mac} }

// questions ask all that may hold on to the address.
func (y yielding) questions(ip netip.Addr) []arpd.Question {
	r := []arpd.Question{y.to.question(ip)}
	if y.also != (station{}) {
		r = append(r, y.also.question(ip))
	}
	return r
}

// heard is what follows when a station is heard that outranks this node.
func (y yielding) heard(s station) yielding {
	switch {
	case y.to == station{}:
		y.to = s
	case s != station{} && s != y.to:
		y.also = s
	}
	return y
}

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
//	another one that outranks this one   ask both; leave it to the one that answers
//
// An address is left only to a node that answers for it when asked, whatever
// either of them believes, so arbitration never leaves it with nobody. Nor does
// it follow an announcement that crossed this node's own: who is handing the
// address over does not answer the question.
func arbitrate(w *world, self string, ip netip.Addr, mine bool, y yielding) yielding {
	if !mine && !y.sure {
		return yielding{}
	}
	higher := w.higher(self, ip)
	y = y.heard(higher)
	switch to := w.keeps(y.to, ip); {
	case to == present:
		return yielding{to: y.to, sure: true}.heard(higher)
	case w.keeps(y.also, ip) == present:
		return yielding{to: y.also, sure: true}
	case to == unheard:
		return y
	case y.sure:
		y.sure, y.lost = false, w.now
	case y.lost.IsZero() || w.now.Sub(y.lost) >= lostMost:
		return yielding{to: y.also}
	}
	return y
}

// higher is the station that is heard announcing an address, if its node outranks this one.
func (w *world) higher(self string, ip netip.Addr) station {
	mac := w.wire.Heard[ip]
	if name := w.names[mac]; name != "" && name != self && owner.Outranks(name, self, ip) {
		return station{name, mac}
	}
	return station{}
}

// keeps says whether a station holds on to an address. Who died does not, though it was not asked often enough since to be
// silent: of many addresses each is asked for rarely. Who was asked or answered after that is judged by its answers.
func (w *world) keeps(s station, ip netip.Addr) testimony {
	a, asked := w.wire.Answers[s.question(ip)]
	switch died := w.died(s.name); {
	case !asked:
		return unheard
	case a.Silent, !a.Asked.After(died) && !a.Last.After(died):
		return silent
	case a.Last.IsZero():
		return unheard
	}
	return present
}

// died is when a member died or left; zero: it is there.
func (w *world) died(name string) time.Time {
	i, known := slices.BinarySearchFunc(w.members, name, func(m mesh.Member, n string) int { return strings.Compare(m.Name, n) })
	if !known || reachable(w.members[i]) {
		return time.Time{}
	}
	return w.members[i].Since
}

// yield applies arbitrate to the verdict on an address.
func (s *Speaker) yield(w *world, ip netip.Addr, v owner.Verdict) owner.Verdict {
	if v.Owner != s.cfg.Node || w.wire.Heard[ip] == "" && s.yields[ip].to == (station{}) {
		return v
	}
	y := arbitrate(w, s.cfg.Node, ip, s.mine[ip], s.yields[ip])
	if y.to == (station{}) {
		return v
	}
	w.yields[ip] = y
	w.ask = append(w.ask, y.questions(ip)...)
	if !y.sure {
		return v
	}
	return owner.Verdict{
		Owner: y.to.name, Next: s.cfg.Node,
		Reason: fmt.Sprintf("announces it and outranks %s, which sees it otherwise", s.cfg.Node),
	}
}

// reachable tells whether a member takes part: by gossip or on the wire.
func reachable(m mesh.Member) bool { return m.State == mesh.Alive || m.State == onWire }
