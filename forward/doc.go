// Package forward finds out from outside which nodes forward packets for the addresses of Services.
// It is pure: it does no I/O, reads no clock and logs nothing. [Machine.Step] takes an event, and
// [Machine.Ready] returns what to ask, what to report, and when to call again.
//
// The kernel of the node that announces an address forwards its packets, by rules that kube-proxy
// and the network plugin have put there. The rules may be gone although kube-proxy says that it is
// well, and whether or not the node's speaker runs. No speaker can test its own node, since its own
// packets take another way. So its peers do.
//
// # The question
//
// A tester opens a TCP connection to a port of a Service, as a client does, but sends it to the MAC
// of the node under test. If the connection is accepted (SYN and ACK) within 200 ms, the node
// forwards, and the tester resets the connection. A refusal proves nothing: it may come from any
// place.
//
// # Who tests whom
//
// Every node that could own addresses, or whose speaker is absent, has two testers: the two others
// on its networks that rank highest for its name (rendezvous hashing, package owner). Each tester
// asks once a second, and twice a second if the speaker is absent. It takes turns with up to four
// [Place] values. These are addresses that the node announces. If it announces none, as a node that
// drops does, they are addresses of others. Services of policy Cluster come before those of policy
// Local. A Service of policy Local is tested only on nodes that have an endpoint of it.
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
// "Routed" means that the answer came from the MAC of the node that announces the address, although
// the tester asked another node. A node without rules is still a router: it sends the packet on to
// the announcer, and that one forwards it. So nothing follows from such an answer.
//
// A comparison asks the same questions at the same time through the node and through another one,
// eight times for each of the two addresses. The node drops only if none of its own was answered,
// and all of one address were answered through the other node. So a Service that is dead everywhere
// decides nothing. Neither does one with some dead endpoints: to blame a node wrongly, sixteen
// choices among the endpoints must come out one way. After a comparison that decides nothing, the
// tester rests for five seconds.
//
// The caller does not name a node as ready if this node does not hear its host: only the link
// between the two may be broken. It does not name a place whose Service or endpoints have just
// changed: kube-proxy on one node may be later than on another.
//
// # Nothing to ask for
//
// A node may announce addresses, and none that can be asked for: they have UDP ports alone, or let
// testers not in. While its speaker runs, that one sees whether kube-proxy is there (package
// proxy). While it is absent, its testers look whether anybody listens on kube-proxy's port of the
// node, by the same question:
//
//	kube-proxy's port      the node forwards others' addresses   then
//	answers                any                                   nothing
//	answered once, silent  any                                   three questions in a row: its absence ends
//	never answered         yes, within 10 s                      nothing
//	never answered         no                                    after 10 s its absence ends
//
// Each tester goes by what itself was answered, so a port that is nowhere reachable says nothing.
// It asks every 10 s before the absence, to know the port. Nothing follows from a silent port while
// the tester's own kube-proxy is gone as well, nor ever for a node that announces an address which
// no other node may announce: nobody would take it over.
//
// # Reports
//
// The testers of a node that drops send it a [Report] at each round, which counts for 5 s, and it
// goes behind all others. They go on testing it. If its speaker is absent they report to all nodes,
// and its absence ends.
package forward
