// Package routes is pure: it plans which paths this node's speaker announces to which BGP router.
//
// A [World] goes in and a [Plan] comes out: the [Set] that is given to package bgp, which holds the
// sessions, and for people the [Peering] of each router and the [Route] of each address. What a
// session came to is a [Session].
//
// # Which nodes are announced
//
// By BGP all nodes that may have an address have it at once, and the router spreads its flows over
// them. A node is announced for an address if an entry of the address's pool chooses it, it may
// have a session with the router, and it forwards:
//
//	node                                       its paths
//	alive, or its speaker is away              announced
//	out of touch with the API server           announced, but for externalTrafficPolicy: Local
//	about to go, or draining                   first marked GRACEFUL_SHUTDOWN (RFC 8326), then withdrawn
//	recently returned                          withdrawn
//	the three above, and there is no other     announced
//	not ready, excluded, dead, not forwarding  withdrawn
//
// With externalTrafficPolicy: Local a node also needs an endpoint.
//
// # Who announces them
//
//	each   every node holds a session with the router and announces itself
//	few    three nodes hold the sessions (the holders), and announce all nodes, each as the next hop
//	       of a path of its own (RFC 7911)
//	auto   few where the router is on a network of the nodes, as are their InternalIPs, and no
//	       session has shown that it takes one path for each prefix only; else each
//
// The next hop of a node is its InternalIP on the router's network, if it has one, since a router
// that is a neighbor takes no other. Where it has none, it is announced by nobody else, and itself
// announces the address that it has in the session ([Path.Own]).
//
// The router learns of a dead node from the holders that live, as soon as these know of it, and
// needs no timer of its own. Until its hold time ends, it also believes the session of a dead
// holder. So a holder never announces itself while another holder has a session: what a dead holder
// has said then names only others.
//
// A holder that is out of touch with the API server knows old addresses and old endpoints. While
// another holder in touch has a session, it announces nothing. It stays silent only after
// [MarkedFor], so that the others announce first what it alone has announced.
//
// A holder that has had no session for half a minute goes on trying. Until it has one, the next
// node is a holder too. Speakers need not see this at the same moment, since it only adds sessions.
//
// The holders of a router are the three nodes with the highest score for its name (see package
// owner) among those that may have a session with it and whose speakers are ready; those that are
// about to leave or out of touch come last. Who is a holder no longer keeps its session until all
// that are have theirs, which they say in their metadata. So there is no moment without a session
// when holders or the mode change.
//
// A session also begins anew when the settings of its router change. The holders, sorted by name,
// do so in three parts, one after the other ([Turns]): each when those before it have their
// sessions again, or after a minute. One that has no session takes the new settings at once. So a
// router that keeps no paths of a session that ends still has those of the others, and a wrong
// setting does not reach all sessions before somebody has noticed.
package routes
