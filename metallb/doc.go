// Package metallb turns a configuration of MetalLB into one of starling. It is pure: bytes in, a
// [lease.Config] and remarks out. It knows MetalLB's objects by their documented form only.
//
// # What it reads
//
// Documents of YAML or JSON, one object or list of objects each, as people keep them in files and as
// kubectl prints them:
//
//   - ConfigMap with the key "config" (MetalLB to 0.12), or that key's text alone: address-pools.
//   - IPAddressPool, L2Advertisement (from 0.13) and AddressPool (between the two).
//   - BGPAdvertisement, only to know which pools it announces.
//   - Service: nothing is taken over, but those that would not keep their address are told.
//
// Everything else is told, one remark for each kind. What every object of Kubernetes has besides
// (metadata, status) is left out silently.
//
// # What becomes of it
//
// What is said of MetalLB here holds for 0.16.
//
// A pool keeps its name, ranges, autoAssign, avoidBuggyIPs and serviceAllocation. MetalLB asks the
// pools with a serviceAllocation first, by priority and then those without one, before all others; the
// order of our pools says the same. One whose serviceAllocation names neither namespaces nor selectors
// is for everybody (before 0.15 MetalLB gave from it on request only).
//
// Which nodes and interfaces announce a pool is said by the L2Advertisements that select it, together:
// by name, by label, or, if they do neither, all pools. One without node selectors means all nodes, one
// without interfaces all interfaces. One for some Services only counts where there is none for all. A pool is
// left out when only BGP or nothing at all announces it, because starling announces every pool that it has.
//
// Preferred nodes (an L2Advertisement has them since the release after 0.16) become weights: see prefer.
//
// A range may have host bits ("192.0.2.5/28"): MetalLB means the whole network, we ask for its first
// address. A name that is no name for us is changed.
//
// # Remarks and mistakes
//
// A remark says what has no counterpart or was changed, and what to do. A mistake is something that
// MetalLB would refuse too, or that cannot be read; then nothing is converted. Both say where: the
// document (counted from 1, empty ones not), kind and name, field.
package metallb
