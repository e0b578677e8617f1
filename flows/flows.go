// Package flows is pure: it says which packets a node passes on to another one, so that TCP
// connections outlive a move of their address. A flow is a TCP connection as one node's kernel
// forwards it.
//
// # The idea
//
// kube-proxy's choice of a backend is in the connection table (conntrack) of the node where the
// connection began. Another node does not know it, would choose anew, and so ends the connection.
// But the node where it began goes on forwarding what reaches it. So a node that takes an address
// from a live node asks its own kernel about each packet, and passes on what belongs to no
// connection there:
//
//	packet for a VIP                           this node
//	begins a connection (SYN)                  forwards it, as ever
//	of a connection that its kernel knows      forwards it, as ever
//	of none                                    passes it to who had the address before
//
// The kernel's own table is the memory: it holds what began here, from before the feature was
// enabled and from before the speaker started. Replies go from the first node straight to the
// client. GitHub's GLB calls this a second chance.
//
// # Several moves
//
// Every speaker sees every change of owner. [Table] keeps the nodes that have had an address, the
// last owner first. A node passes on to the next one in that list that lives, so a packet visits
// all of them, each once, until one knows it. The last in the list has nobody to ask. For a moment
// after a move it passes to the owner: some neighbors still send to it, and may mean a connection
// that began on the owner.
//
// No packet goes round. All pass down the list, the last one up to the owner, and the owner passes
// on nothing that comes from a node of the list. Nodes that see moves at different moments cannot
// send a packet back and forth either: nobody passes a packet back to the MAC that it came from.
// Each pass also costs the packet one hop of its TTL.
//
// # The end
//
// A node that died is not passed to any more, since its kernel has forgotten everything. A node
// whose speaker has left is passed to until its kernel is silent when probed, as when it boots, and
// for as long as it is remembered as a member. A day after the last move of an address its list is
// dropped: kube-proxy has the kernel forget idle connections after a day. What an earlier process
// of the speaker passed is still passed by the kernel, and is adopted.
//
// The room is called flows and not chance or forwarding: flow is the RFC's word for what is kept,
// and forwarding is what kube-proxy does. Package nft has the rules in the kernel.
package flows

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/probe"
)

// Pass says that what comes for an address, and is of no connection that the kernel knows, goes to
// another node.
type Pass struct {
	VIP  netip.Addr
	To   netip.Addr // of the other node, on a network of this one
	MACs []string   // what comes from these is not passed
	// Brief says that the other node is the owner. If this one's process ends, it passes no more.
	Brief bool
}

// Move is a change of owner.
type Move struct {
	VIP      netip.Addr
	From, To string // nodes; "" for none
}

// Node is another node, as far as it matters here.
type Node struct {
	Addrs []netip.Addr
	MACs  []string
	Owns  bool // it takes part in the election, so its host lives
	Dead  bool
}

// Turn is what the passes of a turn follow from.
type Turn struct {
	Now      time.Time
	Self     string
	Settled  bool // this node knows the others and who owns what
	Moves    []Move
	Nodes    map[string]Node // members
	Networks []netip.Prefix  // of this node
	Owner    func(vip netip.Addr) (node string, bound bool)
	Answers  map[probe.Question]probe.Answer
}

// Result is what follows.
type Result struct {
	Passes []Pass           // the whole set, sorted by address
	Ask    []probe.Question // to ask until the next turn
	Wake   time.Time        // when something changes by itself; zero: never
}
