package metallb

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/lease"
)

// service is a Service of type LoadBalancer as MetalLB leaves it.
type service struct {
	node
	ips   []netip.Addr // in its status
	class string
	pool  string // asked for by annotation
}

// The prefixes of MetalLB's annotations, and what there is behind them.
var (
	prefixes = []string{"metallb.io/", "metallb.universe.tf/"}
	wishes   = []string{"address-pool", "allow-shared-ip", "loadBalancerIPs"}
)

// written is the annotation that MetalLB itself writes.
const written = "ip-allocated-from-pool"

// service reads a Service and remarks on what of it starling understands otherwise than MetalLB.
func (in *input) service(f fields) {
	spec := f.get("spec").fields()
	if spec.get("type").text() != "LoadBalancer" {
		return
	}
	s := service{node: f.node, class: spec.get("loadBalancerClass").text()}
	for _, ingress := range f.get("status").fields().get("loadBalancer").fields().get("ingress").items() {
		if ip, err := netip.ParseAddr(ingress.fields().get("ip").text()); err == nil {
			s.ips = append(s.ips, ip.Unmap())
		}
	}
	annotations := f.get("metadata").fields().get("annotations").labels()
	for _, prefix := range slices.Backward(prefixes) {
		if v := annotations[prefix+"address-pool"]; v != "" {
			s.pool = v
		}
	}
	s.compare(annotations)
	in.services = append(in.services, s)
}

// compare remarks on annotations that mean something else to starling, or nothing.
func (s *service) compare(annotations map[string]string) {
	for _, wish := range wishes {
		a, b := annotations[prefixes[0]+wish], annotations[prefixes[1]+wish]
		if a != "" && b != "" && a != b {
			s.remark("annotations %s and %s differ, MetalLB follows the first: starling refuses that, remove the second", prefixes[0]+wish, prefixes[1]+wish)
		}
	}
	for _, key := range sortedKeys(annotations) {
		prefix, name, _ := strings.Cut(key, "/")
		if slices.Contains(prefixes, prefix+"/") && name != written && !slices.Contains(wishes, name) {
			s.remark("annotation %s has no counterpart", printable(key))
		}
	}
}

// keeps remarks on Services that would not keep what they have, and counts those that have an address
// and those of them that would keep it.
func (in *input) keeps(pools *lease.Pools, renamed map[string]string) (have, keep int) {
	for _, s := range in.services {
		if s.class != "" {
			s.remark("has the loadBalancerClass %q: only speakers with --lb-class %s serve it", printable(s.class), printable(s.class))
		}
		if name, ok := renamed[s.pool]; ok && name != s.pool {
			s.remark("asks for pool %q by annotation, which is called %q now: change the annotation before starling starts", printable(s.pool), name)
		}
		lost := s.outside(pools)
		for _, ip := range lost {
			s.remark("its address %s is in none of the pools: starling would replace it; add it to a pool if it is to stay", ip)
		}
		have += btoi(len(s.ips) > 0)
		keep += btoi(len(s.ips) > 0 && len(lost) == 0)
	}
	return have, keep
}

func (s *service) outside(pools *lease.Pools) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(s.ips), func(ip netip.Addr) bool {
		_, ok := pools.Of(ip)
		return ok
	})
}
