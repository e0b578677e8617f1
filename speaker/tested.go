package speaker

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/wake"
)

// Nodes test each other, whether they forward what comes for addresses: see package forward, which
// decides. This is what it is told of the nodes and Services, and what follows for this node.

// placeRest is for how long after a change of a Service or its endpoints no node is asked for it:
// kube-proxy of one node may be later than that of another.
const placeRest = 3 * time.Second

// test tells whom to test, and by which addresses, if that has changed.
func (s *Speaker) test(w *world) {
	if !s.cfg.Testing {
		return
	}
	if s.rested(w) || s.tested.Places == nil || w.listed || len(w.edited)+len(w.elected)+len(w.gone)+len(w.moves) > 0 {
		s.places, s.holds = s.placesOf(w), holdings(w)
	}
	next := forward.World{
		Networks: segments(w.Wire), Ready: len(w.Lacks) == 0 && !w.draining && !w.leaving, Proxy: s.forward.Has(w.proxy),
		Nodes: s.testable(w), Places: s.places,
	}
	if !reflect.DeepEqual(next, s.tested) {
		s.tested = next
		s.live.Step(next)
	}
}

// rested notes which Services have changed, and reports whether some have rested since.
func (s *Speaker) rested(w *world) (some bool) {
	for _, k := range w.edited {
		s.edits[k] = w.Now
	}
	for k, at := range s.edits {
		end := at.Add(placeRest)
		if w.Now.Before(end) {
			w.wake = wake.Earlier(w.wake, end)
			continue
		}
		delete(s.edits, k)
		some = true
	}
	return some
}

// testable are the other nodes. One whose network is unavailable is not tested: packets do not
// reach its pods. Neither is one whose host this node does not hear itself: the link between the
// two may be broken, and no other.
func (s *Speaker) testable(w *world) (nodes []forward.Node) {
	for i := range w.Members {
		m := &w.Members[i]
		if m.Name == w.Self {
			continue
		}
		silent := slices.ContainsFunc(w.believed.Peers, func(q peers.Peer) bool { return q.Name == m.Name && q.Silent })
		node := w.Cluster.Node(m.Name)
		able := m.Owns() && !silent && m.Meta.Ready && !m.Meta.Draining && node.Name != "" && !node.NetworkUnavailable
		n := forward.Node{
			Name: m.Name, Networks: m.Meta.Segments, MACs: m.Meta.MACs, Ready: able, Absent: m.State == mesh.Absent, Drops: m.Meta.NoProxy,
		}
		n.Only, n.Holds = s.holds[m.Name]
		if port := s.cfg.ProxyPort; port != 0 && n.Holds {
			for _, ip := range node.Addresses {
				n.Pages = append(n.Pages, netip.AddrPortFrom(ip, port))
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// holdings are the nodes that announce an address, and whether nobody else may announce some of
// their addresses.
func holdings(w *world) map[string]bool {
	only := map[string]bool{}
	for i := range w.VIPs {
		if r := w.elections[i].Result(); r.Owner != "" {
			only[r.Owner] = only[r.Owner] || r.Next == ""
		}
	}
	return only
}

// placesOf are some addresses of each owner that can be asked for, the same as long as they can.
func (s *Speaker) placesOf(w *world) []forward.Place {
	places, of := []forward.Place{}, map[string]int{}
	for i, v := range w.VIPs {
		who := w.elections[i].Result().Owner
		if who == "" || of[who] == forward.MaxPlaces || !w.elections[i].Candidate.Serving {
			continue
		}
		if p, ok := s.placeOf(w, v); ok {
			p.Owner = who
			places = append(places, p)
			of[who]++
		}
	}
	return places
}

// placeOf is a port of an address that can be asked for: one of TCP, of a Service that has
// endpoints and lets this node in. Those of policy Cluster come first.
func (s *Speaker) placeOf(w *world, v lease.VIP) (best forward.Place, ok bool) {
	for _, k := range v.Services {
		if _, young := s.edits[k]; young || s.ignores(w, v, k) {
			continue
		}
		svc, known := s.table.Get(k)
		nodes := w.Cluster.Endpoints[k].Of(v.IP).Nodes
		port := portOf(svc.Ports)
		if !known || svc.Deleting || len(nodes) == 0 || port == 0 || !admits(svc.SourceRanges, segments(w.Wire), v.IP) {
			continue
		}
		p := forward.Place{At: netip.AddrPortFrom(v.IP, port)}
		if svc.Local {
			p.Local = nodes
		}
		if !ok || best.Local != nil && p.Local == nil {
			best, ok = p, true
		}
	}
	return best, ok
}

// portOf is the first port of TCP; 0: there is none.
func portOf(ports []string) uint16 {
	for _, p := range ports {
		if number, tcp := strings.CutPrefix(p, "TCP/"); tcp {
			n, _ := strconv.ParseUint(number, 10, 16)
			return uint16(n)
		}
	}
	return 0
}

// admits reports whether a Service lets in whatever address this node speaks from: all of its
// networks of the family are within the ranges, if there are any.
func admits(ranges []string, networks []netip.Prefix, ip netip.Addr) bool {
	within := func(n netip.Prefix) bool {
		return slices.ContainsFunc(ranges, func(text string) bool {
			r, err := netip.ParsePrefix(strings.TrimSpace(text))
			return err == nil && r.Bits() <= n.Bits() && r.Contains(n.Addr())
		})
	}
	return len(ranges) == 0 || !slices.ContainsFunc(networks, func(n netip.Prefix) bool {
		return n.Addr().Is4() == ip.Is4() && !within(n)
	})
}

// drops is what testers say of this node. One without a kube-proxy has that as its condition: it is
// why, and other nodes go first already.
func (s *Speaker) drops(w *world) []health.Condition {
	if s.forward.Behind {
		return nil
	}
	var said []string
	for _, m := range w.believed.Drops {
		said = append(said, fmt.Sprintf("%s asked for %s through it and had no answer, and had one through %s", m.By, m.At, m.Other))
	}
	if len(said) == 0 {
		return nil
	}
	return []health.Condition{report.Drops(w.Self, strings.Join(said, "; "))}
}
