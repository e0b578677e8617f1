package e2e

import (
	"net/netip"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// gateways is a pool that others hand out addresses of.
const gateways = "198.18.71.0/24"

// give writes an address into the status of a Service, as another allocator does.
func give(t *testing.T, name string, ip netip.Addr) {
	t.Helper()
	s, err := services().Get(t.Context(), name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: ip.String()}}
	if _, err := services().UpdateStatus(t.Context(), s, meta.UpdateOptions{FieldManager: "lbipam"}); err != nil {
		t.Fatal(err)
	}
}

// TestAddressesOfOthers: what another allocator writes into the status of a Service is announced
// and reached, and stays as it was written. So is what a Service lists in spec.externalIPs, where
// the implementations of the Gateway API put static addresses of a Gateway. A Service without
// endpoints is announced once it says that they do not matter.
func TestAddressesOfOthers(t *testing.T) {
	w := watch(t)
	text, err := yaml.Marshal(map[string]any{"pools": append(asValues(pools()),
		map[string]any{"name": "gateways", "ranges": []string{gateways}, "allocate": false, "externalIPs": true})})
	if err != nil {
		t.Fatal(err)
	}
	configure(t, string(text))
	everywhere(t, 10*time.Second, "pool gateways", hasPools("default", "tiny", "aside", "gateways"))
	first := netip.MustParsePrefix(gateways).Addr().Next()
	given, listed, moved, bare := first, first.Next(), first.Next().Next(), first.Next().Next().Next()

	class := func(s *core.Service) { s.Spec.LoadBalancerClass = new("example.com/other") }
	create(t, "given", class)
	give(t, "given", given)
	owner(t, w, given)
	reach(t, "tcp", given)
	create(t, "listed", func(s *core.Service) {
		s.Spec.Type, s.Spec.ExternalIPs = core.ServiceTypeClusterIP, []string{listed.String()}
	})
	owner(t, w, listed)
	reach(t, "tcp", listed)

	give(t, "given", moved)
	owner(t, w, moved)
	silent(t, w, given)
	if s, err := services().Get(t.Context(), "given", meta.GetOptions{}); err != nil || len(s.Annotations) > 0 || s.Status.LoadBalancer.Ingress[0].IP != moved.String() {
		t.Errorf("the Service has annotations %v and status %v (%v)", s.Annotations, s.Status, err)
	}

	create(t, "bare", class, func(s *core.Service) { s.Spec.Selector = nil })
	give(t, "bare", bare)
	silent(t, w, bare)
	ignore := []byte(`{"metadata": {"annotations": {"starling-lb.io/endpoints": "ignore"}}}`)
	if _, err := services().Patch(t.Context(), "bare", types.MergePatchType, ignore, meta.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	owner(t, w, bare)
}
