// Package metallb turns a configuration of MetalLB into one of starling. It is pure: bytes in, a
// [lease.Config] and remarks out. It knows MetalLB's objects by their documented form only.
//
// # What it reads
//
// Documents of YAML or JSON, one object or list of objects each, as people keep them in files and
// as kubectl prints them:
//
//   - ConfigMap with the key "config" (MetalLB to 0.12), or that key's text alone: address-pools.
//   - IPAddressPool, L2Advertisement (from 0.13) and AddressPool (between the two).
//   - BGPAdvertisement, BGPPeer, BFDProfile and Community, and what the ConfigMap says of the same.
//   - Service: nothing is taken over, but those that would not keep their address are reported.
//
// Everything else is reported, one remark for each kind. What every object of Kubernetes has
// besides (metadata, status) is left out silently.
//
// # What becomes of it
//
// What is said of MetalLB here holds for 0.16.
//
// A pool keeps its name, ranges, autoAssign, avoidBuggyIPs and serviceAllocation. MetalLB asks the
// pools with a serviceAllocation first, by priority and then those without one, before all others;
// the order of our pools says the same. One whose serviceAllocation names neither namespaces nor
// selectors is for everybody (before 0.15 MetalLB gave from it on request only).
//
// Which nodes and interfaces announce a pool is said by the L2Advertisements that select it,
// together: by name, by label, or, if they do neither, all pools. One without node selectors means
// all nodes, one without interfaces all interfaces. Where one set of nodes and one of interfaces
// says the same, they are keys of the pool. Where not (other interfaces on other nodes, or only
// some Services), each L2Advertisement is an entry of announce. A pool that nothing announces is
// left out.
//
// BGPAdvertisements are entries too, and BGPPeers are the routers of the key bgp. Those of one
// address for several nodes are one router. All must have one myASN. Passwords are not written into
// the file.
//
// Preferred nodes (an L2Advertisement has them since the release after 0.16) become weights: see
// prefer.
//
// A range may have host bits ("192.0.2.5/28"): MetalLB means the whole network, we ask for its
// first address. A name that is no name for us is changed.
//
// # Remarks and mistakes
//
// A remark says what has no counterpart or was changed, and what to do. A mistake is something that
// MetalLB would refuse too, or that cannot be read; then nothing is converted. Both say where: the
// document (counted from 1, empty ones not), kind and name, field.
package metallb
