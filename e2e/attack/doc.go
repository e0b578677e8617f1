// Package attack does to real speakers what others can do who have no rights: a stranger on the
// LAN, clients of the two open ports, a tenant of the cluster, and one who has stolen the gossip
// key. It holds that they do no harm, and logs what was seen: memory of the speaker at the worst
// moment, questions without an answer, addresses that moved.
//
// Four nodes without Kubernetes run a speaker each, as a process in namespaces of its own. The
// attacker is the host of the cluster's client, on the same segment. n4 announces nothing:
// questions for addresses are asked from there.
package attack
