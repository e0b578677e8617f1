package lease

import "testing"

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
		{"exhaustion is reported once and served when an address comes free", `
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
			events a AllocationFailed: every pool has autoAssign false
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
			b 198.18.64.1
			c -
			delete b
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
