package elect

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// Deputy is who answers for an address of a node whose speaker is away.
type Deputy struct {
	Owner string // the node in whose name
	Node  string // who does; "" nobody can
	Next  string // who would do so in its place, "" if nobody
}

// Standins finds the addresses of absent nodes whose deputies do not answer. Like an elected node,
// a deputy that lost the API server a moment ago does not know a Service that is made then.
//
// The one that comes next after a deputy asks it once, a little after it came to that. If the
// speaker of the deputy replies, but not for the address, this node answers as a deputy as well.
// Should the deputy do so later, both answer with the same MAC.
//
// Make it by [NewStandins].
type Standins struct {
	times Unheard
	open  map[netip.Addr]*standin
}

// standin is an address for which this node comes next after the deputy.
type standin struct {
	Deputy
	due    time.Time // when the deputy is asked
	over   bool      // it answers
	stands bool      // it does not, so this node does
}

// NewStandins knows no address.
func NewStandins(t Unheard) *Standins {
	return &Standins{times: t, open: make(map[netip.Addr]*standin)}
}

// Step makes this node the deputy of addresses whose deputies do not answer. It returns what to
// ask, and when to look again at the latest; zero: not by time.
func (b *Standins) Step(l Look, deputies map[netip.Addr]Deputy) (ask []probe.Question, again time.Time) {
	maps.DeleteFunc(b.open, func(ip netip.Addr, x *standin) bool { return deputies[ip] != x.Deputy })
	s := search{Look: l}
	for _, ip := range slices.SortedFunc(maps.Keys(deputies), netip.Addr.Compare) {
		d := deputies[ip]
		if d.Next != l.Self {
			continue
		}
		x := b.open[ip]
		if x == nil {
			x = &standin{Deputy: d, due: l.Now.Add(b.times.Elected)}
			b.open[ip] = x
		}
		switch {
		case x.stands:
		case x.over, !on(l.Networks, ip), s.waiting >= asksAtOnce:
			continue
		case l.Now.Before(x.due):
			s.again = wake.Earlier(s.again, x.due)
			continue
		default:
			switch s.ask(ip, d.Node) {
			case has:
				x.over = true
			case refuses:
				x.stands = true
			}
		}
		if x.stands {
			d.Node = l.Self
			deputies[ip] = d
		}
	}
	return s.questions, s.again
}
