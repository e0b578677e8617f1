// Package matrix tests the whole promise on clusters of other kinds than that of the other tests:
// kube-proxy in its mode iptables, a replacement of kube-proxy that says nothing on its port, hosts
// that have IPv6 only, a pod network by flannel, and, if they are named, other releases of
// Kubernetes. Each has a cluster of its own.
//
// IPVS is not among them, because the kernels of the machines that the tests run on have none. What
// it needs is a setting of kube-proxy (strictARP), see docs/install.md.
package matrix
