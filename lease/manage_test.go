package lease

import "testing"

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
		{"what is no load balancer and whose lease names nobody is left alone, and holds nothing", `
			pool default 198.18.64.1-198.18.64.9
			create a type=ClusterIP
			lease a {"v":1,"ips":[{"ip":"198.18.64.1"}]}
			create b
			step claim b
			holds b 198.18.64.1(claimed)
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
		{"the lease of another installation is left alone, and holds only what is shown", `
			pool default 198.18.64.1-198.18.64.9
			create a
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.1","state":"claimed"}]}
			create b
			settle
			holds a 198.18.64.1(claimed)
			events a AllocationFailed: its lease belongs to the installation "there", not to this one
			b 198.18.64.1
			lease a -
			settle
			a 198.18.64.2
		`},
		{"a bound lease of another installation is not ours to announce", `
			pool default 198.18.64.1-198.18.64.9
			create a
			ingress a 198.18.64.1
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.1","state":"bound"}]}
			settle
			holds a 198.18.64.1(bound)
			events a AllocationFailed: its lease belongs to the installation "there", not to this one
			writes 0
			lease a -
			settle
			a 198.18.64.1
		`},
		{"a lease of a later release is left alone, and what is shown is understood", `
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
			b 198.18.64.3
			events a IPAllocated: 198.18.64.1 from pool "default"; AllocationFailed: its lease has version 2, of a later release
		`},
	})
}
