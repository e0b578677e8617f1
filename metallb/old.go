package metallb

import "sigs.k8s.io/yaml"

// oldKey is the key of the ConfigMap that holds the configuration of MetalLB to 0.12.
const oldKey = "config"

// configMap reads MetalLB's old configuration out of a ConfigMap. Any other ConfigMap is a stranger.
func (in *input) configMap(f fields) {
	data := f.get("data").fields()
	n := data.get(oldKey)
	if n.value == nil {
		in.stranger(f, "ConfigMap", "it has no key \""+oldKey+"\" with MetalLB's old configuration")
		return
	}
	var tree any
	if err := yaml.UnmarshalStrict([]byte(n.text()), &tree); err != nil {
		n.fail("%v", explained(err))
		return
	}
	in.oldConfig(n.at("", tree).fields())
}

// oldConfig reads the text of that key.
func (in *input) oldConfig(f fields) {
	in.objects++
	for _, n := range f.get("address-pools").items() {
		in.oldPool(n.fields())
	}
	for _, key := range []string{"peers", "bgp-communities", "bfd-profiles", "peer-autodiscovery"} {
		if !empty(f.entries[key]) {
			f.get(key).remark("%s", noBGP)
		}
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
	f.others("name", "protocol", "addresses", "auto-assign", "avoid-buggy-ips", "bgp-advertisements")
	in.add(p, f.get("addresses"))
}
