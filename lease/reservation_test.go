package lease

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReservations(t *testing.T) {
	runScripts(t, []scriptTest{
		{"nobody else gets it, and its Service does", `
			pool default reserved=ns/late:198.18.64.1 198.18.64.1-198.18.64.3
			usage default 0 0 2
			create a
			create b
			settle
			a 198.18.64.2
			b 198.18.64.3
			create c
			settle
			c -
			events c AllocationFailed: pool "default" has no free IPv4 address
			usage default 2 1 0
			create late
			settle
			late 198.18.64.1
			usage default 3 1 0
			c -
		`},
		{"it comes back to its Service, and to nobody else", `
			pool default reserved=ns/own:198.18.64.1 198.18.64.1-198.18.64.2
			create own
			create a
			create b
			settle
			delete own
			settle
			wait 1h
			b -
			create own
			settle
			own 198.18.64.1
		`},
		{"asked for by another one", `
			pool default reserved=ns/own:198.18.64.1 198.18.64.1-198.18.64.3
			create a ips=198.18.64.1
			settle
			a -
			create own
			settle
			own 198.18.64.1
			a -
		`},
		{"shared by another one", `
			pool default reserved=ns/own:198.18.64.1 198.18.64.1-198.18.64.3
			create own share=k ports=TCP/80
			create a share=k ports=TCP/81
			settle
			own 198.18.64.1
			a 198.18.64.2
		`},
		{"both families", `
			pool default reserved=ns/own:198.18.64.9+2001:db8::9 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			create own families=46 policy=RequireDualStack
			settle
			own 198.18.64.9,2001:db8::9
		`},
		{"in a pool that comes later", `
			pool first 198.18.64.1-198.18.64.9
			pool second reserved=ns/own:198.18.65.7 198.18.65.1-198.18.65.9
			create own
			create a
			settle
			own 198.18.65.7
			a 198.18.64.1
		`},
		{"in a pool that is not for everybody", `
			pool first 198.18.64.1-198.18.64.9
			pool second noauto reserved=ns/own:198.18.65.7 198.18.65.1-198.18.65.9
			create own
			settle
			own 198.18.64.1
			edit own pool=second
			settle
			own 198.18.65.7
		`},
		{"one family of two", `
			pool default reserved=ns/own:2001:db8::9 198.18.64.1-198.18.64.9,2001:db8::1-2001:db8::9
			create own families=46 policy=RequireDualStack
			settle
			own 198.18.64.1,2001:db8::9
		`},
		{"what it asks for itself counts more", `
			pool default reserved=ns/own:198.18.64.7 198.18.64.1-198.18.64.9
			create own ips=198.18.64.3
			settle
			own 198.18.64.3
		`},
		{"who has it keeps it, and its Service gets another one", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			a 198.18.64.1
			pools
			pool default reserved=ns/own:198.18.64.1 198.18.64.1-198.18.64.9
			create own
			settle
			a 198.18.64.1
			own 198.18.64.2
			delete a
			create b
			settle
			b 198.18.64.3
			own 198.18.64.2
		`},
		{"given back to the pool", `
			pool default reserved=ns/own:198.18.64.1 198.18.64.1-198.18.64.1
			create a
			settle
			a -
			pools
			pool default 198.18.64.1-198.18.64.1
			settle
			a 198.18.64.1
		`},
	})
}

func TestReadReservations(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{"sound", `{team/web: 192.0.2.1, team/db: "192.0.2.2,2001:db8::1"}`, ""},
		{"no namespace", `{web: 192.0.2.1}`, `reservation of "web": want NAMESPACE/NAME of a Service`},
		{"no name", `{team/: 192.0.2.1}`, `reservation of "team/": want NAMESPACE/NAME of a Service`},
		{"two slashes", `{team/web/x: 192.0.2.1}`, `reservation of "team/web/x": want NAMESPACE/NAME of a Service`},
		{"no address", `{team/web: mine}`, `reservation of "team/web": address "mine": "mine" is no IP address`},
		{"not of the pool", `{team/web: 192.0.2.99}`, `reservation of "team/web": address 192.0.2.99 is none that the pool hands out`},
		{"excluded", `{team/web: 192.0.2.9}`, `reservation of "team/web": address 192.0.2.9 is none that the pool hands out`},
		{"left out", `{team/web: 192.0.2.0}`, `reservation of "team/web": address 192.0.2.0 is none that the pool hands out`},
		{"twice", `{team/db: 192.0.2.1, team/web: 192.0.2.1}`, `reservation of "team/web": address 192.0.2.1 is reserved for team/db already`},
		{"two of a family", `{team/web: "192.0.2.1,192.0.2.2"}`, `reservation of "team/web": address 192.0.2.2 is a second one of its family`},
		{"a list", `[team/web]`, "pools[0].reservations: want keys with values, got a list"},
		{"a number", `{team/web: 3}`, "pools[0].reservations.team/web: want text, got the number 3; put it in quotes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := `pools: [{name: p, ranges: [192.0.2.0/28, "2001:db8::/64"], exclude: [192.0.2.9], avoidBuggyIPs: true, reservations: ` + tt.text + `}]`
			p, err := ReadPools(nil, "f", []byte(doc))
			if got := text(err); tt.err == "" && err != nil || !strings.Contains(got, tt.err) {
				t.Fatalf("error %q, want %q", got, tt.err)
			}
			if tt.err != "" {
				return
			}
			if diff := cmp.Diff([]string{"without 192.0.2.9", "without .0 and .255", "2 reserved by name"}, p.List()[0].Rules()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestReservationsAreHashed: speakers notice that they have different ones.
func TestReservationsAreHashed(t *testing.T) {
	seen := map[uint64]string{}
	for _, r := range []map[string]string{nil, {"a/b": "192.0.2.1"}, {"a/b": "192.0.2.2"}, {"a/c": "192.0.2.1"}, {"a/b": "192.0.2.1", "a/c": "192.0.2.2"}} {
		p := mustPools(t, Pool{Name: "p", Ranges: []string{"192.0.2.0/28"}, Reservations: r})
		if other, twice := seen[p.Hash()]; twice {
			t.Errorf("%v and %s are alike", r, other)
		}
		seen[p.Hash()] = strings.TrimSpace(strings.Join(p.List()[0].Rules(), " ")) + " "
	}
}

// TestNextPicksOfReservations: what is probed ahead is what is picked next.
func TestNextPicksOfReservations(t *testing.T) {
	p := mustPools(t, Pool{Name: "p", Ranges: []string{"192.0.2.1-192.0.2.3"}, Reservations: map[string]string{"a/b": "192.0.2.1"}})
	table := NewTable()
	v := View{Pools: p, Self: "n1"}
	table.Steps(v)
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")}, table.NextPicks(v), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
