package e2e

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// gateways is a pool that others hand out addresses of.
const gateways = "198.18.71.0/24"

// withGateways adds the pool until the test ends.
func withGateways(t *testing.T) {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"pools": append(asValues(pools()),
		map[string]any{"name": "gateways", "ranges": []string{gateways}, "allocate": false, "externalIPs": true})})
	if err != nil {
		t.Fatal(err)
	}
	configure(t, string(text))
	everywhere(t, 10*time.Second, "pool gateways", hasPools("default", "tiny", "aside", "gateways"))
}

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
	withGateways(t)
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

// TestStaticAddressesOfGateway does by hand what the conformance test GatewayStaticAddresses of the
// Gateway API does, to the Service that an implementation makes for a Gateway: it lists an address
// that is in no pool and a usable one, and then the usable one alone. A request for an address is
// granted as a whole or not at all; of spec.externalIPs each address counts for itself.
func TestStaticAddressesOfGateway(t *testing.T) {
	w, v := watch(t), newViewer(t)
	withGateways(t)
	outside := netip.MustParseAddr("198.18.72.9")
	for _, tt := range []struct {
		name    string
		usable  string
		list    func(s *core.Service, ips []string)
		refused string // what the event says that names the address outside; "": the usable one is announced all the same
	}{
		{"annotated", "198.18.64.201", func(s *core.Service, ips []string) {
			s.Annotations = map[string]string{"starling-lb.io/loadBalancerIPs": strings.Join(ips, ",")}
		}, "198.18.72.9 and 198.18.64.201 are both IPv4"},
		{"specified", "198.18.64.202", func(s *core.Service, ips []string) {
			s.Spec.LoadBalancerIP = ips[0] // has room for one
		}, "spec.loadBalancerIP asks for 198.18.72.9, which is in no pool"},
		{"external", "198.18.71.21", func(s *core.Service, ips []string) { s.Spec.ExternalIPs = ips }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			usable, name := netip.MustParseAddr(tt.usable), "gateway-"+tt.name
			create(t, name, func(s *core.Service) { tt.list(s, []string{outside.String(), tt.usable}) })
			if tt.refused == "" {
				owner(t, w, usable)
				reach(t, "tcp", usable)
				if code, out, err := v.run(t.Context(), "who", outside.String()); err != nil || !strings.Contains(out, outside.String()+" is held by no Service and is in no pool") {
					t.Errorf("who %s: exit code %d, %v\n%s", outside, code, err, out)
				}
			} else {
				if message := event(t, name, "AllocationFailed"); !strings.Contains(message, tt.refused) {
					t.Errorf("event AllocationFailed: %s, want %q", message, tt.refused)
				}
				silent(t, w, usable)
			}
			silent(t, w, outside)

			until(t, 10*time.Second, "update of "+name, func(ctx context.Context) error {
				s, err := services().Get(ctx, name, meta.GetOptions{})
				if err != nil {
					return err
				}
				tt.list(s, []string{tt.usable})
				_, err = services().Update(ctx, s, meta.UpdateOptions{})
				return err
			})
			if tt.refused != "" {
				if got := addresses(t, name, 1)[0]; got != usable {
					t.Errorf("the Service has %s, want %s", got, usable)
				}
			}
			owner(t, w, usable)
			reach(t, "tcp", usable)
			silent(t, w, outside)
			until(t, 15*time.Second, "status without problems", withoutProblems)
		})
	}
}
