// Package arpd is the wire. It makes the neighbors of this node believe that the node has addresses
// (VIPs) that are on no interface.
//
// A neighbor finds the Ethernet address of an IPv4 address by ARP (RFC 826) and of an IPv6 address
// by neighbor discovery (RFC 4861). Both are a question and an answer, and in both a host may
// announce its answer to everybody unasked. A VIP needs no more: the answers bring the packets to
// this node, where kube-proxy takes them by their destination address. Nothing is configured in the
// kernel, so kubelet and CNI plugins never see a VIP, and the process needs no capability but
// NET_RAW.
//
// # How it is built
//
// With [Responder.Assign] the caller says for which addresses this node answers, always the whole
// set. An address costs more than a comparison only if something about it has changed. Every used
// interface gets an immutable table of its own (address -> role) that readers load through one
// atomic pointer:
//
//	package netif ──> scan ──> interfaces (those that are used)
//	                                  │ view {MAC, table}, swapped whole
//	Assign ──> what changed ──> roles ┤
//	                                  ├── reader ARP: packet socket, own thread
//	schedule ──> announcer ───────────┤── reader NDP: packet socket, own thread
//	                                  └── solicited-node groups (MLD)
//	readers ──> what was heard ──> package claims ──> announcer (defense)
//
// A reader is one blocking packet socket with a kernel filter on a locked thread. It reads a frame,
// decides, rewrites the frame in place, and writes it. The decision is a pure function of the view
// and the frame: it allocates nothing, takes no lock and writes no log. Everything that is not an
// answer (announcements, tests, parsing of other messages) uses mdlayher/arp and mdlayher/ndp.
// Package packet has both codecs and the kernel filters, and its fuzz tests hold the two against
// each other.
//
// Package netif lists interfaces and says which are used. Events never patch that list: a netlink
// event only means that it is time to list all links and addresses again. Events have one more use,
// because a list cannot show it: that a link was down for a moment, after which every address is
// announced again.
//
// [Responder.SetLimits] keeps addresses to some of the interfaces. It comes before the choice by
// the address's network. Of several interfaces on one network one announces and the others listen,
// see [netif.Routes].
//
// # Announcing
//
// The responder announces a gained address at once, again after growing gaps, and then about once a
// minute forever (package announce). The newest gains come first, at no more than 12,000 frames a
// second.
//
// Package claims decides what follows when another MAC announces or answers for a VIP. The caller
// says by [Responder.SetPeers] which MACs are those of other nodes of the cluster. An address in
// both lists of Assign is being handed over: it is still answered, but no longer announced and not
// defended.
//
// # Questions
//
// The caller names questions ([Question]) that the responder sends again and again: whether a
// speaker of this cluster is at a MAC, whether a station answers for a VIP, and whether a host's
// kernel replies. No kernel knows the addresses in the first two questions. So a process that is
// dead or stopped does not answer them, whatever its node's kernel does. The third asks for an
// address of the host itself. The kernel answers that at once, however slow its processes are.
//
// [Responder.Test] opens TCP connections through other nodes, as package forward asks for, and
// resets those that are accepted. The owner also probes its own addresses, at once and then slowly,
// because a station that has one of them may never announce it, see [Responder.recheck].
// [Responder.Probe] probes addresses that nobody should have before their first use. Package claims
// decides when to probe, and what follows from a reply.
//
// # In which order to read
//
// From the bottom up; no file uses what stands in a later one:
//
//	table, frame, presence, arp, ndp, ping    what a frame says, and the answer
//	heartbeat, groups, iface                  an interface: its readers, and how it sends
//	inbox, responder                          the state of all, and what guards it
//	deputy, assign, announce, send, probe     what is answered, announced and asked for
//	handshake                                 connections that test what others forward
//	cards, kernel, problem, follow            interfaces as they come and go
//	peers, listen, limits, recheck            what the caller and the wire say of others
//	run, state                                start, and what the caller sees
//
// docs/wire.md lists every frame, flag and time.
package arpd
