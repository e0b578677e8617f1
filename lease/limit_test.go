package lease

import (
	"strings"
	"testing"
)

func TestMaxPerNamespace(t *testing.T) {
	runScripts(t, []scriptTest{
		{"a namespace gets no more than so many, and the next one is free for others", `
			pool p limit=2 198.18.64.1-198.18.64.9
			create a
			create b
			create c
			create other/d
			settle
			a 198.18.64.1
			b 198.18.64.2
			c -
			vips 198.18.64.1=ns/a 198.18.64.2=ns/b 198.18.64.3=other/d
			events c AllocationFailed: pool "p" gives namespace ns no more than 2 addresses
			delete a
			settle
			wait 5s
			settle
			vips 198.18.64.2=ns/b 198.18.64.3=other/d 198.18.64.4=ns/c
		`},
		{"the next pool has one", `
			pool p limit=1 priority=1 198.18.64.1-198.18.64.9
			pool q 198.18.65.1-198.18.65.9
			create a
			create b
			settle
			a 198.18.64.1
			b 198.18.65.1
		`},
		{"who asks for an address or the pool is refused, and served once there is room", `
			pool p limit=1 198.18.64.1-198.18.64.9
			create a
			create b ips=198.18.64.7
			create c pool=p
			settle
			b -
			c -
			events b AllocationFailed: annotation starling-lb.io/loadBalancerIPs asks for 198.18.64.7, and pool "p" gives namespace ns no more than 1 address
			events c AllocationFailed: pool "p" gives namespace ns no more than 1 address
			delete a
			settle
			b 198.18.64.7
			c -
			delete b
			settle
			vips 198.18.64.2=ns/c
		`},
		{"what is shared counts once", `
			pool p limit=1 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			create c
			settle
			a 198.18.64.1
			b 198.18.64.1
			c -
			delete a
			settle
			c -
			delete b
			settle
			wait 5s
			settle
			vips 198.18.64.2=ns/c
		`},
		{"an address that replaces another one does not count beside it", `
			pool p limit=1 198.18.64.1-198.18.64.9
			create a
			settle
			edit a ips=198.18.64.5
			settle
			a 198.18.64.5
		`},
		{"both families count", `
			pool p limit=1 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a families=46 policy=PreferDualStack
			create b families=46 policy=RequireDualStack
			settle
			a 198.18.64.1
			b -
		`},
		{"a limit that is lowered takes nothing away, and one that is raised serves those that wait", `
			pool p 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			pools
			pool p limit=1 198.18.64.1-198.18.64.9
			create c
			settle
			a 198.18.64.1
			b 198.18.64.2
			c -
			pools
			pool p limit=3 198.18.64.1-198.18.64.9
			settle
			c 198.18.64.3
		`},
	})
	c, err := ParseConfig([]byte("pools: [{name: p, ranges: [198.18.64.0/24], maxPerNamespace: -1, keepFor: 8000h}]"))
	if err == nil {
		_, err = Compile(c)
	}
	for _, want := range []string{"maxPerNamespace: negative", `keepFor "8000h": longer than 168h`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestKeepFor(t *testing.T) {
	runScripts(t, []scriptTest{
		{"as long as the pool says", `
			pool p keepFor=24h 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			wait 23h
			create b
			settle
			b 198.18.64.2
			create a
			settle
			a 198.18.64.1
		`},
		{"and no longer", `
			pool p keepFor=1h 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			wait 1h
			create a
			settle
			a 198.18.64.2
		`},
		{"not at all", `
			pool p keepFor=0s 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			create a
			settle
			a 198.18.64.2
		`},
	})
}
