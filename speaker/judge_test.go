package speaker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

const (
	mac1 = "02:00:00:00:00:01"
	mac2 = "02:00:00:00:00:02"
	mac3 = "02:00:00:00:00:03"
)

func TestNames(t *testing.T) {
	at := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, last}) }
	nodes := []watcher.Node{{Name: "n1", Addresses: []netip.Addr{at(1)}}, {Name: "n2", Addresses: []netip.Addr{at(2)}}}
	says := func(state mesh.State, name string, macs ...string) mesh.Member {
		return mesh.Member{Name: name, State: state, Meta: mesh.Meta{MACs: macs}}
	}
	for _, tt := range []struct {
		name     string
		members  []mesh.Member
		speakers map[string]arpd.Speaker
		want     map[string]string
	}{
		{"nobody", nil, nil, map[string]string{}},
		{"members", []mesh.Member{says(mesh.Alive, "n1", mac1), says(mesh.Dead, "n2", mac2, mac3)}, nil, map[string]string{mac1: "n1", mac2: "n2", mac3: "n2"}},
		{"a card that moved", []mesh.Member{says(mesh.Alive, "n1", mac1), says(mesh.Dead, "n2", mac1)}, nil, map[string]string{mac1: "n1"}},
		{"a card that moved the other way", []mesh.Member{says(mesh.Left, "n1", mac1), says(mesh.Alive, "n2", mac1)}, nil, map[string]string{mac1: "n2"}},
		{"never met", nil, map[string]arpd.Speaker{mac2: {Addrs: []netip.Addr{at(2)}}}, map[string]string{mac2: "n2"}},
		{"of no node", nil, map[string]arpd.Speaker{mac2: {Addrs: []netip.Addr{at(9)}}}, map[string]string{}},
		{"without an address", []mesh.Member{says(mesh.Alive, "n1")}, map[string]arpd.Speaker{mac2: {}}, map[string]string{}},
		{
			"known by its gossip address",
			[]mesh.Member{{Name: "n3", Addr: netip.AddrPortFrom(at(3), 7927)}},
			map[string]arpd.Speaker{mac3: {Addrs: []netip.Addr{at(3)}}},
			map[string]string{mac3: "n3"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, names(tt.members, nodes, tt.speakers)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff([]string{mac1, mac3}, peers(map[string]string{mac3: "n3", mac2: "n2", mac1: "n1"}, "n2")); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
}

// ranked are three nodes in the order of their rank for an address.
func ranked(ip netip.Addr) []string {
	r := owner.New([]owner.Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}).Ranking(owner.VIP{IP: ip, Serving: true})
	return []string{r[0].Node, r[1].Node, r[2].Node}
}

func TestSucceeded(t *testing.T) {
	ip := netip.MustParseAddr("198.18.64.1")
	rank := ranked(ip)
	mac := func(node string) string { return "02:00:00:00:00:0" + node[1:] }
	for _, tt := range []struct {
		name            string
		self, successor string
		heard           string
		silent          bool // the successor never told its MAC
		want            bool
	}{
		{"nothing heard", rank[0], rank[1], "", false, false},
		{"the successor", rank[0], rank[1], mac(rank[1]), false, true},
		{"a stranger", rank[0], rank[1], "02:00:00:00:00:99", false, false},
		{"a member of lower rank", rank[0], rank[1], mac(rank[2]), false, false},
		{"a member of higher rank", rank[1], rank[2], mac(rank[0]), false, true},
		{"a successor of an earlier release", rank[0], rank[1], mac(rank[1]), true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{names: map[string]string{}, wire: arpd.State{Heard: map[netip.Addr]string{}}}
			for _, n := range rank {
				m := mesh.Member{Name: n}
				if !tt.silent || n != tt.successor {
					m.Meta.MACs, w.names[mac(n)] = []string{mac(n)}, n
				}
				w.members = append(w.members, m)
			}
			if tt.heard != "" {
				w.wire.Heard[ip] = tt.heard
			}
			if got := w.succeeded(ip, tt.self, tt.successor); got != tt.want {
				t.Errorf("succeeded: %v", got)
			}
		})
	}
}

// TestStrangerEndsNoHandOver: an address on its way to another node is answered
// until that node is heard, whoever else speaks.
func TestStrangerEndsNoHandOver(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		gap, _ := m.during(ip, func() {
			m.setNode(owner, func(n *watcher.Node) { n.Cordoned = true })
			m.claim(ip, "02:00:00:00:00:99")
			m.pass(2 * time.Second)
		})
		if gap > 0 || m.one(ip) == owner {
			t.Errorf("no answer for %s, %s answers in the end", gap, m.one(ip))
		}
	}, tenAddresses)
}
