package speaker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// speak tells the wire which addresses are this node's, and who is to have those that are it no
// more. Where none may be comes first, so that no address is for an instant answered there.
func (s *Speaker) speak(w *world) {
	s.deputize(w)
	heirs := s.heirs(w)
	s.settle(w)
	s.pass(w)
	s.live.Step(w.wanted())
	s.test(w)
	s.cfg.Wire.SetPeers(s.peers(w))
	s.cfg.Wire.SetLimits(w.limits())
	handed := len(s.handing)
	s.handing = s.cfg.Wire.Assign(claims.Assignment{Own: s.answer, Watched: s.watch, Heirs: heirs, Absent: s.deputy})
	if len(s.handing) < handed {
		w.wake = w.Now // what is still handed over was left alone by elect.Refusals
	}
	s.passRest(w)
}

// settle notes which addresses are this node's by election. The lists that the wire was given stay
// the same as long as nothing moves.
func (s *Speaker) settle(w *world) {
	if s.mine != nil && len(w.elected) == 0 && len(w.gone) == 0 {
		return
	}
	if s.mine == nil {
		s.mine = make(map[netip.Addr]bool)
		for i, v := range w.VIPs {
			s.own(v.IP, s.has(w, i))
		}
	}
	for ip := range w.gone {
		s.own(ip, false)
	}
	for _, i := range w.elected {
		s.own(w.VIPs[i].IP, s.has(w, i))
	}
	all := make([]netip.Addr, len(w.VIPs)) // room for both lists, which are not changed any more
	s.answer, s.watch = all[:0:len(s.mine)], all[len(s.mine):len(s.mine)]
	for _, v := range w.VIPs {
		if s.mine[v.IP] {
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

// maxUnknown is how many stations that nobody knows are probed at a time.
const maxUnknown = 64

// wanted are the probes that this turn asks for: those about addresses, and whether a speaker is at
// an unknown station that announces one.
func (w *world) wanted() peers.Wanted {
	unknown := map[string]bool{}
	for _, mac := range w.Wire.Heard {
		if w.Names[mac] == "" && len(unknown) < maxUnknown {
			unknown[mac] = true
		}
	}
	for mac := range unknown {
		w.ask = append(w.ask, probe.Question{MAC: mac})
	}
	return w.ask
}

// peers is what the wire is to know of the other nodes.
func (s *Speaker) peers(w *world) arpd.Peers {
	word := w.Meta.Word()
	if s.barred(w) {
		word.Ready = false
	}
	return arpd.Peers{
		Heals: w.believed.Heals, MACs: others(w.Names, s.cfg.Node), Gone: gone(w.Members), Draining: w.draining,
		Speakers: w.believed.Unnamed, Answer: word.Code(),
	}
}

// others are the MACs that are another node's, with its name.
func others(names map[string]string, self string) map[string]string {
	r := make(map[string]string, len(names))
	for mac, name := range names {
		if name != self {
			r[mac] = name
		}
	}
	return r
}

// barred reports whether Kubernetes does not want this node to announce.
func (s *Speaker) barred(w *world) bool {
	return elect.Barred(w.Cluster.Node(s.cfg.Node), s.cfg.IgnoreExclude) != ""
}

// heirs names who answers from now on for each address that this node was elected for until now, as
// long as the wire still answers for it: the live node that is elected, or the deputy of one that
// is absent. See package claims. An address that nobody holds any more, or nobody may own, has none
// and is silent at once.
func (s *Speaker) heirs(w *world) map[netip.Addr]string {
	r := map[netip.Addr]string{}
	add := func(i int) {
		ip := w.VIPs[i].IP
		heir := cmp.Or(w.Deputies[ip].Node, s.refusals.Next(ip, w.elections[i].Elected.Owner))
		if heir != s.cfg.Node && w.up(heir) {
			r[ip] = heir
		}
	}
	for _, i := range w.elected {
		if s.mine[w.VIPs[i].IP] {
			add(i)
		}
	}
	for _, ip := range s.handing {
		if i, bound := w.Find(ip); bound {
			add(i)
		}
	}
	return r
}

// up reports whether the speaker of a node is there. Who is away says nothing.
func (w *world) up(node string) bool {
	return slices.ContainsFunc(w.Members, func(m mesh.Member) bool { return m.Name == node && m.Up() })
}

// drained reports whether a leaving speaker may fall silent: every address has been handed over, or
// there is nobody to take it. One that will be back waits until deputies answer, if there is any.
func (s *Speaker) drained(w *world) bool {
	if until := s.routedUntil(w); !s.drain.IsZero() && w.Now.Before(until) {
		w.wake = wake.Earlier(w.wake, until)
		return false
	}
	if w.leaving {
		return w.believed.Held || w.alone() || !w.Now.Before(s.drain.Add(awayLimit))
	}
	return w.draining && len(s.handing) == 0
}

// gone are the members that take no part, and since when.
func gone(members []mesh.Member) map[string]time.Time {
	r := map[string]time.Time{}
	for _, m := range members {
		if !m.Owns() {
			r[m.Name] = m.Since
		}
	}
	return r
}
