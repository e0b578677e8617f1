package metallb

import (
	"strings"

	"sigs.k8s.io/yaml"
)

// oldKey is the key of the ConfigMap that holds the configuration of MetalLB to 0.12.
const oldKey = "config"

// configMap reads MetalLB's old configuration out of a ConfigMap. Many others have that key too:
// one with something else under it is a stranger, unless it is where MetalLB looks.
func (in *input) configMap(f fields) {
	data := f.get("data").fields()
	n := data.get(oldKey)
	if n.value == nil {
		in.stranger(f, "ConfigMap", "not MetalLB's, whose configuration is under the key \""+oldKey+"\"")
		return
	}
	var tree any
	err := yaml.UnmarshalStrict([]byte(n.text()), &tree)
	entries, _ := tree.(map[string]any)
	switch {
	case isOldConfig(entries):
		in.oldConfig(n.at("", tree).fields())
	case strings.TrimSpace(named(f, "")) != oldKey:
		in.stranger(f, "ConfigMap", "not MetalLB's, whose configuration has address-pools")
	case err != nil:
		n.fail("%v", explained(err))
	default:
		n.fail("has no address-pools")
	}
}

// isOldConfig reports whether a mapping is MetalLB's old configuration.
func isOldConfig(entries map[string]any) bool {
	return entries["address-pools"] != nil || entries["peers"] != nil
}

// oldConfig reads the text of that key.
func (in *input) oldConfig(f fields) {
	in.objects++
	for _, n := range f.get("address-pools").items() {
		in.oldPool(n.fields())
	}
	in.oldPeers(f)
	if n := f.get("peer-autodiscovery"); !empty(n.value) {
		n.remark("has no counterpart: write the routers into the key bgp; left out")
	}
	f.others("address-pools", "peers", "bgp-communities", "bfd-profiles", "peer-autodiscovery")
}

func (in *input) oldPool(f fields) {
	p := &pool{kind: "ConfigMap", node: f.node, asked: f.get("name").text(), proto: f.get("protocol").text()}
	p.checkProtocol(f.get("protocol"))
	p.AutoAssign = f.get("auto-assign").flag()
	if a := f.get("avoid-buggy-ips").flag(); a != nil {
		p.AvoidBuggyIPs = *a
	}
	p.own = in.ownRoutes(f, "bgp-advertisements", true, p.proto)
	f.others("name", "protocol", "addresses", "auto-assign", "avoid-buggy-ips", "bgp-advertisements")
	in.add(p, f.get("addresses"))
}
