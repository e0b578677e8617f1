package lease

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGiven(t *testing.T) {
	runScripts(t, []scriptTest{
		{"what another allocator has written is announced as it stands, and nothing is written", `
			pool theirs given 198.18.64.1-198.18.64.9
			pool ours 198.18.65.1-198.18.65.9
			create c class=io.cilium/l2
			ingress c 198.18.64.7
			create a
			settle
			vips 198.18.64.7 198.18.65.1
			holds c 198.18.64.7(shown)
			events c
			writes 2
			a 198.18.65.1
		`},
		{"a Service of our own class that shows one is the other allocator's", `
			pool theirs given 198.18.64.1-198.18.64.9
			pool ours 198.18.65.1-198.18.65.9
			create c
			ingress c 198.18.64.7
			settle
			vips 198.18.64.7
			ingress c 198.18.64.8 lbipam
			settle
			vips 198.18.64.8
			ingress c - lbipam
			settle
			vips 198.18.65.1
			c 198.18.65.1
		`},
		{"also if it asks for something, and beside what lies in no pool", `
			pool theirs given 198.18.64.1-198.18.64.9
			pool ours 198.18.65.1-198.18.65.9
			create c ips=198.18.65.3 pool=ours
			ingress c 198.18.64.7,192.0.2.1
			settle
			vips 198.18.64.7
			writes 0
		`},
		{"two Services with one address have it together", `
			pool theirs given 198.18.64.1-198.18.64.9
			create a class=x/y
			create b class=x/z
			ingress a 198.18.64.7
			ingress b 198.18.64.7
			settle
			vips 198.18.64.7=ns/a+ns/b
			delete a
			settle
			vips 198.18.64.7=ns/b
		`},
		{"not for Services that the pool is not for, and other types", `
			pool theirs given namespaces=ns services=app=web 198.18.64.1-198.18.64.9
			create a class=x/y label=app=web
			create b class=x/y
			create other/c class=x/y label=app=web
			create d type=ClusterIP label=app=web
			ingress a 198.18.64.1
			ingress b 198.18.64.2
			ingress other/c 198.18.64.3
			ingress d 198.18.64.4
			settle
			vips 198.18.64.1
			edit b label=app=web
			settle
			vips 198.18.64.1 198.18.64.2
			edit a nolabel
			settle
			vips 198.18.64.2
		`},
		{"nobody gets an address of such a pool from us", `
			pool theirs given 198.18.64.1-198.18.64.9
			create a
			create b ips=198.18.64.3
			create c pool=theirs
			settle
			events a
			wait 5s
			settle
			vips -
			writes 0
			events a AllocationFailed: every pool has allocate: false, and no other allocator has given it an address
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.3 of pool "theirs", which has allocate: false, so that only other allocators hand out its addresses
			events c AllocationFailed: annotation starling-lb.io/address-pool asks for pool "theirs", which has allocate: false, so that only other allocators hand out its addresses
		`},
		{"a pool that is handed over keeps what it has", `
			pool p 198.18.64.1-198.18.64.9
			create a
			create b pool=p
			settle
			a 198.18.64.1
			pools
			pool p given 198.18.64.1-198.18.64.9
			pool q 198.18.65.1-198.18.65.9
			settle
			a 198.18.64.1
			b 198.18.64.2
			events b IPAllocated: 198.18.64.2 from pool "p"
			create c
			settle
			c 198.18.65.1
		`},
		{"a pool that is taken over adopts what it shows", `
			pool p given 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.5
			settle
			vips 198.18.64.5
			pools
			pool p 198.18.64.1-198.18.64.9
			settle
			a 198.18.64.5
			vips 198.18.64.5
		`},
		{"a lease of another installation is theirs", `
			pool p given 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.5
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.5","pool":"p","state":"bound"}]}
			settle
			vips -
			writes 0
		`},
	})
}

func TestGivenByExternalIPs(t *testing.T) {
	runScripts(t, []scriptTest{
		{"what is listed is announced, whatever the type of the Service", `
			pool gateways external 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			pool ours 198.18.65.1-198.18.65.9
			create g external=198.18.64.7,2001:db8::7
			create t type=ClusterIP external=198.18.64.8
			settle
			vips 198.18.64.7=ns/g 198.18.64.8=ns/t 198.18.65.1=ns/g 2001:db8::7=ns/g
			edit t external=-
			settle
			vips 198.18.64.7=ns/g 198.18.65.1=ns/g 2001:db8::7=ns/g
		`},
		{"by two Services: together; in ingress too: once", `
			pool gateways external 198.18.64.1-198.18.64.9
			create a class=x/y external=198.18.64.7
			create b type=ClusterIP external=198.18.64.7
			ingress a 198.18.64.7
			settle
			vips 198.18.64.7=ns/a+ns/b
		`},
		{"only where the pool says so", `
			pool theirs given 198.18.64.1-198.18.64.9
			pool ours 198.18.65.1-198.18.65.9
			create a type=ClusterIP external=198.18.64.7,198.18.65.7
			settle
			vips -
			pools
			pool theirs external namespaces=ns 198.18.64.1-198.18.64.9
			create other/b type=ClusterIP external=198.18.64.6
			settle
			vips 198.18.64.7=ns/a
		`},
	})
}

// TestGivenAtRestart: a speaker that starts knows the same from the list alone.
func TestGivenAtRestart(t *testing.T) {
	q := Pool{Name: "p", Ranges: []string{"198.18.64.0/24"}, Allocate: new(bool), ExternalIPs: true}
	a, b := plainService(1), plainService(2)
	a.Ingress, a.Class, b.ExternalIPs = []string{"198.18.64.1"}, "x/y", []string{"198.18.64.2"}
	table := NewTable()
	table.Apply(true, refs(a, b), nil, epoch)
	var got []string
	for _, v := range table.VIPs(View{Installation: "here", Pools: mustPools(t, q)}) {
		got = append(got, fmt.Sprint(v.IP, v.Pool))
	}
	if diff := cmp.Diff([]string{"198.18.64.1p", "198.18.64.2p"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("198.18.64.2")}, table.Bound(b.Key()), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("Bound (-want +got):\n%s", diff)
	}
}

func TestGivenConfiguration(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"contradicts autoAssign", "allocate: false, autoAssign: true", "autoAssign: has no effect with allocate: false; remove one of the two"},
		{"reserves nothing", "allocate: false, reservations: {a/b: 198.18.64.1}", "reservations: has no effect with allocate: false; remove one of the two"},
		{"does not depend on labels of namespaces", "allocate: false, namespaceSelectors: [{}]", "namespaceSelectors: not with allocate: false; name the namespaces in namespaces"},
		{"needs it for externalIPs", "externalIPs: true", "externalIPs: has no effect without allocate: false; remove it, or add allocate: false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig([]byte("pools: [{name: p, ranges: [198.18.64.0/24], " + tt.yaml + "}]"))
			if err == nil {
				_, err = Compile(c)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	plain := Pool{Name: "p", Ranges: []string{"198.18.64.0/24"}}
	given, external := plain, plain
	given.Allocate = new(bool)
	external.Allocate, external.ExternalIPs = new(bool), true
	hashes := map[uint64]bool{}
	for _, q := range []Pool{plain, given, external} {
		hashes[mustPools(t, q).Hash()] = true
	}
	if len(hashes) != 3 {
		t.Errorf("%d hashes of 3 pools", len(hashes))
	}
}
