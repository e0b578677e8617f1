package lease

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExternalIPs(t *testing.T) {
	runScripts(t, []scriptTest{
		{"an address that some Service lists is handed out to no other one", `
			pool default 198.18.64.1-198.18.64.3
			create t type=ClusterIP external=198.18.64.1,198.18.64.3
			create a
			create b
			settle
			a 198.18.64.2
			b -
			events b AllocationFailed: pool "default" has no free IPv4 address
			edit t external=198.18.64.3
			settle
			b 198.18.64.1
		`},
		{"by a Service of any type, in either family", `
			pool default 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create n type=NodePort external=198.18.64.1
			create l class=example.com/other external=198.18.64.2,2001:db8::1
			create a families=46 policy=RequireDualStack
			settle
			a 198.18.64.3,2001:db8::2
		`},
		{"who asks for it learns why not, and gets it when the list is gone", `
			pool default 198.18.64.1-198.18.64.9
			create t type=ClusterIP external=198.18.64.7
			create a ips=198.18.64.7
			settle
			a -
			events a AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.7, which is reserved: spec.externalIPs of ns/t has it
			delete t
			settle
			a 198.18.64.7
		`},
		{"the Service that lists it may have it", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=198.18.64.7 external=198.18.64.7
			create b external=198.18.64.1
			settle
			a 198.18.64.7
			b 198.18.64.2
			events a IPAllocated: 198.18.64.7 from pool "default"
		`},
		{"not if another one lists it, too", `
			pool default 198.18.64.1-198.18.64.9
			create t type=ClusterIP external=198.18.64.7
			create a ips=198.18.64.7 external=198.18.64.7
			settle
			a -
		`},
		{"those that may share it may have it", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80 external=198.18.64.7
			create b share=k ports=TCP/81 ips=198.18.64.7
			settle
			b 198.18.64.7
		`},
		{"a claim on it is given up", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			create t type=ClusterIP external=198.18.64.1
			settle
			a 198.18.64.2
		`},
		{"a bound one stays, and both Services learn of it once", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			create t type=ClusterIP external=198.18.64.1
			settle
			a 198.18.64.1
			events t AddressConflict: spec.externalIPs has 198.18.64.1, which is the address of ns/a
			events a AddressConflict: spec.externalIPs of ns/t has 198.18.64.1, the address of this Service
			edit a other/note=1
			edit t other/note=1
			settle
			events t
			events a
			writes 2
		`},
		{"a list that comes and goes fills the events of its own Service alone", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			create t type=ClusterIP external=198.18.64.1
			settle
			events a AddressConflict: spec.externalIPs of ns/t has 198.18.64.1, the address of this Service
			events t AddressConflict: spec.externalIPs has 198.18.64.1, which is the address of ns/a
			edit t external=-
			settle
			edit t external=198.18.64.1
			settle
			create u type=ClusterIP external=198.18.64.1
			settle
			events a
			events t AddressConflict: spec.externalIPs has 198.18.64.1, which is the address of ns/a
			events u AddressConflict: spec.externalIPs has 198.18.64.1, which is the address of ns/a
		`},
		{"what a Service shows already is adopted", `
			pool default 198.18.64.1-198.18.64.9
			create t type=ClusterIP external=198.18.64.7
			create a
			ingress a 198.18.64.7
			settle
			a 198.18.64.7
			events t AddressConflict: spec.externalIPs has 198.18.64.7, which is the address of ns/a
		`},
		{"its former address is no exception", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			create t type=ClusterIP external=198.18.64.1
			create a
			settle
			a 198.18.64.2
		`},
		{"nonsense is nobody's address", `
			pool default 198.18.64.1-198.18.64.9
			create t type=ClusterIP external=nonsense,198.18.64.1,198.18.64.1
			create a
			settle
			a 198.18.64.2
		`},
		{"another rank tells nothing that is old", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			rank 1
			create t type=ClusterIP external=198.18.64.1
			settle
			wait 10s
			rank 0
			settle
			events t
		`},
	})
}

// TestExternalIPsAreBounded: a long list costs a bounded amount, and what is listed is found.
func TestExternalIPsAreBounded(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	table := NewTable()
	s := plainService(0)
	s.Type = "ClusterIP"
	for i := range 5000 {
		s.ExternalIPs = append(s.ExternalIPs, fmt.Sprintf("198.18.%d.%d", i/250, i%250))
	}
	held := plainService(1)
	held.annotate(LeaseAnnotation, `{"v":1,"by":"here","ips":[{"ip":"198.18.0.3","pool":"p","state":"bound"}]}`)
	held.Ingress = []string{"198.18.0.3"}
	table.Apply(true, refs(s, held), nil, epoch)
	table.Steps(v)
	if n := len(table.externals); n != maxExternal {
		t.Errorf("%d addresses are kept", n)
	}
	var got []string
	for _, x := range table.External(10) {
		got = append(got, fmt.Sprintf("%s %s %s", x.IP, x.Listed, x.Held))
	}
	if diff := cmp.Diff(fmt.Sprintf("198.18.0.3 %s %s", s.Key(), held.Key()), strings.Join(got, ", ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	table.Apply(false, nil, []Key{s.Key()}, epoch)
	if len(table.externals) > 0 || len(table.External(10)) > 0 {
		t.Errorf("%v are kept", table.externals)
	}
}

// TestExternalIPsComeAndGo: a list that is edited again and again leaves nothing behind, whether
// somebody picks or not.
func TestExternalIPsComeAndGo(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.0/24"}})}
	table := NewTable()
	put := func(s Service, version int) {
		s.Version = fmt.Sprint(version)
		table.Apply(false, refs(s), nil, v.Now)
		table.Steps(v)
	}
	lists := plainService(0)
	lists.Type = "ClusterIP"
	for i := range 5000 {
		lists.ExternalIPs = [][]string{{"198.18.64.5"}, nil}[i%2]
		put(lists, i+1)
	}
	list := table.freeLists["p"][0]
	if len(list.unsorted) != 1 {
		t.Errorf("%d candidates for one address", len(list.unsorted))
	}
	put(plainService(1), 1)
	if n := list.fresh.n; n != 1 {
		t.Errorf("%d sorted candidates after a pick, want the one", n)
	}
}
