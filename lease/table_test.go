package lease

import "testing"

func TestScripts(t *testing.T) {
	for _, tt := range []struct{ name, script string }{
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
			wait 5s
			settle
			b 198.18.64.1
			c -
			usage default 1 1
			delete b
			wait 5s
			settle
			c 198.18.64.1
		`},
	} {
		t.Run(tt.name, func(t *testing.T) { runScript(t, tt.script) })
	}
}
