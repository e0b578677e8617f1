package lease

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNewPools(t *testing.T) {
	no := false
	p := mustPools(t,
		Pool{Name: "default", Ranges: []string{"198.18.64.0/24", "2001:db8::/64", "198.18.63.10-198.18.63.19"}, AvoidBuggyIPs: true},
		Pool{Name: "Kept_1.a", Ranges: []string{" 198.18.65.9 - 198.18.65.9 "}, AutoAssign: &no},
		Pool{Name: "six", Ranges: []string{"2001:db8:1::/48"}},
		Pool{Name: "edge", Ranges: []string{"2001:db8:2::/65"}, AvoidBuggyIPs: true},
	)
	want := []PoolInfo{
		{Name: "default", Ranges: []string{"198.18.64.0/24", "2001:db8::/64", "198.18.63.10-198.18.63.19"}, Size: math.MaxUint64, AutoAssign: true, AvoidBuggyIPs: true},
		{Name: "Kept_1.a", Ranges: []string{" 198.18.65.9 - 198.18.65.9 "}, Size: 1},
		{Name: "six", Ranges: []string{"2001:db8:1::/48"}, Size: math.MaxUint64, AutoAssign: true},
		{Name: "edge", Ranges: []string{"2001:db8:2::/65"}, Size: 1 << 63, AutoAssign: true, AvoidBuggyIPs: true},
	}
	if diff := cmp.Diff(want, p.List()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for ip, pool := range map[string]string{
		"198.18.63.9": "", "198.18.63.10": "default", "198.18.63.19": "default", "198.18.63.20": "",
		"198.18.64.0": "", "198.18.64.1": "default", "198.18.64.254": "default", "198.18.64.255": "",
		"198.18.65.8": "", "198.18.65.9": "Kept_1.a", "198.18.65.10": "",
		"2001:db8::": "default", "2001:db8::ffff:ffff:ffff:ffff": "default", "2001:db8:0:1::": "", "2001:db7:ffff::": "",
		"2001:db8:1:ffff:ffff::": "six", "::": "", "0.0.0.0": "", "255.255.255.255": "", "ffff::": "",
	} {
		if got, ok := p.Of(netip.MustParseAddr(ip)); got != pool || ok != (pool != "") {
			t.Errorf("%s is of pool %q, %t, want %q", ip, got, ok, pool)
		}
	}
}

func TestNewPoolsRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pools []Pool
		want  string
	}{
		{"nothing wrong", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/25", "192.0.2.128/25"}}}, ""},
		{"no name", []Pool{{Ranges: []string{"192.0.2.0/24"}}}, `pool 1: it has no name`},
		{"bad names", []Pool{{Name: "a b"}, {Name: "-a"}, {Name: "a."}, {Name: strings.Repeat("x", 64)}}, `
			pool 1: name "a b": only letters and digits, and '-', '_' and '.' between them
			pool 2: name "-a": only letters and digits, and '-', '_' and '.' between them
			pool 3: name "a.": only letters and digits, and '-', '_' and '.' between them
			pool 4: name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": longer than 63 bytes`},
		{"the same name", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/28"}}, {Name: "a", Ranges: []string{"192.0.2.16/28"}}}, `
			pool "a": the name is used twice; put all its ranges into one pool`},
		{"no range", []Pool{{Name: "a"}}, `pool "a": it has no range`},
		{"empty, malformed", []Pool{{Name: "a", Ranges: []string{"", " ", "192.0.2.1", "192.0.2.300/24", "192.0.2.0/33", "x-y", "192.0.2.1-", "fe80::1%eth0-fe80::2"}}}, `
			pool "a": range "": empty
			pool "a": range " ": empty
			pool "a": range "192.0.2.1": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "a": range "192.0.2.300/24": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "a": range "192.0.2.0/33": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "a": range "x-y": malformed: first address "x" is no IP address
			pool "a": range "192.0.2.1-": malformed: last address "" is no IP address
			pool "a": range "fe80::1%eth0-fe80::2": malformed: first address "fe80::1%eth0" is no IP address`},
		{"an address inside its network", []Pool{{Name: "a", Ranges: []string{"192.0.2.5/24"}}}, `
			pool "a": range "192.0.2.5/24": malformed: the address is not the first one of its network, which is 192.0.2.0/24`},
		{"reversed", []Pool{{Name: "a", Ranges: []string{"192.0.2.9-192.0.2.8"}}}, `
			pool "a": range "192.0.2.9-192.0.2.8": reversed: the first address is above the last one`},
		{"mixed", []Pool{{Name: "a", Ranges: []string{"192.0.2.9-2001:db8::1"}}}, `pool "a": range "192.0.2.9-2001:db8::1": mixes IPv4 and IPv6`},
		{"unusable", []Pool{{Name: "a", Ranges: []string{"0.0.0.0/0", "127.0.0.1-127.0.0.9", "169.254.0.0/24", "239.0.0.0/8", "255.255.255.255/32", "::/0", "::1/128", "fe80::/64", "ff02::/16", "::ffff:0:0/96"}}}, `
			pool "a": range "0.0.0.0/0": unusable: contains unspecified addresses of 0.0.0.0/8
			pool "a": range "127.0.0.1-127.0.0.9": unusable: contains loopback addresses of 127.0.0.0/8
			pool "a": range "169.254.0.0/24": unusable: contains link-local addresses of 169.254.0.0/16
			pool "a": range "239.0.0.0/8": unusable: contains multicast addresses of 224.0.0.0/4
			pool "a": range "255.255.255.255/32": unusable: contains reserved or broadcast addresses of 240.0.0.0/4
			pool "a": range "::/0": unusable: contains unspecified addresses of ::/128
			pool "a": range "::1/128": unusable: contains loopback addresses of ::1/128
			pool "a": range "fe80::/64": unusable: contains link-local addresses of fe80::/10
			pool "a": range "ff02::/16": unusable: contains multicast addresses of ff00::/8
			pool "a": range "::ffff:0:0/96": unusable: contains IPv4-mapped addresses of ::ffff:0.0.0.0/96`},
		{"only buggy addresses", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/32", "192.0.2.255-192.0.3.0"}, AvoidBuggyIPs: true}}, `
			pool "a": range "192.0.2.0/32": no usable address is left without those that end in .0 and .255
			pool "a": range "192.0.2.255-192.0.3.0": no usable address is left without those that end in .0 and .255`},
		{"overlaps within and between pools, also behind a smaller range", []Pool{
			{Name: "a", Ranges: []string{"192.0.2.0/24", "192.0.2.7/32", "192.0.2.8-192.0.2.9"}},
			{Name: "b", Ranges: []string{"192.0.2.255-192.0.3.4", "192.0.3.4/32", "192.0.3.5/32"}},
		}, `
			pool "a": range "192.0.2.7/32": overlaps range "192.0.2.0/24" of pool "a"
			pool "a": range "192.0.2.8-192.0.2.9": overlaps range "192.0.2.0/24" of pool "a"
			pool "b": range "192.0.2.255-192.0.3.4": overlaps range "192.0.2.0/24" of pool "a"
			pool "b": range "192.0.3.4/32": overlaps range "192.0.2.255-192.0.3.4" of pool "b"`},
		{"one line for each mistake", []Pool{{Name: "a", Ranges: []string{"x", "192.0.2.0/24"}}, {Name: "b", Ranges: []string{"192.0.2.0/24"}}}, `
			pool "a": range "x": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "b": range "192.0.2.0/24": overlaps range "192.0.2.0/24" of pool "a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if p, err := NewPools(tt.pools); err != nil {
				got = err.Error()
				if p != nil {
					t.Error("pools beside an error")
				}
			}
			if diff := cmp.Diff(lines(tt.want), lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func lines(text string) []string {
	var all []string
	for l := range strings.SplitSeq(text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			all = append(all, l)
		}
	}
	return all
}

func TestPoolsHash(t *testing.T) {
	base := Pool{Name: "a", Ranges: []string{"192.0.2.0/25", "192.0.2.128/25"}}
	no := false
	hash := func(pools ...Pool) uint64 { return mustPools(t, pools...).Hash() }
	same := Pool{Name: "a", Ranges: []string{"192.0.2.128-192.0.2.255", "192.0.2.0/25"}}
	if hash(base) != hash(same) {
		t.Error("the same ranges in other words have another hash")
	}
	seen := map[uint64]string{hash(base): "base"}
	for name, h := range map[string]uint64{
		"name":   hash(Pool{Name: "b", Ranges: base.Ranges}),
		"range":  hash(Pool{Name: "a", Ranges: base.Ranges[:1]}),
		"auto":   hash(Pool{Name: "a", Ranges: base.Ranges, AutoAssign: &no}),
		"avoid":  hash(Pool{Name: "a", Ranges: base.Ranges, AvoidBuggyIPs: true}),
		"none":   hash(),
		"second": hash(base, Pool{Name: "b", Ranges: []string{"192.0.3.0/24"}}),
	} {
		if other := seen[h]; other != "" {
			t.Errorf("%s hashes like %s", name, other)
		}
		seen[h] = name
	}
	if got, want := hash(base), uint64(0x2087740f7f0674e); got != want {
		t.Errorf("hash %#x, want %#x: speakers of different releases compare it", got, want)
	}
}

// TestOfAndSize compares random small pools with a list of their addresses.
func TestOfAndSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Pool
		c.Name = "a"
		c.AvoidBuggyIPs = rapid.Bool().Draw(t, "avoid")
		at := netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.0", "192.0.1.250", "2001:db8::fff8"}).Draw(t, "first"))
		want := map[netip.Addr]bool{}
		var around []netip.Addr
		for range rapid.IntRange(1, 5).Draw(t, "ranges") {
			for range rapid.IntRange(0, 3).Draw(t, "gap") {
				around = append(around, at)
				at = at.Next()
			}
			first := at
			usable := false
			for range rapid.IntRange(1, 300).Draw(t, "length") {
				around = append(around, at)
				if !c.AvoidBuggyIPs || !isBuggy(at) {
					want[at] = true
					usable = true
				}
				at = at.Next()
			}
			if last := around[len(around)-1]; usable {
				c.Ranges = append(c.Ranges, first.String()+"-"+last.String())
			}
		}
		if len(c.Ranges) == 0 {
			return
		}
		p, err := NewPools([]Pool{c})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.List()[0].Size; got != uint64(len(want)) {
			t.Fatalf("size %d, want %d: %v", got, len(want), c.Ranges)
		}
		for _, ip := range around {
			if _, ok := p.Of(ip); ok != want[ip] {
				t.Fatalf("%s is in the pool: %t, want %t", ip, ok, want[ip])
			}
		}
	})
}
