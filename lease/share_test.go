package lease

import "testing"

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
			step repair a
			holds a 198.18.64.2(claimed)
			settle
			a 198.18.64.2
			b 198.18.64.1
			events a IPAllocated: 198.18.64.1 from pool "default"; AddressConflict: 198.18.64.1 was bound to ns/b too, which keeps it; IPReleased: 198.18.64.1: ns/b holds it, and they may not share it: their sharing keys differ; IPAllocated: 198.18.64.2 from pool "default"
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
		{"nobody of another namespace shares, whatever it guesses", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create other/b share=k ports=TCP/81
			create other/c share=k ports=TCP/82 ips=198.18.64.1
			create other/d share=guess ports=TCP/83 ips=198.18.64.1
			settle
			a 198.18.64.1
			other/b 198.18.64.2
			other/c -
			events c AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is held by ns/a, and they may not share it: they are in different namespaces, and its pool has no shareAcrossNamespaces: true
			events d AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.1, which is held by ns/a, and they may not share it: they are in different namespaces, and its pool has no shareAcrossNamespaces: true
			pools
			pool default across 198.18.64.1-198.18.64.9
			settle
			other/c 198.18.64.1
		`},
		{"who shares across namespaces goes on when the pool does not allow it any more, and does not come again", `
			pool default across 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create other/b share=k ports=TCP/81
			settle
			other/b 198.18.64.1
			pools
			pool default 198.18.64.1-198.18.64.9
			settle
			edit other/b ports=TCP/82 label=x=y
			restart
			settle
			a 198.18.64.1
			other/b 198.18.64.1
			ingress other/b -
			settle
			other/b 198.18.64.1
			recreate other/b
			settle
			a 198.18.64.1
			other/b 198.18.64.2
		`},
		{"what others share across namespaces is adopted as it is", `
			pool default 198.18.64.1-198.18.64.9
			rank -1
			create a share=k ports=TCP/80
			create other/b share=k ports=TCP/81
			ingress a 198.18.64.1
			ingress other/b 198.18.64.1
			rank 0
			settle
			a 198.18.64.1
			other/b 198.18.64.1
		`},
		{"nobody shares with another installation", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			settle
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
