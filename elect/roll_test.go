package elect

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// TestRoll: whatever changes from turn to turn, each address has the owner that an election from nothing finds, and a seat of
// which nothing changed stays the same one.
func TestRoll(t *testing.T) {
	t.Parallel()
	const pools = 2
	r := rand.New(rand.NewPCG(1, 0))
	var roll Roll
	var vips []lease.VIP
	candidates := map[netip.Addr]owner.VIP{}
	for i := range 40 {
		ip := netip.AddrFrom4([4]byte{198, 18, 64, byte(i)})
		vips = append(vips, lease.VIP{IP: ip, Pool: fmt.Sprint("p", i%pools), Services: []lease.Key{{Namespace: "d", Name: fmt.Sprint(i)}}})
		candidates[ip] = owner.VIP{IP: ip, Serving: true}
	}
	nodes := []owner.Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}, {Name: "n4"}}
	scopes := Scopes{}
	before := map[netip.Addr]*Seat{}
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
			scopes = Scopes{fmt.Sprint("p", r.IntN(pools)): {Nodes: &owner.Scope{Nodes: []string{nodes[r.IntN(len(nodes))].Name, "n9"}}}}
		}
		turn.VIPs, turn.Voters, turn.Scopes = vips, owner.New(nodes), scopes
		seats, gone := roll.Call(turn)
		for ip, who := range gone {
			if want := before[ip].Verdict().Owner; who != want {
				t.Errorf("step %d: %s is gone and was %q's, want %q", step, ip, who, want)
			}
		}
		now := map[netip.Addr]*Seat{}
		for i, v := range vips {
			seats[i] = roll.Vote(i)
			now[v.IP] = seats[i]
			want := candidates[v.IP]
			want.Scope = scopes.Of(v.Pool)
			if diff := cmp.Diff(turn.Voters.Elect(want), seats[i].Elected); diff != "" {
				t.Fatalf("step %d, %s (-anew +got):\n%s", step, v.IP, diff)
			}
			if kind == 4 && before[v.IP] != nil && before[v.IP] != seats[i] {
				t.Fatalf("step %d: %s has another seat though nothing changed", step, v.IP)
			}
		}
		before = now
	}
}

// TestLeave: a seat that is left to another node is so until that is over, and the seat that it was copied from stays.
func TestLeave(t *testing.T) {
	t.Parallel()
	mine, other := owner.Verdict{Owner: "n1"}, owner.Verdict{Owner: "n2", Reason: "outranks it"}
	shown := &Seat{Elected: mine}
	next := shown.Copied()
	next.Leave(other)
	if got := []string{shown.Verdict().Owner, next.Verdict().Owner}; !slices.Equal(got, []string{"n1", "n2"}) {
		t.Errorf("owners %q", got)
	}
	next.Leave(mine)
	if got := next.Verdict(); got != mine {
		t.Errorf("%+v after it was left", got)
	}
}

// TestConfine: the nodes that a pool's rule leaves, and how much each of them is to have.
func TestConfine(t *testing.T) {
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
	got := Confine(rules, members, labels)
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
