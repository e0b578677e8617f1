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
