package report

import (
	"net/netip"
	"testing"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// TestUnwellMembers: what is wrong with a member, by its code.
func TestUnwellMembers(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &World{Self: "n1", Now: began, Cluster: watcher.State{Nodes: []watcher.Node{{Name: "n2", Cordoned: true}, {Name: "n3", NetworkUnavailable: true}}}}
	for _, tt := range []struct {
		name   string
		gossip []mesh.Member
		in     mesh.Member
		want   health.Code
	}{
		{"well", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, ""},
		{"dead", nil, mesh.Member{Name: "n4", State: mesh.Dead}, health.NodeLost},
		{"stopped", nil, mesh.Member{Name: "n4", State: mesh.Left}, health.SpeakerStopped},
		{"on the wire", nil, mesh.Member{Name: "n4", State: mesh.OnWire}, health.GossipBlocked},
		{"another configuration", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, Config: 7}}, health.ConfigDiffers},
		{"not ready", nil, mesh.Member{Name: "n4", State: mesh.Alive}, health.NodeNotReady},
		{"without kube-proxy", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, NoProxy: true}}, health.KubeProxyMissing},
		{"not forwarding", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, NoProxy: true, Drops: true}}, health.NotForwarding},
		{"out of touch", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, APIAge: time.Minute}}, health.NodeOutOfTouch},
		{"back for long", nil, back(began.Add(time.Minute)), health.NodeReturning},
		{"back for good", nil, back(mesh.Forever), health.NodeReturning},
		{"back for a moment", nil, back(began.Add(longHold)), ""},
		{"back, as the wire says", nil, back(time.Time{}), ""},
		{"cordoned", nil, mesh.Member{Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, health.NodeCordoned},
		{"without a network", nil, mesh.Member{Name: "n3", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, health.NetworkUnavailable},
		{"just given up", []mesh.Member{{Name: "n4", State: mesh.Dead, Since: began}}, mesh.Member{Name: "n4", State: mesh.OnWire}, health.GossipDeclaredDead},
	} {
		w.Gossip = tt.gossip
		got, wrong := w.wrongWith(tt.in)
		if got.Code != tt.want || wrong != (tt.want != "") || wrong && got.Subject != health.Node(tt.in.Name) {
			t.Errorf("%s: %+v, want %s", tt.name, got, tt.want)
		}
	}
}

// back is a member that lets others go first until then.
func back(until time.Time) mesh.Member {
	return mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, Returning: true, Until: until}}
}

// TestHold: what a node waits for that came back, in words and as a time.
func TestHold(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC)
	const forGood = "others go first until it is the only node that can, or until `starling return n4`"
	for _, tt := range []struct {
		name string
		in   mesh.Member
		want string
		at   time.Time
	}{
		{"by time", back(then), "others go first until 12:30:00", then},
		{"for good", back(mesh.Forever), forGood, time.Time{}},
		{"as the wire says", back(time.Time{}), "others go first for a while", time.Time{}},
		{"not at all", mesh.Member{Name: "n4", Meta: mesh.Meta{Ready: true}}, "", time.Time{}},
	} {
		if got := (&World{}).member(tt.in); got.Hold != tt.want || !got.HeldUntil.Equal(tt.at) {
			t.Errorf("%s: %q until %v, want %q until %v", tt.name, got.Hold, got.HeldUntil, tt.want, tt.at)
		}
	}
	cordoned := &World{Cluster: watcher.State{Nodes: []watcher.Node{{Name: "n4", Cordoned: true}}}}
	if got, want := cordoned.member(back(mesh.Forever)).Hold, "others go first until it is uncordoned"; got != want {
		t.Errorf("cordoned: %q, want %q", got, want)
	}
	w := &World{Members: []mesh.Member{back(mesh.Forever), {Name: "n5"}}}
	for words, ranking := range map[string][]api.Candidate{
		"; n4 ranks higher, but came back: " + forGood: {{Node: "n4", Eligible: true}, {Node: "n5", Eligible: true, Role: "announcer"}},
		"": {{Node: "n5", Eligible: true, Role: "announcer"}, {Node: "n4", Eligible: true, Role: "next"}},
	} {
		if got := w.heldBack(&api.Who{Ranking: ranking}); got != words {
			t.Errorf("who says %q, want %q", got, words)
		}
	}
}

// TestAway: until when an absent node keeps its addresses, and who answers for them.
func TestAway(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	m := mesh.Member{Name: "n4", State: mesh.Absent, Since: began, Meta: mesh.Meta{Grace: 90 * time.Second}}
	for _, tt := range []struct {
		owner string
		by    []string
		want  string
	}{
		{"n4", []string{"n2", "n2"}, "keeps its addresses until 12:01:30, and n2 answers for them"},
		{"n4", []string{"n3", "n2", "n3"}, "keeps its addresses until 12:01:30, and n2, n3 answer for them"},
		{"n4", []string{""}, "keeps its addresses until 12:01:30"},
		{"n5", []string{"n2"}, "keeps its addresses until 12:01:30"},
		{"n4", nil, "keeps its addresses until 12:01:30"},
	} {
		w := &World{Deputies: map[netip.Addr]elect.Deputy{}, Election: func(int) Election { return Election{Result: owner.Result{Owner: tt.owner}} }}
		for i, by := range tt.by {
			ip := netip.AddrFrom4([4]byte{198, 18, 64, byte(i)})
			w.VIPs = append(w.VIPs, lease.VIP{IP: ip})
			w.Deputies[ip] = elect.Deputy{Node: by}
		}
		if got := w.away(m); got != tt.want {
			t.Errorf("%s has them, %q answer: %q, want %q", tt.owner, tt.by, got, tt.want)
		}
	}
}
