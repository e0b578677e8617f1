package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/health"
)

// tellTable is a table with these Services and one pool of one address.
func tellTable(t *testing.T, services ...*Service) (*Table, View) {
	t.Helper()
	pools, err := NewPools([]Pool{{Name: "p", Ranges: []string{"198.18.64.1/32"}}})
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable()
	table.Apply(true, services, nil, epoch)
	return table, View{Now: epoch, Installation: "here", Pools: pools, Self: "n1"}
}

func wanting(name string, age time.Duration, edit func(*Service)) *Service {
	s := &Service{
		Namespace: "ns", Name: name, UID: name, Version: "1", Created: epoch.Add(-age),
		Type: typeLoadBalancer, Families: []string{ipv4}, Ports: []string{"TCP/80"},
	}
	if edit != nil {
		edit(s)
	}
	return s
}

func TestWaiting(t *testing.T) {
	holder := wanting("holder", time.Hour, func(s *Service) {
		s.annotate(LeaseAnnotation, Lease{V: 1, By: "here", IPs: []Item{{IP: netip.MustParseAddr("198.18.64.1"), Pool: "p", State: stateBound}}}.Encode())
		s.Ingress = []string{"198.18.64.1"}
	})
	young, old := wanting("young", time.Minute, nil), wanting("old", 2*time.Minute, nil)
	table, v := tellTable(t, holder, young, old, wanting("wrong", 0, func(s *Service) { s.LoadBalancerIP = "203.0.113.1" }))
	table.Steps(v)
	full := `pool "p" has no free IPv4 address`
	want := []Waiting{
		{Key{"ns", "old"}, "p", health.PoolFull, full},
		{Key{"ns", "young"}, "p", health.PoolFull, full},
		{Key{"ns", "wrong"}, "", health.AddressInNoPool, "spec.loadBalancerIP asks for 203.0.113.1, which is in no pool"},
	}
	if diff := cmp.Diff(want, table.Waiting(10)); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:1], table.Waiting(1)); diff != "" {
		t.Errorf("the oldest one (-want +got):\n%s", diff)
	}
	lacks := []Lack{{"", health.AddressInNoPool, 1}, {"p", health.PoolFull, 2}}
	if diff := cmp.Diff(lacks, table.Lacks()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	table.Apply(false, nil, []Key{{"ns", "old"}, {"ns", "wrong"}}, epoch)
	if diff := cmp.Diff(want[1:2], table.Waiting(10)); diff != "" {
		t.Errorf("after two were deleted (-want +got):\n%s", diff)
	}
	table.Apply(false, nil, []Key{{"ns", "holder"}}, epoch)
	v.Now = epoch.Add(time.Hour)
	if steps, _ := table.Steps(v); len(steps) != 1 || steps[0].Kind != Claim {
		t.Fatalf("steps %+v, want a claim", steps)
	}
	if got := table.Waiting(10); len(got) > 0 {
		t.Errorf("%+v still waits for what it is being given", got)
	}
}

func TestHeld(t *testing.T) {
	lease := func(by, state string) func(*Service) {
		return func(s *Service) {
			s.annotate(LeaseAnnotation, Lease{V: 1, By: by, Holder: "n2", IPs: []Item{{IP: netip.MustParseAddr("198.18.64.1"), Pool: "p", State: state}}}.Encode())
		}
	}
	item := func(ip, pool, state string) []Item {
		return []Item{{IP: netip.MustParseAddr(ip), Pool: pool, State: state}}
	}
	for _, tt := range []struct {
		name string
		edit func(*Service)
		want []Held
	}{
		{"nothing", nil, nil},
		{"a claim", lease("here", stateClaimed), []Held{{By: "here", Holder: "n2", Items: item("198.18.64.1", "p", stateClaimed)}}},
		{"a lease that is not shown", lease("here", stateBound), []Held{{By: "here", Holder: "n2", Items: item("198.18.64.1", "p", stateClaimed)}}},
		{"bound", func(s *Service) {
			lease("here", stateBound)(s)
			s.Ingress = []string{"198.18.64.1"}
		}, []Held{{By: "here", Holder: "n2", Items: item("198.18.64.1", "p", stateBound)}}},
		{"of another installation", lease("there", stateBound), []Held{{By: "there", Foreign: true, Holder: "n2", Items: item("198.18.64.1", "p", "void")}}},
		{"another implementation's", func(s *Service) { s.Ingress = []string{"198.18.64.9"} }, []Held{{Items: item("198.18.64.9", "", "shown")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, v := tellTable(t, wanting("web", 0, tt.edit))
			table.VIPs(v)
			for i := range tt.want {
				tt.want[i].Service = Key{"ns", "web"}
			}
			if diff := cmp.Diff(tt.want, table.Held(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
		})
	}
}
