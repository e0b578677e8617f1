package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConflict(t *testing.T) {
	runScripts(t, []scriptTest{
		{"a Service gets another address, by whoever hears the station", `
			pool default 198.18.64.1-198.18.64.3
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			rank 2
			conflict 198.18.64.1=02:00:00:00:00:99
			step claim a
			holds a 198.18.64.1(bound),198.18.64.2(claimed)
			a 198.18.64.1
			conflict
			step
			rank 0
			step bind a
			a 198.18.64.2
			holds a 198.18.64.2(bound)
			events a IPAllocated: 198.18.64.2 from pool "default"; AddressConflict: 198.18.64.1 was given to the Service a moment ago, and a station with the MAC 02:00:00:00:00:99 answers for it: it has 198.18.64.2 instead; give that machine another address, or exclude 198.18.64.1 from pool "default"; IPReleased: 198.18.64.1: replaced by 198.18.64.2
			writes 4`},
		{"an address that is asked for stays", `
			pool default 198.18.64.1-198.18.64.3
			create a ips=198.18.64.1
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			step
			a 198.18.64.1`},
		{"a pool that is asked for is kept to", `
			pool other 198.18.65.1-198.18.65.9
			pool default 198.18.64.1-198.18.64.3
			create a pool=default
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			a 198.18.64.2`},
		{"without another address it stays, and waits for none", `
			pool default 198.18.64.1-198.18.64.1
			create a
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			step
			a 198.18.64.1
			usage default 1 0`},
		{"a station that answers for the next one, too, is no reason to move on", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			a 198.18.64.2
			conflict 198.18.64.1=02:00:00:00:00:99 198.18.64.2=02:00:00:00:00:99
			settle
			a 198.18.64.2
			restart
			settle
			a 198.18.64.2`},
		{"three stations are enough", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			conflict 198.18.64.1=02:00:00:00:00:91
			settle
			conflict 198.18.64.2=02:00:00:00:00:92
			settle
			conflict 198.18.64.3=02:00:00:00:00:93
			settle
			a 198.18.64.4
			conflict 198.18.64.4=02:00:00:00:00:94
			settle
			a 198.18.64.4`},
		{"a claim that is lost is repeated while the station answers", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			step claim a
			lease a {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}],"conflicts":[{"ip":"198.18.64.1","mac":"02:00:00:00:00:99"}]}
			settle
			a 198.18.64.3`},
		{"and forgotten when it does not", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			step claim a
			conflict
			lease a {"v":1,"by":"here","holder":"n1","ips":[{"ip":"198.18.64.1","pool":"default","state":"bound"}],"conflicts":[{"ip":"198.18.64.1","mac":"02:00:00:00:00:99"}]}
			settle
			a 198.18.64.1`},
		{"both families", `
			pool default 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			settle
			a 198.18.64.1,2001:db8::1
			conflict 198.18.64.1=02:00:00:00:00:99 2001:db8::1=02:00:00:00:00:99
			settle
			a 198.18.64.2,2001:db8::2`},
		{"both families, where the pool has no other address of one of them: to another pool", `
			pool one 198.18.64.1/32,2001:db8:1::1-2001:db8:1::9
			pool two 198.18.65.1-198.18.65.9,2001:db8:2::1-2001:db8:2::9
			create a families=64 policy=RequireDualStack
			create b families=64 policy=PreferDualStack pool=two
			settle
			a 2001:db8:1::1,198.18.64.1
			conflict 198.18.64.1=02:00:00:00:00:99
			step claim a
			a 2001:db8:1::1,198.18.64.1
			step bind a
			a 2001:db8:2::2,198.18.65.2`},
		{"one family of two", `
			pool default 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a families=64 policy=RequireDualStack
			settle
			conflict 2001:db8::1=02:00:00:00:00:99
			settle
			a 2001:db8::2,198.18.64.1`},
		{"those who share it move together", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/443
			settle
			b 198.18.64.1
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			a 198.18.64.2
			b 198.18.64.2`},
		{"and stay together when one asks for it", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/443 ips=198.18.64.1
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			a 198.18.64.1
			b 198.18.64.1`},
		{"while configurations differ nothing moves", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			freeze
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			a 198.18.64.1`},
		{"a Service gets it again when it asks, and the lease forgets the conflict", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			conflict
			edit a ips=198.18.64.1
			wait 10s
			settle
			a 198.18.64.1
			edit a ips=
			settle
			conflict 198.18.64.1=02:00:00:00:00:99
			settle
			a 198.18.64.3`},
	})
}

// TestConflictIsHostile: what hands write into a lease stays bounded.
func TestConflictIsHostile(t *testing.T) {
	l, odd, err := decode(`{"v":1,"by":"here","ips":[],"conflicts":[{"ip":"x"},{"ip":"198.18.64.1","mac":"a"},{"ip":"198.18.64.2"},{"ip":"198.18.64.3"},{"ip":"198.18.64.4"}]}`)
	want := []Conflict{{netip.MustParseAddr("198.18.64.1"), "a"}, {netip.MustParseAddr("198.18.64.2"), ""}}
	if diff := cmp.Diff(want, l.Conflicts, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil || odd == "" {
		t.Errorf("%q %v (-want +got):\n%s", odd, err, diff)
	}
}

// TestConflictClaimIsProven: the new address is bound when it is known that nobody has it.
func TestConflictClaimIsProven(t *testing.T) {
	ip := netip.MustParseAddr("198.18.64.1")
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.1-198.18.64.9"}})}
	table := NewTable()
	table.Apply(true, refs(plainService(0)), nil, v.Now)
	takeStep(t, table, v, Claim)
	takeStep(t, table, v, Bind)
	v.Conflicts = map[netip.Addr]string{ip: "02:00:00:00:00:99"}
	v.Proof = func(netip.Addr) time.Time { return epoch.Add(time.Second) }
	takeStep(t, table, v, Claim)
	if steps, wake := table.Steps(v); len(steps) > 0 || !wake.Equal(epoch.Add(time.Second)) {
		t.Fatalf("before it is known: %+v, again %v", steps, wake.Sub(epoch))
	}
	v.Now = epoch.Add(time.Second)
	if got := takeStep(t, table, v, Bind); len(got.Ingress) != 1 || got.Ingress[0] != "198.18.64.2" {
		t.Errorf("%+v", got)
	}
}
