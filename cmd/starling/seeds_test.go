package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// nodesAt reads "NAME=IP,IP NAME=IP".
func nodesAt(text string) (nodes []watcher.Node) {
	for word := range strings.FieldsSeq(text) {
		name, addrs, _ := strings.Cut(word, "=")
		n := watcher.Node{Name: name}
		for a := range strings.SplitSeq(addrs, ",") {
			n.Addresses = append(n.Addresses, netip.MustParseAddr(a))
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func TestGossipAddrs(t *testing.T) {
	for _, tt := range []struct {
		name, flag, nodes, want string
	}{
		{"one family", "", "n1=198.18.0.1 n2=198.18.0.2", "[198.18.0.1:7927]"},
		{"one of each", "", "n1=198.18.0.1,2001:db8::1 n2=198.18.0.2,2001:db8::2", "[198.18.0.1:7927 [2001:db8::1]:7927]"},
		{"IPv6 first on this node only", "", "n1=2001:db8::1,198.18.0.1 n2=198.18.0.2,2001:db8::2 n3=198.18.0.3,2001:db8::3", "[198.18.0.1:7927 [2001:db8::1]:7927]"},
		{"IPv6 first on the others", "", "n1=198.18.0.1,2001:db8::1 n2=2001:db8::2,198.18.0.2 n3=2001:db8::3,198.18.0.3", "[[2001:db8::1]:7927 198.18.0.1:7927]"},
		{"as many that way as this way", "", "n1=2001:db8::1,198.18.0.1 n2=198.18.0.2,2001:db8::2", "[198.18.0.1:7927 [2001:db8::1]:7927]"},
		{"the others have IPv4 only", "", "n1=2001:db8::1,198.18.0.1 n2=198.18.0.2 n3=198.18.0.3", "[198.18.0.1:7927 [2001:db8::1]:7927]"},
		{"the others have IPv6 only", "", "n1=198.18.0.1,2001:db8::1 n2=2001:db8::2 n3=2001:db8::3", "[[2001:db8::1]:7927 198.18.0.1:7927]"},
		{"alone", "", "n1=2001:db8::1,198.18.0.1", "[[2001:db8::1]:7927 198.18.0.1:7927]"},
		{"the first of each family", "", "n1=198.18.0.1,198.18.0.9,2001:db8::1,2001:db8::9", "[198.18.0.1:7927 [2001:db8::1]:7927]"},
		{"another port", ":99", "n1=198.18.0.1,2001:db8::1", "[198.18.0.1:99 [2001:db8::1]:99]"},
		{"as the flag says", "10.0.0.7", "n1=198.18.0.1,2001:db8::1", "[10.0.0.7:7927]"},
		{"unknown", "", "n2=198.18.0.2", "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := parsed(t, "--node-name", "n1", "--gossip-addr", tt.flag)
			if got := fmt.Sprint(gossipAddrs(cfg, nodesAt(tt.nodes))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLastKnownAddresses(t *testing.T) {
	nodes := nodesAt("n1=198.18.0.1")
	cfg := parsed(t, "--node-name", "n1")
	local := lastKnown(func() []netip.AddrPort { return gossipAddrs(cfg, nodes) })
	for _, tt := range []struct{ nodes, want string }{
		{"n1=198.18.0.1", "[198.18.0.1:7927]"},
		{"n2=198.18.0.2", "[198.18.0.1:7927]"},
		{"n1=198.18.0.9", "[198.18.0.9:7927]"},
	} {
		nodes = nodesAt(tt.nodes)
		if got := fmt.Sprint(local()); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.nodes, got, tt.want)
		}
	}
}

func TestSeeds(t *testing.T) {
	all := seeds(func() []watcher.Node { return nodesAt("n1=198.18.0.1,2001:db8::1 n2=198.18.0.2") }, []string{"127.0.0.1:99"}, 7927)()
	want := "[{n1 198.18.0.1:7927} {n1 [2001:db8::1]:7927} {n2 198.18.0.2:7927} { 127.0.0.1:99}]"
	if got := fmt.Sprint(all); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestWhereOthersAreTried: a node is tried where its member is reached, else at an address of a
// family that this node has.
func TestWhereOthersAreTried(t *testing.T) {
	nodes := nodesAt("n1=198.18.0.1 n2=2001:db8::2,198.18.0.2 n3=2001:db8::3 n4=198.18.0.4")
	local := []netip.AddrPort{netip.MustParseAddrPort("198.18.0.1:7927")}
	members := []mesh.Member{{Name: "n4", State: mesh.Alive, Addr: netip.MustParseAddrPort("198.18.0.44:99")}}
	want := "[{n2 198.18.0.2:7927} {n3 [2001:db8::3]:7927} {n4 198.18.0.44:99}]"
	if diff := cmp.Diff(want, fmt.Sprint(others("n1", local, nodes, members))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
