package lease

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// routers is a key bgp with two routers.
const routers = `
bgp:
  asn: 64513
  peers:
  - {name: tor2, address: "2001:db8::1", asn: 64512}
  - name: tor1
    address: 192.0.2.1
    asn: 64512
`

// configured compiles a configuration.
func configured(t *testing.T, text string) *Pools {
	t.Helper()
	p, err := ReadPools(nil, "f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBGP(t *testing.T) {
	if got := configured(t, "pools: []").BGP(); got != nil {
		t.Errorf("without the key there is %+v", got)
	}
	for _, tt := range []struct {
		name, text string
		want       BGP
	}{
		{"defaults", routers, BGP{ASN: 64513, Sessions: SessionsAuto, Routers: []Router{
			{Name: "tor1", Address: netip.MustParseAddr("192.0.2.1"), ASN: 64512, Port: 179, Hold: 90 * time.Second, Keepalive: 30 * time.Second},
			{Name: "tor2", Address: netip.MustParseAddr("2001:db8::1"), ASN: 64512, Port: 179, Hold: 90 * time.Second, Keepalive: 30 * time.Second},
		}}},
		{"everything", `
bgp:
  asn: 4294967295
  sessions: each
  peers:
  - name: far
    address: 192.0.2.1
    asn: 4294967295
    port: 1179
    nodeSelectors: [{matchLabels: {rack: "1"}}]
    sourceAddress: 192.0.2.9
    multihop: 3
    holdTime: 10s
    keepaliveTime: 2s
    passwordFile: /etc/bgp
    bfd: {interval: 50ms, multiplier: 5}
  - {name: next, address: "::ffff:192.0.2.2", asn: 1, holdTime: 10s, passwordSecret: tor-2.password, bfd: {}}
  - {name: twin, address: 192.0.2.2, asn: 1, port: 1179, bfd: null}
`, BGP{ASN: 4294967295, Sessions: SessionsEach, Routers: []Router{
			{
				Name: "far", Address: netip.MustParseAddr("192.0.2.1"), ASN: 4294967295, Port: 1179, Source: netip.MustParseAddr("192.0.2.9"), Multihop: 3,
				Hold: 10 * time.Second, Keepalive: 2 * time.Second, PasswordFile: "/etc/bgp", BFDInterval: 50 * time.Millisecond, BFDMultiplier: 5,
				NodeSelectors: []string{"rack=1"},
			},
			{
				Name: "next", Address: netip.MustParseAddr("192.0.2.2"), ASN: 1, Port: 179, Hold: 10 * time.Second, Keepalive: 3 * time.Second,
				PasswordSecret: "tor-2.password", BFDInterval: 300 * time.Millisecond, BFDMultiplier: 3,
			},
			{Name: "twin", Address: netip.MustParseAddr("192.0.2.2"), ASN: 1, Port: 1179, Hold: 90 * time.Second, Keepalive: 30 * time.Second},
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := configured(t, tt.text+"pools: []")
			if diff := cmp.Diff(&tt.want, got.BGP(), cmpopts.IgnoreUnexported(Router{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	far := configured(t, "bgp: {asn: 1, peers: [{name: far, address: 192.0.2.1, asn: 1, nodeSelectors: [{matchLabels: {rack: '1'}}]}]}\npools: []").BGP().Routers[0]
	if got := []bool{far.Node(nil), far.Node(Labels{"rack": "1"})}; got[0] || !got[1] {
		t.Errorf("nodes without and with the label may have a session: %t", got)
	}
}

// TestBGPRefused: one error names all mistakes, with their lines.
func TestBGPRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{"much", `bgp:
  asn: 0
  session: few
  sessions: many
  peers:
  - {name: tor1, address: 192.0.2.1, asn: 64512}
  - {name: tor1, address: 192.0.2.1, asn: 64512}
  - name: "two words"
    address: fe80::1
    asn: -1
    port: 0
    multihop: 256
    sourceAddress: 192.0.2.300
    holdTime: 2s
    keepaliveTime: often
  - asn: 4294967296
    adress: 192.0.2.2
  - name: slow
    address: 192.0.2.3
    asn: 1
    sourceAddress: 2001:db8::1
    holdTime: 30s
    keepaliveTime: 11s
    passwordFile: /etc/bgp
    passwordSecret: bgp
    bfd:
      interval: 5ms
      multiplier: 0
  - name: odd
    address: 224.0.0.1
    asn: 1
    holdTime: 3500ms
    nodeSelectors: [{matchExpressions: [{key: k, operator: Is}]}]
    passwordSecret: A/b
pools: []
`, `f: line 2: bgp: asn: missing or 0; want the AS of the nodes, 1 to 4294967295; 64512 to 65534 are for private use
			f: line 3: bgp: unknown key "session"; did you mean sessions?
			f: line 4: bgp: sessions "many": want auto, few, each
			f: line 7: bgp: peer "tor1": the name is used twice
			f: line 7: bgp: peer "tor1": peer "tor1" has the same address and port; a router is there once
			f: line 8: bgp: peer 3: name "two words": only letters and digits, and '-', '_' and '.' between them
			f: line 9: bgp: peer 3: address "fe80::1": link-local; want one that is the same on all nodes
			f: line 10: bgp: peer 3: asn -1: want the AS that the router has in its own configuration, 1 to 4294967295
			f: line 11: bgp: peer 3: port 0: want 1 to 65535
			f: line 12: bgp: peer 3: multihop 256: want 0 (the router is on a network of the nodes) to 255
			f: line 13: bgp: peer 3: sourceAddress "192.0.2.300": no IP address
			f: line 14: bgp: peer 3: holdTime "2s": want 3s to 18h12m15s
			f: line 15: bgp: peer 3: keepaliveTime "often": no duration; want one such as 1s
			f: line 16: bgp: peer 4: it has no name
			f: line 16: bgp: peer 4: asn 4294967296: want the AS that the router has in its own configuration, 1 to 4294967295
			f: line 17: bgp.peers[3]: unknown key "adress"; did you mean address?
			f: line 21: bgp: peer "slow": sourceAddress 2001:db8::1: of another family than the address 192.0.2.3
			f: line 23: bgp: peer "slow": holdTime 30s: under three keepaliveTimes of 11s
			f: line 24: bgp: peer "slow": passwordFile and passwordSecret; give one of them
			f: line 27: bgp: peer "slow": bfd: interval "5ms": want 10ms to 1m0s
			f: line 28: bgp: peer "slow": bfd: multiplier 0; want 1 to 255
			f: line 30: bgp: peer "odd": address "224.0.0.1": no address of a host
			f: line 32: bgp: peer "odd": holdTime "3500ms": want a multiple of 1s
			f: line 33: bgp: peer "odd": nodeSelectors[0]: label "k": unknown operator "Is"; want In, NotIn, Exists or DoesNotExist
			f: line 34: bgp: peer "odd": passwordSecret "A/b": no name of a Secret: only lower-case letters and digits, and '-' between them, at most 63`},
		{"nobody", "bgp: {}\npools: []", `f: line 1: bgp: asn: missing or 0; want the AS of the nodes, 1 to 4294967295; 64512 to 65534 are for private use
			f: line 1: bgp: it has no peers; name a router, or remove the key bgp`},
		{"entries of pools", `bgp:
  asn: 1
  peers: [{name: tor1, address: 192.0.2.1, asn: 1}]
pools:
- name: web
  ranges: [198.18.64.16/28, 198.18.64.64/27, 198.18.64.96/27, "2001:db8::/64"]
  nodeSelectors: [{}]
  nodeWeights: []
  interfaces: [eth0]
  announce:
  - bgb
  - 7
  -
  - {}
  - layer2: {}
    bgp: {}
  - bgp:
      peers: [tor1, tor2]
      communities: [64513:100, no-export, 64513:65536, "large:1:2", export]
      localPref: -1
      aggregationLength: 27
      aggregationLengthV6: 129
      serviceSelectors: [{matchLabels: {"a b": c}}]
  - bgp: {aggregationLength: 28, aggregationLengthV6: 63, nodeSelectors: [{matchExpressions: [{key: k}]}]}
  - layer2:
      interfaces: ["["]
      nodeWeights: [{weight: 101, nodeSelectors: [{}]}]
      serviceSelectors: [{matchExpressions: [{key: k}]}]
      peers: [tor1]
- {name: none, ranges: [198.18.65.0/24], announce: []}
`, `f: line 7: pool "web": nodeSelectors: beside announce, where it has no meaning; move it into a layer2 entry
			f: line 9: pool "web": interfaces: beside announce, where it has no meaning; move it into a layer2 entry
			f: line 11: pools[0].announce[0]: want layer2 or bgp, alone or with keys below it, got the text "bgb"
			f: line 12: pools[0].announce[1]: want layer2 or bgp, alone or with keys below it, got the number 7
			f: line 13: pool "web": announce[2]: empty; want layer2 or bgp, alone or with keys below it
			f: line 14: pool "web": announce[3]: empty; want layer2 or bgp, alone or with keys below it
			f: line 15: pools[0].announce[4]: layer2 and bgp in one entry; put a - before each
			f: line 18: pool "web": announce[5]: unknown peer "tor2"; known are tor1
			f: line 19: pool "web": announce[5]: community "64513:65536": malformed: want two numbers to 65535 such as 64513:100, large: and three numbers to 4294967295 such as large:64513:1:2, or one of blackhole, no-advertise, no-export, no-export-subconfed, no-peer
			f: line 19: pool "web": announce[5]: community "large:1:2": malformed: want two numbers to 65535 such as 64513:100, large: and three numbers to 4294967295 such as large:64513:1:2, or one of blackhole, no-advertise, no-export, no-export-subconfed, no-peer
			f: line 19: pool "web": announce[5]: community "export": malformed: want two numbers to 65535 such as 64513:100, large: and three numbers to 4294967295 such as large:64513:1:2, or one of blackhole, no-advertise, no-export, no-export-subconfed, no-peer
			f: line 20: pool "web": announce[5]: localPref -1; want 0 to 4294967295
			f: line 21: pool "web": announce[5]: aggregationLength 27: 198.18.64.0/27 holds addresses that are not of the pool; want a length that its ranges are made of
			f: line 22: pool "web": announce[5]: aggregationLengthV6 129: want 1 to 128
			f: line 23: pool "web": announce[5]: serviceSelectors[0]: label "a b": only letters and digits, and '-', '_' and '.' between them
			f: line 24: pool "web": announce[6]: nodeSelectors[0]: label "k": it has no operator; want In, NotIn, Exists or DoesNotExist
			f: line 24: pool "web": announce[6]: aggregationLengthV6 63: 2001:db8::/63 holds addresses that are not of the pool; want a length that its ranges are made of
			f: line 26: pool "web": announce[7]: interface "[": malformed pattern; a [ needs its ], and a \ something after it
			f: line 27: pool "web": announce[7]: nodeWeights[0]: weight 101; want 0 (only while there is no other node) to 100
			f: line 28: pool "web": announce[7]: serviceSelectors[0]: label "k": it has no operator; want In, NotIn, Exists or DoesNotExist
			f: line 29: pools[0].announce[7].layer2: unknown key "peers"; known are interfaces, nodeSelectors, nodeWeights, serviceSelectors
			f: line 30: pool "none": announce: empty; want layer2 or bgp, alone or with keys below it, or leave out the key for layer2`},
		{"no routers", "pools: [{name: web, ranges: [198.18.64.0/28], announce: [layer2, bgp]}]", `f: line 1: pool "web": announce[1]: there is no key bgp, which names the routers`},
		{"routers that have mistakes themselves", "bgp: [tor1]\npools: [{name: web, ranges: [198.18.64.0/28], announce: [bgp: {peers: [tor1]}]}]", `f: line 1: bgp: want keys with values, got a list`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadPools(nil, "f", []byte(tt.text))
			if diff := cmp.Diff(lines(tt.err), lines(text(err))); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnnouncements: what is announced by BGP for Services, and by which nodes.
func TestAnnouncements(t *testing.T) {
	p := configured(t, routers+`
pools:
- {name: plain, ranges: [198.18.64.0/28]}
- {name: alone, ranges: [198.18.65.0/28], announce: [bgp]}
- name: both
  ranges: [198.18.66.0/28, "2001:db8:1::/112"]
  announce:
  - layer2
  - bgp:
  - bgp:
      peers: [tor1, tor1]
      nodeSelectors: [{matchLabels: {rack: "1"}}]
      serviceSelectors: [{matchLabels: {app: web}}]
      communities: [no-export, "64513:0100", 64513:100, 64513:10, large:64513:1:2]
      localPref: 0
      aggregationLength: 28
      aggregationLengthV6: 112
`)
	all := Announcement{Routers: []string{"tor1", "tor2"}, LocalPref: 100, Aggregation: [2]uint8{32, 128}}
	few := Announcement{
		Routers: []string{"tor1"}, Communities: []string{"64513:10", "64513:100", "large:64513:1:2", "no-export"}, Aggregation: [2]uint8{28, 112},
		ServiceSelectors: []string{"app=web"}, NodeSelectors: []string{"rack=1"},
	}
	for _, tt := range []struct {
		name, pool string
		services   []string
		want       []Announcement
	}{
		{"no such pool", "other", []string{""}, nil},
		{"without announce", "plain", []string{""}, nil},
		{"by BGP alone", "alone", []string{""}, []Announcement{all}},
		{"a Service that the second entry is not for", "both", []string{"app=mail"}, []Announcement{all}},
		{"one that it is for", "both", []string{"app=web,tier=a"}, []Announcement{all, few}},
		{"two on one address", "both", []string{"", "app=web"}, []Announcement{all, few}},
		{"no Service", "both", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := p.Announcements(tt.pool, tt.services)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Announcement{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	web := p.Announcements("both", []string{"app=web"})[1]
	if got := []bool{web.Node(nil), web.Node(Labels{"rack": "1"})}; got[0] || !got[1] || web.Name() != "announce[2]" {
		t.Errorf("%s: nodes without and with the label announce: %t", web.Name(), got)
	}
	var rules [][]string
	for _, q := range p.List() {
		rules = append(rules, q.Rules())
	}
	want := [][]string{
		nil,
		{"announced by BGP"},
		{"announced on layer 2, by BGP, by BGP to tor1 for Services with app=web by nodes with rack=1 with 64513:10, 64513:100, large:64513:1:2, no-export localPref 0 in /28 in /112"},
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// TestLayer2Entries: which entries are for a Service.
func TestLayer2Entries(t *testing.T) {
	p := configured(t, routers+`
pools:
- {name: plain, ranges: [198.18.64.0/28]}
- {name: word, ranges: [198.18.65.0/28], announce: [layer2]}
- {name: alone, ranges: [198.18.66.0/28], announce: [bgp]}
- name: some
  ranges: [198.18.67.0/28]
  announce:
  - layer2: {interfaces: [eth0], serviceSelectors: [{matchLabels: {app: web}}]}
  - bgp: {serviceSelectors: [{matchLabels: {app: mail}}]}
  - layer2: {interfaces: [eth1], serviceSelectors: [{matchLabels: {app: web}}, {matchLabels: {app: mail}}]}
`)
	type want struct {
		limited, bySelectors, byBGP bool
		entries                     []string
	}
	for _, tt := range []struct {
		pool     string
		services []string
		want     want
	}{
		{"plain", []string{"app=web"}, want{entries: []string{""}}},
		{"word", []string{"app=web"}, want{entries: []string{"announce[0]"}}},
		{"alone", []string{"app=web"}, want{limited: true, byBGP: true}},
		{"some", []string{"app=web"}, want{true, true, false, []string{"announce[0]", "announce[2]"}}},
		{"some", []string{"app=mail"}, want{true, true, true, []string{"announce[2]"}}},
		{"some", []string{""}, want{true, true, false, nil}},
		{"some", []string{"", "app=mail"}, want{true, true, true, []string{"announce[2]"}}},
	} {
		s, _ := p.Scope(tt.pool)
		some, byBGP := s.For(tt.services)
		got := want{limited: s.Limited(), bySelectors: s.BySelectors(), byBGP: byBGP}
		for _, i := range some {
			got.entries = append(got.entries, s.Entries[i].Name)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); diff != "" {
			t.Errorf("%s for %q (-want +got):\n%s", tt.pool, tt.services, diff)
		}
	}
}

// TestHashKnowsAnnounce: members that announce otherwise, or to other routers, have another hash.
func TestHashKnowsAnnounce(t *testing.T) {
	const pool = "pools: [{name: a, ranges: [192.0.2.0/28]"
	seen := map[uint64]string{}
	for _, text := range []string{
		pool + "}]",
		pool + ", announce: [layer2]}]",
		pool + ", announce: [layer2: {interfaces: [eth0]}]}]",
		pool + ", announce: [layer2: {interfaces: [eth1]}]}]",
		pool + ", announce: [layer2: {serviceSelectors: [{}]}]}]",
		routers + pool + "}]",
		routers + pool + ", announce: [bgp]}]",
		routers + pool + ", announce: [bgp: {peers: [tor1]}]}]",
		routers + pool + ", announce: [bgp: {localPref: 7}]}]",
		routers + pool + ", announce: [bgp: {aggregationLength: 28}]}]",
		routers + pool + ", announce: [bgp: {communities: [no-peer]}]}]",
		routers + "    port: 1179\n" + pool + "}]",
		routers + "    passwordFile: f\n" + pool + "}]",
		routers + "    bfd:\n      multiplier: 4\n" + pool + "}]",
	} {
		hash := configured(t, text).Hash()
		if other, same := seen[hash]; same {
			t.Errorf("the same hash of\n%s\nand\n%s", other, text)
		}
		seen[hash] = text
	}
}

// TestAnnounceWrites: an entry reads back as it was written.
func TestAnnounceWrites(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`"layer2"`, `"layer2"`},
		{`{"layer2":{}}`, `"layer2"`},
		{`"bgp"`, `"bgp"`},
		{`{"bgp":null}`, `"bgp"`},
		{`{"bgp":{"localPref":0}}`, `{"bgp":{"localPref":0}}`},
		{`{"layer2":{"interfaces":["eth0"]}}`, `{"layer2":{"interfaces":["eth0"]}}`},
	} {
		for _, text := range []string{tt.text, tt.want} {
			var a Announce
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(a)
			if err != nil || string(got) != tt.want {
				t.Errorf("%s was written as %s, %v", text, got, err)
			}
		}
	}
}
