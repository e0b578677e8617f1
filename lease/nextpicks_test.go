package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// takeStep takes the one step that is due, which must be of a kind, and carries it out.
func takeStep(t *testing.T, table *Table, v View, kind string) Service {
	t.Helper()
	steps, _ := table.Steps(v)
	if len(steps) != 1 || steps[0].Kind != kind {
		t.Fatalf("steps %+v, want one %s", steps, kind)
	}
	s, _ := table.Get(steps[0].Service)
	s = applyStep(s, steps[0])
	s.Version += "+"
	table.Apply(false, refs(s), nil, v.Now)
	return s
}

// TestAheadForetells: what is picked next was among what had been named, whoever would announce it.
func TestAheadForetells(t *testing.T) {
	turns := func(ip netip.Addr) string { return fmt.Sprintf("n%d", ip.As16()[15]%3) }
	for _, tt := range []struct {
		name   string
		pool   Pool
		spread *Spread
	}{
		{"without announcers", Pool{Name: "p", Ranges: []string{"198.18.64.1-198.18.64.60"}}, nil},
		{"with three announcers", Pool{Name: "p", Ranges: []string{"198.18.64.1-198.18.64.60"}}, &Spread{Nodes: []string{"n0", "n1", "n2"}, Announcer: turns}},
		{"one of them has hardly any", Pool{Name: "p", Ranges: []string{"198.18.64.0/24"}}, &Spread{Nodes: []string{"n0", "n1"}, Announcer: func(ip netip.Addr) string {
			return fmt.Sprintf("n%d", min(ip.As4()[3]%8, 1))
		}}},
		{"IPv6", Pool{Name: "p", Ranges: []string{"2001:db8::/64"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := View{Now: epoch, Installation: "here", Pools: mustPools(t, tt.pool), Spread: tt.spread}
			table := NewTable()
			table.Steps(v)
			for i := range 40 {
				named := table.NextPicks(v)
				if len(named) == 0 || len(named) > 3*nextPicksPerPool || !slices.IsSortedFunc(named, netip.Addr.Compare) {
					t.Fatalf("%d names: %v", len(named), named)
				}
				s := plainService(i)
				if tt.name == "IPv6" {
					s.Families = []string{ipv6}
				}
				table.Apply(false, refs(s), nil, v.Now)
				got := takeStep(t, table, v, Claim)
				lease, _ := DecodeLease(got.note(LeaseAnnotation))
				if ip := lease.IPs[0].IP; i > 0 && !slices.Contains(named, ip) {
					t.Fatalf("%s was picked, not one of %v", ip, named)
				}
				takeStep(t, table, v, Bind)
			}
		})
	}
}

func TestAheadIsForThePicker(t *testing.T) {
	pools := []Pool{
		{Name: "mine", Ranges: []string{"198.18.64.1-198.18.64.3"}},
		{Name: "yours", Ranges: []string{"198.18.65.1-198.18.65.3"}},
		{Name: "asked-for", Ranges: []string{"198.18.66.1-198.18.66.3"}, AutoAssign: new(bool)},
	}
	v := View{
		Now: epoch, Installation: "here", Pools: mustPools(t, pools...),
		Rank:     func(name string) int { return btoi(name != "mine") },
		Reserved: func(ip netip.Addr) string { return map[string]string{"198.18.64.2": "a node's"}[ip.String()] },
		Used:     func(ip netip.Addr) string { return map[string]string{"198.18.64.3": "a stranger's"}[ip.String()] },
	}
	table := NewTable()
	table.Steps(v)
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("198.18.64.1")}, table.NextPicks(v), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestProof: a claim is bound when it is known that nobody has its address, and given up for
// another one when somebody has.
func TestProof(t *testing.T) {
	first, second := netip.MustParseAddr("198.18.64.1"), netip.MustParseAddr("198.18.64.2")
	setup := func(t *testing.T) (*Table, *View, map[netip.Addr]string) {
		used := map[netip.Addr]string{}
		v := &View{
			Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.1-198.18.64.9"}}),
			Used:  func(ip netip.Addr) string { return used[ip] },
			Proof: func(netip.Addr) time.Time { return epoch.Add(time.Second) },
		}
		table := NewTable()
		table.Apply(true, refs(plainService(0)), nil, v.Now)
		takeStep(t, table, *v, Claim)
		if steps, wake := table.Steps(*v); len(steps) > 0 || !wake.Equal(epoch.Add(time.Second)) {
			t.Fatalf("before it is known: %+v, again %v", steps, wake.Sub(epoch))
		}
		v.Now = epoch.Add(time.Second)
		return table, v, used
	}
	t.Run("nobody has it", func(t *testing.T) {
		table, v, _ := setup(t)
		if got := takeStep(t, table, *v, Bind); !slices.Equal(got.Ingress, []string{first.String()}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a station has it", func(t *testing.T) {
		table, v, used := setup(t)
		used[first] = "MAC 02:00:00:00:00:03"
		v.Proof = nil
		takeStep(t, table, *v, Claim)
		if got := takeStep(t, table, *v, Bind); !slices.Equal(got.Ingress, []string{second.String()}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a bound address is kept", func(t *testing.T) {
		table, v, used := setup(t)
		takeStep(t, table, *v, Bind)
		used[first] = "MAC 02:00:00:00:00:03"
		s, _ := table.Get(plainService(0).Key())
		s.Version += "+"
		table.Apply(true, refs(s), nil, v.Now)
		if steps, _ := table.Steps(*v); len(steps) > 0 {
			t.Errorf("%+v", steps)
		}
	})
}

// TestUsed are the words for users, and the address that another implementation left.
func TestUsed(t *testing.T) {
	v := View{
		Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.1-198.18.64.9"}}),
		Used:  func(netip.Addr) string { return "MAC 02:00:00:00:00:03 answers for it" },
		Proof: func(netip.Addr) time.Time { return epoch.Add(time.Hour) },
	}
	asked, shown := plainService(0), plainService(1)
	asked.annotate("starling-lb.io/loadBalancerIPs", "198.18.64.1")
	shown.Ingress = []string{"198.18.64.2"}
	table := NewTable()
	table.Apply(true, refs(asked, shown), nil, v.Now)
	steps, _ := table.Steps(v)
	var got []string
	for _, s := range steps {
		text := s.Kind
		for _, e := range s.Events {
			text += ": " + e.Message
		}
		got = append(got, text)
	}
	want := []string{
		"tell: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is reserved: MAC 02:00:00:00:00:03 answers for it",
		`bind: 198.18.64.2 from pool "p", adopted: the Service showed it already`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
