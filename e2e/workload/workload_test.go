package workload

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	core "k8s.io/api/core/v1"
)

func TestService(t *testing.T) {
	s := Service("name", "backend", func(s *core.Service) { s.Spec.LoadBalancerIP = "198.18.64.9" })
	if s.Name != "name" || s.Spec.Type != core.ServiceTypeLoadBalancer || s.Spec.Selector["app"] != "backend" || s.Spec.LoadBalancerIP != "198.18.64.9" {
		t.Errorf("Service is %+v", s)
	}
	protocols := map[core.Protocol]int32{}
	for _, p := range s.Spec.Ports {
		protocols[p.Protocol] = p.Port
	}
	if diff := cmp.Diff(map[core.Protocol]int32{core.ProtocolTCP: 80, core.ProtocolUDP: 80}, protocols); diff != "" {
		t.Error("ports (-want +got)", diff)
	}
}

func TestIngress(t *testing.T) {
	tests := []struct {
		name string
		ips  []string
		want []netip.Addr
		ok   bool
	}{
		{"none", nil, nil, true},
		{"both families", []string{"198.18.64.1", "2001:db8::1"}, []netip.Addr{netip.MustParseAddr("198.18.64.1"), netip.MustParseAddr("2001:db8::1")}, true},
		{"garbage", []string{"198.18.64.1", "x"}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s core.Service
			for _, ip := range tt.ips {
				s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, core.LoadBalancerIngress{IP: ip})
			}
			got, err := Ingress(&s)
			if (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}

// TestTakes reads rules as kube-proxy 1.36 writes them.
func TestTakes(t *testing.T) {
	rules := `elements = { 198.18.64.1 . tcp . 80 : goto external-LU2YJSO7-default/echo/tcp/tcp,
	 198.18.64.1 . udp . 80 : goto external-WTGAGXPJ-default/echo/udp/udp,
	 198.18.64.12 . udp . 80 : goto external-WTGAGXPJ-default/echo/udp/udp,
	 198.19.9.1 . tcp . 80 : goto service-LU2YJSO7-default/echo/tcp/tcp }`
	rules += `
	meta l4proto tcp ip daddr 198.18.64.3  tcp dport 80 counter packets 0 bytes 0 jump KUBE-EXT-A
	meta l4proto udp ip daddr 198.18.64.3  udp dport 80 counter packets 0 bytes 0 jump KUBE-EXT-B
	meta l4proto tcp ip daddr 198.19.9.3  tcp dport 80 counter packets 0 bytes 0 jump KUBE-SVC-A
	meta l4proto udp ip daddr 198.19.9.3  udp dport 80 counter packets 0 bytes 0 jump KUBE-SVC-B
	meta l4proto udp ip6 daddr 2001:db8:18::3  udp dport 80 counter packets 0 bytes 0 jump KUBE-EXT-B`
	both, udp := []string{"tcp", "udp"}, []string{"udp"}
	for ip, want := range map[string]bool{
		"198.18.64.12": true, "2001:db8:18::3": true, "198.19.9.1": false, "198.19.9.3": false,
	} {
		if got := takes(rules, netip.MustParseAddr(ip), udp); got != want {
			t.Errorf("%s by UDP: %v, want %v", ip, got, want)
		}
	}
	for ip, want := range map[string]bool{
		"198.18.64.3": true, "198.19.9.3": false, "2001:db8:18::3": false, "198.18.64.1": true, "198.18.64.12": false, "198.19.9.1": false, "198.18.64.2": false,
	} {
		if got := takes(rules, netip.MustParseAddr(ip), both); got != want {
			t.Errorf("%s: %v, want %v", ip, got, want)
		}
	}
}

// TestLeadsTo reads rules as kube-proxy 1.36 writes them.
func TestLeadsTo(t *testing.T) {
	rules := `chain service-LU2YJSO7-default/echo/tcp/tcp {
	meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 198.18.0.11 . 8080, 1 : 198.18.0.112 . 8080 }
	meta l4proto tcp dnat ip6 to numgen random mod 1 map { 0 : 2001:db8:18::11 . 8080 }
	meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 198.18.0.1 . 6443 }`
	rules += `
	chain KUBE-SEP-A {
		ip saddr 198.18.0.13  counter packets 0 bytes 0 jump KUBE-MARK-MASQ
		meta l4proto udp   counter packets 0 bytes 0 dnat to 198.18.0.13:8080
		meta l4proto tcp   counter packets 0 bytes 0 dnat to 198.18.0.2:6443
		meta l4proto tcp   counter packets 0 bytes 0 dnat to 198.18.0.14:80801
		ip6 saddr 2001:db8:18::13  counter packets 0 bytes 0 jump KUBE-MARK-MASQ
		meta l4proto udp  counter packets 0 bytes 0
	}`
	for ip, want := range map[string]bool{
		"198.18.0.13": true, "2001:db8:18::13": true, "198.18.0.2": false, "198.18.0.14": false, "2001:db8:18::1:13": false,
		"198.18.0.11": true, "198.18.0.112": true, "2001:db8:18::11": true, "198.18.0.12": false, "198.18.0.1": false, "2001:db8:18::1": false,
	} {
		if got := leadsTo(rules, netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v, want %v", ip, got, want)
		}
	}
}
