// Package apitest is a small Kubernetes API server in memory, for tests of what talks to one: the
// watcher, the speaker and the simulation. It is real on the wire (HTTP, JSON and protobuf, list,
// watch, streamed lists, merge patch) and honest where leases depend on it:
//
//   - All changes have one total order and one resourceVersion counter; a watch delivers them in that order, and a
//     deletion has a version of its own.
//   - An update or patch that names another uid or resourceVersion than the stored one gets 409 Conflict, one of an
//     object that is gone 404; one that changes nothing makes no new version.
//   - services/status takes metadata and status, services takes metadata and spec; turning a Service into another type
//     than LoadBalancer clears its ingress, and only a LoadBalancer may have one.
//   - Objects with finalizers are marked when deleted, and go when the last finalizer goes.
//   - A watch from a version that is compacted gets 410, a list at a version yet to come 504.
//
// Faults are switched on by method: watches can be cut, torn in the middle of an event, held back
// or expired, requests refused or delayed, the server stopped, restarted, restored from a backup
// and written past the versions that it had.
//
// There is no authentication, no admission, no defaulting and no validation beyond what is listed
// above.
package apitest
