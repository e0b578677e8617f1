package report

import (
	"fmt"
	"slices"

	"github.com/starling-lb/starling/health"
)

// isolation is where gossip fails between this node and every other one that lives, of which there
// are at least two. They hear each other, for all this node knows, so the fault is most likely its
// own.
type isolation struct {
	health.Condition
	nodes []string // the others
}

// isolated is what is found of that in a turn, looked for once; nil: gossip reaches somebody.
func (w *World) isolated() *isolation {
	if !w.lookedForIsolation {
		w.lookedForIsolation, w.isolation = true, w.findIsolation(slices.Concat(blocked(w.Gossip, w.Members, w.Now), w.Peers))
	}
	return w.isolation
}

// findIsolation goes by the conditions about single nodes: gossip fails as a whole, or datagrams
// alone.
func (w *World) findIsolation(all []health.Condition) *isolation {
	i := isolation{Condition: health.Condition{Code: health.GossipUDPBlocked}}
	for _, m := range w.Members {
		if m.Name == w.Self || !m.Up() {
			continue
		}
		at := slices.IndexFunc(all, func(c health.Condition) bool { return betweenNodes(c) && c.Subject == health.Node(m.Name) })
		if at < 0 {
			return nil
		}
		if all[at].Code == health.GossipBlocked {
			i.Code = health.GossipBlocked
		}
		i.nodes = append(i.nodes, m.Name)
	}
	if len(i.nodes) < 2 {
		return nil
	}
	others, ports := health.Some(i.nodes, 3), "tcp and udp"
	words := fmt.Sprintf("gossip to all other nodes (%s) is blocked, and they are alive on the wire", others)
	if i.Code == health.GossipUDPBlocked {
		words, ports = fmt.Sprintf("all other nodes (%s) answer gossip by tcp but not by udp", others), "udp"
	}
	i.Condition = health.New(i.Code, health.Node(w.Self), words+": most likely the port is blocked on "+w.Self+" itself")
	i.Condition = i.Do(fmt.Sprintf("open the gossip port (7927, %s) on %s; if other nodes say the same of themselves, open it between all of them; `starling doctor` tests it", ports, w.Self))
	return &i
}

// betweenNodes reports whether a condition is one of gossip that fails between two nodes.
func betweenNodes(c health.Condition) bool {
	return (c.Code == health.GossipBlocked || c.Code == health.GossipUDPBlocked) && c.Subject.Kind == health.KindNode
}

// blame puts the fault of gossip that fails with everybody on this node, in the place of a
// condition of each other node.
func (w *World) blame(wire, peers []health.Condition) (fromWire, fromPeers []health.Condition) {
	i := w.isolated()
	if i == nil {
		return wire, peers
	}
	return []health.Condition{i.Condition}, slices.DeleteFunc(slices.Clone(peers), betweenNodes)
}
