package peers

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/probe"
)

var homeNet = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}

const (
	mac2 = "02:00:00:00:00:02"
	mac3 = "02:00:00:00:00:03"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// crowd is n members n1 ... on one network.
func crowd(n int) []Member {
	var r []Member
	for i := range n {
		r = append(r, Member{Name: fmt.Sprintf("n%d", i+1), State: Alive, Networks: homeNet})
	}
	return r
}

// TestEverybodyIsWatched: by three others, or by all if there are not that many,
// and whoever watches agrees with the others on it.
func TestEverybodyIsWatched(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 50, 300} {
		members, by, most := crowd(n), map[string]int{}, 0
		for _, m := range members {
			hosts := watched(members, m.Name, homeNet, Times().Watchers)
			most = max(most, len(hosts))
			for _, name := range hosts {
				by[name]++
				if name == m.Name {
					t.Errorf("%s watches itself", name)
				}
			}
		}
		for _, m := range members {
			if want := min(Times().Watchers, n-1); by[m.Name] != want {
				t.Errorf("%d members: %s is watched by %d, want %d", n, m.Name, by[m.Name], want)
			}
		}
		if most > maxWatched {
			t.Errorf("%d members: one of them watches %d", n, most)
		}
	}
}

func TestWatched(t *testing.T) {
	other := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	change := func(f func([]Member)) []Member {
		members := crowd(5)
		f(members)
		return members
	}
	for _, tt := range []struct {
		name    string
		members []Member
		own     []netip.Prefix
		want    []string
	}{
		{"three members", crowd(3), homeNet, []string{"n2", "n3"}},
		{"no network", crowd(3), nil, nil},
		{"another network", crowd(3), other, nil},
		{"two of five are dead", change(func(m []Member) { m[2].State, m[4].State = Dead, Left }), homeNet, []string{"n2", "n4"}},
		{"two of five are elsewhere", change(func(m []Member) { m[1].Networks, m[4].Networks = other, nil }), homeNet, []string{"n3", "n4"}},
		{"one has both networks", change(func(m []Member) {
			m[1].Networks, m[2].Networks, m[3].Networks = other, slices.Concat(other, homeNet), other
		}), homeNet, []string{"n3", "n5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, watched(tt.members, "n1", tt.own, Times().Watchers)); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWatchedAreChosenAnew: when members or networks change, and not otherwise.
func TestWatchedAreChosenAnew(t *testing.T) {
	p := newPeers()
	dead := crowd(3)
	dead[2].State = Dead
	for _, step := range []struct {
		name    string
		members []Member
		own     []netip.Prefix
		want    []string
	}{
		{"begin", crowd(3), homeNet, []string{"n2", "n3"}},
		{"the same", crowd(3), homeNet, []string{"n2", "n3"}},
		{"one dies", dead, homeNet, []string{"n2"}},
		{"carrier lost", dead, nil, nil},
		{"one more", crowd(4), homeNet, []string{"n2", "n3", "n4"}},
	} {
		p.gossip, p.me.Networks = step.members, step.own
		p.chooseWatched(nil, time.Time{})
		if diff := cmp.Diff(step.want, p.watches); diff != "" {
			t.Errorf("%s: hosts (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestHostProbes(t *testing.T) {
	other := netip.MustParsePrefix("192.0.2.0/24")
	at := netip.MustParseAddrPort
	host := func(ip, mac string) probe.Question {
		return probe.Question{IP: netip.MustParseAddr(ip), MAC: mac, Host: true}
	}
	for _, tt := range []struct {
		name  string
		addr  netip.AddrPort
		macs  []string
		heard map[string]Station
		own   []netip.Prefix
		want  []probe.Question
	}{
		{"on the network", at("198.18.0.2:7927"), []string{mac2}, nil, homeNet, []probe.Question{host("198.18.0.2", mac2)}},
		{
			"without IPv4", at("[2001:db8::2]:7927"),
			[]string{mac2},
			nil,
			[]netip.Prefix{homeNet[0], netip.MustParsePrefix("2001:db8::/64")},
			[]probe.Question{host("2001:db8::2", mac2)},
		},
		{"an earlier release", at("198.18.0.2:7927"), nil, nil, homeNet, nil},
		{"gossip is elsewhere", at("192.0.2.2:7927"), []string{mac2}, nil, homeNet, nil},
		{
			"gossip is elsewhere, and its speaker gave the address", at("192.0.2.2:7927"),
			[]string{mac2},
			map[string]Station{mac2: {Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.2")}}},
			homeNet,
			[]probe.Question{host("198.18.0.2", mac2)},
		},
		{"two cards", at("198.18.0.2:7927"), []string{mac2, mac3}, nil, homeNet, []probe.Question{host("198.18.0.2", mac2), host("198.18.0.2", mac3)}},
		{
			"two networks", at("198.18.0.2:7927"),
			[]string{mac2},
			map[string]Station{mac2: {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}},
			append(slices.Clone(homeNet), other),
			[]probe.Question{host("198.18.0.2", mac2), host("192.0.2.2", mac2)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeers()
			p.me.Networks, p.stations = tt.own, tt.heard
			got := p.hostProbes(&Member{Name: "n2", Addr: tt.addr, MACs: tt.macs})
			if diff := cmp.Diff(tt.want, got, compareAddrs); diff != "" {
				t.Errorf("probes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerdictOf(t *testing.T) {
	const mute, well, asked, back = "silent", "there", "asked", "was there"
	for _, tt := range []struct {
		name string
		of   []string // "": not asked yet
		want watchResult
		once watchResult // of those alone that were ever answered
	}{
		{"no question", nil, open, open},
		{"not asked yet", []string{""}, open, open},
		{"asked", []string{asked}, open, open},
		{"never answered", []string{mute}, silent, open},
		{"answered", []string{well}, present, present},
		{"answered once", []string{back}, silent, silent},
		{"one of two", []string{back, well}, present, present},
		{"one of two not asked yet", []string{back, ""}, open, silent},
		{"one of two never answered", []string{mute, back}, silent, silent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var questions []probe.Question
			p, wire := newPeers(), map[string]string{}
			for i, what := range tt.of {
				questions = append(questions, probe.Question{MAC: fmt.Sprint(i)})
				if what != "" {
					wire[fmt.Sprint(i)] = what
				}
			}
			wireSays(p, wire)
			before := slices.Clone(questions)
			if got := p.watchResultOf(questions); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if got := p.watchResultOf(p.replied(questions)); got != tt.once {
				t.Errorf("of those answered once: %v, want %v", got, tt.once)
			}
			if !slices.Equal(before, questions) {
				t.Errorf("the questions were changed to %v", questions)
			}
		})
	}
}

// TestForgetsWhoIsGone: nothing is kept about a peer that gossip has forgotten, so memory does not
// grow with the names that a cluster had.
func TestForgetsWhoIsGone(t *testing.T) {
	var last *Peers
	replayed(t, `> grace 1s
> self fit
> gossip n2 n3
> replies n2=host+speaker n3=host+speaker
> run 1s
> suspect n2 by n3
> refute n2
> replies n3=host+speaker
> suspect n2 by n3
> gossip n2=dead n3
> run 5s
> gossip n3
> run 10s
`, func(r *rig) { last = r.Peers })
	for name, has := range map[string]bool{
		"suspicions": last.suspicions["n2"] != nil, "suspected": last.suspected["n2"] != nil,
		"refuted": !last.refuted["n2"].IsZero(), "lost": !last.lost["n2"].IsZero(),
		"absences": last.absences["n2"] != nil, "known": last.known["n2"],
	} {
		if has {
			t.Errorf("n2 is still in %s", name)
		}
	}
	if !last.known["n3"] {
		t.Error("n3 is forgotten")
	}
}
