package bgp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// path is one in words: prefix, next hop, and what follows.
func path(prefix, hop string, more ...func(*routes.Path)) routes.Path {
	p := routes.Path{Prefix: netip.MustParsePrefix(prefix), NextHop: id(hop), LocalPref: 100}
	for _, f := range more {
		f(&p)
	}
	return p
}

func leaving(p *routes.Path) { p.Leaving = true }

func astray(p *routes.Path) { p.Own = true }

// entries are a table in words, sorted.
func entries(t table) []string {
	var out []string
	for k, a := range t {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d by %s %d %s", k.prefix, k.number, a.nextHop, a.localPref, a.communities)))
	}
	slices.Sort(out)
	return out
}

func TestWanted(t *testing.T) {
	t.Parallel()
	all := []routes.Path{
		path("203.0.113.1/32", "192.0.2.11", leaving), path("203.0.113.1/32", "192.0.2.12"), path("203.0.113.1/32", "192.0.2.13"),
		path("2001:db8:1::1/128", "2001:db8::11"),
	}
	far := []routes.Path{path("203.0.113.1/32", "10.1.0.1", astray), path("2001:db8:1::1/128", "2001:db8::11", astray)}
	tests := []struct {
		name  string
		terms terms
		paths []routes.Path
		want  []string
	}{
		{"several paths", terms{takes: [2]bool{true, true}, addPath: [2]bool{true, false}}, all, []string{
			"2001:db8:1::1/128 0 by 2001:db8::11 0", "203.0.113.1/32 3221225995 by 192.0.2.11 0 graceful-shutdown",
			"203.0.113.1/32 3221225996 by 192.0.2.12 0", "203.0.113.1/32 3221225997 by 192.0.2.13 0",
		}},
		{"one path, one that stays", terms{takes: [2]bool{true, true}}, all, []string{"2001:db8:1::1/128 0 by 2001:db8::11 0", "203.0.113.1/32 0 by 192.0.2.12 0"}},
		{"one path, all go", terms{takes: [2]bool{true, true}}, []routes.Path{path("203.0.113.1/32", "192.0.2.11", leaving), path("203.0.113.1/32", "192.0.2.12", leaving)}, []string{"203.0.113.1/32 0 by 192.0.2.11 0 graceful-shutdown"}},
		{"no IPv4", terms{takes: [2]bool{false, true}}, all, []string{"2001:db8:1::1/128 0 by 2001:db8::11 0"}},
		{"iBGP", terms{internal: true, takes: [2]bool{true, true}}, all[:2], []string{"203.0.113.1/32 0 by 192.0.2.12 100"}},
		{"the address of the session", terms{takes: [2]bool{true, true}, local: id("198.18.0.1")}, far, []string{"2001:db8:1::1/128 0 by 2001:db8::11 0", "203.0.113.1/32 0 by 198.18.0.1 0"}},
		{"a link-local session", terms{takes: [2]bool{false, true}, local: id("fe80::1")}, far, []string{"2001:db8:1::1/128 0 by 2001:db8::11 0"}},
		{"nothing", terms{takes: [2]bool{true, true}}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, entries(tt.terms.wanted(tt.paths))); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// The address of the session is that of its connection.
func TestLocalOf(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	c, err := dial(t.Context(), routes.Router{Address: at.Addr(), Port: at.Port(), Source: id("127.0.0.2")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := localOf(c); got != id("127.0.0.2") {
		t.Errorf("local address %s", got)
	}
}

// Numbers are distinct, never zero, and depend on the address alone where that is possible.
func TestNumbers(t *testing.T) {
	t.Parallel()
	got := numbersOf([]routes.Path{
		path("203.0.113.1/32", "0.0.0.17"), path("2001:db8:1::/64", "2001:db8::11"), path("2001:db8:1::/64", "2001:db8:2::11"),
		path("2001:db8:1::/64", "2001:db8::"), path("203.0.113.1/32", "192.0.2.11"), path("203.0.113.2/32", "192.0.2.11"),
	})
	want := map[netip.Addr]uint32{id("0.0.0.17"): 17, id("2001:db8::"): 1, id("2001:db8::11"): 18, id("2001:db8:2::11"): 19, id("192.0.2.11"): 192<<24 | 2<<8 | 11}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

// However many paths there are, each message fits, and together they say the same.
func TestUpdatesFit(t *testing.T) {
	t.Parallel()
	var words []string
	for i := range 60 {
		words = append(words, fmt.Sprintf("64513:%d", i), fmt.Sprintf("large:64513:1:%d", i))
	}
	for _, tt := range []struct {
		name        string
		addPath     bool
		communities []string
	}{{"plain", false, nil}, {"several paths, many communities", true, words}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var paths []routes.Path
			for i := range 1000 {
				four := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32)
				six := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)}), 128)
				paths = append(paths, routes.Path{Prefix: four, NextHop: id("192.0.2.11"), Communities: tt.communities}, routes.Path{Prefix: six, NextHop: id("2001:db8::11"), Communities: tt.communities})
			}
			a := terms{asn: 64513, takes: [2]bool{true, true}, addPath: [2]bool{tt.addPath, tt.addPath}}
			all := a.wanted(paths)
			announced, withdrawn := tally(t, a, table{}.to(all)), tally(t, a, all.to(table{}))
			if announced != [2]int{2000, 0} || withdrawn != [2]int{0, 2000} {
				t.Errorf("announced, withdrawn: %v, then %v", announced, withdrawn)
			}
		})
	}
}

// tally counts what the messages for changes announce and withdraw.
func tally(t *testing.T, a terms, c changes) (out [2]int) {
	t.Helper()
	messages, err := a.updates(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		b, err := m.Serialize(a.options())
		if err != nil {
			t.Fatalf("message: %v", err)
		}
		back, err := wire.ParseBGPMessage(b, receiving(a))
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		u := back.Body.(*wire.BGPUpdate)
		out[0] += len(u.NLRI)
		out[1] += len(u.WithdrawnRoutes)
		for _, attr := range u.PathAttributes {
			switch attr := attr.(type) {
			case *wire.PathAttributeMpReachNLRI:
				out[0] += len(attr.Value)
			case *wire.PathAttributeMpUnreachNLRI:
				out[1] += len(attr.Value)
			}
		}
	}
	return out
}

// receiving are the options of the other end.
func receiving(a terms) *wire.MarshallingOption {
	o := a.options()
	for f := range o.AddPath {
		o.AddPath[f] = wire.BGP_ADD_PATH_RECEIVE
	}
	return o
}

// A router that knows AS numbers of two octets gets ours in a second attribute.
func TestNarrow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		asn  uint32
		want string
	}{
		{"narrow", 64513, " +203.0.113.1/32:0 {AsPath: 64513} by 192.0.2.11"},
		{"wide", 4200000001, " +203.0.113.1/32:0 {AsPath: 23456} by 192.0.2.11 4200000001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := terms{asn: tt.asn, narrow: true, takes: [2]bool{true, true}}
			messages, err := a.updates(table{}.to(a.wanted([]routes.Path{path("203.0.113.1/32", "192.0.2.11")})))
			if err != nil {
				t.Fatal(err)
			}
			b, err := messages[0].Serialize(a.options())
			if err != nil {
				t.Fatal(err)
			}
			m, err := wire.ParseBGPMessage(b, &wire.MarshallingOption{Use2ByteAS: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := updateInWords(m.Body.(*wire.BGPUpdate)); got != tt.want {
				t.Errorf("update %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseCommunities(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text    string
		want    []uint32
		large   string
		problem string
	}{
		{"64513:100", []uint32{64513<<16 | 100}, "", ""},
		{"0:0", []uint32{0}, "", ""},
		{"65535:65535", []uint32{1<<32 - 1}, "", ""},
		{"no-export", []uint32{0xffffff01}, "", ""},
		{"no-advertise", []uint32{0xffffff02}, "", ""},
		{"local-as", []uint32{0xffffff03}, "", ""},
		{"no-peer", []uint32{0xffffff04}, "", ""},
		{"blackhole", []uint32{0xffff029a}, "", ""},
		{"graceful-shutdown", []uint32{0xffff0000}, "", ""},
		{"large:4200000001:1:2", nil, "4200000001:1:2", ""},
		{"large:1:2", nil, "", `community "large:1:2": want large:AS:NUMBER:NUMBER`},
		{"65536:1", nil, "", `community "65536:1": want AS:NUMBER, large:AS:NUMBER:NUMBER or a well-known name`},
		{"1:2:3", nil, "", `community "1:2:3": want AS:NUMBER, large:AS:NUMBER:NUMBER or a well-known name`},
		{"", nil, "", `community "": want AS:NUMBER, large:AS:NUMBER:NUMBER or a well-known name`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			got, err := parseCommunities([]string{tt.text})
			problem, large := "", ""
			if err != nil {
				problem = err.Error()
			}
			for _, l := range got.large {
				large += l.String()
			}
			if problem != tt.problem || large != tt.large || !slices.Equal(got.standard, tt.want) {
				t.Errorf("%v, large %q, error %q; want %v, %q, %q", got.standard, large, problem, tt.want, tt.large, tt.problem)
			}
		})
	}
}
