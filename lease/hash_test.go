package lease

import "testing"

// TestHashStays: the hash that all members compare is the same in all releases for the keys that
// these know.
func TestHashStays(t *testing.T) {
	for want, text := range map[uint64]string{
		0xcbf29ce484222325: "pools: []",
		0xaed2e161f058839c: "pools: [{name: a, ranges: [192.0.2.0/28]}]",
		0x4a3c521784d427e7: `
pools:
- name: a
  ranges: [192.0.2.0/28, "2001:db8::/64"]
  exclude: [192.0.2.3]
  priority: 10
  namespaces: [team-a]
  namespaceSelectors: [{matchLabels: {a: b}}]
  serviceSelectors: [{matchExpressions: [{key: k, operator: In, values: [x, "1"]}]}]
  nodeSelectors: [{matchLabels: {rack: "1"}}, {}]
  nodeWeights: [{weight: 3, nodeSelectors: [{matchLabels: {up: fast}}]}]
  interfaces: ["!eth1", eth0]
  shareAcrossNamespaces: true
  keep: false
- {name: b, ranges: [192.0.2.64/28], autoAssign: false, avoidBuggyIPs: true, keep: true}`,
	} {
		p, err := ReadPools(nil, "f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Hash(); got != want {
			t.Errorf("hash %#x, want %#x, of %s", got, want, text)
		}
	}
}
