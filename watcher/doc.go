// Package watcher is starling's view of Kubernetes: Services, Nodes and EndpointSlices come in,
// leases and Events go out. It is the only package that knows Kubernetes' types; what leaves it are
// plain values.
//
// # One order
//
// Leases are safe because a speaker checks a claim against a table that equals the cluster's state
// at one moment: a position of the one ordered stream of changes that the API server sends. So the
// table is what client-go's reflector itself writes into, change by change and in the order of the
// stream; a list after a lost watch replaces it in one step. [Watcher.Drain] hands the speaker
// everything between two positions as one step, whole or not at all. An informer would not do: its
// store runs ahead of its handlers, and after a list its handlers see, one object at a time, a
// mixture that never existed.
//
// Nodes, EndpointSlices, the labels of Namespaces, the Secret of the gossip's keys and the
// ConfigMap of the configuration need no such order and are handed out as snapshots.
//
// # Memory
//
// Objects are reduced to what is needed while they are read; neither lists nor watches keep an API
// object. Services that hold nothing and want nothing, being neither of type LoadBalancer nor
// marked by a lease, an ingress address or externalIPs, are not kept, and leave the table like
// deleted ones.
//
// # Interruptions
//
// A version of the API server is a number, and says nothing about which history it belongs to:
// after etcd was restored from a backup and written to, it stands for something else. So a watch
// that breaks is resumed within 3 s, and only where the server proves that it still has the history
// that we know: it must have the newest object that we have seen, to the last field. That costs one
// object for each interruption. Without the proof, after a longer break, when the server does not
// know the position any more (410 Gone), and every hour or so, we list anew and take the
// difference. Dead connections are noticed by HTTP/2 pings within 10 s. What does not work is in
// State.Conditions.
//
// A snapshot file, if a directory is given, lets a speaker that starts while the API server is away
// know the addresses it had. State.Stale marks what came from it.
//
// # Writes
//
// A lease and the ingress address that shows it are written by one PATCH of services/status that
// carries the uid and the resourceVersion of the table that it was decided from. A conflict is
// final: the stream brings the new state, and the decision is made again from that.
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
//	""                configmaps       get, list, watch, only the one of the configuration
package watcher
