// Package netif knows the network interfaces of the node, and with them the kernel of one network
// namespace as far as netlink and sysctls show it. It sends and answers nothing.
//
//	Namespace ─ Links, Watch ──> Link ──> Choose ──> Interface: used, or why not
//	          ─ Route ─────────> Via ──┐    │
//	          ─ Settings ─────> Setting│    v
//	          ─ Neighbors              └─> Routes ──> where an address is announced
//
// [Namespace] is the input and output; everything else is a function of its arguments. A list of
// links is always the whole one: an event of [Namespace.Watch] only says that it is time for
// another, and whether a link was down meanwhile, which no later list shows.
//
// [Choose] decides which interfaces are used: those of the user's [Patterns], or all that look like
// a LAN. [Routes] decides on which of these an address is announced: where its network is, as far
// as the [Limit] of its pool lets it. Of several interfaces on one network one announces and the
// others listen.
package netif
