package report

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
)

// TestAcross: what is shared across namespaces is reported where the pool does not allow it.
func TestAcross(t *testing.T) {
	t.Parallel()
	pools, err := lease.NewPools([]lease.Pool{{Name: "no", Ranges: []string{"198.18.64.0/28"}}, {Name: "yes", Ranges: []string{"198.18.65.0/28"}, ShareAcrossNamespaces: true}})
	if err != nil {
		t.Fatal(err)
	}
	vip := func(ip, pool string, services ...lease.Key) lease.VIP {
		return lease.VIP{IP: netip.MustParseAddr(ip), Pool: pool, Services: services}
	}
	a, b, c := lease.Key{Namespace: "one", Name: "a"}, lease.Key{Namespace: "one", Name: "b"}, lease.Key{Namespace: "two", Name: "c"}
	got := Words(across([]lease.VIP{vip("198.18.64.1", "no", a), vip("198.18.64.2", "no", a, b), vip("198.18.64.3", "no", a, b, c), vip("198.18.65.1", "yes", a, c)}, pools))
	want := []string{`1 addresses are shared across namespaces, and their pools have no shareAcrossNamespaces: true, such as 198.18.64.3 of pool "no" by one/a and two/c`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}
