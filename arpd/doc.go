// Package arpd is the wire: it makes the neighbours of this node believe that
// the node has addresses (VIPs) that no interface carries.
//
// A neighbour finds the Ethernet address of an IPv4 address by ARP (RFC 826)
// and of an IPv6 address by neighbour discovery (RFC 4861). Both are a question
// and an answer, and both let a host tell an unasked answer to everybody. That
// is all a VIP needs: the answers bring the packets to this node, where
// kube-proxy takes them by their destination address. Nothing is configured in
// the kernel, so kubelet and CNI plugins never see a VIP, and the process needs
// no capability but NET_RAW.
//
// # How it is built
//
// The caller says with [Responder.Assign] for which addresses this node answers,
// always the whole set; only what is not as before costs more than a comparison.
// Every used interface gets an immutable table of its own (address -> role) that
// readers load through one atomic pointer:
//
//	package netif ──> scan ──> ports (one per used interface)
//	                                  │ view {MAC, table}, swapped whole
//	Assign ──> what changed ──> roles ┤
//	                                  ├── reader ARP: packet socket, own thread
//	schedule ──> announcer ───────────┤── reader NDP: packet socket, own thread
//	                                  └── solicited-node groups (MLD)
//	readers ──> what was heard ──> package claims ──> announcer (defense)
//
// A reader is one blocking packet socket with a kernel filter on a locked
// thread: read, decide, rewrite the frame in place, write. The decision is a
// pure function of the view and the frame; it allocates nothing, takes no lock
// and writes no log. Everything that is not an answer (announcements, tests,
// understanding of other messages) is coded by mdlayher/arp and mdlayher/ndp.
// Package packet has both codecs and the kernel filters; fuzz tests there hold the
// two against each other.
//
// [Responder.Confine] keeps addresses to some of the interfaces, before it is
// looked which of them has the address's network. Of several interfaces on one
// network one announces and the others listen, see [netif.Routes].
//
// Package netif lists interfaces and says which are used. They are never patched by events: a netlink
// event only says that it is time to list all links and addresses again. The events are used for one
// more thing, because a list cannot show it: that a link was down for a moment, after which every
// address is announced again.
//
// A gained address is announced at once, again after growing gaps and then for
// ever about once a minute (see package announce), newest gains first and never faster
// than the pace of 12,000 frames a second.
//
// What follows from another MAC that announces or answers for a VIP is decided by package claims. The
// caller says by [Responder.Meet] which MACs are those of other nodes of the cluster. An address that
// is in both lists of Assign is being handed over: it is still answered, no longer announced and not
// defended.
//
// Meet also names stations to be asked, again and again, whether a speaker of
// this cluster is there, or whether it answers for a VIP ([Question]). A process
// that is dead or stopped does not answer, whatever the kernel of its node does,
// because no kernel knows the addresses that are asked for. A host can be asked
// for an address of its own instead, which its kernel answers at once however
// slow its processes are.
//
// [Responder.Test] begins TCP connections by way of other nodes, as package forward asks for, and resets
// those that are accepted.
//
// The owner asks for its own addresses as well, at once and then slowly, because a
// station that has one of them may never say so by itself, see [Responder.patrol].
//
// [Responder.Probe] tries out addresses that nobody should have, before they are
// used for the first time. When to ask, and what follows from a reply, is decided by package claims.
//
// # In which order to read
//
// From the bottom up; no file uses what stands in a later one:
//
//	table, frame, presence, arp, ndp, ping    what a frame says, and the answer
//	pulse, groups, port                       an interface: its readers, and how it sends
//	inbox, responder                          the state of all, and what guards it
//	deputy, assign, announce, send, probe     what is answered, announced and asked for
//	handshake                                 connections that test what others forward
//	cards, kernel, problem, follow            interfaces as they come and go
//	company, listen, confine, patrol          what the caller and the wire say of others
//	run, state                                start, and what the caller sees
//
// docs/wire.md lists every frame, flag and time.
package arpd
