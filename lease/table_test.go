package lease

import "testing"

type scriptTest struct{ name, script string }

func runScripts(t *testing.T, tests []scriptTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { runScript(t, tt.script) })
	}
}

func TestAllocation(t *testing.T) {
	runScripts(t, []scriptTest{
		{"an address is claimed, then bound", `
			pool default 198.18.64.1-198.18.64.2
			create a
			step claim a
			holds a 198.18.64.1(claimed)
			a -
			step bind a
			a 198.18.64.1
			events a IPAllocated: 198.18.64.1 from pool "default"
			step
			writes 2
		`},
		{"first free address first, in order of creation", `
			pool default 198.18.64.1-198.18.64.9
			create b
			create a
			settle
			b 198.18.64.1
			a 198.18.64.2
			usage default 2 0
		`},
		{"exhaustion is told once and served when an address comes free", `
			pool default 198.18.64.1/32
			create a
			create b
			create c
			settle
			a 198.18.64.1
			b -
			events b AllocationFailed: pool "default" has no free IPv4 address
			usage default 1 2
			edit b metallb.io/note=x
			settle
			events b
			delete a
			settle
			b -
			wait 4s
			settle
			b -
			wait 1s
			settle
			b 198.18.64.1
			c -
			usage default 1 1
			delete b
			wait 5s
			settle
			c 198.18.64.1
		`},
		{"released addresses come back last", `
			pool default 198.18.64.1-198.18.64.3
			create a
			create b
			settle
			delete a
			create c
			settle
			c 198.18.64.3
			wait 1h
			create d
			settle
			d 198.18.64.1
		`},
		{"released addresses rest on when the configuration is read again", `
			pool default 198.18.64.1/32
			create a
			settle
			delete a
			wait 4s
			pools
			pool other 198.18.64.1-198.18.64.2
			create b
			create c
			settle
			b 198.18.64.2
			c -
			wait 1s
			settle
			c 198.18.64.1
		`},
		{"an address that was just released may be asked for", `
			pool default 198.18.64.1/32
			create a
			settle
			delete a
			create b ips=198.18.64.1
			settle
			b 198.18.64.1
		`},
		{"the next pool serves when the first is full", `
			pool one 198.18.64.1/32
			pool two 198.18.65.1/32
			create a
			create b
			settle
			a 198.18.64.1
			b 198.18.65.1
		`},
		{"a pool that is not assigned by itself serves who asks for it", `
			pool one noauto 198.18.64.1-198.18.64.9
			create a
			create b pool=one
			create c ips=198.18.64.7
			settle
			a -
			events a AllocationFailed: every pool has autoAssign false: ask for one by the annotation starling-lb.io/address-pool
			b 198.18.64.1
			c 198.18.64.7
		`},
		{"no pool at all", `
			pools
			create a
			settle
			a -
			events a AllocationFailed: no pool is configured
			pool default 198.18.64.1/32
			settle
			a 198.18.64.1
		`},
		{"buggy addresses are left out", `
			pool default avoid 198.18.64.254-198.18.65.1
			create a
			create b
			create c
			create d ips=198.18.64.255
			settle
			a 198.18.64.254
			b 198.18.65.1
			c -
			events d AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.255, which is left out of pool "default" by avoidBuggyIPs
		`},
		{"reserved addresses are passed over, and used when they are not reserved any more", `
			pool default 198.18.64.1-198.18.64.2
			reserve 198.18.64.1 node n1's address
			create a
			create b
			create c ips=198.18.64.1
			settle
			a 198.18.64.2
			b -
			events c AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is reserved: node n1's address
			reserve 198.18.64.1
			wait 10s
			settle
			c 198.18.64.1
		`},
		{"a Service renamed by delete and create", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=198.18.64.4
			settle
			delete a
			create b ips=198.18.64.4
			settle
			b 198.18.64.4
		`},
		{"a Service deleted and created under its name holds nothing of the old one", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			delete a
			create a
			settle
			a 198.18.64.2
			usage default 1 0
		`},
		{"a Service that is going away holds until it is gone, but claims nothing", `
			pool default 198.18.64.1/32
			create a
			settle
			deleting a
			create b
			settle
			a 198.18.64.1
			b -
			create c ips=198.18.64.1
			deleting c
			settle
			c -
			delete a
			wait 5s
			settle
			b 198.18.64.1
		`},
		{"the claim of a Service that is going away is given up", `
			pool default 198.18.64.1/32
			create a
			step claim a
			deleting a
			step withdraw a
			holds a -
		`},
	})
}

func TestManagement(t *testing.T) {
	runScripts(t, []scriptTest{
		{"a change of type releases", `
			pool default 198.18.64.1/32
			create a
			settle
			edit a type=ClusterIP
			step release a
			holds a -
			a -
			create b
			wait 5s
			settle
			b 198.18.64.1
			edit a type=LoadBalancer
			settle
			a -
		`},
		{"a change of type holds until it is released", `
			pool default 198.18.64.1/32
			create a
			settle
			rank 1
			edit a type=ClusterIP
			create b
			settle
			holds a 198.18.64.1(claimed)
			b -
			wait 1s
			step release a
			wait 5s
			rank 0
			settle
			b 198.18.64.1
		`},
		{"a change of class releases what is ours and keeps what is not", `
			pool default 198.18.64.1/32
			create a
			settle
			edit a class=example.com/other
			ingress a 198.18.64.1,203.0.113.1
			step release a
			holds a 203.0.113.1(shown)
			events a IPAllocated: 198.18.64.1 from pool "default"; IPReleased: 198.18.64.1: the Service is no load balancer of ours any more
		`},
		{"nobody releases what is of another class while members differ", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			freeze
			class example.com/ours
			create b class=example.com/ours
			settle
			a 198.18.64.1
			b 198.18.64.2
			edit a type=ClusterIP
			step release a
		`},
		{"only Services without a class are ours", `
			pool default 198.18.64.1-198.18.64.9
			create a class=example.com/other
			ingress a 198.18.64.1
			create b
			settle
			holds a 198.18.64.1(shown)
			b 198.18.64.2
			step
		`},
		{"what is no load balancer and whose lease names nobody is left alone", `
			pool default 198.18.64.1-198.18.64.9
			create a type=ClusterIP
			lease a {"v":1,"ips":[{"ip":"198.18.64.1"}]}
			create b
			step claim b
			holds b 198.18.64.2(claimed)
		`},
		{"with a class only Services of it are ours", `
			pool default 198.18.64.1-198.18.64.9
			class example.com/ours
			create a
			create b class=example.com/ours
			create c class=example.com/other
			settle
			a -
			b 198.18.64.1
			c -
		`},
		{"the lease of another installation is left alone and holds", `
			pool default 198.18.64.1-198.18.64.9
			create a
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.1","state":"claimed"}]}
			create b
			settle
			holds a 198.18.64.1(claimed)
			events a AllocationFailed: its lease belongs to the installation "there", not to this one: remove the annotation starling-lb.io/lease if that one is gone
			b 198.18.64.2
			lease a -
			settle
			a 198.18.64.3
		`},
		{"a bound lease of another installation is not ours to announce", `
			pool default 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.1
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.1","state":"bound"}]}
			settle
			holds a 198.18.64.1(bound)
			events a AllocationFailed: its lease belongs to the installation "there", not to this one: remove the annotation starling-lb.io/lease if that one is gone
			writes 0
			lease a -
			settle
			a 198.18.64.1
		`},
		{"a lease of a later release is left alone, and is understood", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			lease a {"v":2,"by":"here","new":[],"ips":[{"ip":"198.18.64.1","state":"bound","new":{}}]}
			settle
			a 198.18.64.1
			lease a {"v":2,"by":"here","ips":[{"ip":"198.18.64.3","state":"claimed"}]}
			ingress a -
			create b ips=198.18.64.3
			settle
			b -
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.3, which is held by ns/a
			events a IPAllocated: 198.18.64.1 from pool "default"; AllocationFailed: its lease has version 2, of a later release
		`},
	})
}

func TestRequests(t *testing.T) {
	runScripts(t, []scriptTest{
		{"an address by annotation and by field", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=198.18.64.5
			create b spec=198.18.64.6
			create c metallb.io/loadBalancerIPs=198.18.64.7
			create d metallb.universe.tf/loadBalancerIPs=198.18.64.8
			settle
			a 198.18.64.5
			b 198.18.64.6
			c 198.18.64.7
			d 198.18.64.8
		`},
		{"an address that is held by another, until it is free", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			create b spec=198.18.64.1
			settle
			b -
			events b AllocationFailed: spec.loadBalancerIP asks for 198.18.64.1, which is held by ns/a
			usage default 1 1
			delete a
			settle
			b 198.18.64.1
			events b IPAllocated: 198.18.64.1 from pool "default"
		`},
		{"refusals name the rule and the value", `
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9
			create a ips=203.0.113.1
			create b ips=2001:db8::1
			create c pool=three
			create d ips=198.18.64.1 pool=two
			create e ips=nonsense
			create f ips=198.18.64.1,198.18.64.2
			create g families=6
			create h ips=198.18.64.1 spec=198.18.64.2
			create i pool=one metallb.io/address-pool=two
			settle
			events a AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 203.0.113.1, which is in no pool
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 2001:db8::1, which is no IPv4 address: the Service is IPv4 only
			events c AllocationFailed: annotation starling-lb.io/address-pool asks for pool "three", which does not exist
			events d AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is in pool "one", but annotation starling-lb.io/address-pool asks for pool "two"
			events e AllocationFailed: annotation starling-lb.io/loadBalancerIPs: "nonsense" is no IP address
			events f AllocationFailed: annotation starling-lb.io/loadBalancerIPs: 198.18.64.1 and 198.18.64.2 are both IPv4: at most one of each family
			events g AllocationFailed: pool "one" has no IPv6 range; pool "two" has no IPv6 range
			events h AllocationFailed: requests contradict each other: annotation starling-lb.io/loadBalancerIPs is "198.18.64.1" and spec.loadBalancerIP is "198.18.64.2"
			events i AllocationFailed: annotations contradict each other: starling-lb.io/address-pool is "one" and metallb.io/address-pool is "two"
			writes 0
		`},
		{"the new address is claimed beside the old one and swapped", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			edit a ips=198.18.64.5
			step claim a
			holds a 198.18.64.1(bound),198.18.64.5(claimed)
			a 198.18.64.1
			step bind a
			holds a 198.18.64.5(bound)
			a 198.18.64.5
			events a IPAllocated: 198.18.64.1 from pool "default"; IPAllocated: 198.18.64.5 from pool "default"; IPReleased: 198.18.64.1: replaced by 198.18.64.5
		`},
		{"the old address stays while the new one cannot be had", `
			pool default 198.18.64.1-198.18.64.2
			create a
			create b
			settle
			edit a ips=198.18.64.2
			settle
			a 198.18.64.1
			edit a ips=nonsense
			settle
			a 198.18.64.1
			edit a ips=198.18.64.2
			delete b
			settle
			a 198.18.64.2
		`},
		{"a change of the wish while the claim is under way", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			edit a ips=198.18.64.5
			step claim a
			holds a 198.18.64.5(claimed)
			edit a ips=nonsense
			step withdraw a
			holds a -
		`},
		{"another pool moves the address, no wish any more does not", `
			pool one 198.18.64.1-198.18.64.9
			pool two noauto 198.18.65.1-198.18.65.9
			create a
			settle
			a 198.18.64.1
			edit a pool=two
			settle
			a 198.18.65.1
			edit a pool=
			settle
			a 198.18.65.1
		`},
		{"a pool that shrinks moves its users", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool other 198.18.65.1-198.18.65.9
			step claim a
			a 198.18.64.1
			settle
			a 198.18.65.1
		`},
		{"a pool that is gone moves nobody while members differ", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			freeze
			pools
			pool other 198.18.65.1-198.18.65.9
			settle
			a 198.18.64.1
			create b
			settle
			b 198.18.65.1
		`},
	})
}

func TestDualStack(t *testing.T) {
	runScripts(t, []scriptTest{
		{"both families from one pool, the primary one first", `
			pool four 198.18.64.1-198.18.64.9
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			create b families=64 policy=PreferDualStack
			create c families=46 policy=SingleStack
			settle
			a 198.18.65.1,2001:db8::1
			b 2001:db8::2,198.18.65.2
			c 198.18.64.1
			writes 6
		`},
		{"required: both or none", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1/128
			create a families=6
			create b families=46 policy=RequireDualStack
			settle
			b -
			holds b -
			events b AllocationFailed: pool "both" has no free IPv6 address
			delete a
			wait 5s
			settle
			b 198.18.65.1,2001:db8::1
		`},
		{"required: nothing is bound while one of both waits for a rival", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			step claim a
			create b families=6
			lease b {"v":1,"by":"here","ips":[{"ip":"2001:db8::1"}]}
			step claim b
			a -
			settle
			a 198.18.65.1,2001:db8::1
			b 2001:db8::2
		`},
		{"required: one of both is not kept when the other cannot be had", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1/128
			create a families=6
			settle
			create b families=46 policy=RequireDualStack
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.65.3"}]}
			step withdraw b
			holds b -
			step tell b
		`},
		{"preferred: one now, the other when it can be had", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1/128
			create a families=6
			create b families=46 policy=PreferDualStack
			settle
			b 198.18.65.1
			events b IPAllocated: 198.18.65.1 from pool "both"
			usage both 2 0
			delete a
			wait 5s
			settle
			b 198.18.65.1,2001:db8::1
			events b IPAllocated: 2001:db8::1 from pool "both"
		`},
		{"preferred: topped up when the pool gets a range of the other family", `
			pool both 198.18.65.1-198.18.65.9
			create a families=46 policy=PreferDualStack
			settle
			a 198.18.65.1
			pools
			pool both 198.18.65.1-198.18.65.9,2001:db8::1/128
			settle
			a 198.18.65.1,2001:db8::1
		`},
		{"preferred: nothing at all", `
			pools
			pool default 198.18.65.1/32
			create a
			create b families=46 policy=PreferDualStack
			settle
			b -
			events b AllocationFailed: pool "default" has no free IPv4 address; pool "default" has no IPv6 range
		`},
		{"one asked for, the other from its pool", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			create a families=46 policy=RequireDualStack spec=198.18.65.7
			create b families=46 policy=PreferDualStack ips=198.18.64.3,2001:db8:1::3
			settle
			a 198.18.65.7,2001:db8:2::1
			b 198.18.64.3,2001:db8:1::3
		`},
		{"from one family to two and back", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a
			settle
			edit a families=46 policy=RequireDualStack
			settle
			a 198.18.65.1,2001:db8::1
			edit a families=4 policy=SingleStack
			step release a
			a 198.18.65.1
		`},
		{"required with one that is asked for and held: none", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a
			settle
			create b families=46 policy=RequireDualStack ips=198.18.65.1
			settle
			holds b -
			delete a
			settle
			b 198.18.65.1,2001:db8::1
		`},
		{"preferred with one that is asked for and held: the other, and it is told", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a
			settle
			create b families=46 policy=PreferDualStack ips=198.18.65.1
			settle
			b 2001:db8::1
			events b IPAllocated: 2001:db8::1 from pool "both"; AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.65.1, which is held by ns/a
			delete a
			settle
			b 198.18.65.1,2001:db8::1
		`},
	})
}

func TestSharing(t *testing.T) {
	runScripts(t, []scriptTest{
		{"the same key shares", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=UDP/80,TCP/443
			create c metallb.io/allow-shared-ip=k ports=TCP/81
			create d share=other ports=TCP/82
			create e ports=TCP/83
			settle
			a 198.18.64.1
			b 198.18.64.1
			c 198.18.64.1
			d 198.18.64.2
			e 198.18.64.3
			usage default 3 0
			delete a
			settle
			b 198.18.64.1
			usage default 3 0
		`},
		{"a port that is taken gets an address of its own", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/80
			create c share=k ports=TCP/80 ips=198.18.64.1
			settle
			a 198.18.64.1
			b 198.18.64.2
			c -
			events c AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is held by ns/a, and they may not share it: both use port TCP/80
			edit c ports=TCP/81
			settle
			c 198.18.64.1
		`},
		{"nobody is picked for the address of another that is in flight and cannot be shared", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/80
			create c share=k ports=TCP/81
			step claim a claim b claim c
			holds b 198.18.64.2(claimed)
			holds c 198.18.64.1(claimed)
		`},
		{"the key does not lead out of the pool that is asked for", `
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9
			create a share=k ports=TCP/80 pool=one
			create b share=k ports=TCP/81 pool=two
			settle
			a 198.18.64.1
			b 198.18.65.1
		`},
		{"who may share an address does not queue behind who may not", `
			pool default 198.18.64.1/32
			create a share=k ports=TCP/80,TCP/81
			create b share=k ports=TCP/80
			create c share=k ports=TCP/81
			settle
			c -
			edit a ports=TCP/80
			settle
			c 198.18.64.1
			b -
		`},
		{"Local shares with the same selector only", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80 selector=app=x
			create b share=k ports=TCP/81 selector=app=y local ips=198.18.64.1
			create c share=k ports=TCP/82 selector=app=x local ips=198.18.64.1
			create d share=k ports=TCP/83 selector=app=x ips=198.18.64.1
			settle
			a 198.18.64.1
			b -
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is held by ns/a, and they may not share it: their selectors differ and externalTrafficPolicy is Local
			c 198.18.64.1
			d 198.18.64.1
		`},
		{"a key that changes while the address is shared", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			events b IPAllocated: 198.18.64.1 from pool "default"
			edit a share=other
			step repair b
			holds b 198.18.64.2(claimed)
			settle
			a 198.18.64.1
			b 198.18.64.2
			events b AddressConflict: 198.18.64.1 was bound to ns/a too, which keeps it; IPReleased: 198.18.64.1: ns/a holds it; IPAllocated: 198.18.64.2 from pool "default"
		`},
		{"a full pool serves who may share as soon as the holder lets it", `
			pool default 198.18.64.1/32
			create a ports=TCP/80
			create b ports=TCP/81 share=k
			settle
			b -
			edit a share=k
			settle
			b 198.18.64.1
		`},
		{"nobody shares with another installation", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.1"}]}
			create b share=k ports=TCP/81
			settle
			b 198.18.64.2
		`},
		{"nobody shares with another implementation", `
			pool default 198.18.64.1-198.18.64.9
			create a class=example.com/other share=k ports=TCP/80
			ingress a 198.18.64.1
			create b share=k ports=TCP/81
			settle
			b 198.18.64.2
		`},
	})
}

func TestRepair(t *testing.T) {
	runScripts(t, []scriptTest{
		{"an address of another implementation is adopted in place, in one write", `
			pool default 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.7
			step bind a
			a 198.18.64.7
			events a IPAllocated: 198.18.64.7 from pool "default", adopted: the Service showed it already
			writes 1
		`},
		{"an adopted address comes before a claim", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			create b
			ingress b 198.18.64.1
			step claim a
			holds a 198.18.64.2(claimed)
			settle
			a 198.18.64.2
			b 198.18.64.1
		`},
		{"an address of another implementation that is in no pool is replaced", `
			pool default 198.18.64.1-198.18.64.9
			create a
			ingress a 203.0.113.9
			step claim a
			holds a 198.18.64.1(claimed),203.0.113.9(shown)
			step bind a
			a 198.18.64.1
			events a IPAllocated: 198.18.64.1 from pool "default"; IPReleased: 203.0.113.9: replaced by 198.18.64.1: the old one is in no pool
		`},
		{"a node's address is never adopted", `
			pool default 198.18.64.1-198.18.64.9
			reserve 198.18.64.3 node n3's address
			create a
			ingress a 198.18.64.3
			settle
			a 198.18.64.1
		`},
		{"a stripped lease is written again", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			lease a -
			holds a 198.18.64.1(shown)
			create b
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"a cleared ingress is shown again, without another event", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a -
			step bind a
			a 198.18.64.1
			events a
		`},
		{"a copied lease is given up", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			create b
			lease b {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}]}
			holds b 198.18.64.1(claimed)
			step claim b
			holds b 198.18.64.2(claimed)
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"a forged lease that nobody minds is a claim like any other", `
			pool default 198.18.64.1-198.18.64.9
			pool kept noauto 198.18.65.1-198.18.65.9
			create a
			create b
			lease a {"v":1,"by":"","ips":[{"ip":"198.18.64.6","state":"claimed"}]}
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.65.6","state":"claimed"},{"ip":"198.18.64.5"},{"ip":"198.18.64.4"}]}
			settle
			a 198.18.64.6
			b 198.18.64.4
			holds b 198.18.64.4(bound)
		`},
		{"a forged claim does not open a pool that must be asked for", `
			pool default 198.18.64.1-198.18.64.9
			pool kept noauto 198.18.65.1-198.18.65.9
			create a
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.65.6","state":"claimed"}]}
			settle
			a 198.18.64.1
			ingress a 198.18.65.6
			lease a -
			settle
			a 198.18.65.6
		`},
		{"a lease of nobody becomes ours", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			lease a {"v":1,"ips":[{"ip":"198.18.64.1","state":"bound"}]}
			step repair a
			a 198.18.64.1
		`},
		{"what MetalLB left is adopted in place, and its annotation does no harm", `
			pool default 198.18.64.1-198.18.64.9
			create a metallb.io/ip-allocated-from-pool=old
			ingress a 198.18.64.7
			create b metallb.universe.tf/ip-allocated-from-pool=default metallb.io/loadBalancerIPs=198.18.64.5
			ingress b 198.18.64.5
			create c metallb.io/ip-allocated-from-pool=old
			ingress c 203.0.113.7
			create d metallb.io/ip-allocated-from-pool=old
			settle
			a 198.18.64.7
			b 198.18.64.5
			c 198.18.64.1
			d 198.18.64.2
			delete a
			wait 5s
			create e ips=198.18.64.7
			settle
			e 198.18.64.7
		`},
		{"what another implementation left for two families is adopted in place", `
			pool default 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			ingress a 198.18.64.7,2001:db8::7
			create b families=46 policy=PreferDualStack
			ingress b 2001:db8::8
			step bind a bind b
			a 198.18.64.7,2001:db8::7
			settle
			b 198.18.64.1,2001:db8::8
		`},
		{"a lease that was edited is written anew with an event that says what was wrong", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"claimed"}]}
			step bind a
			a 198.18.64.1
			events a AddressConflict: annotation starling-lb.io/lease is written anew: it did not say that 198.18.64.1 is bound
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"BOUND"}]}
			settle
			events a AddressConflict: annotation starling-lb.io/lease is written anew: 198.18.64.1 has the state "BOUND", want "claimed" or "bound"
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"bound"},{"ip":"198.18.64.257","state":"bound"}]}
			step repair a
			events a AddressConflict: annotation starling-lb.io/lease is written anew: "198.18.64.257" is no IP address
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"bound"},{"ip":"::ffff:198.18.64.1","state":"bound"}]}
			step repair a
			events a AddressConflict: annotation starling-lb.io/lease is written anew: 198.18.64.1 is there twice
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.7","state":"bound"}]}
			step bind a
			events a IPAllocated: 198.18.64.1 from pool "default", adopted: the Service showed it already; IPReleased: 198.18.64.7: replaced by 198.18.64.1
			holds a 198.18.64.1(bound)
			step
		`},
		{"garbage on a Service that cannot be served is taken off as well", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=nonsense
			lease a garbage
			step repair a
			holds a -
			step tell a
			events a AddressConflict: annotation starling-lb.io/lease is written anew: it could not be read: lease: invalid character 'g' looking for beginning of value; AllocationFailed: annotation starling-lb.io/loadBalancerIPs: "nonsense" is no IP address
		`},
		{"garbage on what is not ours is left alone", `
			pool default 198.18.64.1-198.18.64.9
			create a type=ClusterIP
			create b class=example.com/other
			lease a garbage
			lease b garbage
			step
			writes 0
		`},
		{"garbage is written anew with an event", `
			pool default 198.18.64.1-198.18.64.9
			create a
			lease a {{
			settle
			a 198.18.64.1
			events a AddressConflict: annotation starling-lb.io/lease is written anew: it could not be read: lease: invalid character '{' looking for beginning of object key string; IPAllocated: 198.18.64.1 from pool "default"
			lease a []
			step bind a
			a 198.18.64.1
		`},
		{"of two that are bound to one address the older keeps it", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			events b IPAllocated: 198.18.64.2 from pool "default"
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"bound"}]}
			ingress b 198.18.64.1
			holds b 198.18.64.1(bound)
			step repair b
			a 198.18.64.1
			settle
			b 198.18.64.3
			events b AddressConflict: 198.18.64.1 was bound to ns/a too, which keeps it; IPReleased: 198.18.64.1: ns/a holds it; IPAllocated: 198.18.64.3 from pool "default"
		`},
		{"a restored backup shows another content under a version that is known", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			edit a ips=198.18.64.5
			settle
			a 198.18.64.5
			restore a 198.18.64.1
			a 198.18.64.1
			settle
			a 198.18.64.5
		`},
		{"a restored backup binds two to one address: the older keeps it", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			events b IPAllocated: 198.18.64.2 from pool "default"
			restore b 198.18.64.1
			holds b 198.18.64.1(bound)
			step repair b
			settle
			a 198.18.64.1
			b 198.18.64.3
			events b AddressConflict: 198.18.64.1 was bound to ns/a too, which keeps it; IPReleased: 198.18.64.1: ns/a holds it; IPAllocated: 198.18.64.3 from pool "default"
			restore a 198.18.64.3
			step repair b
			settle
			a 198.18.64.3
			b 198.18.64.4
		`},
		{"a write that was under way when the backup was restored", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			break
			step claim a claim b
			mend
			restore a 198.18.64.2
			a 198.18.64.2
			create c ips=198.18.64.1
			step claim c
			wait 200ms
			step claim b bind c
			holds b 198.18.64.3(claimed)
		`},
		{"ingress that is not bound is taken off a Service that has enough", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			ingress a 198.18.64.1,198.18.64.2,nonsense
			step release a
			a 198.18.64.1
		`},
		{"a claim that nobody gives up is not waited for for ever", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			create b
			lease b {"v":1,"by":"there","ips":[{"ip":"198.18.64.1"}]}
			settle
			holds a 198.18.64.1(claimed)
			wait 29s
			settle
			holds a 198.18.64.1(claimed)
			wait 1s
			settle
			a 198.18.64.2
		`},
		{"an address in use is not given up for such a claim, but it is told", `
			pool default 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.1
			create b
			lease b {"v":1,"by":"there","ips":[{"ip":"198.18.64.1"}]}
			settle
			wait 30s
			settle
			holds a 198.18.64.1(shown)
			events a AllocationFailed: 198.18.64.1 is held by ns/b too, which has to give it up
			delete b
			settle
			a 198.18.64.1
		`},
	})
}

func TestTurns(t *testing.T) {
	runScripts(t, []scriptTest{
		{"the next rank acts when a step is overdue", `
			pool default 198.18.64.1-198.18.64.9
			rank 2
			create a
			step
			wait 1999ms
			step
			wait 1ms
			step claim a
			step
			wait 1s
			step
			wait 1s
			step bind a
		`},
		{"the claim of a speaker that died is finished by the next rank", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			restart
			rank 1
			step
			wait 999ms
			step
			wait 1ms
			step bind a
			a 198.18.64.1
		`},
		{"a release that a dead speaker left is finished by the next rank", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			break
			edit a type=ClusterIP
			step release a
			restart
			mend
			rank 2
			step
			wait 2s
			step release a
			holds a -
		`},
		{"what is due anew is overdue anew", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			pools
			step
			wait 5s
			pool default 198.18.64.1-198.18.64.9
			step
			wait 1s
			step claim a
		`},
		{"an edited Service is overdue anew", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			wait 900ms
			edit a metallb.io/note=x
			step
			wait 100ms
			step
			wait 900ms
			step claim a
		`},
		{"a failure that comes back after success is told again", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=nonsense
			step tell a
			edit a ips=
			settle
			edit a ips=nonsense
			step tell a
			step
		`},
		{"a new rival is waited for anew", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			create b
			lease b {"v":1,"by":"there","ips":[{"ip":"198.18.64.1"}]}
			step tell b
			wait 29s
			lease b -
			break
			step bind a claim b
			lease b {"v":1,"by":"there","ips":[{"ip":"198.18.64.1"}]}
			wait 1s
			step
			wait 29s
			step
			wait 1s
			step claim a
		`},
		{"a new rank 0 acts at once", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			rank 0
			step claim a
		`},
		{"who is not ready does nothing, ever", `
			pool default 198.18.64.1-198.18.64.9
			rank -1
			create a ips=203.0.113.1
			create b
			wait 1h
			step
			rank 0
			step tell a claim b
		`},
		{"only rank 0 tells a failure", `
			pool default 198.18.64.1/32
			create a
			settle
			rank 1
			create b
			step
			wait 5s
			step
			rank 0
			step tell b
			step
			rank 1
			create c
			step
			wait 10s
			rank 0
			step
		`},
		{"a rejected write is decided again after a while, more and more", `
			pool default 198.18.64.1-198.18.64.9
			create a
			break
			step claim a
			step
			wait 200ms
			step claim a
			wait 399ms
			step
			wait 1ms
			step claim a
			mend
			step
			wait 800ms
			step claim a
			step bind a
			a 198.18.64.1
		`},
		{"others do not pick what is in flight, and pick it when the flight failed", `
			pool default 198.18.64.1-198.18.64.2
			create a
			break
			step claim a
			mend
			create b
			step claim b
			holds b 198.18.64.2(claimed)
			create c
			step bind b tell c
			wait 200ms
			step claim a
			holds a 198.18.64.1(claimed)
		`},
		{"the picks of a Service that is gone go back", `
			pool default 198.18.64.1/32
			create a
			break
			step claim a
			delete a
			mend
			create b
			settle
			b 198.18.64.1
		`},
		{"who may share an address is served when the pick of another for it comes to nothing", `
			pool default 198.18.64.1/32
			create a share=k ports=TCP/80
			settle
			create b share=k ports=TCP/81
			break
			step claim b
			create c share=k ports=TCP/81
			step tell c
			delete b
			mend
			settle
			c 198.18.64.1
		`},
		{"an address that is asked for is free when the pick of another is", `
			pool default 198.18.64.1/32
			create a
			break
			step claim a
			create b ips=198.18.64.1
			step
			events b
			delete a
			mend
			settle
			b 198.18.64.1
		`},
		{"a Service that is gone waits no more", `
			pool default 198.18.64.1/32
			create a
			create b
			create c
			settle
			delete b
			delete a
			usage default 0 1
			wait 5s
			settle
			c 198.18.64.1
		`},
		{"a step is not taken twice", `
			pool default 198.18.64.1/32
			create a
			break
			step claim a
			edit a metallb.io/note=x
			step claim a
			step
		`},
		{"while others do progress nobody is overdue, within reason", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			wait 900ms
			create b
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.9"}]}
			step
			wait 900ms
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.8"}]}
			step
			wait 900ms
			step
			wait 100ms
			step claim a bind b
		`},
	})
}
