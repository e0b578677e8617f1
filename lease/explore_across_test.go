package lease

import (
	"net/netip"
	"strings"
	"testing"
)

// TestExploreAcrossNamespaces: where the pool does not say so, a Service of another namespace never
// comes to share an address, whatever it asks for, and those that share one already go on.
func TestExploreAcrossNamespaces(t *testing.T) {
	const shared = "192.0.2.1"
	w := newScenario(t, 2, "192.0.2.1 192.0.2.2", "share=k")
	w.events, w.budget = "note delete flip strip request", 2
	w.templates[1].Namespace = "other"
	w.rule = func(all []*entry) string {
		for _, ip := range w.ips {
			if len(all) == 2 && boundTo(*all[0].s, ip) && boundTo(*all[1].s, ip) {
				return "a Service of another namespace has joined"
			}
		}
		return ""
	}
	if x := explore(w, mostStates); x.bad != "" {
		t.Fatalf("with all guards: %s", x.bad)
	}
	w.off.across = true
	if x := explore(w, mostStates); !strings.Contains(x.bad, "has joined") {
		t.Errorf("without this guard the search must find who joins: %s", x.bad)
	}

	w.off.across, w.events, w.budget, w.begin = false, "note", 1, true
	for i := range w.templates {
		s := &w.templates[i]
		s.annotate(LeaseAnnotation, Lease{V: 1, By: "here", Holder: "n1", Sharing: read(*s).sharing(), IPs: []Item{{IP: netip.MustParseAddr(shared), Pool: "p", State: stateBound}}}.Encode())
		s.annotate(PoolAnnotation, "p")
		s.Ingress = []string{shared}
	}
	together := 0
	w.rule = func(all []*entry) string {
		for _, e := range all {
			if !boundTo(*e.s, netip.MustParseAddr(shared)) {
				return "one of two that share was put out"
			}
		}
		together += btoi(len(all) == 2)
		return ""
	}
	if x := explore(w, mostStates); x.bad != "" || together == 0 {
		t.Fatalf("%d together: %s", together, x.bad)
	}
}
