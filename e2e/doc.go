// Package e2e tests starling on a real Kubernetes: what a user was promised, seen from a client
// outside.
//
// All tests share one cluster of three nodes, which TestMain makes and removes, and run one after
// another in the order of the source. Each leaves the cluster as it found it: its Services deleted,
// links healed, every speaker ready. Waiting is always for a condition, with a deadline.
package e2e
