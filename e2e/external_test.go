package e2e

import (
	"net/netip"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestExternalIPsAreNotHandedOut: an address in spec.externalIPs of a Service of another type goes
// to nobody else; one that is held already stays, and both Services learn of it.
func TestExternalIPsAreNotHandedOut(t *testing.T) {
	w := watch(t)
	listed := netip.MustParseAddr("198.18.66.1")
	create(t, "lister", func(s *core.Service) {
		s.Spec.Type, s.Spec.ExternalIPs = core.ServiceTypeClusterIP, []string{listed.String()}
	})
	ip := expose(t, "beside", annotate("address-pool", tiny))
	if ip == listed {
		t.Errorf("beside has %s, which another Service lists", ip)
	}
	owner(t, w, ip)
	create(t, "asker", annotate("loadBalancerIPs", listed.String()))
	if message := event(t, "asker", "AllocationFailed"); !strings.Contains(message, "spec.externalIPs of default/lister has it") {
		t.Errorf("event AllocationFailed: %s", message)
	}
	s, err := services().Get(t.Context(), "lister", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Spec.ExternalIPs = []string{ip.String()}
	if _, err := services().Update(t.Context(), s, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lister", "beside"} {
		if message := event(t, name, "AddressConflict"); !strings.Contains(message, ip.String()) {
			t.Errorf("event AddressConflict of %s: %s", name, message)
		}
	}
	if got := addresses(t, "asker", 1)[0]; got != listed {
		t.Errorf("asker has %s after the list let it go, want %s", got, listed)
	}
	if got := addresses(t, "beside", 1)[0]; got != ip {
		t.Errorf("beside had %s and has %s", ip, got)
	}
}
