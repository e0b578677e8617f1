package lease

import "testing"

func TestTurns(t *testing.T) {
	runScripts(t, []scriptTest{
		{"the next rank acts when a step is overdue", `
			pool default 198.18.64.1-198.18.64.9
			rank 2
			create a
			step
			wait 1999ms
			step
			wait 1ms
			step claim a
			step
			wait 1s
			step
			wait 1s
			step bind a
		`},
		{"the claim of a speaker that died is finished by the next rank", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			restart
			rank 1
			step
			wait 999ms
			step
			wait 1ms
			step bind a
			a 198.18.64.1
		`},
		{"a release that a dead speaker left is finished by the next rank", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			break
			edit a type=ClusterIP
			step release a
			restart
			mend
			rank 2
			step
			wait 2s
			step release a
			holds a -
		`},
		{"what is due anew is overdue anew", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			pools
			step
			wait 5s
			pool default 198.18.64.1-198.18.64.9
			step
			wait 1s
			step claim a
		`},
		{"an edited Service is overdue anew", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			wait 900ms
			edit a metallb.io/note=x
			step
			wait 100ms
			step
			wait 900ms
			step claim a
		`},
		{"a failure that comes back after success is reported again", `
			pool default 198.18.64.1-198.18.64.9
			create a ips=nonsense
			step tell a
			edit a ips=
			settle
			edit a ips=nonsense
			step tell a
			step
		`},
		{"a new rival is waited for anew", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			create b class=example.com/other
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.1"}]}
			freeze
			step
			wait 29s
			lease b -
			break
			step bind a
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.1"}]}
			wait 1s
			step
			wait 29s
			step
			wait 1s
			step claim a
		`},
		{"a new rank 0 acts at once", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			rank 0
			step claim a
		`},
		{"who is not ready does nothing, ever", `
			pool default 198.18.64.1-198.18.64.9
			rank -1
			create a ips=203.0.113.1
			create b
			wait 1h
			step
			rank 0
			step tell a claim b
		`},
		{"only rank 0 tells a failure", `
			pool default 198.18.64.1/32
			create a
			settle
			rank 1
			create b
			step
			wait 5s
			step
			rank 0
			step tell b
			step
			rank 1
			create c
			step
			wait 10s
			rank 0
			step
		`},
		{"a rejected write is decided again after a while, more and more", `
			pool default 198.18.64.1-198.18.64.9
			create a
			break
			step claim a
			step
			wait 200ms
			step claim a
			wait 399ms
			step
			wait 1ms
			step claim a
			mend
			step
			wait 800ms
			step claim a
			step bind a
			a 198.18.64.1
		`},
		{"others do not pick what is in flight, and pick it when the flight failed", `
			pool default 198.18.64.1-198.18.64.2
			create a
			break
			step claim a
			mend
			create b
			step claim b
			holds b 198.18.64.2(claimed)
			create c
			step bind b tell c
			wait 200ms
			step claim a
			holds a 198.18.64.1(claimed)
		`},
		{"the picks of a Service that is gone go back", `
			pool default 198.18.64.1/32
			create a
			break
			step claim a
			delete a
			mend
			create b
			settle
			b 198.18.64.1
		`},
		{"who may share an address is served when the pick of another for it comes to nothing", `
			pool default 198.18.64.1/32
			create a share=k ports=TCP/80
			settle
			create b share=k ports=TCP/81
			break
			step claim b
			create c share=k ports=TCP/81
			step tell c
			delete b
			mend
			settle
			c 198.18.64.1
		`},
		{"an address that is asked for is free when the pick of another is", `
			pool default 198.18.64.1/32
			create a
			break
			step claim a
			create b ips=198.18.64.1
			step
			events b
			delete a
			mend
			settle
			b 198.18.64.1
		`},
		{"a Service that is gone waits no more", `
			pool default 198.18.64.1/32
			create a
			create b
			create c
			settle
			delete b
			delete a
			usage default 0 1
			wait 5s
			settle
			c 198.18.64.1
		`},
		{"a step is not taken twice", `
			pool default 198.18.64.1/32
			create a
			break
			step claim a
			edit a metallb.io/note=x
			step claim a
			step
		`},
		{"while others do progress nobody is overdue, within reason", `
			pool default 198.18.64.1-198.18.64.9
			rank 1
			create a
			step
			wait 900ms
			create b
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.9"}]}
			step
			wait 900ms
			lease b {"v":1,"by":"here","ips":[{"ip":"198.18.64.8"}]}
			step
			wait 900ms
			step
			wait 100ms
			step claim a bind b
		`},
	})
}
