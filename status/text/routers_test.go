package text

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
)

// TestRouters: routers and what is announced to them, in the status and in the answer to who.
func TestRouters(t *testing.T) {
	t.Parallel()
	route := []api.Route{{Router: "tor1", Nodes: []string{"n1", "n2"}, By: []string{"n1"}}}
	s := api.Snapshot{
		Node: "n1", Ready: true,
		VIPs: []api.VIP{{IP: "203.0.113.1", Routes: route, Reason: "by BGP: n1 n2 to tor1"}},
		Routers: []api.Router{
			{Name: "tor1", Address: "192.0.2.1", ASN: 64512, Sessions: "few", Speakers: []string{"n1", "n2"}, Up: []string{"n1"}, Session: &api.Session{State: "established", Since: now.Add(-time.Minute), Paths: 1}},
			{Name: "tor2", Address: "192.0.2.2", ASN: 64512, Sessions: "each", Session: &api.Session{State: "active", Cause: "refused"}},
			{Name: "tor3", Address: "192.0.2.3", ASN: 64512, Sessions: "few"},
		},
	}
	want := `
ADDRESSES
  ADDRESS      ANNOUNCER    NEXT  SINCE  POOL  SERVICE  INTERFACE  REASON
  203.0.113.1  BGP: n1, n2  -     -      -     -        -          by BGP: n1 n2 to tor1

ROUTERS
  NAME  ADDRESS    AS     SESSIONS  SPEAKERS  UP  OF N1            SINCE  PATHS
  tor1  192.0.2.1  64512  few       n1 n2     n1  established      60s    1
  tor2  192.0.2.2  64512  each      -         -   active: refused  -      0
  tor3  192.0.2.3  64512  few       -         -   none             -      0
`
	var out strings.Builder
	p := Printer{Now: now}
	if err := p.Status(&out, s, nil); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "not joined the mesh yet\n")
	got, _, _ = strings.Cut(got, "\nPOOLS")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	want = `
BY BGP
  ROUTER  NEXT HOPS  LEAVING  ANNOUNCED BY
  tor1    n1 n2      -        n1
  NODE  TO    WHY NOT
  n1    tor1  -
  n3    -     not ready
`
	out.Reset()
	if err := p.Who(&out, api.Who{Node: "n1", VIP: &s.VIPs[0], Ranking: []api.Candidate{{Node: "n1", Routers: []string{"tor1"}}, {Node: "n3", NotRouted: "not ready"}}}); err != nil {
		t.Fatal(err)
	}
	if _, got, _ := strings.Cut(out.String(), "no         -     -\n"); !strings.HasSuffix(out.String(), want) {
		t.Errorf("who (-want +got):\n%s", cmp.Diff(want, got))
	}
}
