package routes

import (
	"cmp"
	"slices"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// maxHolders is how many speakers hold a session with a router in the mode few, beside those that
// have lacked it for too long.
const maxHolders = 3

// Peering is who has sessions with a router, and why.
type Peering struct {
	Router  string
	Few     bool     // holders announce all nodes; else each node announces itself
	Why     string   // why so, in words
	Holders []string // who is to have a session, sorted
	Peers   []string // who may have one, sorted: nobody else is announced to it

	router lease.Router
	peers  []*Node
	others bool // another holder than this node has a session, and is in touch with the API server
	mine   bool // this node is to have one, or keeps it until those that are to have theirs
	silent bool // this node announces nothing: what it knows is old, and others know better
}

// peering of a router.
func (w *World) peering(r lease.Router) Peering {
	p := Peering{Router: r.Name, router: r, peers: w.peers(r)}
	for _, n := range p.peers {
		p.Peers = append(p.Peers, n.Name)
	}
	p.Few, p.Why = w.few(r, p.peers)
	holders := holders(r, p.peers, p.Few)
	all := true
	for _, n := range holders {
		up := has(n.Sessions, r.Name)
		all = all && (up || has(n.Lacks, r.Name))
		p.others = p.others || up && n.Name != w.Self && !n.Going && !n.outOfTouch()
		p.mine = p.mine || n.Name == w.Self
		p.Holders = append(p.Holders, n.Name)
	}
	slices.Sort(p.Holders)
	if self := w.find(w.Self); self != nil {
		p.mine = p.mine || !all && self.Ready && has(self.Sessions, r.Name)
		p.silent = p.others && self.outOfTouch() && self.Gone
	}
	return p
}

// few decides the mode of a router with these peers.
func (w *World) few(r lease.Router, peers []*Node) (few bool, why string) {
	on := func(n Node) bool { return n.on(r.Address) }
	switch w.BGP.Sessions {
	case lease.SessionsFew:
		return true, "sessions: few"
	case lease.SessionsEach:
		return false, "sessions: each"
	}
	switch by := w.OnePath[mesh.ShortName(r.Name)]; {
	case r.Multihop > 0:
		return false, "it is several hops away"
	case !slices.ContainsFunc(w.Nodes, on):
		return false, "it is on no network of the nodes"
	case by != "":
		return false, "it takes one path for each prefix only, as " + by + " has seen"
	}
	if i := slices.IndexFunc(peers, func(n *Node) bool { return n.askew(r) }); i >= 0 {
		return false, "the InternalIP of " + peers[i].Name + " is not on its network"
	}
	return true, "it is on a network of the nodes"
}

// peers are the nodes that may have a session with a router.
func (w *World) peers(r lease.Router) (list []*Node) {
	near := r.Multihop == 0 && len(r.NodeSelectors) == 0 && slices.ContainsFunc(w.Nodes, func(n Node) bool { return n.on(r.Address) })
	for i := range w.Nodes {
		n := &w.Nodes[i]
		if r.Node(n.Labels) && (!near || n.on(r.Address)) {
			list = append(list, n)
		}
	}
	return list
}

// holders are those of the peers that are to have sessions.
func holders(r lease.Router, peers []*Node, few bool) []*Node {
	var list []*Node
	for _, n := range peers {
		if n.Ready && (few || n.Unfit == "") {
			list = append(list, n)
		}
	}
	if !few {
		return list
	}
	slices.SortStableFunc(list, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(a.last(), b.last()), cmp.Compare(owner.ScoreKey(b.Name, r.Name), owner.ScoreKey(a.Name, r.Name)))
	})
	good := 0
	for i, n := range list {
		if !has(n.Lacks, r.Name) {
			good++
		}
		if good == maxHolders {
			return list[:i+1]
		}
	}
	return list
}

// last is 1 for a node whose speaker is a holder only if there are too few others.
func (n *Node) last() int {
	if n.Going || n.class() == leaving || n.outOfTouch() {
		return 1
	}
	return 0
}

// At is the router as the configuration has it.
func (p Peering) At() lease.Router { return p.router }
