package peers

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mac1 = "02:00:00:00:00:01"

func TestNames(t *testing.T) {
	at := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, last}) }
	nodes := []Node{{Name: "n1", Addrs: []netip.Addr{at(1)}}, {Name: "n2", Addrs: []netip.Addr{at(2)}}}
	says := func(state State, name string, macs ...string) Member {
		return Member{Name: name, State: state, MACs: macs}
	}
	for _, tt := range []struct {
		name     string
		members  []Member
		speakers map[string]Station
		want     map[string]string
	}{
		{"nobody", nil, nil, map[string]string{}},
		{"members", []Member{says(Alive, "n1", mac1), says(Dead, "n2", mac2, mac3)}, nil, map[string]string{mac1: "n1", mac2: "n2", mac3: "n2"}},
		{"a card that moved", []Member{says(Alive, "n1", mac1), says(Dead, "n2", mac1)}, nil, map[string]string{mac1: "n1"}},
		{"a card that moved the other way", []Member{says(Left, "n1", mac1), says(Alive, "n2", mac1)}, nil, map[string]string{mac1: "n2"}},
		{"never met", nil, map[string]Station{mac2: {Addrs: []netip.Addr{at(2)}}}, map[string]string{mac2: "n2"}},
		{"of no node", nil, map[string]Station{mac2: {Addrs: []netip.Addr{at(9)}}}, map[string]string{}},
		{"without an address", []Member{says(Alive, "n1")}, map[string]Station{mac2: {}}, map[string]string{}},
		{
			"known by its gossip address",
			[]Member{{Name: "n3", Addr: netip.AddrPortFrom(at(3), 7927)}},
			map[string]Station{mac3: {Addrs: []netip.Addr{at(3)}}},
			map[string]string{mac3: "n3"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeers()
			p.gossip, p.nodes, p.stations = tt.members, nodes, tt.speakers
			if diff := cmp.Diff(tt.want, p.nameMACs()); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}
