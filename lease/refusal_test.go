package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/health"
)

// TestRefusals: what each rule that refuses says, and what it advises. The advice goes with the
// rule: that there are free addresses elsewhere, or how the sentence is worded, changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	no := false
	one := Pool{Name: "one", Ranges: []string{"198.18.64.1/32"}}
	wide := Pool{Name: "wide", Ranges: []string{"198.18.65.0/24"}}
	six := Pool{Name: "six", Ranges: []string{"2001:db8::/64"}}
	asks := func(key, value string) func(*Service) {
		return func(s *Service) { s.annotate(key, value) }
	}
	both := func(s *Service) { s.Families, s.FamilyPolicy = []string{ipv4, ipv6}, "RequireDualStack" }
	foreign := func(v int, by string) func(*Service) {
		return func(s *Service) { s.annotate(LeaseAnnotation, Lease{V: v, By: by}.Encode()) }
	}
	ip := func(text string) netip.Addr { return netip.MustParseAddr(text) }
	table := []struct {
		name     string
		pools    []Pool
		holder   func(*Service) // a Service that is older and bound to holds
		holds    string
		edit     func(*Service)
		reserved string // an address
		code     health.Code
		text     string
		advice   string
	}{
		{
			"the pool is used up",
			[]Pool{one},
			nil, "198.18.64.1", nil, "", health.PoolFull,
			`pool "one" has no free IPv4 address`, "add addresses to the pool, or delete Services that need none; `starling pools` shows its use",
		},
		{
			"one pool is used up, and another one has no such range",
			[]Pool{six, one},
			nil, "198.18.64.1", nil, "", health.PoolFull,
			`pool "six" has no IPv4 range; pool "one" has no free IPv4 address`, "add addresses to the pool, or delete Services that need none; `starling pools` shows its use",
		},
		{"there is none", nil, nil, "", nil, "", health.NoPool, "no pool is configured", "put your addresses into the ConfigMap starling"},
		{
			"all pools want to be asked for",
			[]Pool{{Name: "shy", Ranges: wide.Ranges, AutoAssign: &no}},
			nil, "", nil, "", health.NoAutomaticPool,
			"every pool has autoAssign false", "ask for a pool with autoAssign: false by the annotation starling-lb.io/address-pool; for those with allocate: false, see why the other allocator gives no address",
		},
		{
			"no range of the family",
			[]Pool{six},
			nil, "", nil, "", health.FamilyMissing,
			`pool "six" has no IPv4 range`, "add a range of that family to the pool, or change spec.ipFamilies of the Service",
		},
		{
			"each family from another pool",
			[]Pool{wide, six},
			nil, "", both, "", health.FamilyMissing,
			`pool "wide" has no IPv6 range; pool "six" has no IPv4 range; both families have to come from one pool`, "add a range of that family to the pool, or change spec.ipFamilies of the Service",
		},
		{
			"the namespace has all that it may have",
			[]Pool{{Name: "few", Ranges: wide.Ranges, MaxPerNamespace: 1}},
			nil, "198.18.65.7", nil, "", health.NamespaceLimit,
			`pool "few" gives namespace ns no more than 1 address`,
			"delete Services that are not needed, let some share an address by the annotation starling-lb.io/allow-shared-ip, or raise maxPerNamespace of the pool",
		},
		{
			"a pool that there is not",
			[]Pool{wide},
			nil, "", asks(askPool[0], "lab"), "", health.PoolUnknown,
			`annotation starling-lb.io/address-pool asks for pool "lab", which does not exist`, "correct the annotations of the Service; `starling pools` shows the pools",
		},
		{
			"a pool for others",
			[]Pool{{Name: "theirs", Ranges: wide.Ranges, Namespaces: []string{"team-a"}}},
			nil, "", asks(askPool[0], "theirs"), "", health.PoolRefuses,
			`annotation starling-lb.io/address-pool asks for pool "theirs", which is only for namespaces named team-a, and the Service is in ns`,
			"ask for another pool, or change the pool's namespaces or selectors; `starling pools` shows them",
		},
		{
			"all pools are for others",
			[]Pool{{Name: "theirs", Ranges: wide.Ranges, Namespaces: []string{"team-a"}}},
			nil, "", nil, "", health.PoolRefuses,
			`no pool serves it: pool "theirs" is only for namespaces named team-a, and the Service is in ns`,
			"ask for another pool, or change the pool's namespaces or selectors; `starling pools` shows them",
		},
		{
			"an address of a pool for others",
			[]Pool{{Name: "theirs", Ranges: wide.Ranges, Namespaces: []string{"team-a"}}},
			nil, "", asks(askIPs[0], "198.18.65.7"), "", health.PoolRefuses,
			`annotation starling-lb.io/loadBalancerIPs asks for 198.18.65.7 of pool "theirs", which is only for namespaces named team-a, and the Service is in ns`,
			"ask for another pool, or change the pool's namespaces or selectors; `starling pools` shows them",
		},
		{
			"an address of no pool",
			[]Pool{wide},
			nil, "", asks(askIPs[0], "203.0.113.1"), "", health.AddressInNoPool,
			"annotation starling-lb.io/loadBalancerIPs asks for 203.0.113.1, which is in no pool", "ask for an address of a pool; `starling pools` shows them",
		},
		{
			"an address and another pool",
			[]Pool{wide, one},
			nil, "", func(s *Service) { s.annotate(askIPs[0], "198.18.65.7"); s.annotate(askPool[0], "one") }, "", health.RequestContradicts,
			`annotation starling-lb.io/loadBalancerIPs asks for 198.18.65.7, which is in pool "wide", but annotation starling-lb.io/address-pool asks for pool "one"`, "ask for one of them",
		},
		{
			"an address that another Service has",
			[]Pool{wide},
			nil, "198.18.65.7", asks(askIPs[0], "198.18.65.7"), "", health.AddressHeld,
			"annotation starling-lb.io/loadBalancerIPs asks for 198.18.65.7, which is held by ns/holder",
			"ask for another address, or let both share it by the annotation starling-lb.io/allow-shared-ip",
		},
		{
			"an address of a node",
			[]Pool{wide},
			nil, "", asks(askIPs[0], "198.18.65.7"), "198.18.65.7", health.AddressReserved,
			"annotation starling-lb.io/loadBalancerIPs asks for 198.18.65.7, which is reserved: an address of node n1", "ask for another address",
		},
		{
			"no address",
			[]Pool{wide},
			nil, "", asks(askIPs[0], "198.18.65.300"), "", health.RequestMalformed,
			`annotation starling-lb.io/loadBalancerIPs: "198.18.65.300" is no IP address`, "correct the annotations of the Service; `starling pools` shows the pools",
		},
		{
			"another installation's",
			[]Pool{wide},
			nil, "", foreign(codecVersion, "there"), "", health.LeaseForeign,
			`its lease belongs to the installation "there", not to this one`, "remove the annotation starling-lb.io/lease of the Service if that installation is gone",
		},
		{
			"a later release's",
			[]Pool{wide},
			nil, "", foreign(codecVersion+1, "here"), "", health.LeaseNewer,
			"its lease has version 2, of a later release", "update the speakers of all nodes",
		},
	}
	seen := map[health.Code]bool{health.FamiliesApart: true} // goes with another refusal
	for _, tt := range table {
		seen[tt.code] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pools, err := NewPools(tt.pools)
			if err != nil {
				t.Fatal(err)
			}
			services := []*Service{wanting("asker", time.Minute, tt.edit)}
			if tt.holds != "" {
				pool, _ := pools.Of(ip(tt.holds))
				services = append(services, wanting("holder", time.Hour, func(s *Service) {
					s.annotate(LeaseAnnotation, Lease{V: 1, By: "here", IPs: []Item{{IP: ip(tt.holds), Pool: pool, State: stateBound}}}.Encode())
					s.Ingress = []string{tt.holds}
				}))
			}
			all := NewTable()
			all.Apply(true, services, nil, epoch)
			v := View{Now: epoch, Installation: "here", Pools: pools, Self: "n1", Reserved: func(a netip.Addr) string {
				if a.String() == tt.reserved {
					return "an address of node n1"
				}
				return ""
			}}
			var told []Event
			steps, _ := all.Steps(v)
			for _, s := range steps {
				if s.Kind == Tell && s.Service.Name == "asker" {
					told = append(told, s.Events...)
				}
			}
			if diff := cmp.Diff([]Event{{Warning: true, Reason: AllocationFailed, Message: tt.text, Code: tt.code}}, told, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			list := all.Waiting(10)
			if len(list) != 1 || list[0].Code != tt.code || list[0].Reason != tt.text {
				t.Errorf("waiting %+v, want %s: %s", list, tt.code, tt.text)
			}
			if got := health.New(tt.code, health.Service("ns/asker"), tt.text).Advice; got != tt.advice {
				t.Errorf("advice %q, want %q", got, tt.advice)
			}
		})
	}
	for _, r := range health.Rules() {
		if r.Event == AllocationFailed && !seen[r.Code] {
			t.Errorf("nobody refuses by %s here", r.Code)
		}
	}
}
