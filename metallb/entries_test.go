package metallb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
)

// selector is one of a label.
func selector(key, value string) lease.Selector {
	return lease.Selector{MatchLabels: map[string]string{key: value}}
}

func weighs(weight int, selectors ...lease.Selector) lease.NodeWeight {
	return lease.NodeWeight{NodeSelectors: selectors, Weight: &weight}
}

// TestEntries: what L2Advertisements of the pool "lab" become that one set of nodes and one of
// interfaces cannot say.
func TestEntries(t *testing.T) {
	const (
		rack1   = `nodeSelectors: [{matchLabels: {rack: "1"}}]`
		rack2   = `nodeSelectors: [{matchLabels: {rack: "2"}}]`
		forWeb  = `serviceSelectors: [{matchLabels: {app: web}}]`
		forMail = `serviceSelectors: [{matchLabels: {app: mail}}]`
		red     = `preferredNodeSelectors: [{weight: 50, preference: {matchLabels: {color: red}}}]`
		blue    = `preferredNodeSelectors: [{weight: 30, preference: {matchLabels: {color: blue}}}]`
	)
	one, two := []lease.Selector{selector("rack", "1")}, []lease.Selector{selector("rack", "2")}
	web, mail := []lease.Selector{selector("app", "web")}, []lease.Selector{selector("app", "mail")}
	rest := weighs(0, lease.Selector{})
	for _, tt := range []struct {
		name, adverts string
		want          []lease.OnLayer2
		remark        string // part of the only one
	}{
		{
			"other interfaces on other nodes", l2("a", "interfaces: [eth0], "+rack1) + l2("b", "interfaces: [eth1], "+rack2),
			[]lease.OnLayer2{{NodeSelectors: one, Interfaces: []string{"eth0"}}, {NodeSelectors: two, Interfaces: []string{"eth1"}}},
			"",
		},
		{
			"and one that another contains", l2("a", "interfaces: [eth0], "+rack1) + l2("b", "interfaces: [eth1], "+rack2) + l2("c", "interfaces: [eth1, eth2], "+rack2),
			[]lease.OnLayer2{{NodeSelectors: one, Interfaces: []string{"eth0"}}, {NodeSelectors: two, Interfaces: []string{"eth1", "eth2"}}},
			"",
		},
		{"for some Services", l2("a", forWeb), []lease.OnLayer2{{ServiceSelectors: web}}, ""},
		{"for some Services on some nodes", l2("a", forWeb+", "+rack1), []lease.OnLayer2{{ServiceSelectors: web, NodeSelectors: one}}, ""},
		{
			"for some Services, and for all on some nodes", l2("a", forWeb) + l2("b", rack1),
			[]lease.OnLayer2{{ServiceSelectors: web}, {NodeSelectors: one}},
			"",
		},
		{
			"each for its Services", l2("a", forWeb+", "+rack1) + l2("b", forMail+", "+rack2),
			[]lease.OnLayer2{{ServiceSelectors: web, NodeSelectors: one}, {ServiceSelectors: mail, NodeSelectors: two}},
			"",
		},
		{
			"preferred for some Services", l2("a", forWeb+", "+rack1+", "+red) + l2("b", ""),
			[]lease.OnLayer2{
				{ServiceSelectors: web, NodeSelectors: one, NodeWeights: []lease.NodeWeight{weighs(1, selector("color", "red")), rest}},
				{NodeWeights: []lease.NodeWeight{rest}},
			},
			"",
		},
		{
			"preferred by several", l2("a", "interfaces: [eth0], "+rack1+", "+red) + l2("b", "interfaces: [eth1], "+rack2+", "+blue),
			[]lease.OnLayer2{
				{NodeSelectors: one, Interfaces: []string{"eth0"}, NodeWeights: []lease.NodeWeight{weighs(1, selector("color", "red")), rest}},
				{NodeSelectors: two, Interfaces: []string{"eth1"}, NodeWeights: []lease.NodeWeight{weighs(1, selector("color", "blue")), rest}},
			},
			`pool "lab": several of its L2Advertisements prefer nodes`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, remarks := converted(t, Source{Data: []byte(ipPool("lab", four) + tt.adverts)})
			want := lease.Pool{Name: "lab", Ranges: []string{"192.0.2.0/28"}}
			for i := range tt.want {
				want.Announce = append(want.Announce, lease.Announce{Layer2: &tt.want[i]})
			}
			if diff := cmp.Diff([]lease.Pool{want}, got); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
			all := strings.Join(remarks, "\n")
			if (tt.remark == "") != (all == "") || !strings.Contains(all, tt.remark) {
				t.Errorf("remarks %q, want one with %q", remarks, tt.remark)
			}
		})
	}
}

// bgpPeer is a BGPPeer of both AS 64512 (the router's) and 64513, with lines of its spec.
func bgpPeer(name, spec string) string {
	return strings.Replace(metallbObject("BGPPeer", name, "myASN: 64513, peerASN: 64512, "+spec), "v1beta1", "v1beta2", 1)
}

// TestRouters: what BGPPeers and BFDProfiles become.
func TestRouters(t *testing.T) {
	tor := lease.Peer{Name: "tor", Address: "192.0.2.254", ASN: 64512}
	with := func(edit func(*lease.Peer)) []lease.Peer {
		p := tor
		edit(&p)
		return []lease.Peer{p}
	}
	const address = "peerAddress: 192.0.2.254"
	for _, tt := range []struct {
		name, in string
		want     []lease.Peer
		remarks  []string // parts of them, in order
	}{
		{"as kubectl prints it", bgpPeer("tor", address+", peerPort: 179, disableMP: false, ebgpMultiHop: false, enableGracefulRestart: false, passwordSecret: {}"), []lease.Peer{tor}, nil},
		{"the version before", strings.Replace(bgpPeer("tor", address), "v1beta2", "v1beta1", 1), []lease.Peer{tor}, nil},
		{
			"settings", bgpPeer("tor", address+", peerPort: 1179, sourceAddress: 192.0.2.1, holdTime: 1m30s, keepaliveTime: 10s, ebgpMultiHop: true, nodeSelectors: [{matchLabels: {rack: '1'}}]"),
			with(func(p *lease.Peer) {
				p.Port, p.SourceAddress, p.HoldTime, p.KeepaliveTime, p.Multihop = new(1179), "192.0.2.1", "90s", "10s", 255
				p.NodeSelectors = []lease.Selector{selector("rack", "1")}
			}),
			nil,
		},
		{
			"times that do not do", bgpPeer("tor", address+", holdTime: 0s, keepaliveTime: 40s"),
			[]lease.Peer{tor},
			[]string{"BGPPeer tor, spec.holdTime: 0s: starling wants whole seconds, 3s or more", "spec.keepaliveTime: 40s: starling wants"},
		},
		{
			"passwords", bgpPeer("tor", address+", password: hush") + bgpPeer("tor2", "peerAddress: 192.0.2.253, passwordSecret: {name: two}"),
			append(with(func(p *lease.Peer) { p.PasswordSecret = "bgp-tor" }), lease.Peer{Name: "tor2", Address: "192.0.2.253", ASN: 64512, PasswordSecret: "two"}),
			[]string{"BGPPeer tor2: copy the Secret two into the namespace of starling, with a Role", "BGPPeer tor: its password is not written here: kubectl -n starling-system create secret generic bgp-tor "},
		},
		{
			"BFD", bgpPeer("tor", address+", bfdProfile: fast") + bgpPeer("tor2", "peerAddress: 192.0.2.253, bfdProfile: plain") +
				metallbObject("BFDProfile", "fast", "receiveInterval: 50, transmitInterval: 60, detectMultiplier: 5, echoMode: true, echoInterval: 20, passiveMode: false, minimumTtl: 250") +
				metallbObject("BFDProfile", "plain", ""),
			append(with(func(p *lease.Peer) { p.BFD = &lease.BFD{Interval: "60ms", Multiplier: new(5)} }),
				lease.Peer{Name: "tor2", Address: "192.0.2.253", ASN: 64512, BFD: &lease.BFD{Interval: "300ms"}}),
			[]string{"BFDProfile fast: receives every 50 ms and transmits every 60 ms", "spec.echoMode: has no", "spec.echoInterval: has no", "spec.minimumTtl: has no"},
		},
		{
			"iBGP", bgpPeer("tor", address) + strings.Replace(bgpPeer("in", "peerAddress: 192.0.2.253"), "64512", "64513", 1),
			[]lease.Peer{tor, {Name: "in", Address: "192.0.2.253", ASN: 64513}},
			[]string{"BGPPeer in: is of our own AS: if it is on no network"},
		},
		{
			"by the kind of AS", bgpPeer("tor", address) + strings.Replace(bgpPeer("in", "peerAddress: 192.0.2.253, dynamicASN: internal"), "peerASN: 64512, ", "", 1),
			[]lease.Peer{tor, {Name: "in", Address: "192.0.2.253", ASN: 64513}},
			nil,
		},
		{
			"what has no counterpart", bgpPeer("tor", address+", connectTime: 5s, routerID: 192.0.2.1, dualStackAddressFamily: true, mood: good") + bgpPeer("far", "peerAddress: 192.0.2.253, vrf: red") +
				bgpPeer("link", "interface: eth0") + strings.Replace(bgpPeer("any", "peerAddress: 192.0.2.252, dynamicASN: external"), "peerASN: 64512, ", "", 1) +
				strings.Replace(bgpPeer("other", "peerAddress: 192.0.2.251"), "64513", "64514", 1),
			[]lease.Peer{tor},
			[]string{
				"spec.connectTime: has no counterpart", "spec.routerID: has no", "spec.dualStackAddressFamily: has no", `field "mood" is not known`,
				"BGPPeer far, spec.vrf: has no counterpart: this router was left out", "BGPPeer link, spec.interface: has no", "BGPPeer any, spec.dynamicASN: has no",
				"BGPPeer other: has myASN 64514, and the first one 64513",
			},
		},
		{
			"one router for several nodes", bgpPeer("tor", address+", nodeSelectors: [{matchLabels: {rack: '1'}}]") + bgpPeer("tor-b", address+", nodeSelectors: [{matchLabels: {rack: '2'}}]"),
			with(func(p *lease.Peer) { p.NodeSelectors = []lease.Selector{selector("rack", "1"), selector("rack", "2")} }), nil,
		},
		{
			"and with other settings", bgpPeer("tor", address+", nodeSelectors: [{matchLabels: {rack: '1'}}]") + bgpPeer("tor-b", address+", holdTime: 9s"),
			[]lease.Peer{tor},
			[]string{"BGPPeer tor-b: has the address of tor with other settings"},
		},
		{"names", bgpPeer("tor", address) + bgpPeer(strings.Repeat("x", 70), "peerAddress: 192.0.2.253"), []lease.Peer{tor, {Name: strings.Repeat("x", 63), Address: "192.0.2.253", ASN: 64512}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Convert(Source{Data: []byte(ipPool("lab", four) + everywhere + tt.in)})
			if err != nil {
				t.Fatal(err)
			}
			want := &lease.Peering{ASN: 64513, Peers: tt.want}
			if diff := cmp.Diff(want, rereadAll(t, r).BGP); diff != "" {
				t.Errorf("routers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.remarks, remarks(r), cmp.Comparer(func(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) })); diff != "" {
				t.Errorf("remarks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPaths: what BGPAdvertisements of the pool "lab" become, with the routers tor and tor2.
func TestPaths(t *testing.T) {
	advert := func(name, spec string) string { return metallbObject("BGPAdvertisement", name, spec) }
	routers := bgpPeer("tor", "peerAddress: 192.0.2.254") + bgpPeer("tor2", "peerAddress: 192.0.2.253")
	for _, tt := range []struct {
		name, in string
		want     []lease.Announce
		remarks  []string
	}{
		{"alone, as kubectl prints it", advert("a", "aggregationLength: 32, aggregationLengthV6: 128"), []lease.Announce{{BGP: &lease.ByBGP{}}}, nil},
		{"beside layer 2", everywhere + advert("a", ""), []lease.Announce{{Layer2: &lease.OnLayer2{}}, {BGP: &lease.ByBGP{}}}, nil},
		{
			"beside layer 2 with limits", l2("l", "interfaces: [eth0]") + advert("a", ""),
			[]lease.Announce{{Layer2: &lease.OnLayer2{Interfaces: []string{"eth0"}}}, {BGP: &lease.ByBGP{}}},
			nil,
		},
		{
			"everything", advert("a", "peers: [tor2], aggregationLength: 28, localPref: 4000000000, nodeSelectors: [{matchLabels: {rack: '1'}}], "+
				"serviceSelectors: [{matchLabels: {app: web}}], communities: [slow, 64513:7, large:64513:1:2, 65535:65281]") +
				metallbObject("Community", "c", "communities: [{name: slow, value: 64513:100}]"),
			[]lease.Announce{{BGP: &lease.ByBGP{
				Peers: []string{"tor2"}, AggregationLength: new(28), LocalPref: new(int64(4000000000)), NodeSelectors: []lease.Selector{selector("rack", "1")},
				ServiceSelectors: []lease.Selector{selector("app", "web")}, Communities: []string{"64513:100", "64513:7", "large:64513:1:2", "65535:65281"},
			}}},
			nil,
		},
		{
			"several", advert("a", "peers: [tor]") + advert("b", "localPref: 7") + advert("c", "ipAddressPools: [other]"),
			[]lease.Announce{{BGP: &lease.ByBGP{Peers: []string{"tor"}}}, {BGP: &lease.ByBGP{LocalPref: new(int64(7))}}},
			[]string{`BGPAdvertisement c: names the pool "other", which is not in the input`},
		},
		{
			"peers that are not there", advert("a", "peers: [tor, tor3]") + advert("b", "peers: [tor4]"),
			[]lease.Announce{{BGP: &lease.ByBGP{Peers: []string{"tor"}}}},
			[]string{`BGPAdvertisement a, spec.peers[1]: names the peer "tor3", which is not in the input or was left out`, `spec.peers[0]: names the peer "tor4"`, "BGPAdvertisement b: none of its peers is here"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, remarks := converted(t, Source{Data: []byte(ipPool("lab", four) + routers + tt.in)})
			if diff := cmp.Diff([]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}, Announce: tt.want}}, got); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.remarks, remarks, cmp.Comparer(func(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) })); diff != "" {
				t.Errorf("remarks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOldBGP: the old ConfigMap with routers, communities and BFD profiles, and an AddressPool of
// the time between.
func TestOldBGP(t *testing.T) {
	r, err := Convert(Source{Data: []byte(old(
		"peers:",
		"- {peer-address: 198.51.100.1, peer-asn: 64512, my-asn: 64513, hold-time: 30s, bfd-profile: fast, ebgp-multihop: true}",
		"- peer-address: 198.51.100.2", "  peer-asn: 64512", "  my-asn: 64513", "  peer-port: 1179",
		"  node-selectors: [{match-labels: {rack: '1'}, match-expressions: [{key: edge, operator: Exists}]}]",
		"bgp-communities: {slow: '64513:100'}",
		"bfd-profiles: [{name: fast, receive-interval: 100, transmit-interval: 100}]",
		"address-pools:", "- {name: lab, protocol: layer2, addresses: [192.0.2.0/28]}",
		"- name: wan", "  protocol: bgp", "  bgp-advertisements: [{localpref: 1, aggregation-length: 30, communities: [slow]}, {}]", "  addresses: [203.0.113.0/28]"))})
	if err != nil {
		t.Fatal(err)
	}
	want := lease.Config{
		BGP: &lease.Peering{ASN: 64513, Peers: []lease.Peer{
			{Name: "peer-1", Address: "198.51.100.1", ASN: 64512, HoldTime: "30s", Multihop: 255, BFD: &lease.BFD{Interval: "100ms"}},
			{Name: "peer-2", Address: "198.51.100.2", ASN: 64512, Port: new(1179), NodeSelectors: []lease.Selector{{
				MatchLabels: map[string]string{"rack": "1"}, MatchExpressions: []lease.Requirement{{Key: "edge", Operator: "Exists"}},
			}}},
		}},
		Pools: []lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}}, {Name: "wan", Ranges: []string{"203.0.113.0/28"}, Announce: []lease.Announce{
			{BGP: &lease.ByBGP{LocalPref: new(int64(1)), AggregationLength: new(30), Communities: []string{"64513:100"}}}, {BGP: &lease.ByBGP{}},
		}}},
	}
	if diff := cmp.Diff(want, rereadAll(t, r)); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if len(r.Remarks) > 0 || r.Summary != "Pools: 2; BGP routers: 2" {
		t.Errorf("%s; remarks %q", r.Summary, r.Remarks)
	}
	pools, _ := converted(t, Source{Data: []byte(bgpPeer("tor", "peerAddress: 192.0.2.254") +
		metallbObject("AddressPool", "wan", "protocol: bgp, bgpAdvertisements: [{localPref: 1, aggregationLength: 32}], "+six))})
	if diff := cmp.Diff([]lease.Pool{{Name: "wan", Ranges: []string{"2001:db8::/64"}, Announce: []lease.Announce{{BGP: &lease.ByBGP{LocalPref: new(int64(1))}}}}}, pools); diff != "" {
		t.Errorf("an AddressPool (-want +got):\n%s", diff)
	}
}
