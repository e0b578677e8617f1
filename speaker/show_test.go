package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

func TestCondition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   Member
		want string
	}{
		{Member{State: "alive", Ready: true}, "ready"},
		{Member{State: "alive"}, "not ready"},
		{Member{State: "alive", Ready: true, Draining: true}, "draining"},
		{Member{State: "dead", Ready: true, Draining: true}, "dead"},
		{Member{State: "left"}, "left"},
		{Member{State: "wire", Ready: true}, "on the wire"},
		{Member{State: "alive", Ready: true, Returning: true}, "returning"},
	} {
		if got := tt.in.Condition(); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.in, got, tt.want)
		}
	}
}

// view is what n1 shows.
func (m *model) view() Snapshot { return m.speakers["n1"].speaker.Snapshot() }

func TestSnapshotShowsMembers(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		m.bound("web")
		m.setNode("n2", func(n *watcher.Node) { n.Cordoned = true })
		m.setNode("n3", func(n *watcher.Node) { n.Excluded = true })
		m.pass(time.Minute)
		owner := m.one(m.bound("web"))
		snap := m.view()
		if owner != "n1" || snap.At.Before(time.Now().Add(-idleTurn)) {
			t.Fatalf("%s answers, the view is of %s", owner, snap.At)
		}
		want := []Member{
			{Name: "n1", State: "alive", Health: "ready", Version: "test", Tier: "normal", Announces: 1},
			{
				Name: "n2", State: "alive", Health: "ready", Version: "test", Tier: "cordoned", RoundTrip: 0.002,
				Verdict: "n2 is cordoned, so others go first", Todo: "kubectl uncordon n2, when it may work again",
			},
			{Name: "n3", State: "alive", Health: "ready", Version: "test", Unfit: "excluded by label", RoundTrip: 0.002},
		}
		if diff := cmp.Diff(want, snap.Members, cmpopts.IgnoreFields(Member{}, "Addr", "Ready", "Segments", "Since", "LastSeen", "Keys")); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		for _, x := range snap.Members {
			if time.Since(x.LastSeen) > idleTurn {
				t.Errorf("%s was last seen %s ago", x.Name, time.Since(x.LastSeen))
			}
		}
		if diff := cmp.Diff([]Interface{{Name: "eth0", MAC: snap.Interfaces[0].MAC, Prefixes: []string{"198.18.0.0/16"}, Used: true}}, snap.Interfaces); diff != "" {
			t.Errorf("interfaces (-want +got):\n%s", diff)
		}
		if got := snap.Activity; got.Writes["ok"] != 2 || got.Events["sent"] == 0 {
			t.Errorf("activity %+v", got)
		}
	}, tenAddresses)
}

func TestSnapshotSaysWhyAnAddressMoved(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		first := m.one(ip)
		m.dies(first, 500*time.Millisecond)
		m.pass(5 * time.Second)
		left := m.others(first)[0]
		snap := m.speakers[left].speaker.Snapshot()
		got := snap.VIPs[0]
		if got.From != first || got.Cause != "member-lost" || got.Change != first+" was lost" || got.Owner == first {
			t.Errorf("after the death of %s: %+v", first, got)
		}
		want := Finding{harm, "node " + first, "neither gossip nor the wire reaches " + first, "see whether the node is up"}
		if len(snap.Findings) != 1 || !strings.HasPrefix(snap.Findings[0].Todo, want.Todo) {
			t.Fatalf("findings %+v, want one", snap.Findings)
		}
		want.Todo = snap.Findings[0].Todo
		if diff := cmp.Diff(want, snap.Findings[0]); diff != "" {
			t.Errorf("finding (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

func TestChangeWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ owner, from, cause, want string }{
		{"n1", "", causeNew, "new to this speaker"},
		{"", "", causeNew, "nobody may announce it since it is known"},
		{"n1", "", causeEligible, "n1 may announce it, after nobody could"},
		{"n1", "n2", causeLost, "n2 was lost"},
		{"", "n2", causeLost, "n2 may not announce it any more"},
		{"n1", "n2", causeMoved, "moved from n2"},
	} {
		seat := &seat{elected: owner.Verdict{Owner: tt.owner}, from: tt.from, cause: tt.cause}
		if got := seat.words(); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

func TestSnapshotNamesWhoWaits(t *testing.T) {
	lab(t, func(m *model) {
		m.create("first", nil, "n1")
		m.bound("first")
		m.create("second", nil, "n1")
		m.create("wrong", func(s *watcher.Service) { s.LoadBalancerIP = "203.0.113.1" }, "n1")
		m.pass(time.Second)
		want := []Waiting{
			{"default/second", "tiny", `pool "tiny" has no free IPv4 address`},
			{"default/wrong", "", "spec.loadBalancerIP asks for 203.0.113.1, which is in no pool"},
		}
		for _, n := range []string{"n1", "n2", "n3"} { // all of them, whoever is the pool's picker
			if diff := cmp.Diff(want, m.speakers[n].speaker.Snapshot().Waiting); diff != "" {
				t.Errorf("%s shows as waiting (-want +got):\n%s", n, diff)
			}
		}
		var words []string
		for _, f := range m.view().Findings {
			words = append(words, f.About+": "+f.Words)
		}
		wantWords := []string{
			`pool tiny: 1 wait for an address of pool "tiny" (default/second): pool "tiny" has no free IPv4 address`,
			"default/wrong: default/wrong waits for an address: spec.loadBalancerIP asks for 203.0.113.1, which is in no pool",
		}
		if diff := cmp.Diff(wantWords, words); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		wantEvents := []string{
			`second: pool "tiny" has no free IPv4 address: ` + moreRoom,
			"wrong: spec.loadBalancerIP asks for 203.0.113.1, which is in no pool",
		}
		if diff := cmp.Diff(wantEvents, slices.Sorted(slices.Values(m.told(lease.AllocationFailed)))); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.remove("first")
		m.remove("wrong")
		m.bound("second")
		m.pass(time.Second)
		if got := m.view(); len(got.Waiting) > 0 || len(got.Findings) > 0 {
			t.Errorf("still waiting: %+v %+v", got.Waiting, got.Findings)
		}
	}, "tiny=198.18.64.1/32")
}

func TestSnapshotNamesNodesThatHaveAnAddress(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.LoadBalancerIP = "198.18.64.4" }, "n1")
		ip := m.bound("web")
		m.setNode("n3", func(n *watcher.Node) { n.Others = []netip.Addr{netip.MustParseAddr(ip)} })
		m.pass(time.Second)
		conflict := []Conflict{{
			IP: ip, Kind: "node", Node: "n3", Words: ip + " is also an address of node n3, whose kernel answers for it too",
			Todo: "exclude it from its pool, or give the node another address",
		}}
		if diff := cmp.Diff(conflict, m.view().Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		in          Conflict
		words, todo string
	}{
		{
			"stranger",
			Conflict{IP: "198.18.64.1", Kind: "stranger", MAC: mac1},
			mac1 + " also answers for 198.18.64.1 on the network of node n1",
			"find the machine with this hardware address and give it another address, or exclude the address from its pool",
		},
		{
			"member",
			Conflict{IP: "198.18.64.1", Kind: "member", MAC: mac2, Node: "n2"},
			"n2 (" + mac2 + ") announces 198.18.64.1 too and does not give way to n1",
			"compare what n1 and n2 say of it with `starling who 198.18.64.1`, and restart the speaker that is wrong",
		},
	} {
		words, todo := tt.in.explain("n1")
		if words != tt.words || todo != tt.todo {
			t.Errorf("%s: %q, %q", tt.name, words, todo)
		}
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	who := func(name string, state mesh.State, keys ...string) mesh.Member {
		return mesh.Member{Name: name, State: state, Meta: mesh.Meta{Keys: keys}}
	}
	for _, tt := range []struct {
		name    string
		members []mesh.Member
		want    Keys
	}{
		{"none", []mesh.Member{who("n1", mesh.Alive)}, Keys{State: "gossip is not encrypted, or its keys are not known yet"}},
		{"not there yet", nil, Keys{State: "gossip is not encrypted, or its keys are not known yet"}},
		{
			"one, and a dead member that had another",
			[]mesh.Member{who("n1", mesh.Alive, "0a"), who("n2", mesh.Alive, "0a"), who("n3", mesh.Dead, "0b")},
			Keys{[]string{"0a"}, "all hold the same key"},
		},
		{
			"all hold two",
			[]mesh.Member{who("n1", mesh.Alive, "0a", "0b"), who("n2", mesh.Alive, "0a", "0b")},
			Keys{[]string{"0a", "0b"}, "all hold 2 keys and encrypt with 0a: a rotation is on its way; if it stays so, `starling key rotate` goes on with it"},
		},
		{
			"one is behind",
			[]mesh.Member{who("n1", mesh.Alive, "0a", "0b"), who("n2", mesh.Alive, "0b")},
			Keys{[]string{"0a", "0b"}, "n2 hold other keys than n1: a rotation is on its way; if it stays so, `starling key rotate` goes on with it"},
		},
	} {
		if diff := cmp.Diff(tt.want, keyring(tt.members, "n1")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
