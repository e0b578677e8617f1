package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
)

var homeNet = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}

// crowd is n members n1 ... on one network.
func crowd(n int) []mesh.Member {
	var r []mesh.Member
	for i := range n {
		r = append(r, mesh.Member{Name: fmt.Sprintf("n%d", i+1), State: mesh.Alive, Meta: mesh.Meta{Segments: homeNet}})
	}
	return r
}

// TestEverybodyIsWatched: by three others, or by all if there are not that many,
// and whoever watches agrees with the others on it.
func TestEverybodyIsWatched(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 50, 300} {
		members, by, most := crowd(n), map[string]int{}, 0
		for _, m := range members {
			wards := wardsOf(members, m.Name, homeNet)
			most = max(most, len(wards))
			for _, name := range wards {
				by[name]++
				if name == m.Name {
					t.Errorf("%s watches itself", name)
				}
			}
		}
		for _, m := range members {
			if want := min(watchers, n-1); by[m.Name] != want {
				t.Errorf("%d members: %s is watched by %d, want %d", n, m.Name, by[m.Name], want)
			}
		}
		if most > wardsMost {
			t.Errorf("%d members: one of them watches %d", n, most)
		}
	}
}

func TestWardsOf(t *testing.T) {
	other := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	change := func(f func([]mesh.Member)) []mesh.Member {
		members := crowd(5)
		f(members)
		return members
	}
	for _, tt := range []struct {
		name    string
		members []mesh.Member
		own     []netip.Prefix
		want    []string
	}{
		{"three members", crowd(3), homeNet, []string{"n2", "n3"}},
		{"no network", crowd(3), nil, nil},
		{"another network", crowd(3), other, nil},
		{"two of five are dead", change(func(m []mesh.Member) { m[2].State, m[4].State = mesh.Dead, mesh.Left }), homeNet, []string{"n2", "n4"}},
		{"two of five are elsewhere", change(func(m []mesh.Member) { m[1].Meta.Segments, m[4].Meta.Segments = other, nil }), homeNet, []string{"n3", "n4"}},
		{"one has both networks", change(func(m []mesh.Member) {
			m[1].Meta.Segments, m[2].Meta.Segments, m[3].Meta.Segments = other, slices.Concat(other, homeNet), other
		}), homeNet, []string{"n3", "n5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wardsOf(tt.members, "n1", tt.own)); diff != "" {
				t.Errorf("wards (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWardsAreChosenAnew: when members or networks change, and not otherwise.
func TestWardsAreChosenAnew(t *testing.T) {
	v := newVigil()
	dead := crowd(3)
	dead[2].State = mesh.Dead
	for _, step := range []struct {
		name    string
		members []mesh.Member
		own     []netip.Prefix
		want    []string
	}{
		{"begin", crowd(3), homeNet, []string{"n2", "n3"}},
		{"the same", crowd(3), homeNet, []string{"n2", "n3"}},
		{"one dies", dead, homeNet, []string{"n2"}},
		{"carrier lost", dead, nil, nil},
		{"one more", crowd(4), homeNet, []string{"n2", "n3", "n4"}},
	} {
		v.choose(step.members, "n1", step.own)
		if diff := cmp.Diff(step.want, v.wards); diff != "" {
			t.Errorf("%s: wards (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestHostQuestions(t *testing.T) {
	other := netip.MustParsePrefix("192.0.2.0/24")
	at := netip.MustParseAddrPort
	host := func(ip, mac string) arpd.Question {
		return arpd.Question{IP: netip.MustParseAddr(ip), MAC: mac, Host: true}
	}
	for _, tt := range []struct {
		name  string
		addr  netip.AddrPort
		macs  []string
		heard map[string]arpd.Speaker
		own   []netip.Prefix
		want  []arpd.Question
	}{
		{"on the network", at("198.18.0.2:7927"), []string{mac2}, nil, homeNet, []arpd.Question{host("198.18.0.2", mac2)}},
		{
			"without IPv4", at("[2001:db8::2]:7927"),
			[]string{mac2},
			nil,
			[]netip.Prefix{homeNet[0], netip.MustParsePrefix("2001:db8::/64")},
			[]arpd.Question{host("2001:db8::2", mac2)},
		},
		{"an earlier release", at("198.18.0.2:7927"), nil, nil, homeNet, nil},
		{"gossip is elsewhere", at("192.0.2.2:7927"), []string{mac2}, nil, homeNet, nil},
		{
			"gossip is elsewhere, and its speaker gave the address", at("192.0.2.2:7927"),
			[]string{mac2},
			map[string]arpd.Speaker{mac2: {Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.2")}}},
			homeNet,
			[]arpd.Question{host("198.18.0.2", mac2)},
		},
		{"two cards", at("198.18.0.2:7927"), []string{mac2, mac3}, nil, homeNet, []arpd.Question{host("198.18.0.2", mac2), host("198.18.0.2", mac3)}},
		{
			"two networks", at("198.18.0.2:7927"),
			[]string{mac2},
			map[string]arpd.Speaker{mac2: {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}},
			append(slices.Clone(homeNet), other),
			[]arpd.Question{host("198.18.0.2", mac2), host("192.0.2.2", mac2)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mesh.Member{Name: "n2", Addr: tt.addr, Meta: mesh.Meta{MACs: tt.macs}}
			got := hostQuestions(m, arpd.State{Speakers: tt.heard}, tt.own)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHear(t *testing.T) {
	const mute, well, asked, back = "mute", "well", "asked", "was well"
	answers := map[string]arpd.Answer{
		mute: {Silent: true}, well: {Last: epoch}, asked: {}, back: {Last: epoch, Silent: true},
	}
	for _, tt := range []struct {
		name string
		of   []string // "": not asked yet
		want testimony
		once testimony // of those alone that were ever answered
	}{
		{"no question", nil, unheard, unheard},
		{"not asked yet", []string{""}, unheard, unheard},
		{"asked", []string{asked}, unheard, unheard},
		{"never answered", []string{mute}, silent, unheard},
		{"answered", []string{well}, present, present},
		{"answered once", []string{back}, silent, silent},
		{"one of two", []string{back, well}, present, present},
		{"one of two not asked yet", []string{back, ""}, unheard, silent},
		{"one of two never answered", []string{mute, back}, silent, silent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var questions []arpd.Question
			wire := arpd.State{Answers: map[arpd.Question]arpd.Answer{}}
			for i, what := range tt.of {
				q := arpd.Question{MAC: fmt.Sprint(i)}
				questions = append(questions, q)
				if what != "" {
					wire.Answers[q] = answers[what]
				}
			}
			before := slices.Clone(questions)
			if got := hear(wire, questions); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if got := hear(wire, answeredOnce(wire, questions)); got != tt.once {
				t.Errorf("of those answered once: %v, want %v", got, tt.once)
			}
			if !slices.Equal(before, questions) {
				t.Errorf("the questions were changed to %v", questions)
			}
		})
	}
}

func TestGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name            string
		own             testimony
		near            bool
		alarms, fellows int
		want            bool
	}{
		{"this node alone hears nobody", silent, true, 0, 2, false},
		{"two alone, and it is silent", silent, true, 0, 1, true},
		{"another says so too", silent, true, 1, 2, true},
		{"others say so, this node hears it", present, true, 2, 2, false},
		{"others say so, no word from the wire yet", unheard, true, 2, 2, false},
		{"elsewhere, one says so", unheard, false, 1, 3, false},
		{"elsewhere, two say so", unheard, false, 2, 3, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := givenUp(tt.own, tt.near, tt.alarms, tt.fellows); got != tt.want {
				t.Errorf("given up: %v", got)
			}
		})
	}
}

func TestWordsOf(t *testing.T) {
	got := wordsOf([]mesh.Alarm{{About: "n1", By: "n2", At: epoch}, {About: "n1", By: "n3", At: epoch.Add(2)}, {About: "n1", By: "n4", At: epoch.Add(1)}, {About: "n3", By: "n2", At: epoch}, {About: "n4", By: "n4", At: epoch.Add(time.Second)}})
	if want := map[string]int{"n1": 3, "n3": 1}; !maps.Equal(got.alarms, want) {
		t.Errorf("alarms %v, want %v", got.alarms, want)
	}
	if want := map[string]time.Time{"n1": epoch.Add(2), "n3": epoch}; !maps.Equal(got.accused, want) {
		t.Errorf("accused %v, want %v", got.accused, want)
	}
	if want := map[string]time.Time{"n4": epoch.Add(time.Second)}; !maps.Equal(got.objected, want) {
		t.Errorf("objections %v, want %v", got.objected, want)
	}
}
