package lease

import (
	"net/netip"
	"strings"
	"testing"
)

// TestEveryGuardMattersOfExternalIPs: an address that one Service lists is bound to no other one,
// whatever speakers and users do, and without the rule about it the search finds that it is.
func TestEveryGuardMattersOfExternalIPs(t *testing.T) {
	listed := netip.MustParseAddr("192.0.2.1")
	w := newScenario(t, 3, "192.0.2.1 192.0.2.2 192.0.2.3")
	w.templates[0].Type, w.templates[0].ExternalIPs = "ClusterIP", []string{listed.String()}
	w.begin, w.events, w.budget = true, "note", 1 // a list that comes later finds bound what is bound
	w.rule = func(all []*entry) string {
		for _, e := range all {
			if h := e.at(listed); h != nil && h.bound && len(e.external) == 0 {
				for _, o := range all {
					if len(o.external) > 0 {
						return e.s.Name + " is bound to an address that another Service lists"
					}
				}
			}
		}
		return ""
	}
	x := explore(w, mostStates)
	if x.bad != "" {
		t.Fatalf("with all guards: %s", x.bad)
	}
	t.Logf("%d states", len(x.seen))
	w.off.external = true
	x = explore(w, mostStates)
	t.Logf("after %d states: %s", len(x.seen), x.bad)
	if !strings.Contains(x.bad, "that another Service lists") {
		t.Error("without this guard the search must find that the address is bound")
	}
}
