package lease

import "testing"

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
		{"an address that is reserved, until it is not, also behind others in the queue for the second family", `
			pool default 198.18.64.1/32,2001:db8::1-2001:db8::9
			create a
			settle
			create b
			reserve 2001:db8::1 node n1's address
			create c families=64 policy=PreferDualStack ips=2001:db8::1
			settle
			c -
			reserve 2001:db8::1
			wait 10s
			settle
			c 2001:db8::1
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
		{"a change of the request while the claim is under way", `
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
		{"another pool moves the address, no request any more does not", `
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
