package lease

import (
	"net/netip"
	"strings"
	"testing"
)

// TestEveryGuardMattersOfReservations: an address that a pool reserves for one Service is bound to
// no other one, whatever speakers and users do, and without the rule about it the search finds that
// it is.
func TestEveryGuardMattersOfReservations(t *testing.T) {
	reserved := netip.MustParseAddr("192.0.2.1")
	w := newScenario(t, 2, "192.0.2.1 192.0.2.2 192.0.2.3")
	own := Key{Namespace: "ns", Name: "a"}
	w.pools = mustPools(t, Pool{Name: w.pools.list[0].Name, Ranges: w.pools.list[0].Ranges, Reservations: map[string]string{own.String(): reserved.String()}})
	w.events, w.budget = "note delete request tenant", 2
	w.rule = func(all []*entry) string {
		for _, e := range all {
			if h := e.at(reserved); h != nil && h.bound && e.s.Key() != own {
				return e.s.Name + " is bound to an address that is reserved for another Service"
			}
		}
		return ""
	}
	x := explore(w, mostStates)
	if x.bad != "" {
		t.Fatalf("with all guards: %s", x.bad)
	}
	t.Logf("%d states", len(x.seen))
	w.off.reserved = true
	x = explore(w, mostStates)
	t.Logf("after %d states: %s", len(x.seen), x.bad)
	if !strings.Contains(x.bad, "that is reserved for another Service") {
		t.Error("without this guard the search must find that the address is bound")
	}
}
