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
	namespace string
	ips       []netip.Addr // in its status
	class     string
	pool      string // asked for by annotation
}

// The prefixes of MetalLB's annotations, and what there is behind them.
var (
	prefixes = []string{"metallb.io/", "metallb.universe.tf/"}
	requests = []string{"address-pool", "allow-shared-ip", "loadBalancerIPs"}
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
	s.namespace = f.get("metadata").fields().get("namespace").text()
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
	for _, request := range requests {
		a, b := annotations[prefixes[0]+request], annotations[prefixes[1]+request]
		if a != "" && b != "" && a != b {
			s.remark("annotations %s and %s differ, MetalLB follows the first: starling refuses that, remove the second", prefixes[0]+request, prefixes[1]+request)
		}
	}
	for _, key := range sortedKeys(annotations) {
		prefix, name, _ := strings.Cut(key, "/")
		if slices.Contains(prefixes, prefix+"/") && name != written && !slices.Contains(requests, name) {
			s.remark("annotation %s has no counterpart", printable(key))
		}
	}
}

// keeps remarks on Services that would not keep what they have, and counts those that have an
// address and those of them that would keep it.
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

// across lets Services of different namespaces share the addresses of a pool where some do already,
// as MetalLB lets all.
func (in *input) across(config lease.Config) {
	list := config.Pools
	pools, err := lease.Compile(config)
	if err != nil {
		return // and told
	}
	first := map[netip.Addr]service{}
	for _, s := range in.services {
		for _, ip := range s.ips {
			other, shared := first[ip]
			if !shared {
				first[ip] = s
				continue
			}
			name, _ := pools.Of(ip)
			i := slices.IndexFunc(list, func(p lease.Pool) bool { return p.Name == name })
			if i < 0 || s.namespace == other.namespace || list[i].ShareAcrossNamespaces {
				continue
			}
			list[i].ShareAcrossNamespaces = true
			s.remark("shares %s with one of the namespace %s, so pool %q lets all namespaces share; remove shareAcrossNamespaces if only these two may, which keep the address", ip, printable(other.namespace), name)
		}
	}
}

func (s *service) outside(pools *lease.Pools) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(s.ips), func(ip netip.Addr) bool {
		_, ok := pools.Of(ip)
		return ok
	})
}
