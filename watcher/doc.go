// Package watcher is starling's view of Kubernetes: Services, Nodes and EndpointSlices come in, leases and Events go
// out. It is the only package that knows Kubernetes' types; what leaves it are plain values.
//
// # One order
//
// Leases are safe because a speaker checks a claim against a table that equals the cluster's state at one moment: a
// position of the one ordered stream of changes that the API server sends. So the table is what client-go's reflector
// itself writes into, change by change and in the order of the stream; a list after a lost watch replaces it in one
// step. [Watcher.Drain] hands the speaker everything between two positions as one step, whole or not at all. An
// informer would not do: its store runs ahead of its handlers, and after a list its handlers see, one object at a
// time, a mixture that never existed.
//
// Nodes, EndpointSlices, the labels of Namespaces and the Secret of the gossip's keys need no such order and are handed
// out as snapshots.
//
// # Memory
//
// Objects are reduced to what is needed while they are read; neither lists nor watches keep an API object. Services
// that hold nothing and want nothing, being neither of type LoadBalancer nor marked by a lease or an ingress address,
// are not kept, and leave the table like deleted ones.
//
// # Interruptions
//
// A watch that breaks is resumed at its position, after 0.1 s to 2 s, for as long as it takes; only an API server that
// no longer knows the position (410 Gone), or that was restored to an earlier state, makes us list again. Dead
// connections are noticed by HTTP/2 pings within 10 s. What does not work is told in words by State.Problems.
//
// A snapshot file, if a directory is given, lets a speaker that starts while the API server is away know the addresses
// it had. State.Stale marks what came from it.
//
// # Writes
//
// A lease and the ingress address that shows it are written by one PATCH of services/status that carries the uid and
// the resourceVersion of the table that it was decided from. A conflict is final: the stream brings the new state, and
// the decision is made again from that.
//
// # Rights
//
// A ClusterRole with
//
//	""                services         list, watch
//	""                services/status  patch
//	""                nodes            list, watch
//	discovery.k8s.io  endpointslices   list, watch
//	""                events           create, patch
//	""                namespaces       list, watch
//	""                namespaces       get, only kube-system
//
// and in starling's own namespace a Role with
//
//	""                secrets          create
//	""                secrets          get, list, watch, only starling-gossip
package watcher
