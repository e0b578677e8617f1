package metallb

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serviceYAML is a Service of type LoadBalancer with the addresses, and more of its metadata and
// spec.
func serviceYAML(meta, spec string, ips ...string) string {
	ingress := ""
	for _, ip := range ips {
		ingress += "{ip: '" + ip + "', ipMode: VIP},"
	}
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default" + meta + "}\nspec: {type: LoadBalancer" + spec +
		"}\nstatus: {loadBalancer: {ingress: [" + ingress + "]}}\n"
}

func annotations(pairs string) string { return ", annotations: {" + pairs + "}" }

// TestServices: who would not keep what it has? The pools are lab and one that is renamed.
func TestServices(t *testing.T) {
	pools := ipPool("lab", `addresses: [192.0.2.0/28, "2001:db8::/64"]`) + ipPool("'a b'", "addresses: [198.51.100.0/28]") + everywhere
	tests := []struct {
		name    string
		service string
		kept    string // end of the summary
		want    []string
	}{
		{"as MetalLB leaves it", serviceYAML(annotations("metallb.io/ip-allocated-from-pool: lab"), "", "192.0.2.1"), "1 of 1.", nil},
		{"both families", serviceYAML("", "", "192.0.2.1", "2001:db8::1"), "1 of 1.", nil},
		{"it asks in both ways", serviceYAML(annotations("metallb.io/loadBalancerIPs: 192.0.2.1, metallb.universe.tf/loadBalancerIPs: 192.0.2.1"), "", "192.0.2.1"), "1 of 1.", nil},
		{"no address yet", serviceYAML("", ""), "Pools: 2.", nil},
		{"a name of another load balancer", strings.Replace(serviceYAML("", "", "x"), "ip: 'x'", "hostname: example.com", 1), "Pools: 2.", nil},
		{"no load balancer", strings.Replace(serviceYAML("", "", "203.0.113.1"), "LoadBalancer", "NodePort", 1), "Pools: 2.", nil},
		{
			"out of every pool", serviceYAML("", "", "203.0.113.1", "2001:db8::1"), "0 of 1.",
			[]string{"document 4, Service default/web: its address 203.0.113.1 is in none of the pools: starling would replace it"},
		},
		{"a class", serviceYAML("", ", loadBalancerClass: example.com/lb", "192.0.2.1"), "1 of 1.", []string{"only speakers with --lb-class example.com/lb serve it"}},
		{"a renamed pool", serviceYAML(annotations("metallb.io/address-pool: a b"), "", "198.51.100.1"), "1 of 1.", []string{`asks for pool "a b" by annotation, which is called "a-b" now`}},
		{"a pool of old", serviceYAML(annotations("metallb.universe.tf/address-pool: a b"), "", "198.51.100.1"), "1 of 1.", []string{`asks for pool "a b" by annotation`}},
		{
			"a contradiction", serviceYAML(annotations("metallb.io/allow-shared-ip: x, metallb.universe.tf/allow-shared-ip: z"), "", "192.0.2.1"), "1 of 1.",
			[]string{"annotations metallb.io/allow-shared-ip and metallb.universe.tf/allow-shared-ip differ"},
		},
		{"an annotation of tomorrow", serviceYAML(annotations("metallb.io/color: red, example.com/x: z"), "", "192.0.2.1"), "1 of 1.", []string{"annotation metallb.io/color has no counterpart"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Convert(Source{Data: []byte(pools + tt.service)})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(r.Summary+".", tt.kept) {
				t.Errorf("summary %q, want it to end in %q", r.Summary, tt.kept)
			}
			var got []string
			for _, remark := range r.Remarks {
				if strings.Contains(remark.Where, "Service") {
					got = append(got, remark.String())
				}
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) })); diff != "" {
				t.Errorf("remarks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestServicesAcrossNamespaces: what is shared across namespaces may be shared so on.
func TestServicesAcrossNamespaces(t *testing.T) {
	pools := ipPool("lab", "addresses: [192.0.2.0/28]") + ipPool("other", "addresses: [198.51.100.0/28]") + everywhere
	of := func(space, ip string) string {
		return strings.Replace(serviceYAML(annotations("metallb.io/allow-shared-ip: k"), "", ip), "namespace: default", "namespace: "+space, 1)
	}
	for _, tt := range []struct {
		name     string
		services string
		want     []bool
	}{
		{"of one namespace", of("a", "192.0.2.1") + of("a", "192.0.2.1"), []bool{false, false}},
		{"of two", of("a", "192.0.2.1") + of("a", "198.51.100.1") + of("b", "192.0.2.1"), []bool{true, false}},
		{"of two, in no pool", of("a", "203.0.113.1") + of("b", "203.0.113.1"), []bool{false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Convert(Source{Data: []byte(pools + tt.services)})
			if err != nil {
				t.Fatal(err)
			}
			var got []bool
			for _, p := range r.Config.Pools {
				got = append(got, p.ShareAcrossNamespaces)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("shareAcrossNamespaces (-want +got):\n%s", diff)
			}
			told := slices.ContainsFunc(r.Remarks, func(r Remark) bool { return strings.Contains(r.Text, "so pool \"lab\" lets all namespaces share") })
			if told != tt.want[0] {
				t.Errorf("remarks: %v", r.Remarks)
			}
		})
	}
}
