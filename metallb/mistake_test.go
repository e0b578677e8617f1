package metallb

import (
	"fmt"
	"strings"
	"testing"
)

// TestMistakes: each is one line that says where and what, and nothing is converted.
func TestMistakes(t *testing.T) {
	lab := ipPool("lab", four) + everywhere
	tests := []struct {
		name string
		in   string
		want []string // one for each line
	}{
		{"nothing", "", []string{"nothing to convert: the input holds no object"}},
		{"comments", "# hello\n---\n# nobody\n", []string{"the input holds no object"}},
		{"an empty list", `{"apiVersion": "v1", "kind": "List", "items": []}`, []string{"the input holds no object"}},
		{"no pool", everywhere, []string{"the input holds no pool that is announced"}},
		{"only BGP", ipPool("lab", four) + metallbObject("BGPAdvertisement", "b", ""), []string{"no pool that is announced"}},
		{"no object", "- 1\n", []string{"document 1: is a list, want a mapping"}},
		{"no kind", "spec: {}\n", []string{"document 1: has no kind"}},
		{"no YAML", lab + "---\na: [1\n", []string{"document 3, which begins at line 13: yaml: line"}},
		{"two objects in one", "kind: A\nkind: B\n", []string{`key "kind" already set in map; put a line of --- between two objects`}},
		{"neither CIDR nor range", ipPool("lab", "addresses: [192.0.2.1, here, 192.0.2.0/33, \"\"]") + everywhere, []string{
			`document 1, IPAddressPool lab, spec.addresses[0]: "192.0.2.1" is neither a CIDR`, `spec.addresses[1]: "here" is neither`,
			`spec.addresses[2]: "192.0.2.0/33" is neither`, "spec.addresses[3]: is empty",
		}},
		{"bad ranges", ipPool("lab", "addresses: [192.0.2.9-192.0.2.1, '192.0.2.1-2001:db8::1', x-192.0.2.1, 192.0.2.1-, 'fe80::1%eth0-fe80::2']") + everywhere, []string{
			"is reversed", "mixes IPv4 and IPv6", `"x" is no IP address`, `"" is no IP address`, `"fe80::1%eth0" is no IP address`,
		}},
		{"no address", ipPool("lab", "") + everywhere, []string{"document 1, IPAddressPool lab, spec.addresses: has no address"}},
		{"no name", "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nspec: {addresses: [192.0.2.0/28]}\n", []string{"document 1, IPAddressPool: has no name"}},
		{"types", ipPool("lab", "addresses: 192.0.2.0/28, autoAssign: maybe, avoidBuggyIPs: 1, serviceAllocation: []") + everywhere, []string{
			"spec.autoAssign: is a text, want true or false", "spec.avoidBuggyIPs: is a number, want true or false",
			"spec.serviceAllocation: is a list, want a mapping", "spec.addresses: is a text, want a list", "spec.addresses: has no address",
		}},
		{"types in lists", ipPool("lab", four+", serviceAllocation: {priority: high, namespaces: [1, null], namespaceSelectors: [x]}") + everywhere, []string{
			"serviceAllocation.priority: is a text, want a number", "namespaces[0]: is a number, want a text", "namespaces[1]: is empty, want a text",
			"namespaceSelectors[0]: is a text, want a mapping",
		}},
		{"a priority", ipPool("lab", four) + ipPool("b", six+", serviceAllocation: {priority: 1.5}") + everywhere, []string{
			"serviceAllocation.priority: is 1.5, want a whole number",
		}},
		{"selectors", lab + l2("a", "nodeSelectors: [{matchExpressions: [{key: a, operator: Near, values: [b]}]}]"), []string{
			`document 3, L2Advertisement a, spec.nodeSelectors[0]: selector[0]: label "a": unknown operator "Near"`,
		}},
		{"preferred nodes", lab + l2("a", "preferredNodeSelectors: [{weight: 0, preference: {}}, {weight: 101}, {preference: x}]"), []string{
			"L2Advertisement a, spec.preferredNodeSelectors[0].weight: want a weight from 1 to 100", "preferredNodeSelectors[1].weight: want",
			"preferredNodeSelectors[2].preference: is a text, want a mapping", "preferredNodeSelectors[2].weight: want",
		}},
		{"a pool twice", lab + ipPool("lab", six), []string{`IPAddressPool lab: pool "lab" is there twice`}},
		{"overlap", lab + ipPool("more", "addresses: [192.0.2.8/29]"), []string{`pool "more": range "192.0.2.8/29": overlaps range "192.0.2.0/28" of pool "lab"`}},
		{"unusable addresses", ipPool("lab", "addresses: [127.0.0.0/28]") + everywhere, []string{`pool "lab": range "127.0.0.0/28": unusable`}},
		{"the old text", old("address-pools: ["), []string{"document 1, ConfigMap config, data.config: yaml"}},
		{"no pools in the old text", old("adress-pools: []"), []string{"document 1, ConfigMap config, data.config: has no address-pools"}},
		{"an old pool", old("address-pools:", "- {name: lab, protocol: ospf, addresses: [192.0.2.0/28]}"), []string{
			`ConfigMap config, address-pools[0].protocol: protocol "ospf": want layer2 or bgp`,
		}},
		{"routers", ipPool("lab", four) + everywhere + metallbObject("BGPPeer", "p", "") + bgpPeer("q", "peerAddress: 192.0.2.1, bfdProfile: none, holdTime: soon, peerPort: x") +
			metallbObject("BGPPeer", "r", "myASN: 5000000000, peerASN: 1, peerAddress: 192.0.2.2"), []string{
			"document 3, BGPPeer p, spec.myASN: is missing or 0", "spec.peerASN: is missing or 0", "spec.peerAddress: is missing or 0",
			"BGPPeer q, spec.peerPort: is a text, want a number", `spec.holdTime: "soon" is no duration, want one such as 90s`,
			"BGPPeer r, spec.myASN: is 5000000000, want a whole number from 0 to 4294967295", "spec.myASN: is missing or 0",
		}},
		{"a BFD profile that is not there", ipPool("lab", four) + everywhere + bgpPeer("q", "peerAddress: 192.0.2.1, bfdProfile: none"), []string{
			`BGPPeer q, spec.bfdProfile: names the BFD profile "none", which is not in the input`,
		}},
		{"routers that starling refuses", ipPool("lab", four) + metallbObject("BGPAdvertisement", "a", "aggregationLength: 24, communities: [slow]") + bgpPeer("p", "peerAddress: router"), []string{
			`pool "lab": announce[0]: community "slow": malformed`, `aggregationLength 24: 192.0.2.0/24 holds addresses that are not of the pool`, `peer "p": address "router": no IP address`,
		}},
		{"lists in lists", strings.Repeat("{kind: List, apiVersion: v1, items: [", 6) + strings.Repeat("]}", 6), []string{"lists are nested deeper than 4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Convert(Source{Data: []byte(tt.in)})
			if err == nil {
				t.Fatal("no mistake was found")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Errorf("%d lines, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if i < len(lines) && !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want one with %q", i+1, lines[i], want)
				}
			}
		})
	}
}

// TestTooMuch: the work and the words that an input costs are bounded.
func TestTooMuch(t *testing.T) {
	many := func(n int, object func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(object(i))
		}
		return b.String()
	}
	tests := []struct {
		name  string
		in    string
		want  string
		lines int
	}{
		{"bytes", strings.Repeat("#", MaxSize+1), "longer than 32 MiB", 1},
		{"pools", many(mostObjects+1, func(i int) string {
			return ipPool(fmt.Sprintf("p%d", i), fmt.Sprintf(`addresses: ["2001:db8::%x/128"]`, i))
		}), "more than 1000 pools", 1},
		{"advertisements", ipPool("lab", four) + many(mostObjects+1, func(int) string { return everywhere }), "more than 1000 advertisements", 1},
		{"mistakes", many(mostMistakes+7, func(int) string { return "---\n- 1\n" }), "and 7 more mistakes", mostMistakes + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Convert(Source{Data: []byte(tt.in)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if n := strings.Count(err.Error(), "\n") + 1; n != tt.lines {
				t.Errorf("%d lines, want %d", n, tt.lines)
			}
		})
	}
}
