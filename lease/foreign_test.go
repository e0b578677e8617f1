package lease

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestElsewhere counts what leases of other installations hold of the pools, through all that may
// change it.
func TestElsewhere(t *testing.T) {
	small := mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0-198.18.0.9"}})
	large := mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})
	v := View{Now: epoch, Installation: "here", Pools: small}
	table := NewTable()
	version := 0
	lease := func(i int, by string, ips ...string) {
		version++
		s := plainService(i)
		s.Version = fmt.Sprint("v", version)
		text := ""
		for _, ip := range ips {
			text += fmt.Sprintf(`,{"ip":%q,"pool":"p","state":"claimed"}`, ip)
		}
		if len(ips) > 0 {
			s.Annotations = [][2]string{{LeaseAnnotation, fmt.Sprintf(`{"v":1,"by":%q,"ips":[%s,{"ip":"198.18.0.9"}]}`, by, text[1:])}}
			s.Ingress = ips // which is what counts
		}
		table.Apply(false, []*Service{&s}, nil, epoch)
	}
	check := func(what string, want Foreign) {
		t.Helper()
		table.Steps(v)
		if diff := cmp.Diff(want, table.Foreign()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	first, second := plainService(1).Key(), plainService(2).Key()
	lease(2, "there", "198.18.0.1", "198.18.0.77")
	lease(3, "here", "198.18.0.2")
	check("known before the first view", Foreign{Addresses: 1, Services: 1, First: second, By: "there"})
	lease(1, "there too", "198.18.0.3")
	check("an older one", Foreign{Addresses: 2, Services: 2, First: first, By: "there too"})
	v.Pools = large
	check("larger pools", Foreign{Addresses: 3, Services: 2, First: first, By: "there too"})
	v.Installation = "there"
	check("the other installation", Foreign{Addresses: 2, Services: 2, First: first, By: "there too"})
	v.Installation = "here"
	lease(1, "")
	check("annotation removed", Foreign{Addresses: 2, Services: 1, First: second, By: "there"})
	lease(2, "there", "203.0.113.1")
	check("an address of no pool", Foreign{})
	lease(2, "there", "198.18.0.1")
	table.Apply(false, nil, []Key{second}, epoch)
	check("Service deleted", Foreign{})
}
