// Package owner decides which node announces a VIP.
//
// It is rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
// rates", 1998). Every eligible node has a score for every address: a fixed 64-bit function of the
// node's name and the address. The node with the highest score owns the address; equal scores go to
// the lower name. So speakers that see the same members name the same owner without a message. A
// node that leaves moves only its own addresses, and they spread over all that remain. An election
// is of an address, never of a Service, so Services that share an address always meet on one node.
//
// Nodes may have weights for some addresses ([Scope]). A node of weight 3 has three times as many
// as one of weight 1, and one of weight 0 has them only while there is no other node. Where there
// are weights, "score" below means the score by weight.
//
// These rules decide, in this order, whether a node may own an address. The first rule that leaves
// no node is the reason that users see.
//
//  1. Fit: alive in the mesh, ready, not excluded by label, its network available. The caller says so
//     in [Node.Unfit].
//  2. Scope: one of the nodes that may announce addresses like this one, if only some may
//     ([VIP.Scope]).
//  3. Segment: on the address's layer 2 network, if any known node is. An address on nobody's network
//     is routed, and every node may announce it.
//  4. Endpoints: the address has a serving endpoint somewhere, and the node has one of every Service
//     on it with externalTrafficPolicy: Local. For such a Service a node that is out of touch with the
//     API server does not count: it may know other endpoints than the others, and each side would
//     elect a node.
//  5. Tier: of the nodes left, only those of the best tier. Nodes without kube-proxy, where others
//     have one, are in tiers behind all others.
//
// A [Ranker] elects the owners of many addresses. It finds the eligible nodes once for all
// addresses that are on the same networks and have the same scope. After a change of the members a
// [Shift] brings the results up to date: it compares each address with the nodes that became
// eligible, and elects anew only if the owner or the next in line is no longer eligible.
//
// Everything here is a pure function of its arguments: no clock, no I/O, no log, and the order of
// the input does not matter.
package owner

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/health"
)

// Tier is the preference class of a node; a lower tier wins over a higher one.
type Tier uint8

// The tiers, best first. NoProxy is added to one of the others: so nodes without kube-proxy go
// behind all that have one, and among each other they are in the same order. The caller never adds
// it to OutOfTouch or Returning.
const (
	Normal     Tier = iota
	OutOfTouch      // has not heard from the API server for longer than others
	Going           // is drained or about to be maintained, as its conditions say
	Returning       // came back a moment ago
	Draining        // is about to leave

	NoProxy Tier = 8 // kube-proxy does not run, or the node does not forward

	noTier = math.MaxUint8 // worse than any
)

// base is the tier without regard to kube-proxy.
func (t Tier) base() Tier { return t % NoProxy }

// String gives the tier in the words of the status output.
func (t Tier) String() string {
	switch t {
	case NoProxy:
		return "without kube-proxy or its rules"
	case Normal:
		return "normal"
	case OutOfTouch:
		return "out of touch with the API server"
	case Going:
		return "about to go"
	case Returning:
		return "recently returned"
	case Draining:
		return "draining"
	}
	if NoProxy < t && t < 2*NoProxy {
		return NoProxy.String() + ", " + t.base().String()
	}
	return fmt.Sprintf("tier %d", uint8(t))
}

// Node is a candidate, as far as election is concerned.
type Node struct {
	Name     string
	Unfit    string         // "" or why the node may own nothing: "not ready", "dead"
	Tier     Tier           //
	Segments []netip.Prefix // L2 networks the node is on
}

// VIP is an address to be owned.
type VIP struct {
	IP      netip.Addr
	Serving bool       // at least one serving endpoint somewhere
	Local   [][]string // one sorted list of nodes with a serving endpoint for each Service with externalTrafficPolicy: Local
	Scope   *Scope     // the nodes that may announce the address; nil: all
}

// Scope are the nodes that may announce some addresses, and which of them rather.
type Scope struct {
	Rule      string         // that says so, in words: "the node selectors of pool ..."
	Nodes     []string       // sorted
	Any       bool           // all may, whatever Nodes says
	Nobody    string         // why no node may, in words; "": some may
	Elsewhere bool           // nobody is to: it is announced in another way, as Nobody says
	Weights   map[string]int // from 0 to MostWeight; a node that is not named has DefaultWeight
}

// Result is the outcome of an election.
type Result struct {
	Owner  string // "" if nobody may own the address
	Next   string // who would own it without the owner, "" if nobody
	Reason string // in words, why the owner, or why nobody

	Code      health.Code // of the rule that left nobody; "" with an owner, and if Elsewhere
	Elsewhere bool        // nobody is to own it, see Scope
}

// Candidate is a node in the ranking of an address.
type Candidate struct {
	Node   string
	Score  uint64
	Weight int    // from 0 to MostWeight, by the scope
	Reason string // "" if eligible, else why not
}

// Nodes is a set of nodes with their hashes precomputed. It is immutable
// and safe for concurrent use.
type Nodes struct {
	nodes []hashedNode // sorted by name, so ties go to the lower name
}

type hashedNode struct {
	Node
	hash uint64
}

// New makes the set of these nodes. Names must be unique; of equal names
// the first in the input counts.
func New(nodes []Node) *Nodes {
	e := &Nodes{nodes: make([]hashedNode, 0, len(nodes))}
	for _, n := range nodes {
		e.nodes = append(e.nodes, hashedNode{Node: n, hash: hashString(n.Name)})
	}
	slices.SortStableFunc(e.nodes, func(a, b hashedNode) int { return strings.Compare(a.Name, b.Name) })
	e.nodes = slices.CompactFunc(e.nodes, func(a, b hashedNode) bool { return a.Name == b.Name })
	return e
}

// Elect names the owner of an address and the next in line. For many addresses
// [Nodes.Ranker] is faster.
func (e *Nodes) Elect(v VIP) Result { return e.Ranker().Elect(v) }

// Ranking gives every node with its score: the eligible ones first, the owner
// at the top, then the others with the reason why they may not own the address.
func (e *Nodes) Ranking(v VIP) []Candidate {
	b, key := e.eligibility(v, e.routed(v.IP)), hashAddr(v.IP)
	r := make([]Candidate, 0, len(e.nodes))
	for i := range e.nodes {
		n := &e.nodes[i]
		r = append(r, Candidate{Node: n.Name, Score: score(n.hash, key), Weight: v.Scope.weight(n.Name), Reason: b.objection(n)})
	}
	slices.SortStableFunc(r, func(x, y Candidate) int {
		switch {
		case (x.Reason == "") != (y.Reason == ""):
			if x.Reason == "" {
				return -1
			}
			return 1
		case above(x.Score, x.Weight, y.Score, y.Weight):
			return -1
		case above(y.Score, y.Weight, x.Score, x.Weight):
			return 1
		}
		return 0
	})
	return r
}

// Rank is the position of a node among the fit nodes of the set for a
// key that is not an address, such as a pool's name: 0 is the first, -1 means
// that the node is unknown or unfit.
func (e *Nodes) Rank(name, key string) int {
	h := hashString(key)
	i, ok := e.find(name)
	if !ok || e.nodes[i].Unfit != "" {
		return -1
	}
	own, rank := score(e.nodes[i].hash, h), 0
	for j := range e.nodes {
		if n := &e.nodes[j]; n.Unfit == "" && j != i {
			if s := score(n.hash, h); s > own || s == own && j < i {
				rank++
			}
		}
	}
	return rank
}

// Unfit reports whether a node is unfit for this reason.
func (e *Nodes) Unfit(reason string) bool {
	return slices.ContainsFunc(e.nodes, func(n hashedNode) bool { return n.Unfit == reason })
}

// Nodes returns what the set was made of, sorted by name.
func (e *Nodes) Nodes() []Node {
	nodes := make([]Node, len(e.nodes))
	for i := range e.nodes {
		nodes[i] = e.nodes[i].Node
	}
	return nodes
}
