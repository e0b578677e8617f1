package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"

	"github.com/starling-lb/starling/e2e/probe"
)

// TestStationTookTheAddress: a machine takes an address a moment before a Service gets it, and says
// nothing, as most do. The Service gets the other address of the pool at once.
func TestStationTookTheAddress(t *testing.T) {
	for _, family := range []core.IPFamily{core.IPv4Protocol, core.IPv6Protocol} {
		t.Run(string(family), func(t *testing.T) {
			w := watch(t)
			only := func(s *core.Service) {
				annotate("address-pool", tiny)(s)
				s.Spec.IPFamilies = []core.IPFamily{family}
			}
			other := expose(t, "before", only) // then the one that is left comes first
			remove(t, "before")
			silent(t, w, other)
			taken := other.Prev()
			if other.As16()[15] == 1 {
				taken = other.Next()
			}
			if err := shared.Client.Take(taken); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := shared.Client.GiveUp(taken); err != nil {
					t.Error(err)
				}
			})
			begun := time.Now()
			create(t, "late", only)
			until(t, 5*time.Second, "another address than "+taken.String(), func(context.Context) error {
				if got := addresses(t, "late", 1)[0]; got != other {
					return fmt.Errorf("it has %s", got)
				}
				return nil
			})
			t.Logf("the Service has %s after %v", other, time.Since(begun).Round(time.Millisecond))
			n := owner(t, w, other)
			reach(t, "tcp", other)
			isNode := func(c probe.Claim) bool { return c.MAC != shared.Client.MAC.String() }
			if !slices.ContainsFunc(w.Claims(taken), isNode) {
				return // the picker has just looked: it was never handed out
			}
			message := event(t, "late", "AddressConflict")
			for _, want := range []string{taken.String(), other.String(), shared.Client.MAC.String()} {
				if !strings.Contains(message, want) {
					t.Errorf("event AddressConflict does not name %s: %s", want, message)
				}
			}
			t.Logf("%s announces; %s", n.Name, message)
		})
	}
}
