package lease

import "testing"

// TestLiveChanges edits Services that have their addresses.
func TestLiveChanges(t *testing.T) {
	runScripts(t, []scriptTest{
		{"a port that clashes from now on: the one that was edited moves", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			b 198.18.64.1
			edit a ports=TCP/80,TCP/81
			step repair a
			settle
			a 198.18.64.2
			b 198.18.64.1
			events a IPAllocated: 198.18.64.1 from pool "default"; AddressConflict: 198.18.64.1 was bound to ns/b too, which keeps it; IPReleased: 198.18.64.1: ns/b holds it, and they may not share it: both use port TCP/81; IPAllocated: 198.18.64.2 from pool "default"
			edit a ports=TCP/80
			settle
			a 198.18.64.2
		`},
		{"and of the younger one", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			edit b ports=TCP/80
			step repair b
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"a speaker that was not there when it was edited decides the same", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			edit a ports=TCP/81
			restart
			step repair a
			settle
			b 198.18.64.1
		`},
		{"an edit that does no harm counts no more when the other one is edited", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			writes 4
			edit a ports=TCP/80,TCP/82
			step note a
			writes 1
			edit b ports=TCP/81,TCP/82
			step repair b
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"both were edited before anybody looked: the older one keeps it", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			edit a ports=TCP/82
			edit b ports=TCP/82
			step repair b
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"three share: the one that was edited moves, whomever it disturbs", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			create c share=k ports=TCP/82
			settle
			c 198.18.64.1
			edit b ports=TCP/80,TCP/82
			settle
			a 198.18.64.1
			b 198.18.64.2
			c 198.18.64.1
		`},
		{"an edit of anything else moves nobody and writes nothing", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			writes 4
			edit a label=x=y other/note=1 policy=SingleStack
			settle
			writes 0
			create c ports=TCP/80
			settle
			writes 2
			edit c ports=TCP/81 selector=app=z local
			settle
			writes 0
		`},
		{"both families, of which one is shared", `
			pool both 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a share=k ports=TCP/80 families=46 policy=PreferDualStack
			create b share=k ports=TCP/81
			settle
			b 198.18.64.1
			edit a ports=TCP/81
			settle
			a 198.18.64.2,2001:db8::1
			b 198.18.64.1
		`},
		{"there is no other address: the one that was edited has none", `
			pool default 198.18.64.1/32
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			edit a ports=TCP/81
			settle
			a -
			b 198.18.64.1
			edit a ports=TCP/80
			settle
			a 198.18.64.1
		`},
		{"leases of an earlier release say nothing of it: the older one keeps the address", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/80
			lease a {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}]}
			lease b {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}]}
			ingress a 198.18.64.1
			ingress b 198.18.64.1
			step repair b
			step note a bind b
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"Local from now on, and other selectors: the one that was edited moves", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80 selector=app=x
			create b share=k ports=TCP/81 selector=app=y
			settle
			b 198.18.64.1
			events b IPAllocated: 198.18.64.1 from pool "default"
			edit b local
			settle
			a 198.18.64.1
			b 198.18.64.2
			events b AddressConflict: 198.18.64.1 was bound to ns/a too, which keeps it; IPReleased: 198.18.64.1: ns/a holds it, and they may not share it: their selectors differ and externalTrafficPolicy is Local; IPAllocated: 198.18.64.2 from pool "default"
		`},
		{"Local, and a selector that becomes another one", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80 selector=app=x local
			create b share=k ports=TCP/81 selector=app=x
			settle
			b 198.18.64.1
			edit b selector=app=y
			settle
			b 198.18.64.2
		`},
		{"a key that is taken away", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			edit a share=
			settle
			a 198.18.64.2
			b 198.18.64.1
		`},
		{"a key that is given does not move what has an address", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b ports=TCP/81
			settle
			edit b share=k
			settle
			b 198.18.64.2
			edit b ips=198.18.64.1
			settle
			b 198.18.64.1
			usage default 1 0
		`},
		{"a class that becomes ours, and another one", `
			pool default 198.18.64.1-198.18.64.9
			class example.com/ours
			create a class=example.com/other
			settle
			a -
			edit a class=example.com/ours
			settle
			a 198.18.64.1
			edit a class=
			settle
			holds a -
			events a IPAllocated: 198.18.64.1 from pool "default"; IPReleased: 198.18.64.1: the Service is no load balancer of ours any more
		`},
		{"an address asked for by annotation, by field, and by nothing", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=198.18.64.5
			settle
			edit a ips= spec=198.18.64.6
			settle
			a 198.18.64.6
			edit a spec=
			settle
			a 198.18.64.6
			edit a metallb.universe.tf/loadBalancerIPs=198.18.64.7
			settle
			a 198.18.64.7
		`},
		{"a pool asked for that does not exist leaves the address as it is", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			edit a pool=other
			settle
			a 198.18.64.1
			events a AllocationFailed: annotation starling-lb.io/address-pool asks for pool "other", which does not exist
			pool other 198.18.65.1/32
			settle
			a 198.18.65.1
		`},
		{"two addresses for one, and one for two", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			settle
			edit a ips=198.18.65.7,2001:db8::7
			step claim a
			a 198.18.65.1,2001:db8::1
			step bind a
			a 198.18.65.7,2001:db8::7
			edit a ips=2001:db8::8
			settle
			a 198.18.65.7,2001:db8::8
		`},
		{"the primary family becomes the second one", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=PreferDualStack
			settle
			a 198.18.65.1,2001:db8::1
			edit a families=6 policy=SingleStack
			settle
			a 2001:db8::1
			events a IPAllocated: 198.18.65.1 from pool "both"; IPAllocated: 2001:db8::1 from pool "both"; IPReleased: 198.18.65.1: the Service does not ask for it any more
		`},
		{"both families required when there is only one of them: the one in use stays, and it is reported", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1/128
			create a families=6
			create b
			settle
			b 198.18.65.1
			events b IPAllocated: 198.18.65.1 from pool "both"
			edit b families=46 policy=RequireDualStack
			settle
			b 198.18.65.1
			events b AllocationFailed: pool "both" has no free IPv6 address; both families have to come from one pool
			delete a
			wait 5s
			settle
			b 198.18.65.1,2001:db8::1
		`},
		{"both families required and preferred", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			settle
			edit a policy=PreferDualStack
			settle
			a 198.18.65.1,2001:db8::1
			edit a policy=SingleStack
			settle
			a 198.18.65.1
			edit a policy=PreferDualStack
			wait 5s
			settle
			a 198.18.65.1,2001:db8::2
		`},
		{"two pools with one family each do not serve who requires both, and the reason is reported", `
			pool four 198.18.65.1-198.18.65.9
			pool six 2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			create b families=46 policy=PreferDualStack
			create c families=64 policy=PreferDualStack
			settle
			a -
			events a AllocationFailed: pool "four" has no IPv6 range; pool "six" has no IPv4 range; both families have to come from one pool
			b 198.18.65.1
			c 2001:db8::1
			pool both 198.18.66.1/32,2001:db8:1::1/128
			settle
			a 198.18.66.1,2001:db8:1::1
		`},
	})
}

func TestEndings(t *testing.T) {
	runScripts(t, []scriptTest{
		{"a namespace that is deleted holds until its Services are gone, and all at once comes free", `
			pool default 198.18.64.1-198.18.64.3
			create a
			create b
			create c
			settle
			create d
			create e
			create f
			settle
			usage default 3 3
			deleting a
			deleting b
			deleting c
			settle
			a 198.18.64.1
			d -
			delete a
			delete b
			delete c
			usage default 0 3
			wait 5s
			settle
			d 198.18.64.1
			e 198.18.64.2
			f 198.18.64.3
			usage default 3 0
		`},
		{"what waits in a namespace that is deleted does not keep others waiting", `
			pool default 198.18.64.1/32
			create a
			settle
			create b
			create c
			settle
			deleting b
			settle
			delete a
			wait 5s
			settle
			b -
			c 198.18.64.1
		`},
		{"a Service renamed by delete and create has its address at once if it asks for it", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			create b ips=198.18.64.1
			settle
			b -
			delete a
			step claim b
			step bind b
			b 198.18.64.1
		`},
		{"one that was renamed and does not ask gets another address, which rests with nobody", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			create b
			settle
			b 198.18.64.2
		`},
		{"one that was renamed with its lease and status copied", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			create b
			lease b {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}]}
			delete a
			settle
			b 198.18.64.1
		`},
	})
}
