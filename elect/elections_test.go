package elect

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// TestElections: whatever changes from turn to turn, each address has the owner that an election
// from nothing finds, and an election of which nothing changed stays the same one.
func TestElections(t *testing.T) {
	t.Parallel()
	const pools = 2
	r := rand.New(rand.NewPCG(1, 0))
	var all Elections
	var vips []lease.VIP
	candidates := map[netip.Addr]owner.VIP{}
	for i := range 40 {
		ip := netip.AddrFrom4([4]byte{198, 18, 64, byte(i)})
		vips = append(vips, lease.VIP{IP: ip, Pool: fmt.Sprint("p", i%pools), Services: []lease.Key{{Namespace: "d", Name: fmt.Sprint(i)}}})
		candidates[ip] = owner.VIP{IP: ip, Serving: true}
	}
	nodes := []owner.Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}, {Name: "n4"}}
	scopes := Scopes{}
	before := map[netip.Addr]*Election{}
	for step := range 400 {
		turn := Turn{Candidate: func(v lease.VIP) owner.VIP { return candidates[v.IP] }}
		kind := r.IntN(5)
		i := r.IntN(len(vips))
		switch kind {
		case 0: // a node becomes fit or unfit
			nodes = slices.Clone(nodes)
			n := &nodes[r.IntN(len(nodes))]
			n.Unfit = map[string]string{"": "not ready", "not ready": ""}[n.Unfit]
		case 1: // endpoints move
			ip := vips[i].IP
			candidates[ip] = owner.VIP{IP: ip, Serving: true, Local: [][]string{{nodes[r.IntN(len(nodes))].Name}}}
			turn.Edited = []netip.Addr{ip}
		case 2: // an address goes
			if len(vips) > 10 {
				vips = slices.Delete(slices.Clone(vips), i, i+1)
			}
		case 3: // a pool has other nodes
			scopes = only(fmt.Sprint("p", r.IntN(pools)), nodes[r.IntN(len(nodes))].Name, "n9")
		}
		turn.VIPs, turn.Candidates, turn.Scopes = vips, owner.New(nodes), scopes
		elections, gone := all.Begin(turn)
		for ip, who := range gone {
			if want := before[ip].Result().Owner; who != want {
				t.Errorf("step %d: %s is gone and was %q's, want %q", step, ip, who, want)
			}
		}
		now := map[netip.Addr]*Election{}
		for i, v := range vips {
			elections[i] = all.Elect(i)
			now[v.IP] = elections[i]
			want := candidates[v.IP]
			want.Scope = scopes.Of(v.Pool)
			if diff := cmp.Diff(turn.Candidates.Elect(want), elections[i].Elected); diff != "" {
				t.Fatalf("step %d, %s (-anew +got):\n%s", step, v.IP, diff)
			}
			if kind == 4 && before[v.IP] != nil && before[v.IP] != elections[i] {
				t.Fatalf("step %d: %s has another election though nothing changed", step, v.IP)
			}
		}
		before = now
	}
}

// only are scopes that leave a pool some nodes.
func only(pool string, nodes ...string) Scopes {
	rule := lease.Scope{Entries: []lease.Layer2Entry{{NodeSelectors: []string{"some"}}}}
	var members []mesh.Member
	for _, name := range nodes {
		members = append(members, mesh.Member{Name: name})
	}
	return ScopesOf(map[string]lease.Scope{pool: rule}, members, func(string) map[string]string { return nil })
}

// TestLeave: an election that is left to another node is so until that is over, and the one that it
// was copied from stays.
func TestLeave(t *testing.T) {
	t.Parallel()
	mine, other := owner.Result{Owner: "n1"}, owner.Result{Owner: "n2", Reason: "outranks it"}
	shown := &Election{Elected: mine}
	next := shown.Copied()
	next.Leave(other)
	if got := []string{shown.Result().Owner, next.Result().Owner}; !slices.Equal(got, []string{"n1", "n2"}) {
		t.Errorf("owners %q", got)
	}
	next.Leave(mine)
	if got := next.Result(); got != mine {
		t.Errorf("%+v after it was left", got)
	}
}

// TestScopesOf: the nodes that a pool's rule leaves, and how much each of them is to have.
func TestScopesOf(t *testing.T) {
	t.Parallel()
	members := []mesh.Member{{Name: "n1"}, {Name: "n2", Meta: mesh.Meta{Mute: []uint32{mesh.ShortName("edge")}}}, {Name: "n3"}, {Name: "n4"}}
	labels := func(node string) map[string]string {
		if node == "n3" {
			return nil
		}
		return map[string]string{"edge": "yes", "node": node}
	}
	pools, err := lease.NewPools([]lease.Pool{
		{Name: "edge", Ranges: []string{"198.18.64.0/24"}, NodeSelectors: []lease.Selector{{MatchLabels: lease.Labels{"edge": "yes"}}}},
		{Name: "nics", Ranges: []string{"198.18.65.0/24"}, Interfaces: []string{"eth1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]lease.Scope{}
	for _, p := range pools.List() {
		rules[p.Name], _ = pools.Scope(p.Name)
	}
	got := ScopesOf(rules, members, labels)
	if want := []string{"n1", "n4"}; !slices.Equal(got.Of("edge").Nodes, want) || got.Of("edge").Any {
		t.Errorf("edge: %+v, want %q", got.Of("edge"), want)
	}
	if want := []string{"n1", "n2", "n3", "n4"}; !slices.Equal(got.Of("nics").Nodes, want) || got.Of("nics").Any {
		t.Errorf("nics: %+v, want %q", got.Of("nics"), want)
	}
	for pool, want := range map[string]string{"edge": `the node selectors of pool "edge"`, "nics": `the interfaces of pool "nics"`} {
		if rule := got.Of(pool).Rule; rule != want {
			t.Errorf("rule %q, want %q", rule, want)
		}
	}
	if got.Of("other") != nil {
		t.Error("a pool without a rule has limits")
	}
}

// TestEntries: of the entries that are for a Service and a node any is enough, weights add up, and
// who has no interface for an entry says so.
func TestEntries(t *testing.T) {
	t.Parallel()
	with := func(key, value string) []lease.Selector {
		return []lease.Selector{{MatchLabels: lease.Labels{key: value}}}
	}
	pools, err := lease.Compile(lease.Config{
		BGP: &lease.Peering{ASN: 1, Peers: []lease.Peer{{Name: "r", Address: "192.0.2.1", ASN: 1}}},
		Pools: []lease.Pool{{Name: "p", Ranges: []string{"198.18.64.0/24"}, Announce: []lease.Announce{
			{Layer2: &lease.OnLayer2{NodeSelectors: with("rack", "1"), NodeWeights: []lease.NodeWeight{{NodeSelectors: with("node", "n1"), Weight: new(3)}}}},
			{Layer2: &lease.OnLayer2{Interfaces: []string{"eth1", "eth0"}, ServiceSelectors: with("app", "web"), NodeWeights: []lease.NodeWeight{
				{NodeSelectors: with("node", "n1"), Weight: new(4)}, {NodeSelectors: with("node", "n2"), Weight: new(0)}, {NodeSelectors: with("node", "n3"), Weight: new(99)},
			}}},
			{Layer2: &lease.OnLayer2{Interfaces: []string{"eth0", "eth1"}, ServiceSelectors: with("app", "db"), NodeWeights: []lease.NodeWeight{{NodeSelectors: with("node", "n3"), Weight: new(2)}}}},
			{BGP: &lease.ByBGP{ServiceSelectors: with("app", "dns")}},
		}}, {Name: "q", Ranges: []string{"198.18.65.0/24"}, Announce: []lease.Announce{
			{Layer2: &lease.OnLayer2{ServiceSelectors: with("app", "web")}}, {BGP: &lease.ByBGP{ServiceSelectors: with("app", "dns")}},
		}}, {Name: "r", Ranges: []string{"198.18.66.0/24"}, Announce: []lease.Announce{{BGP: &lease.ByBGP{ServiceSelectors: with("app", "dns")}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]lease.Scope{}
	for _, p := range pools.List() {
		rules[p.Name], _ = pools.Scope(p.Name)
	}
	mute := []uint32{MuteName("p", rules["p"].Entries[2])}
	members := []mesh.Member{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}, {Name: "n4", Meta: mesh.Meta{Mute: mute}}}
	scopes := ScopesOf(rules, members, func(node string) map[string]string {
		return map[string]string{"node": node, "rack": map[string]string{"n1": "1", "n4": "1"}[node]}
	})
	labels := map[string]string{"plain": "", "web": "app=web", "db": "app=db", "dns": "app=dns"}
	for _, tt := range []struct {
		pool, services string
		want           owner.Scope
	}{
		{"p", "plain", owner.Scope{Rule: `announce[0] of pool "p"`, Nodes: []string{"n1", "n4"}, Weights: map[string]int{"n1": 3}}},
		{"p", "web", owner.Scope{Rule: `announce[0] or announce[1] of pool "p"`, Nodes: []string{"n1", "n2", "n3", "n4"}, Weights: map[string]int{"n1": 7, "n2": 0, "n3": 99}}},
		{"p", "web db", owner.Scope{
			Rule: `announce[0] or announce[1] or announce[2] of pool "p"`, Nodes: []string{"n1", "n2", "n3", "n4"},
			Weights: map[string]int{"n1": 7, "n2": 0, "n3": 100},
		}},
		{"p", "dns", owner.Scope{Rule: `announce[0] of pool "p"`, Nodes: []string{"n1", "n4"}, Weights: map[string]int{"n1": 3}}},
		{"q", "web", owner.Scope{Rule: `announce[0] of pool "q"`, Any: true, Nodes: []string{"n1", "n2", "n3", "n4"}, Weights: map[string]int{}}},
		{"q", "plain", owner.Scope{Rule: ` of pool "q"`, Nobody: `no entry of announce of pool "q" is for its Service`, Weights: map[string]int{}}},
		{"q", "dns", owner.Scope{Rule: ` of pool "q"`, Nobody: `pool "q" announces it by BGP alone`, Elsewhere: true, Weights: map[string]int{}}},
		{"r", "web", owner.Scope{Rule: ` of pool "r"`, Nobody: `no bgp entry of pool "r" is for its Service`, Weights: map[string]int{}}},
	} {
		v := lease.VIP{Pool: tt.pool}
		for name := range strings.SplitSeq(tt.services, " ") {
			v.Services = append(v.Services, lease.Key{Namespace: "d", Name: name})
		}
		p := scopes.Place(v, func(k lease.Key) string { return labels[k.Name] })
		if diff := cmp.Diff(&tt.want, p.Nodes); diff != "" {
			t.Errorf("%s of pool %s (-want +got):\n%s", tt.services, tt.pool, diff)
		}
		if again := scopes.Place(v, func(k lease.Key) string { return labels[k.Name] }); again != p {
			t.Errorf("%s of pool %s: made twice", tt.services, tt.pool)
		}
	}
	if got := scopes.Of("p"); len(got.Nodes) != 4 || got.Nobody != "" {
		t.Errorf("of an address that no Service has: %+v", got)
	}
}
