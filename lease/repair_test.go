package lease

import "testing"

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
		{"a forged lease that nobody minds is a claim like any other, of one address", `
			pool default 198.18.64.1-198.18.64.9
			pool kept noauto 198.18.65.1-198.18.65.9
			create a
			create b
			lease a {"v":1,"by":"","ips":[{"ip":"198.18.64.6","state":"claimed"}]}
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.5"},{"ip":"198.18.64.4"},{"ip":"198.18.65.6","state":"claimed"}]}
			settle
			a 198.18.64.6
			b 198.18.64.5
			holds b 198.18.64.5(bound)
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
			wait 200ms
			settle
			events a AddressConflict: annotation starling-lb.io/lease is written anew: 198.18.64.1 has the state "BOUND", want "claimed" or "bound"
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"bound"},{"ip":"198.18.64.257","state":"bound"}]}
			step repair a
			events a AddressConflict: annotation starling-lb.io/lease is written anew: "198.18.64.257" is no IP address
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"bound"},{"ip":"::ffff:198.18.64.1","state":"bound"}]}
			step repair a
			events a AddressConflict: annotation starling-lb.io/lease is written anew: 198.18.64.1 is there twice
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.7","state":"bound"}]}
			wait 1s
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
		{"a claim that nobody gives up is not waited for forever", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			create b class=example.com/other
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.1"}]}
			freeze
			settle
			holds a 198.18.64.1(claimed)
			wait 29s
			settle
			holds a 198.18.64.1(claimed)
			wait 1s
			settle
			a 198.18.64.2
		`},
		{"an address in use is not given up for such a claim, but it is reported", `
			pool default 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.1
			create b class=example.com/other
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.1"}]}
			freeze
			settle
			wait 30s
			settle
			wait 5s
			settle
			holds a 198.18.64.1(shown)
			events a AllocationFailed: 198.18.64.1 is held by ns/b too, which has to give it up
			delete b
			settle
			a 198.18.64.1
		`},
	})
}
