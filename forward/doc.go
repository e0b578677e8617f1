// Package forward finds out from outside which nodes forward what comes for the addresses of Services.
// It is pure: it does no I/O, reads no clock and logs nothing. [Machine.Step] takes what happened,
// [Machine.Ready] says what to ask and what to report, and when to call again.
//
// Packets for an address are forwarded by the kernel of the node that announces it, by rules that
// kube-proxy and the network plugin have put there. They may be gone while kube-proxy says that it is
// well, and while the node's speaker is well or away. No speaker can test its own node, since its own
// packets take another way. So its peers do.
//
// # The question
//
// A tester begins a TCP connection with a port of a Service, as a client does, but by the MAC of the
// node that it tests. If that is accepted (SYN and ACK) within 200 ms, the node forwards, and the
// tester resets the connection. A refusal says nothing: it may come from any place.
//
// # Who tests whom
//
// Every node that could own addresses, or whose speaker is absent, is tested by the two others on its
// networks that rank highest for its name (rendezvous hashing, package owner). Each tester asks once a
// second, and twice if the speaker is absent. It takes turns with four [Place] values at most: those
// that the node announces, and if it announces none, as one that drops, those of others. Those of
// policy Cluster go before those of policy Local. A Service of policy Local is asked for only where it
// has an endpoint.
//
// # What follows
//
//	round         through the node   through another node       then
//	one question  answered           (not asked)                it forwards
//	any           routed             any                        nothing, also if it drops
//	one question  silent             (not asked)                another question, of another address
//	the second    silent             (not asked)                compare
//	compare       answered           any                        it forwards
//	compare       silent             each, at one address       it drops
//	compare       silent             not each, or none          compare by a second node, then rest
//	any           silent             there is nobody            nothing
//	(it drops)    answered           (not asked)                three rounds in a row: it forwards again
//
// A node without rules is still a router: it sends on what comes for an address that another node
// announces, and that one forwards it. So an answer by the MAC of the announcer, where another node was
// asked, is neither one nor the other: nothing follows from it.
//
// A comparison asks the same questions at the same time by the node and by another one, eight times
// for each of the two addresses. The node drops only if not one of its own was answered, and all of
// one address were by the other. So a Service that is dead everywhere decides nothing, and neither
// does one of which some endpoints are dead: for a node to be blamed wrongly, sixteen choices among
// the endpoints must come out one way. A comparison that decides nothing is followed by a rest of five
// seconds.
//
// The caller names no node as ready whose host this one does not hear: the link between the two may be
// broken, and no other. It names no place whose Service or endpoints have just changed: kube-proxy of one
// node may be later than that of another.
//
// A node that drops is told so again and again by its testers ([Report]), and goes behind all others.
// It goes on being tested. If its speaker is absent, all nodes are told, and its absence ends.
package forward
