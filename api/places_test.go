package api

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// placed is a node on two networks, of which one is within the other, and an interface that is not
// used.
var placed = Snapshot{
	Node: "n1",
	Interfaces: []Interface{
		{Name: "eth0", Prefixes: []string{"198.18.0.0/16", "2001:db8::/64"}, Used: true},
		{Name: "eth1", Prefixes: []string{"198.18.1.0/24"}, Used: true},
		{Name: "eth2", Prefixes: []string{"198.18.64.0/24"}},
	},
	VIPs: []VIP{
		{IP: "198.18.1.7", Pool: "default", Owner: "n1", Interfaces: []string{"eth1"}},
		{IP: "198.18.64.1", Pool: "default", Owner: "n1", Interfaces: []string{"eth0"}},
		{IP: "198.18.64.2", Pool: "default", Owner: "n2"},
		{IP: "198.18.64.3", Pool: "default", Owner: "n1", Interfaces: []string{"eth0"}},
		{IP: "198.18.64.4", Pool: "named", Owner: "n1", Interfaces: []string{"eth0", "eth1"}},
		{IP: "198.18.64.5", Pool: "unknown", Owner: "n1"},
		{IP: "198.18.64.6", Pool: "default"},
		{IP: "203.0.113.1", Pool: "default", Owner: "n1", Interfaces: []string{"eth0", "eth1"}},
		{IP: "2001:db8::7", Pool: "default", Owner: "n1", Interfaces: []string{"eth0"}},
		{IP: "2001:db8:9::7", Pool: "default", Owner: "n1", Interfaces: []string{"eth0"}},
	},
}

// TestPlaces: what one speaker says in few words lets another one say it of each address.
func TestPlaces(t *testing.T) {
	places := placed.Places()
	want := []Place{
		{"default", "0.0.0.0/0", []string{"eth0", "eth1"}, nil},
		{"default", "198.18.0.0/16", []string{"eth0"}, nil},
		{"default", "198.18.1.0/24", []string{"eth1"}, nil},
		{"default", "2001:db8::/64", []string{"eth0"}, nil},
		{"default", "::/0", []string{"eth0"}, nil},
		{"named", "198.18.0.0/16", []string{"eth0", "eth1"}, nil},
	}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	there := make([]VIP, len(placed.VIPs)) // as another speaker has them
	for i, v := range placed.VIPs {
		there[i] = v
		there[i].Interfaces = nil
	}
	if diff := cmp.Diff(placed.VIPs, Locate(there, map[string][]Place{"n1": places})); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if there[0].Interfaces != nil {
		t.Error("the list itself is changed")
	}
}

// TestPlacesOfOthers: what cannot be read, or is of another node or pool, says nothing.
func TestPlacesOfOthers(t *testing.T) {
	own := []VIP{{IP: "198.18.64.1", Pool: "a", Owner: "n1", Interfaces: []string{"eth9"}}}
	if diff := cmp.Diff(own, Locate(own, map[string][]Place{"n1": {{"a", "198.18.0.0/16", []string{"eth0"}, nil}}})); diff != "" {
		t.Errorf("what is known already (-want +got):\n%s", diff)
	}
	for name, places := range map[string]map[string][]Place{
		"nothing":      nil,
		"another node": {"n2": {{"a", "198.18.0.0/16", []string{"eth0"}, nil}}},
		"another pool": {"n1": {{"b", "198.18.0.0/16", []string{"eth0"}, nil}}},
		"nonsense":     {"n1": {{"a", "eth0", []string{"eth0"}, nil}}},
		"elsewhere":    {"n1": {{"a", "203.0.113.0/24", []string{"eth0"}, nil}, {"a", "::/0", []string{"eth1"}, nil}}},
	} {
		if got := Locate([]VIP{{IP: "198.18.64.1", Pool: "a", Owner: "n1"}}, places)[0].Interfaces; got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	web, mail := []string{"announce[0]"}, []string{"announce[1]"}
	of := []Place{{"a", "198.18.0.0/16", []string{"eth0"}, web}, {"a", "198.18.0.0/16", []string{"eth1"}, mail}}
	if got := (VIP{IP: "198.18.64.1", Pool: "a", Entries: mail}).At(of); len(got) != 1 || got[0] != "eth1" {
		t.Errorf("of two entries of a pool: %v", got)
	}
	if got := (VIP{IP: "x"}).At([]Place{{"", "0.0.0.0/0", []string{"eth0"}, nil}}); got != nil {
		t.Errorf("no address: %v", got)
	}
}

// TestMixed: the entry of an address says something where other addresses of its pool have others.
func TestMixed(t *testing.T) {
	first, second := []string{"announce[0]"}, []string{"announce[1]"}
	got := Mixed([]VIP{
		{Pool: "racks", Owner: "n1", Entries: first},
		{Pool: "racks", Owner: "n2", Entries: second},
		{Pool: "racks", Owner: "n1", Entries: first},
		{Pool: "one", Owner: "n1", Entries: first},
		{Pool: "one"}, // announced by nobody
		{Pool: "one", Owner: "n1", Entries: first},
		{Pool: "plain", Owner: "n1"},
	})
	if diff := cmp.Diff(map[string]bool{"racks": true, "one": false, "plain": false}, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

// TestPlacesAreBounded: pools are many.
func TestPlacesAreBounded(t *testing.T) {
	s := placed
	s.VIPs = nil
	for i := range 2 * maxPlaces {
		s.VIPs = append(s.VIPs, VIP{IP: "198.18.64.1", Pool: fmt.Sprint(i), Owner: "n1", Interfaces: []string{"eth0"}})
	}
	if got := len(s.Places()); got != maxPlaces {
		t.Errorf("%d places", got)
	}
}
