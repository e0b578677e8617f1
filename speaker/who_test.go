package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

func TestWho(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.Local = true }, "n1", "n2")
		ip := m.bound("web")
		first := m.one(ip)
		next := m.view().VIPs[0].Next
		got := m.speakers["n3"].speaker.Who(netip.MustParseAddr(ip))
		score := func(node string) string { return hexScore(node, ip) }
		want := []api.Candidate{
			{Node: first, Score: score(first), Eligible: true, Role: "announcer"},
			{Node: next, Score: score(next), Eligible: true, Role: "next"},
			{Node: "n3", Score: score("n3"), Reason: "no local endpoint"},
		}
		if diff := cmp.Diff(want, got.Ranking); diff != "" {
			t.Errorf("ranking (-want +got):\n%s", diff)
		}
		if want := first + " announces " + ip + ": highest score of 2 with a local endpoint"; got.Words != want || !got.Held || got.Pool != "default" || got.Node != "n3" {
			t.Errorf("%+v, want %q", got, want)
		}
	}, tenAddresses)
}

func hexScore(node, ip string) string {
	r := owner.New([]owner.Node{{Name: node}}).Ranking(owner.VIP{IP: netip.MustParseAddr(ip), Serving: true})
	return fmt.Sprintf("%016x", r[0].Score)
}

func TestWhoOfAddressesThatNobodyHolds(t *testing.T) {
	lab(t, func(m *model) {
		for _, tt := range []struct{ ip, words string }{
			{"203.0.113.1", "203.0.113.1 is held by no Service and is in no pool: starling has nothing to do with it"},
			{"198.18.64.9", `198.18.64.9 of pool "default" is held by no Service; n1 would announce it`},
			{"::ffff:198.18.64.9", `198.18.64.9 of pool "default" is held by no Service; n1 would announce it`},
		} {
			m.setNode("n2", func(n *watcher.Node) { n.Excluded = true })
			m.setNode("n3", func(n *watcher.Node) { n.Excluded = true })
			m.pass(time.Second)
			got := m.speakers["n1"].speaker.Who(netip.MustParseAddr(tt.ip))
			if got.Words != tt.words || got.Held || len(got.Ranking) != 3 {
				t.Errorf("%s: %+v, want %q", tt.ip, got, tt.words)
			}
		}
	}, tenAddresses)
}

func TestWhoWithoutAnAnnouncer(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil)
		ip := m.bound("web")
		m.pass(time.Second)
		if got, want := m.speakers["n1"].speaker.Who(netip.MustParseAddr(ip)).Words, "no node announces "+ip+": no serving endpoint: the EndpointSlices of its Service are empty"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := m.view().Findings; len(got) != 1 || got[0].Level != "warning" || got[0].About != ip {
			t.Errorf("findings %+v, want a warning about %s", got, ip)
		}
	}, tenAddresses)
}

func TestWhoBeforeTheFirstTurn(t *testing.T) {
	t.Parallel()
	s := New(Config{Node: "n1"})
	if got, want := s.Who(netip.MustParseAddr("198.18.64.1")).Words, "this speaker has decided nothing yet: it is starting"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := s.Snapshot(); got.Ready || len(got.Findings) != 1 || !got.At.IsZero() {
		t.Errorf("%+v, want one finding: it starts", got)
	}
}

func TestLeases(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1")
		ip := m.bound("web")
		m.create("old", func(s *watcher.Service) { s.Ingress, s.Class = []string{"198.18.64.7"}, "other" })
		m.pass(time.Second)
		got := m.speakers["n2"].speaker.Leases()
		want := []api.Lease{
			{Service: "default/old", IPs: []api.LeaseItem{{IP: "198.18.64.7", State: "shown"}}},
			{Service: "default/web", By: "cluster", Holder: got[1].Holder, IPs: []api.LeaseItem{{IP: ip, Pool: "default", State: "bound"}}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("leases (-want +got):\n%s", diff)
		}
		if _, runs := m.speakers[got[1].Holder]; !runs {
			t.Errorf("the holder %q is no speaker", got[1].Holder)
		}
	}, tenAddresses)
}
