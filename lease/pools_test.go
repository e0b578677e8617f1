package lease

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
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
		{"bad names, and no range", []Pool{{Name: "a b"}, {Name: "-a", Ranges: []string{"192.0.2.0/28"}}, {Name: "a."}, {Name: strings.Repeat("x", 64), Ranges: []string{"192.0.2.16/28"}}}, `
			pool 1: name "a b": only letters and digits, and '-', '_' and '.' between them
			pool 1: it has no range
			pool 2: name "-a": only letters and digits, and '-', '_' and '.' between them
			pool 3: name "a.": only letters and digits, and '-', '_' and '.' between them
			pool 3: it has no range
			pool 4: name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": longer than 63 bytes`},
		{"the same name", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/28"}}, {Name: "a", Ranges: []string{"192.0.2.16/28"}}}, `
			pool "a": the name is used twice; put all its ranges into one pool`},
		{"no range", []Pool{{Name: "a"}}, `pool "a": it has no range`},
		{"empty, malformed", []Pool{{Name: "a", Ranges: []string{"", " ", "192.0.2.1", "192.0.2.300/24", "192.0.2.0/33", "x-y", "192.0.2.1-", "192.0.2.240-250", "192.0.2.240-256", "2001:db8::1-9", "fe80::1%eth0-fe80::2"}}}, `
			pool "a": range "": empty
			pool "a": range " ": empty
			pool "a": range "192.0.2.1": malformed: a range of one address is written 192.0.2.1/32
			pool "a": range "192.0.2.300/24": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "a": range "192.0.2.0/33": malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "a": range "x-y": malformed: first address "x" is no IP address
			pool "a": range "192.0.2.1-": malformed: last address "" is no IP address
			pool "a": range "192.0.2.240-250": malformed: last address "250" is no IP address; write 192.0.2.240-192.0.2.250
			pool "a": range "192.0.2.240-256": malformed: last address "256" is no IP address
			pool "a": range "2001:db8::1-9": malformed: last address "9" is no IP address
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
		{"exclusions", []Pool{
			{Name: "a", Ranges: []string{"192.0.2.0/28", "2001:db8::/64"}, Exclude: []string{"192.0.2.16", "192.0.2.14/31", "", "x", "192.0.2.3/24", "192.0.2.9-192.0.2.8", "2001:db8:0:1::-2001:db8:0:2::", "fe80::1%eth0"}},
			{Name: "b", Ranges: []string{"192.0.2.16/30"}, Exclude: []string{"192.0.2.16/31", "192.0.2.18", "192.0.2.19"}},
			{Name: "c", Ranges: []string{"192.0.2.254-192.0.3.0"}, Exclude: []string{"192.0.2.254"}, AvoidBuggyIPs: true},
		}, `
			pool "a": exclude "192.0.2.16": touches no range of the pool; remove it, or correct it
			pool "a": exclude "": empty
			pool "a": exclude "x": malformed: want an address, a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "a": exclude "192.0.2.3/24": malformed: the address is not the first one of its network, which is 192.0.2.0/24
			pool "a": exclude "192.0.2.9-192.0.2.8": reversed: the first address is above the last one
			pool "a": exclude "2001:db8:0:1::-2001:db8:0:2::": touches no range of the pool; remove it, or correct it
			pool "a": exclude "fe80::1%eth0": malformed: want an address, a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20
			pool "b": exclude leaves it no usable address; remove the pool, or exclude less
			pool "c": exclude leaves it no usable address; remove the pool, or exclude less`},
		{"what one pool excludes another one may have, the rest not", []Pool{
			{Name: "a", Ranges: []string{"192.0.2.0/24"}, Exclude: []string{"192.0.2.8/29", "192.0.2.64/29"}},
			{Name: "b", Ranges: []string{"192.0.2.8/29"}},
			{Name: "c", Ranges: []string{"192.0.2.63-192.0.2.72"}},
		}, `
			pool "c": range "192.0.2.63-192.0.2.72": overlaps range "192.0.2.0/24" of pool "a"
			pool "a": range "192.0.2.0/24": overlaps range "192.0.2.63-192.0.2.72" of pool "c"`},
		{"a negative priority", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/24"}, Priority: new(-1)}}, `
			pool "a": priority -1: negative; the smallest one, 0, comes first`},
		{"namespaces", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/24"}, Namespaces: []string{"ok", "", "Team", "a.b", "-a", strings.Repeat("x", 64)}}}, `
			pool "a": namespace "": only lower-case letters and digits, and '-' between them, at most 63
			pool "a": namespace "Team": only lower-case letters and digits, and '-' between them, at most 63
			pool "a": namespace "a.b": only lower-case letters and digits, and '-' between them, at most 63
			pool "a": namespace "-a": only lower-case letters and digits, and '-' between them, at most 63
			pool "a": namespace "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": only lower-case letters and digits, and '-' between them, at most 63`},
		{"interfaces", []Pool{{Name: "a", Ranges: []string{"192.0.2.0/24"}, Interfaces: []string{"eth0", "!vlan*", "", "!", "eth[", `eth\`}}}, `
			pool "a": interface "": empty; want a name such as eth0, a pattern such as vlan*, or a ! and either of them
			pool "a": interface "!": empty; want a name such as eth0, a pattern such as vlan*, or a ! and either of them
			pool "a": interface "eth[": malformed pattern; a [ needs its ], and a \ something after it
			pool "a": interface "eth\\": malformed pattern; a [ needs its ], and a \ something after it`},
		{"selectors, each of its own key", []Pool{{
			Name: "a", Ranges: []string{"192.0.2.0/24"},
			NamespaceSelectors: []Selector{{}, {MatchLabels: Labels{"": "x"}}},
			ServiceSelectors:   []Selector{{MatchExpressions: []Requirement{{Key: "a", Operator: "Is"}}}},
			NodeSelectors:      []Selector{{MatchLabels: Labels{"a": "b c"}}},
		}}, `
			pool "a": namespaceSelectors[1]: label "": it has no name
			pool "a": serviceSelectors[0]: label "a": unknown operator "Is"; want In, NotIn, Exists or DoesNotExist
			pool "a": nodeSelectors[0]: label "a": value "b c": only letters and digits, and '-', '_' and '.' between them`},
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

// TestExclude looks at every address of a pool with holes at all edges of its ranges.
func TestExclude(t *testing.T) {
	p := mustPools(t,
		Pool{
			Name: "a", Ranges: []string{"192.0.2.16-192.0.2.31", "192.0.2.0/29", "2001:db8::/64"}, AvoidBuggyIPs: true,
			Exclude: []string{"192.0.2.30-192.0.2.40", "192.0.2.5", "192.0.2.7-192.0.2.16", "192.0.2.4/31", "192.0.2.20", "192.0.2.21", "2001:db8::1-2001:db8::ffff:ffff:ffff:fffe"},
		},
		Pool{Name: "b", Ranges: []string{"192.0.2.20/31"}},
	)
	want := map[string]string{"192.0.2.20": "b", "192.0.2.21": "b", "2001:db8::": "a", "2001:db8::ffff:ffff:ffff:ffff": "a"}
	for _, last := range []int{1, 2, 3, 6, 17, 18, 19, 22, 23, 24, 25, 26, 27, 28, 29} {
		want[fmt.Sprint("192.0.2.", last)] = "a"
	}
	got := map[string]string{}
	for last := range 256 {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(last)})
		if name, ok := p.Of(ip); ok {
			got[ip.String()] = name
		}
	}
	for _, text := range []string{"2001:db8::", "2001:db8::1", "2001:db8::8000:0:0:0", "2001:db8::ffff:ffff:ffff:fffe", "2001:db8::ffff:ffff:ffff:ffff"} {
		if name, ok := p.Of(netip.MustParseAddr(text)); ok {
			got[text] = name
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := p.List()[0].Size; got != 17 {
		t.Errorf("size %d", got)
	}
	for ip, want := range map[string]string{
		"192.0.2.4": `excluded from pool "a"`, "192.0.2.31": `excluded from pool "a"`, "2001:db8::1": `excluded from pool "a"`,
		"192.0.2.0": `left out of pool "a" by avoidBuggyIPs`, "192.0.2.200": "in no pool", "2001:db8:1::": "in no pool",
	} {
		if got := p.missing(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is %s, want %s", ip, got, want)
		}
	}
}

// TestSubtract compares cutting holes into spans with taking away one address after the other.
func TestSubtract(t *testing.T) {
	byte4 := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }
	draw := func(t *rapid.T, what string) []span {
		var spans []span
		for range rapid.IntRange(0, 6).Draw(t, what) {
			first := rapid.IntRange(0, 60).Draw(t, "first")
			spans = append(spans, span{first: byte4(first), last: byte4(first + rapid.IntRange(0, 9).Draw(t, "more"))})
		}
		return union(spans)
	}
	rapid.Check(t, func(t *rapid.T) {
		spans, holes := draw(t, "spans"), draw(t, "holes")
		left := subtract(spans, holes)
		for n := range 80 {
			ip := byte4(n)
			if got, want := covers(left, ip), covers(spans, ip) && !covers(holes, ip); got != want {
				t.Fatalf("%s is left: %t, want %t; %v without %v is %v", ip, got, want, spans, holes, left)
			}
		}
		for i, s := range left {
			if s.last.Less(s.first) || i > 0 && !left[i-1].last.Less(s.first) {
				t.Fatalf("not in order: %v", left)
			}
		}
		for _, s := range holes {
			if got, want := touches(spans, s), len(subtract(spans, []span{s})) != len(spans) || !slices.Equal(subtract(spans, []span{s}), spans); got != want {
				t.Fatalf("%v touches %v: %t, want %t", s, spans, got, want)
			}
		}
	})
}

func TestPriority(t *testing.T) {
	var list []Pool
	for i, priority := range []*int{nil, new(7), new(0), nil, new(7), new(3)} {
		list = append(list, Pool{Name: string(rune('a' + i)), Ranges: []string{fmt.Sprintf("192.0.2.%d/32", i)}, Priority: priority})
	}
	var order []string
	p := mustPools(t, list...)
	for _, q := range p.order {
		order = append(order, q.Name)
	}
	if diff := cmp.Diff([]string{"c", "f", "b", "e", "a", "d"}, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := p.List(); got[0].Name != "a" || got[0].Priority != nil || *got[1].Priority != 7 {
		t.Errorf("%+v", got)
	}
}

func TestScope(t *testing.T) {
	p := mustPools(t,
		Pool{Name: "a", Ranges: []string{"192.0.2.1/32"}},
		Pool{Name: "b", Ranges: []string{"192.0.2.2/32"}, Interfaces: []string{"eth*", "!eth1"}, NodeSelectors: []Selector{{MatchLabels: Labels{"rack": "1"}}, {MatchExpressions: []Requirement{{Key: "edge", Operator: "Exists"}}}}},
	)
	if _, ok := p.Scope("c"); ok {
		t.Error("a pool that does not exist has a scope")
	}
	for _, tt := range []struct {
		pool   string
		labels Labels
		want   bool
	}{
		{"a", nil, true},
		{"a", Labels{"rack": "2"}, true},
		{"b", nil, false},
		{"b", Labels{"rack": "2"}, false},
		{"b", Labels{"rack": "1"}, true},
		{"b", Labels{"edge": ""}, true},
	} {
		s, ok := p.Scope(tt.pool)
		if got := s.Entries[0].Node(tt.labels); got != tt.want || !ok {
			t.Errorf("a node with %v announces addresses of %s: %t, want %t", tt.labels, tt.pool, got, tt.want)
		}
	}
	for patterns, names := range map[string]map[string]bool{
		"":            {"eth0": true, "wlan0": true},
		"eth0":        {"eth0": true, "eth1": false, "eth01": false},
		"eth0 vlan*":  {"eth0": true, "vlan7": true, "vlan": true, "eth1": false},
		"!eth0":       {"eth0": false, "eth1": true},
		"!eth0 eth*":  {"eth0": false, "eth1": true, "vlan7": false},
		"eth* !eth0":  {"eth0": false, "eth1": true, "vlan7": false},
		"eth[0-3] x?": {"eth3": true, "eth4": false, "x1": true, "x": false},
	} {
		s, _ := mustPools(t, Pool{Name: "a", Ranges: []string{"192.0.2.1/32"}, Interfaces: strings.Fields(patterns)}).Scope("a")
		for name, want := range names {
			if got := s.Entries[0].Interface(name); got != want {
				t.Errorf("%q may be announced on %s: %t, want %t", patterns, name, got, want)
			}
		}
	}
	for patterns, names := range map[string]map[string]bool{
		"":                {"eth0": false},
		"eth0":            {"eth0": true, "eth1": false},
		"eth0 eth1":       {"eth0": true, "eth1": true},
		"eth*":            {"eth0": false},
		"eth0 eth*":       {"eth0": true, "eth1": false},
		"eth0 eth1 !eth1": {"eth0": true, "eth1": false},
		"eth[0] [x]":      {"eth0": false, "eth[0]": false, "[x]": false},
		"!eth0":           {"eth0": false, "!eth0": false, "eth1": false},
	} {
		s, _ := mustPools(t, Pool{Name: "a", Ranges: []string{"192.0.2.1/32"}, Interfaces: strings.Fields(patterns)}).Scope("a")
		for name, want := range names {
			if got := s.Entries[0].Named(name); got != want {
				t.Errorf("%q names %s: %t, want %t", patterns, name, got, want)
			}
		}
	}
	s, _ := p.Scope("b")
	if diff := cmp.Diff([][]string{{"rack=1", "edge"}, {"eth*", "!eth1"}}, [][]string{s.Entries[0].NodeSelectors, s.Entries[0].Interfaces}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPoolsHash(t *testing.T) {
	base := Pool{Name: "a", Ranges: []string{"192.0.2.0/25", "192.0.2.128/25"}}
	with := func(change func(*Pool)) uint64 {
		p := base
		change(&p)
		return mustPools(t, p).Hash()
	}
	no := false
	match := func(key, value string) []Selector { return []Selector{{MatchLabels: Labels{key: value}}} }
	for name, h := range map[string]uint64{
		"in other words": with(func(p *Pool) { p.Ranges = []string{"192.0.2.128-192.0.2.255", "192.0.2.0/25"} }),
		"defaults":       with(func(p *Pool) { p.AutoAssign = new(true); p.Namespaces = []string{}; p.NodeSelectors = []Selector{} }),
	} {
		if h != mustPools(t, base).Hash() {
			t.Errorf("the same pool %s has another hash", name)
		}
	}
	seen := map[uint64]string{mustPools(t, base).Hash(): "base"}
	for name, h := range map[string]uint64{
		"name":       with(func(p *Pool) { p.Name = "b" }),
		"range":      with(func(p *Pool) { p.Ranges = base.Ranges[:1] }),
		"auto":       with(func(p *Pool) { p.AutoAssign = &no }),
		"avoid":      with(func(p *Pool) { p.AvoidBuggyIPs = true }),
		"exclude":    with(func(p *Pool) { p.Exclude = []string{"192.0.2.9"} }),
		"priority":   with(func(p *Pool) { p.Priority = new(0) }),
		"later":      with(func(p *Pool) { p.Priority = new(1) }),
		"namespaces": with(func(p *Pool) { p.Namespaces = []string{"x"} }),
		"interfaces": with(func(p *Pool) { p.Interfaces = []string{"x"} }),
		"of spaces":  with(func(p *Pool) { p.NamespaceSelectors = match("x", "") }),
		"services":   with(func(p *Pool) { p.ServiceSelectors = match("x", "") }),
		"nodes":      with(func(p *Pool) { p.NodeSelectors = match("x", "") }),
		"value":      with(func(p *Pool) { p.NodeSelectors = match("x", "y") }),
		"keep":       with(func(p *Pool) { p.Keep = KeepAlways }),
		"revoke":     with(func(p *Pool) { p.Keep = KeepNever }),
		"at once":    with(func(p *Pool) { p.Keep, p.RevokeAfter = KeepNever, "0s" }),
		"weight":     with(func(p *Pool) { p.NodeWeights = []NodeWeight{{match("x", ""), new(3)}} }),
		"weight 0":   with(func(p *Pool) { p.NodeWeights = []NodeWeight{{match("x", ""), new(0)}} }),
		"weights":    with(func(p *Pool) { p.NodeWeights = []NodeWeight{{match("x", ""), new(3)}, {match("y", ""), new(3)}} }),
		"the first":  with(func(p *Pool) { p.NodeWeights = []NodeWeight{{match("y", ""), new(3)}, {match("x", ""), new(3)}} }),
		"none":       mustPools(t).Hash(),
		"second":     mustPools(t, base, Pool{Name: "b", Ranges: []string{"192.0.3.0/24"}}).Hash(),
	} {
		if other := seen[h]; other != "" {
			t.Errorf("%s hashes like %s", name, other)
		}
		seen[h] = name
	}
	if got, want := mustPools(t, base).Hash(), uint64(0x2087740f7f0674e); got != want {
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
