package lease

import "testing"

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
		{"preferred with one that is asked for and held: the other, and it is reported", `
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
		{"preferred: where each pool has one family, the primary one first", `
			pool six 2001:db8::1-2001:db8::9
			pool four 198.18.64.1/32
			create a families=46 policy=PreferDualStack
			create b families=64 policy=PreferDualStack
			create c families=46 policy=PreferDualStack
			settle
			a 198.18.64.1
			b 2001:db8::1
			c 2001:db8::2
			events a IPAllocated: 198.18.64.1 from pool "four"
		`},
	})
}

// TestMoveWhole: both families come from one pool, so they leave it together.
func TestMoveWhole(t *testing.T) {
	runScripts(t, []scriptTest{
		{"preferred: the pool loses a family, and another one has both", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			create a families=46 policy=PreferDualStack
			settle
			a 198.18.64.1,2001:db8:1::1
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			events a IPAllocated: 198.18.64.1 from pool "one"; IPAllocated: 2001:db8:1::1 from pool "one"
			writes 2
			step claim a
			a 198.18.64.1,2001:db8:1::1
			step bind a
			a 198.18.65.1,2001:db8:2::1
			events a IPAllocated: 198.18.65.1 from pool "two"; IPAllocated: 2001:db8:2::1 from pool "two"; IPReleased: 198.18.64.1: replaced by 198.18.65.1: both families have to come from one pool; IPReleased: 2001:db8:1::1: replaced by 2001:db8:2::1: the old one is in no pool
			settle
			writes 2
		`},
		{"required, and the primary family is the one that is lost", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			create a families=46 policy=RequireDualStack
			settle
			pools
			pool one 2001:db8:1::1-2001:db8:1::9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			settle
			a 198.18.65.1,2001:db8:2::1
		`},
		{"the pool has the family and no address of it: excluded, and full", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::2
			create a families=46 policy=PreferDualStack
			create b families=6
			settle
			pools
			pool one exclude=2001:db8:1::1 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::2
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			settle
			a 198.18.65.1,2001:db8:2::1
		`},
		{"the own pool comes first", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::2
			create a families=46 policy=PreferDualStack
			settle
			pools
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			pool one exclude=2001:db8:1::1 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::2
			settle
			a 198.18.64.1,2001:db8:1::2
		`},
		{"and is waited for while an address of it rests", `
			pool two 198.18.65.1/32,2001:db8:2::1/128
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::2
			create x families=46 policy=RequireDualStack
			settle
			create a families=46 policy=PreferDualStack
			create b families=6
			settle
			delete x
			delete b
			pools
			pool two 198.18.65.1/32,2001:db8:2::1/128
			pool one exclude=2001:db8:1::1 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::2
			settle
			a 198.18.64.1,2001:db8:1::1
			wait 5s
			settle
			a 198.18.64.1,2001:db8:1::2
		`},
		{"as soon as the other pool is free", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			pool two 198.18.65.1/32,2001:db8:2::1/128
			create a families=46 policy=PreferDualStack
			create b families=46 policy=RequireDualStack pool=two
			settle
			b 198.18.65.1,2001:db8:2::1
			events a IPAllocated: 198.18.64.1 from pool "one"; IPAllocated: 2001:db8:1::1 from pool "one"
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1/32,2001:db8:2::1/128
			settle
			a 198.18.64.1,2001:db8:1::1
			events a AllocationFailed: pool "one" has no IPv6 range; pool "two" has no free IPv4 address; pool "two" has no free IPv6 address; both families have to come from one pool; it keeps 2001:db8:1::1 for now, which is in no pool
			usage one 1 1
			delete b
			wait 5s
			settle
			a 198.18.65.1,2001:db8:2::1
			usage one 0 0
		`},
		{"not to a pool that is asked for only, nor one that does not serve it, nor one with one family", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack
			settle
			pools
			pool one 198.18.64.1-198.18.64.9
			pool asked noauto 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			pool web services=app=web 198.18.66.1-198.18.66.9,2001:db8:3::1-2001:db8:3::9
			pool six 2001:db8:4::1-2001:db8:4::9
			settle
			a 198.18.64.1,2001:db8:1::1
			edit a label=app=web
			settle
			a 198.18.66.1,2001:db8:3::1
		`},
		{"not from the pool or the address that it asks for", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack pool=one
			create b families=46 policy=PreferDualStack spec=198.18.64.7
			create c families=46 policy=PreferDualStack ips=2001:db8:1::7
			settle
			c 198.18.64.2,2001:db8:1::7
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			settle
			a 198.18.64.1,2001:db8:1::1
			b 198.18.64.7,2001:db8:1::2
			c 198.18.64.2,2001:db8:1::7
			events c IPAllocated: 198.18.64.2 from pool "one"; IPAllocated: 2001:db8:1::7 from pool "one"; AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 2001:db8:1::7, which is in no pool
		`},
		{"a Service that has what it may have of one family stays where it prefers both", `
			pool four 198.18.64.1-198.18.64.9
			create a families=46 policy=PreferDualStack
			settle
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			settle
			a 198.18.64.1
			edit a policy=RequireDualStack
			settle
			a 198.18.65.1,2001:db8:2::1
		`},
		{"the pool gets the family back before the move is done", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack
			settle
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			step claim a
			pools
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			step withdraw a
			settle
			a 198.18.64.1,2001:db8:1::1
		`},
		{"one of the two claims is lost to a rival: both are claimed anew", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack
			create b
			settle
			b 198.18.64.2
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			step claim a
			lease b {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.65.1","pool":"two","state":"bound"}]}
			ingress b 198.18.65.1
			settle
			b 198.18.65.1
			a 198.18.65.2,2001:db8:2::2
		`},
		{"those who share an address part when one has to move", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			b 198.18.64.1
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			settle
			a 198.18.65.1,2001:db8:2::1
			b 198.18.64.1
		`},
		{"a frozen configuration moves nobody", `
			pool one 198.18.64.1-198.18.64.9,2001:db8:1::1-2001:db8:1::9
			create a families=46 policy=PreferDualStack
			settle
			freeze
			pools
			pool one 198.18.64.1-198.18.64.9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			settle
			a 198.18.64.1,2001:db8:1::1
		`},
	})
}
