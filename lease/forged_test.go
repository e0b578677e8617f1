package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestForgedLeases: three Services of a tenant, whose namespace no pool serves, name all addresses
// of a pool in their leases, and write that again after each write of a speaker. Nobody else is
// kept from an address by what is void, and by a claim for as long as it takes to take it back.
func TestForgedLeases(t *testing.T) {
	const size, forgers = 16, 3
	for _, tt := range []struct {
		name string
		kind string
		v    int
		by   string
		said string
		lost int // addresses that nobody else gets while no write ever lands on the Services of the tenant
	}{
		{"of another installation, claimed", typeLoadBalancer, 1, "there", stateClaimed, 0},
		{"of another installation, bound", typeLoadBalancer, 1, "there", stateBound, 0},
		{"of a later version", typeLoadBalancer, 2, "here", stateBound, 0},
		{"of another installation, on what is no load balancer", "ClusterIP", 1, "there", stateBound, 0},
		{"ours, on what is no load balancer", "ClusterIP", 1, "here", stateBound, 0},
		{"of nobody, on what is no load balancer", "NodePort", 1, "", stateClaimed, 0},
		{"ours, claimed", typeLoadBalancer, 1, "here", stateClaimed, 1},
		{"ours, bound", typeLoadBalancer, 1, "here", stateBound, 1},
	} {
		for _, landing := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, writes land: %t", tt.name, landing), func(t *testing.T) {
				forged := Lease{V: tt.v, By: tt.by, Holder: "n2"}
				for ip := netip.MustParseAddr("198.18.64.0"); len(forged.IPs) < size; ip = ip.Next() {
					forged.IPs = append(forged.IPs, Item{IP: ip, Pool: "p", State: tt.said})
				}
				api := newServer()
				for i := range forgers {
					s := plainService(i)
					s.Namespace, s.Type = "tenant", tt.kind
					s.annotate(LeaseAnnotation, forged.Encode())
					forged.IPs = append(forged.IPs[1:], forged.IPs[0])
					api.create(s)
				}
				for i := range size {
					api.create(plainService(forgers + i))
				}
				v := View{Now: epoch, Installation: "here", Self: "n1", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.0/28"}, Namespaces: []string{"ns"}})}
				table := NewTable()
				for range 10 {
					table.Apply(false, refs(api.list()...), nil, v.Now)
					steps, _ := table.Steps(v)
					for _, st := range steps {
						switch {
						case st.Kind == Tell:
						case st.Service.Namespace == "tenant" && !landing:
							table.Done(st, v.Now, errConflict)
						default:
							table.Done(st, v.Now, api.write(st))
						}
					}
					v.Now = v.Now.Add(time.Second) // what was taken back rests
				}
				served := 0
				for _, s := range api.list() {
					served += btoi(s.Namespace == "ns" && len(s.Ingress) == 1)
				}
				want := size
				if !landing {
					want -= forgers * tt.lost
				}
				if served != want {
					t.Errorf("%d Services of others have an address, want %d", served, want)
				}
			})
		}
	}
}

// TestEditsMakeNoClaimYounger: a claim that is left to another speaker for a while is not left to
// it for longer because somebody edits the lease.
func TestEditsMakeNoClaimYounger(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Self: "n1", Alive: func(string) bool { return true }, Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.0/28"}, Namespaces: []string{"ns"}})}
	s := plainService(1)
	s.Namespace = "tenant"
	table := NewTable()
	table.Apply(false, refs(s), nil, v.Now)
	table.Steps(v)
	for i, at := range []time.Duration{0, patience / 2, patience - time.Second, patience + time.Second} {
		s.Version = fmt.Sprint("v", i)
		s.annotate(LeaseAnnotation, Lease{V: 1, By: "here", Holder: "n2", IPs: []Item{{IP: netip.MustParseAddr("198.18.64.3"), Pool: "p", State: []string{stateClaimed, stateBound}[i%2]}}}.Encode())
		v.Now = epoch.Add(at)
		table.Apply(false, refs(s), nil, v.Now)
		steps, _ := table.Steps(v)
		writes := 0
		for _, st := range steps {
			writes += btoi(st.Kind != Tell)
		}
		if want := btoi(at > patience); writes != want {
			t.Errorf("after %v: %d writes, want %d: %+v", at, writes, want, steps)
		}
	}
}
