package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// left is a Service as MetalLB leaves it.
type left struct {
	name        string
	ips         []string // What its status shows.
	annotations map[string]string
	option      func(*core.Service)
}

// fromPool is the annotation that MetalLB writes itself.
func fromPool(pool string, more ...string) map[string]string {
	a := map[string]string{"metallb.io/ip-allocated-from-pool": pool}
	for i := 0; i < len(more); i += 2 {
		a[more[i]] = more[i+1]
	}
	return a
}

// onlyPort leaves the Service one of its two ports.
func onlyPort(protocol core.Protocol) func(*core.Service) {
	return func(s *core.Service) {
		s.Spec.Ports = slices.DeleteFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Protocol != protocol })
	}
}

// leftBehind are Services whose address is in a converted pool.
func leftBehind() []left {
	both := core.IPFamilyPolicyRequireDualStack
	return []left{
		{"left-plain", []string{"198.18.67.1"}, fromPool("lab"), nil},
		{"left-asked", []string{"198.18.67.9"}, fromPool("lab", "metallb.io/loadBalancerIPs", "198.18.67.9"), nil},
		{"left-of-old", []string{"198.18.67.10"}, fromPool("lab", "metallb.universe.tf/loadBalancerIPs", "198.18.67.10"), nil},
		{"left-by-spec", []string{"198.18.67.20"}, fromPool("lab"), func(s *core.Service) {
			s.Spec.LoadBalancerIP = "198.18.67.20"
			s.Spec.ExternalTrafficPolicy = core.ServiceExternalTrafficPolicyLocal
		}},
		{"left-reserved", []string{"198.18.68.6"}, fromPool("reserved", "metallb.universe.tf/address-pool", "reserved"), nil},
		{"left-shared-tcp", []string{"198.18.67.5"}, fromPool("lab", "metallb.io/allow-shared-ip", "key"), onlyPort(core.ProtocolTCP)},
		{"left-shared-udp", []string{"198.18.67.5"}, fromPool("lab", "metallb.universe.tf/allow-shared-ip", "key"), onlyPort(core.ProtocolUDP)},
		{"left-dual", []string{"198.18.67.7", "2001:db8:18::6:7"}, fromPool("lab"), func(s *core.Service) { s.Spec.IPFamilyPolicy = &both }},
	}
}

// distinct returns the addresses of the Services, each once.
func distinct(all []left) (ips []netip.Addr) {
	for _, l := range all {
		for _, ip := range l.ips {
			ips = append(ips, netip.MustParseAddr(ip))
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	return slices.Compact(ips)
}

// TestTakeOverFromMetalLB runs the commands of docs/migrate-from-metallb.md, there and back.
func TestTakeOverFromMetalLB(t *testing.T) {
	g := open(t, "docs/migrate-from-metallb.md")
	withoutStarling(t)
	withMetalLB(t)
	services := leftBehind()
	for _, s := range services {
		leave(t, s)
	}
	const outside = "198.18.70.1"
	leave(t, left{"left-outside", []string{outside}, fromPool("gone"), nil})
	shown := record(t)
	w := watch(t)
	ips := distinct(services)
	for _, ip := range ips {
		silent(t, w, ip)
	}

	told := g.run(t, "1. Convert the configuration")
	for _, want := range []string{
		"Service default/left-outside: its address " + outside + " is in none of the pools",
		"BGPPeer tor, spec.connectTime: has no counterpart", "198.18.68.5/30 means the whole network 198.18.68.4/30",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("convert does not say %q", want)
		}
	}
	converted, err := os.ReadFile(filepath.Join(g.dir, "starling.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"asn: 64513", "address: 198.18.0.253", "multiplier: 5", "64513:100", "64513:7"} {
		if !strings.Contains(string(converted), want) {
			t.Errorf("the converted file has no %q:\n%s", want, converted)
		}
	}
	g.save(t, "kustomization.yaml", g.block(t, "3. Put it into place", "yaml"))
	begin := time.Now()
	g.run(t, "4. Take over")
	for _, s := range services {
		if message := event(t, s.name, "IPAllocated"); !strings.Contains(message, s.ips[0]) || !strings.Contains(message, "adopted") {
			t.Errorf("Service %s: event IPAllocated says %q, want %s adopted", s.name, message, s.ips[0])
		}
	}
	t.Logf("every address adopted %v after the first command", time.Since(begin).Round(time.Millisecond))
	if err := starling.WaitReady(t.Context(), shared, 60*time.Second); err != nil {
		t.Fatal(err)
	}
	allReady(t)
	settled(t, w, ips...)
	for _, ip := range ips {
		reach(t, "tcp", ip)
	}
	reach(t, "udp", netip.MustParseAddr("198.18.67.5")) // Of the other Service on it.
	if message := event(t, "left-outside", "IPReleased"); !strings.Contains(message, outside) {
		t.Errorf("event IPReleased does not name %s: %s", outside, message)
	}
	g.run(t, "5. Look")

	g.run(t, "Going back")
	for _, ip := range ips {
		silent(t, w, ip)
	}
	asMetalLBLeft(t, services)
	g.complete(t, map[string]string{
		"kubectl -n metallb-system get configmap config -o yaml > metallb.yaml":      "the ConfigMap of MetalLB up to 0.12; convert's own tests read one",
		`kubectl patch service web --type=merge -p '{"spec": {"type": "NodePort"}}'`: "by TestTakeOverServiceByService",
	})
	for _, s := range services {
		if other := shown.besides(s.name, s.ips); len(other) > 0 {
			t.Errorf("Service %s showed %q in the meantime, want always %q", s.name, other, s.ips)
		}
	}
}

// TestTakeOverServiceByService: starling serves a class of its own and leaves all else to MetalLB.
// A Service that moves to the class keeps its address.
func TestTakeOverServiceByService(t *testing.T) {
	const section = "Service by Service"
	g := open(t, "docs/migrate-from-metallb.md")
	withoutStarling(t)
	local := func(s *core.Service) { s.Spec.ExternalTrafficPolicy = core.ServiceExternalTrafficPolicyLocal }
	web := left{"web", []string{"198.18.67.1"}, fromPool("lab"), local}
	ip := netip.MustParseAddr(web.ips[0])
	leave(t, web)
	w := watch(t)
	g.save(t, "starling.yaml", "pools:\n- name: lab\n  ranges: [198.18.67.0/28]\n")
	g.save(t, "kustomization.yaml", g.block(t, "3. Put it into place", "yaml")+g.block(t, section, "yaml"))
	g.do(t, "kubectl apply -k .")
	if err := starling.WaitReady(t.Context(), shared, 60*time.Second); err != nil {
		t.Fatal(err)
	}
	allReady(t)
	create(t, "new", func(s *core.Service) { s.Spec.LoadBalancerClass = new("starling-lb.io/starling") })
	if other := addresses(t, "new", 1)[0]; other == ip {
		t.Errorf("a new Service got %s, which another one shows", ip)
	}
	silent(t, w, ip)
	asMetalLBLeft(t, []left{web})

	g.do(t, strings.ReplaceAll(g.block(t, section, "sh"), "192.0.2.1", web.ips[0]))
	if got := addresses(t, "web", 1)[0]; got != ip {
		t.Errorf("it moved to the class and from %s to %s", ip, got)
	}
	moved, err := services().Get(t.Context(), "web", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if moved.Spec.ExternalTrafficPolicy != core.ServiceExternalTrafficPolicyLocal {
		t.Errorf("it has the policy %s now", moved.Spec.ExternalTrafficPolicy)
	}
	event(t, "web", "IPAllocated")
	owner(t, w, ip)
	reach(t, "tcp", ip)
}

// withoutStarling takes the speakers away until the test ends.
func withoutStarling(t *testing.T) {
	t.Helper()
	allReady(t)
	if err := product.Remove(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := product.Remove(ctx, shared); err != nil {
			t.Error(err)
		}
		if err := product.Install(ctx, shared, pools()...); err != nil {
			t.Error(err)
		}
		if err := cluster.Until(ctx, cluster.PodTime, "speakers", everybodyReady); err != nil {
			t.Error(err)
		}
	})
}

// withMetalLB puts what a take-over needs of MetalLB on the cluster until the test ends.
func withMetalLB(t *testing.T) {
	t.Helper()
	apply(t.Context(), t, "apply", "metallb.yaml")
	t.Cleanup(func() { apply(context.WithoutCancel(t.Context()), t, "delete", "metallb.yaml", "--ignore-not-found") })
	if _, err := shared.Kubectl(t.Context(), "", "wait", "--for=condition=Established", "--timeout=30s",
		"crd/ipaddresspools.metallb.io", "crd/l2advertisements.metallb.io", "crd/bgpadvertisements.metallb.io",
		"crd/bgppeers.metallb.io", "crd/communities.metallb.io", "crd/bfdprofiles.metallb.io"); err != nil {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "objects of MetalLB", func(ctx context.Context) error {
		_, err := shared.Kubectl(ctx, "", "apply", "-f", "testdata/pools.yaml")
		return err
	})
	if _, err := shared.Kubectl(t.Context(), "", "-n", "metallb-system", "rollout", "status", "daemonset/speaker", "--timeout=30s"); err != nil {
		t.Fatal(err)
	}
}

// leave makes a Service as MetalLB leaves it: another program wrote its status.
func leave(t *testing.T, l left) {
	t.Helper()
	create(t, l.name, func(s *core.Service) {
		s.Annotations = l.annotations
		if l.option != nil {
			l.option(s)
		}
	})
	s, err := services().Get(t.Context(), l.name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	vip := core.LoadBalancerIPModeVIP
	for _, ip := range l.ips {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, core.LoadBalancerIngress{IP: ip, IPMode: &vip})
	}
	if _, err := services().UpdateStatus(t.Context(), s, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// asMetalLBLeft holds that nothing of starling is left on the Services, and their addresses are.
func asMetalLBLeft(t *testing.T, all []left) {
	t.Helper()
	for _, l := range all {
		s, err := services().Get(t.Context(), l.name, meta.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ips, err := workload.Ingress(s)
		if err != nil || fmt.Sprint(ips) != fmt.Sprint(l.ips) {
			t.Errorf("Service %s shows %v, %v, want %v", l.name, ips, err, l.ips)
		}
		if fmt.Sprint(s.Annotations) != fmt.Sprint(l.annotations) {
			t.Errorf("Service %s has the annotations %v, want %v", l.name, s.Annotations, l.annotations)
		}
	}
}
