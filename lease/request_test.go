package lease

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	addr := netip.MustParseAddr
	for _, tt := range []struct {
		name, requests string
		want           request
		err            string
	}{
		{"nothing", "", request{slots: []slot{{}}, need: 1}, ""},
		{"IPv6", "families=6", request{slots: []slot{{family: 1}}, need: 1}, ""},
		{"one stack of two families", "families=64 policy=SingleStack", request{slots: []slot{{family: 1}}, need: 1}, ""},
		{"no policy", "families=46", request{slots: []slot{{}}, need: 1}, ""},
		{"prefer", "families=64 policy=PreferDualStack", request{slots: []slot{{family: 1}, {}}, need: 1}, ""},
		{"prefer, where there is one", "families=4 policy=PreferDualStack", request{slots: []slot{{}}, need: 1}, ""},
		{"require", "families=46 policy=RequireDualStack", request{slots: []slot{{}, {family: 1}}, need: 2}, ""},
		{"require, where there is one", "families=4 policy=RequireDualStack", request{}, "spec.ipFamilyPolicy is RequireDualStack, but the cluster gave the Service IPv4 only"},
		{"pool and key", "pool=a share=k", request{slots: []slot{{}}, need: 1, pool: "a", share: "k"}, ""},
		{"MetalLB's names", "metallb.io/address-pool=a metallb.universe.tf/allow-shared-ip=k", request{slots: []slot{{}}, need: 1, pool: "a", share: "k"}, ""},
		{"the same under two names", "pool=a metallb.io/address-pool=a", request{slots: []slot{{}}, need: 1, pool: "a"}, ""},
		{"contradicting keys", "metallb.io/allow-shared-ip=a metallb.universe.tf/allow-shared-ip=b", request{}, `annotations contradict each other: metallb.io/allow-shared-ip is "a" and metallb.universe.tf/allow-shared-ip is "b"`},
		{"addresses in any order", "families=46 policy=RequireDualStack ips=2001:db8::1,192.0.2.1", request{slots: []slot{{ip: addr("192.0.2.1")}, {family: 1, ip: addr("2001:db8::1")}}, need: 2}, ""},
		{"one address of two", "families=46 policy=RequireDualStack spec=2001:db8::1", request{slots: []slot{{}, {family: 1, ip: addr("2001:db8::1")}}, need: 2}, ""},
		{"IPv4 in IPv6", "ips=::ffff:192.0.2.1", request{slots: []slot{{ip: addr("192.0.2.1")}}, need: 1}, ""},
		{"the same in both places", "ips=192.0.2.1 spec=192.0.2.1", request{slots: []slot{{ip: addr("192.0.2.1")}}, need: 1}, ""},
		{"an address of the second family of one stack", "families=46 ips=2001:db8::1", request{}, "annotation starling-lb.io/loadBalancerIPs asks for 2001:db8::1, which is no IPv4 address: the Service is IPv4 only"},
		{"a zone", "spec=fe80::1%eth0", request{}, `spec.loadBalancerIP: "fe80::1%eth0" is no IP address`},
		{"three", "families=46 ips=192.0.2.1,2001:db8::1,2001:db8::2", request{}, "annotation starling-lb.io/loadBalancerIPs: 2001:db8::1 and 2001:db8::2 are both IPv6: at most one of each family"},
		{"a comma at the end", "ips=192.0.2.1,", request{}, `annotation starling-lb.io/loadBalancerIPs: "192.0.2.1," has a comma too many; want one address, or one of each family with a comma between them`},
		{"a comma at the beginning", "metallb.io/loadBalancerIPs=,192.0.2.1", request{}, `annotation metallb.io/loadBalancerIPs: ",192.0.2.1" has a comma too many; want one address, or one of each family with a comma between them`},
		{"two commas", "families=46 spec=192.0.2.1,,2001:db8::1", request{}, `spec.loadBalancerIP: "192.0.2.1,,2001:db8::1" has a comma too many; want one address, or one of each family with a comma between them`},
		{"too long", "share=" + strings.Repeat("x", 257), request{}, "annotation starling-lb.io/allow-shared-ip: longer than 256 bytes"},
		{"a bad request still has its key", "share=k ips=x", request{share: "k"}, `annotation starling-lb.io/loadBalancerIPs: "x" is no IP address`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Service{Families: []string{ipv4}}
			requests(&s, strings.Fields(tt.requests))
			got, err := parseRequest(&s)
			if diff := cmp.Diff(tt.err, text(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			got.source, got.poolFrom = "", ""
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(request{}, slot{}), compareAddrs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// clashHere asks a table of the installation that tests have, whatever the namespaces of the two.
func clashHere(a, b *entry) string {
	t := NewTable()
	t.seen.installation, t.off.across = "here", true
	return t.clash(a, b, netip.Addr{})
}

func TestClash(t *testing.T) {
	for _, tt := range []struct {
		name, a, b, want string
	}{
		{"same key, other ports", "share=k ports=TCP/80", "share=k ports=UDP/80", ""},
		{"no key", "", "share=k", "not both have the annotation starling-lb.io/allow-shared-ip"},
		{"neither has a key", "ports=TCP/80", "ports=TCP/81", "not both have the annotation starling-lb.io/allow-shared-ip"},
		{"other key", "share=k ports=TCP/80", "share=l ports=TCP/81", "their sharing keys differ"},
		{"same port", "share=k ports=TCP/80,TCP/81", "share=k ports=TCP/82,TCP/81", "both use port TCP/81"},
		{"Local and same selector", "share=k ports=TCP/80 local selector=a=b", "share=k ports=TCP/81 selector=a=b", ""},
		{"Local and other selector", "share=k ports=TCP/80 local selector=a=b", "share=k ports=TCP/81 selector=a=c", "their selectors differ and externalTrafficPolicy is Local"},
		{"other class", "share=k ports=TCP/80 class=x", "share=k ports=TCP/81", "another implementation serves it"},
		{"a lease of ours and none", `share=k ports=TCP/80 starling-lb.io/lease={"v":1,"by":"here"}`, "share=k ports=TCP/81", ""},
		{"a lease of another installation and none", `share=k ports=TCP/80 starling-lb.io/lease={"v":1,"by":"x"}`, "share=k ports=TCP/81", "another implementation serves it"},
		{"other installation", `share=k ports=TCP/80 starling-lb.io/lease={"v":1,"by":"x"}`, `share=k ports=TCP/81 starling-lb.io/lease={"v":1,"by":"y"}`, "another implementation serves it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var es [2]*entry
			for i, w := range []string{tt.a, tt.b} {
				s := Service{Name: w}
				requests(&s, strings.Fields(w))
				es[i] = read(s)
			}
			for _, got := range []string{clashHere(es[0], es[1]), clashHere(es[1], es[0])} {
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}
