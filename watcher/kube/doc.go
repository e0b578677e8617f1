// Package kube is the way to the API server: a client that knows two API groups, made from a
// kubeconfig or the Pod's ServiceAccount, and the single questions and writes that need no watch.
// Speakers ask by it who a token belongs to, and read or make the Secret of the gossip's keys; a
// user's commands find the speakers' pods, ask them, and replace the keys.
package kube
