package metallb

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
)

// ipPool is an IPAddressPool with lines of its spec, and lines of its labels.
func ipPool(name, spec string, labels ...string) string {
	return "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: " + name +
		"\n  namespace: metallb-system\n  labels: {" + strings.Join(labels, ", ") + "}\nspec: {" + spec + "}\n"
}

func l2(name, spec string) string { return metallbObject("L2Advertisement", name, spec) }

func metallbObject(kind, name, spec string) string {
	return "---\napiVersion: metallb.io/v1beta1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: metallb-system}\nspec: {" + spec + "}\n"
}

// old is the ConfigMap of MetalLB to 0.12.
func old(config ...string) string {
	return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config, namespace: metallb-system}\ndata:\n  config: |\n    " +
		strings.Join(config, "\n    ") + "\n"
}

const (
	everywhere = "---\napiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: all, namespace: metallb-system}\n"
	four       = `addresses: [192.0.2.0/28]`
	six        = `addresses: ["2001:db8::/64"]`
)

// converted converts and returns what a speaker would read, and the remarks as text.
func converted(t *testing.T, sources ...Source) ([]lease.Pool, []string) {
	t.Helper()
	r, err := Convert(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return reread(t, r), remarks(r)
}

// reread writes the file and reads its pools as a speaker does.
func reread(t *testing.T, r Result) []lease.Pool {
	t.Helper()
	return rereadAll(t, r).Pools
}

func rereadAll(t *testing.T, r Result) lease.Config {
	t.Helper()
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	c, err := lease.ParseConfig(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if _, err := lease.Compile(c); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

func remarks(r Result) []string {
	var all []string
	for _, remark := range r.Remarks {
		all = append(all, remark.String())
	}
	return all
}

func no() *bool { return new(bool) }

func node1() lease.Selector {
	return lease.Selector{MatchLabels: map[string]string{"kubernetes.io/hostname": "n1"}}
}

func TestPools(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []lease.Pool
	}{
		{
			"a pool for everybody", ipPool("lab", four) + everywhere,
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}}},
		},
		{
			"both families, ranges with and without spaces",
			ipPool("lab", `addresses: ["192.0.2.1-192.0.2.9", "192.0.2.16 - 192.0.2.20", "2001:DB8::/64"]`) + everywhere,
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.1-192.0.2.9", "192.0.2.16-192.0.2.20", "2001:db8::/64"}}},
		},
		{
			"what kubectl adds", "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: lab\n  generation: 3\n" +
				"  managedFields: [{manager: kubectl, fieldsV1: {f: {}}}]\nspec: {addresses: [192.0.2.0/28], autoAssign: true, avoidBuggyIPs: false}\n" +
				"status: {assignedIPv4: 2, assignedIPv6: 0, availableIPv4: 14, availableIPv6: 0}\n" + everywhere,
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}}},
		},
		{
			"switches", ipPool("lab", four+", autoAssign: false, avoidBuggyIPs: true") + everywhere,
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}, AutoAssign: no(), AvoidBuggyIPs: true}},
		},
		{
			"whom it is for",
			ipPool("lab", four+`, serviceAllocation: {priority: 7, namespaces: [web, db],
  namespaceSelectors: [{matchLabels: {team: a}}], serviceSelectors: [{matchExpressions: [{key: app, operator: In, values: [x, z]}]}]}`) + everywhere,
			[]lease.Pool{{
				Name: "lab", Ranges: []string{"192.0.2.0/28"}, Priority: new(7), Namespaces: []string{"web", "db"},
				NamespaceSelectors: []lease.Selector{{MatchLabels: map[string]string{"team": "a"}}},
				ServiceSelectors:   []lease.Selector{{MatchExpressions: []lease.Requirement{{Key: "app", Operator: "In", Values: []string{"x", "z"}}}}},
			}},
		},
		{
			"pools for some come before pools for all, and those with a priority order themselves",
			ipPool("all", four) + ipPool("some", six+", serviceAllocation: {namespaces: [web]}") +
				ipPool("first", "addresses: [198.51.100.0/28], serviceAllocation: {priority: 1, namespaces: [web]}") + everywhere,
			[]lease.Pool{
				{Name: "some", Ranges: []string{"2001:db8::/64"}, Namespaces: []string{"web"}},
				{Name: "first", Ranges: []string{"198.51.100.0/28"}, Priority: new(1), Namespaces: []string{"web"}},
				{Name: "all", Ranges: []string{"192.0.2.0/28"}},
			},
		},
		{
			"no priority is the last one", ipPool("lab", four+", serviceAllocation: {priority: 0, namespaces: [web]}") + everywhere,
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}, Namespaces: []string{"web"}}},
		},
		{
			"a priority alone is for everybody, before the pools without a serviceAllocation",
			ipPool("all", four) + ipPool("second", six+", serviceAllocation: {priority: 9}") +
				ipPool("first", "addresses: [198.51.100.0/28], serviceAllocation: {priority: 3}") + everywhere,
			[]lease.Pool{
				{Name: "second", Ranges: []string{"2001:db8::/64"}, Priority: new(9)},
				{Name: "first", Ranges: []string{"198.51.100.0/28"}, Priority: new(3)},
				{Name: "all", Ranges: []string{"192.0.2.0/28"}},
			},
		},
		{
			"an empty serviceAllocation is for everybody, before the pools without one",
			ipPool("all", four) + ipPool("open", six+", serviceAllocation: {}") +
				ipPool("wide", "addresses: [198.51.100.0/28], serviceAllocation: {namespaceSelectors: [{}]}") + everywhere,
			[]lease.Pool{
				{Name: "open", Ranges: []string{"2001:db8::/64"}},
				{Name: "wide", Ranges: []string{"198.51.100.0/28"}, NamespaceSelectors: []lease.Selector{{}}},
				{Name: "all", Ranges: []string{"192.0.2.0/28"}},
			},
		},
		{
			"only on request, and only for some",
			ipPool("lab", four+", autoAssign: false, serviceAllocation: {priority: 2, namespaces: [web]}") + everywhere,
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}, AutoAssign: no(), Priority: new(2), Namespaces: []string{"web"}}},
		},
		{
			"the old ConfigMap",
			old("address-pools:", "- name: lab", "  protocol: layer2", "  addresses:", "  - 192.0.2.0/28",
				"- name: more", "  protocol: layer2", "  auto-assign: false", "  avoid-buggy-ips: true", "  addresses: [198.51.100.0/28]"),
			[]lease.Pool{
				{Name: "lab", Ranges: []string{"192.0.2.0/28"}},
				{Name: "more", Ranges: []string{"198.51.100.0/28"}, AutoAssign: no(), AvoidBuggyIPs: true},
			},
		},
		{
			"the text of the old ConfigMap alone", "address-pools:\n- {name: lab, protocol: layer2, addresses: [192.0.2.0/28]}\n",
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}}},
		},
		{
			"the kind between the two", metallbObject("AddressPool", "lab", "protocol: layer2, autoAssign: false, "+four),
			[]lease.Pool{{Name: "lab", Ranges: []string{"192.0.2.0/28"}, AutoAssign: no()}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, remarks := converted(t, Source{Data: []byte(tt.in)})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
			if len(remarks) > 0 {
				t.Errorf("remarks on what has a counterpart: %q", remarks)
			}
		})
	}
}

// TestAnnouncements: which nodes and interfaces announce the pool "lab", whose label is tier=a.
func TestAnnouncements(t *testing.T) {
	const (
		onNode1 = `nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]`
		onNode2 = `nodeSelectors: [{matchExpressions: [{key: rack, operator: Exists}]}]`
	)
	racked := lease.Selector{MatchExpressions: []lease.Requirement{{Key: "rack", Operator: "Exists"}}}
	tests := []struct {
		name       string
		adverts    string
		nodes      []lease.Selector
		interfaces []string
		remark     string // part of the only one
	}{
		{"selected by name", l2("a", "ipAddressPools: [lab], "+onNode1), []lease.Selector{node1()}, nil, ""},
		{"selected by label", l2("a", "ipAddressPoolSelectors: [{matchLabels: {tier: b}}, {matchLabels: {tier: a}}], "+onNode1), []lease.Selector{node1()}, nil, ""},
		{"selected with all others", l2("a", "interfaces: [eth0]"), nil, []string{"eth0"}, ""},
		{"empty lists select all", l2("a", "ipAddressPools: [], ipAddressPoolSelectors: [], nodeSelectors: []"), nil, nil, ""},
		{"nodes add up", l2("a", onNode1) + l2("b", onNode2) + l2("c", onNode1), []lease.Selector{node1(), racked}, nil, ""},
		{"one on all nodes", l2("a", onNode1) + l2("b", ""), nil, nil, ""},
		{"one on all nodes by an empty selector", l2("a", onNode1) + l2("b", "nodeSelectors: [{}]"), nil, nil, ""},
		{"interfaces add up", l2("a", "interfaces: [eth0, eth1]") + l2("b", "interfaces: [eth1, eth2]"), nil, []string{"eth0", "eth1", "eth2"}, ""},
		{"one on all interfaces", l2("a", "interfaces: [eth0]") + l2("b", ""), nil, nil, ""},
		{"one of another pool says nothing", l2("a", "ipAddressPools: [lab, lab2]") + l2("b", "ipAddressPools: [lab2], "+onNode1), nil, nil, ""},
		{"one that another one contains", l2("a", "interfaces: [eth0], "+onNode1) + l2("b", ""), nil, nil, ""},
		{
			"one that another one contains, of several", l2("a", "interfaces: [eth0], "+onNode1) + l2("b", "interfaces: [eth1, eth0], "+onNode1),
			[]lease.Selector{node1()},
			[]string{"eth1", "eth0"},
			"",
		},
		{"a name is no pattern", l2("a", `interfaces: ["!a*[x]?\\"]`), nil, []string{`\!a\*\[x]\?\\`}, ""},
		{"for some Services, and for all", l2("a", "serviceSelectors: [{matchLabels: {a: b}}], "+onNode1) + l2("b", ""), nil, nil, ""},
		{"for all Services by an empty selector", l2("a", "serviceSelectors: [{matchLabels: {a: b}}, {}], "+onNode1), []lease.Selector{node1()}, nil, ""},
		{"a field of tomorrow", l2("a", "color: red"), nil, nil, `L2Advertisement a, spec: field "color" is not known here`},
		{"an unknown pool", l2("a", "ipAddressPools: [lab, nix]"), nil, nil, `names the pool "nix", which is not in the input`},
		{"none at all", "", nil, nil, "there is no L2Advertisement: every pool is announced by all nodes"},
		{"by BGP too", l2("a", "") + metallbObject("BGPAdvertisement", "b", "ipAddressPools: [lab]"), nil, nil, `pool "lab" is announced by BGP too`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := ipPool("lab", four, "tier: a") + tt.adverts
			if strings.Contains(tt.adverts, "lab2") {
				in += ipPool("lab2", six)
			}
			got, remarks := converted(t, Source{Data: []byte(in)})
			want := lease.Pool{Name: "lab", Ranges: []string{"192.0.2.0/28"}, NodeSelectors: tt.nodes, Interfaces: tt.interfaces}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("pool (-want +got):\n%s", diff)
			}
			all := strings.Join(remarks, "\n")
			if (tt.remark == "") != (all == "") || !strings.Contains(all, tt.remark) {
				t.Errorf("remarks %q, want one with %q", remarks, tt.remark)
			}
		})
	}
}

// TestLeftOut: what has no counterpart is reported, and the pool "lab" is converted all the same.
func TestLeftOut(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string // parts of the remarks, in order
	}{
		{
			"a pool that only BGP announces",
			ipPool("wan", six) + l2("a", "ipAddressPools: [lab]") + metallbObject("BGPAdvertisement", "b", "ipAddressPools: [wan]"),
			[]string{`IPAddressPool wan: pool "wan" is announced by BGP only and was left out, since no router of it is in the input`},
		},
		{
			"a pool that nothing announces", ipPool("quiet", six) + l2("a", "ipAddressPools: [lab]"),
			[]string{`pool "quiet" is announced by no advertisement and was left out; if starling is to announce it, write it into the configuration: 2001:db8::/64`},
		},
		{
			"an AddressPool by BGP", metallbObject("AddressPool", "wan", "protocol: bgp, bgpAdvertisements: [{localPref: 1}], "+six) + everywhere,
			[]string{`AddressPool wan: pool "wan" is announced by BGP only and was left out`},
		},
		{
			"state", everywhere + metallbObject("ServiceBGPStatus", "s", "") + metallbObject("ServiceL2Status", "s", ""),
			[]string{"ServiceBGPStatus s: state of MetalLB", "ServiceL2Status s: state of MetalLB"},
		},
		{"a kind of tomorrow", everywhere + metallbObject("Teleport", "x", ""), []string{"Teleport x: not known here; left out"}},
		{
			"what is not MetalLB's", everywhere + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: controller, namespace: metallb-system}\n" +
				"---\napiVersion: example.com/v1\nkind: IPAddressPool\nmetadata: {name: other, namespace: x}\n" +
				"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-root-ca.crt, namespace: default}\ndata: {ca.crt: x}\n" +
				"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config, namespace: default}\ndata: {config: 'a: ['}\n",
			[]string{
				`ConfigMap default/kube-root-ca.crt, default/config: not MetalLB's, whose configuration is under the key "config"`, "Deployment controller: no configuration of MetalLB",
				"IPAddressPool x/other: no configuration of MetalLB",
			},
		},
		{
			"a ConfigMap that MetalLB reads no more", everywhere + old("address-pools:", "- {name: lab, protocol: layer2, addresses: [192.0.2.0/28]}"),
			[]string{`ConfigMap config, address-pools[0]: pool "lab": MetalLB reads no ConfigMap any more`},
		},
		{
			"a negative priority", everywhere + ipPool("odd", six+", serviceAllocation: {priority: -3, namespaces: [x]}"),
			[]string{"IPAddressPool odd, spec.serviceAllocation.priority: -3: MetalLB orders pools with a negative priority at random; left out"},
		},
		{
			"a range without an address", everywhere + ipPool("odd", `addresses: ["198.51.100.255-198.51.101.0", 2001:db8::/64, 198.51.100.0/32, 198.51.100.1/32], avoidBuggyIPs: true`),
			[]string{
				"IPAddressPool odd, spec.addresses[0]: 198.51.100.255-198.51.101.0 has no address that MetalLB uses, because of avoidBuggyIPs; left out",
				"IPAddressPool odd, spec.addresses[2]: 198.51.100.0/32 has no address",
			},
		},
		{
			"a pool without an address", everywhere + ipPool("odd", `addresses: [198.51.100.0/32], avoidBuggyIPs: true`),
			[]string{"IPAddressPool odd, spec.addresses[0]: 198.51.100.0/32 has no address"},
		},
		{
			"a pool of another namespace, which MetalLB does not read", everywhere + strings.Replace(ipPool("odd", six), "metallb-system", "web", 1),
			[]string{"its objects are in the namespaces metallb-system, web: MetalLB reads those of its own only; leave out the others"},
		},
		{"a field of a pool", everywhere + ipPool("more", six+", mood: good"), []string{`IPAddressPool more, spec: field "mood" is not known here and was left out`}},
		{"host bits", everywhere + ipPool("more", `addresses: ["198.51.100.7/28"]`), []string{"IPAddressPool more, spec.addresses[0]: 198.51.100.7/28 means the whole network 198.51.100.0/28"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pools, remarks := converted(t, Source{Data: []byte(ipPool("lab", four) + tt.in)})
			if !slices.ContainsFunc(pools, func(p lease.Pool) bool { return p.Name == "lab" }) {
				t.Errorf("there is no pool lab among %+v", pools)
			}
			if diff := cmp.Diff(tt.want, remarks, cmp.Comparer(func(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) })); diff != "" {
				t.Errorf("remarks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPreferredNodes: by which nodes the pool "lab" is announced rather than by others. MetalLB has
// preferences since the release after 0.16.
func TestPreferredNodes(t *testing.T) {
	prefer := func(name, spec string, preferences ...string) string {
		return l2(name, strings.TrimPrefix(spec+", preferredNodeSelectors: ["+strings.Join(preferences, ", ")+"]", ", "))
	}
	want := func(weight int, selectors ...lease.Selector) lease.NodeWeight {
		return lease.NodeWeight{NodeSelectors: selectors, Weight: &weight}
	}
	label := func(pairs ...string) lease.Selector {
		s := lease.Selector{MatchLabels: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			s.MatchLabels[pairs[i]] = pairs[i+1]
		}
		return s
	}
	rest := want(0, lease.Selector{})
	const (
		red  = "{weight: 50, preference: {matchLabels: {rack: red}}}"
		blue = "{weight: 30, preference: {matchLabels: {rack: blue}}}"
		edge = "{weight: 50, preference: {matchLabels: {role: edge}}}"
	)
	ladder := "MetalLB announces an address by the nodes that it prefers most"
	tests := []struct {
		name    string
		adverts string
		nodes   []lease.Selector
		weights []lease.NodeWeight
		remark  string
	}{
		{"one", prefer("a", "", red), nil, []lease.NodeWeight{want(1, label("rack", "red")), rest}, ""},
		{"of those that may", prefer("a", "nodeSelectors: [{matchLabels: {role: edge}}]", red), []lease.Selector{label("role", "edge")}, []lease.NodeWeight{want(1, label("rack", "red")), rest}, ""},
		{"none", prefer("a", ""), nil, nil, ""},
		{"all", prefer("a", "", "{weight: 7, preference: {}}"), nil, nil, ""},
		{"all, and one", prefer("a", "", "{weight: 7, preference: {}}", red), nil, []lease.NodeWeight{want(1, label("rack", "red")), rest}, ""},
		{
			"two alike of which a node has one", prefer("a", "", red, "{weight: 50, preference: {matchLabels: {rack: blue}}}"), nil,
			[]lease.NodeWeight{want(1, label("rack", "red"), label("rack", "blue")), rest},
			"",
		},
		{
			"the same twice", prefer("a", "", red, red), nil,
			[]lease.NodeWeight{want(1, label("rack", "red")), rest},
			"",
		},
		{
			"one rather than the other", prefer("a", "", blue, red), nil,
			[]lease.NodeWeight{want(100, label("rack", "red")), want(10, label("rack", "blue")), rest},
			ladder,
		},
		{
			"weights add up", prefer("a", "", red, edge), nil,
			[]lease.NodeWeight{want(100, label("rack", "red", "role", "edge")), want(10, label("rack", "red"), label("role", "edge")), rest},
			ladder,
		},
		{
			"three, and what cannot be together", prefer("a", "", red, blue, edge), nil,
			[]lease.NodeWeight{
				want(100, label("rack", "red", "role", "edge")), want(10, label("rack", "blue", "role", "edge")),
				want(1, label("rack", "red"), label("role", "edge"), label("rack", "blue")), rest,
			},
			ladder,
		},
		{
			"of two advertisements, each for its own nodes",
			prefer("a", "nodeSelectors: [{matchLabels: {role: edge}}]", red) + l2("b", "nodeSelectors: [{matchLabels: {role: core}}]"),
			[]lease.Selector{label("role", "edge"), label("role", "core")},
			[]lease.NodeWeight{want(1, label("role", "edge", "rack", "red")), rest},
			"",
		},
		{
			"of two advertisements, adding up", prefer("a", "", red) + prefer("b", "", red, blue), nil,
			[]lease.NodeWeight{want(100, label("rack", "red")), want(10, label("rack", "blue")), rest},
			ladder,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, remarks := converted(t, Source{Data: []byte(ipPool("lab", four) + tt.adverts)})
			pool := lease.Pool{Name: "lab", Ranges: []string{"192.0.2.0/28"}, NodeSelectors: tt.nodes, NodeWeights: tt.weights}
			if diff := cmp.Diff([]lease.Pool{pool}, got); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
			all := strings.Join(remarks, "\n")
			if (tt.remark == "") != (all == "") || !strings.Contains(all, tt.remark) {
				t.Errorf("remarks %q, want one with %q", remarks, tt.remark)
			}
		})
	}
}

// TestManyPreferences: then only the largest weight of a node counts, and that is reported.
func TestManyPreferences(t *testing.T) {
	var list []string
	for i := range 9 {
		list = append(list, fmt.Sprintf("{weight: %d, preference: {matchLabels: {l%d: x}}}", i+1, i))
	}
	pools, remarks := converted(t, Source{Data: []byte(ipPool("lab", four) + l2("a", "preferredNodeSelectors: ["+strings.Join(list, ", ")+"]"))})
	var got []int
	for _, w := range pools[0].NodeWeights {
		got = append(got, *w.Weight*1000+len(w.NodeSelectors))
	}
	if diff := cmp.Diff([]int{100001, 10001, 1007, 1}, got); diff != "" {
		t.Errorf("weights, thousandfold, and how many selectors (-want +got):\n%s", diff)
	}
	if len(remarks) != 2 || !strings.Contains(remarks[1], "here the largest one counts") {
		t.Errorf("remarks %q", remarks)
	}
}

// TestOneConfiguration: several files are one configuration, in any division.
func TestOneConfiguration(t *testing.T) {
	pool, advert := ipPool("lab", four), l2("a", "interfaces: [eth0], ipAddressPools: [lab, nix]")
	together, _ := converted(t, Source{Data: []byte(pool + advert)})
	apart, remarks := converted(t, Source{Name: "l2.yaml", Data: []byte(advert)}, Source{Name: "pools.yaml", Data: []byte(pool)})
	if diff := cmp.Diff(together, apart); diff != "" {
		t.Errorf("one file against two:\n%s", diff)
	}
	if want := `l2.yaml: document 1, L2Advertisement a: names the pool "nix"`; len(remarks) != 1 || !strings.HasPrefix(remarks[0], want) {
		t.Errorf("remarks %q, want one that begins with %q", remarks, want)
	}
}
