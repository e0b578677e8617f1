// Package attack does to real speakers what a stranger on the LAN can do, and holds that it does no harm.
//
// Four nodes without Kubernetes run a speaker each, as a process in namespaces of its own. The attacker is the host of
// the cluster's client, on the same segment. n4 announces nothing: questions for addresses are asked from there.
package attack
