package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

func TestReachableByTCPAndUDP(t *testing.T) {
	w := watch(t)
	ip := expose(t, "reach")
	if !netip.MustParsePrefix(cluster.Pool4).Contains(ip) {
		t.Errorf("address %s is not of the pool %s", ip, cluster.Pool4)
	}
	for _, network := range []string{"tcp", "udp"} {
		if line := reach(t, network, ip); len(strings.Fields(line)) != 3 {
			t.Errorf("answer by %s: %q", network, line)
		}
	}
	node := owner(t, w, ip)
	for _, n := range shared.Nodes {
		until(t, 5*time.Second, "status of "+n.Name, func(ctx context.Context) error {
			s, err := starling.StatusOf(ctx, shared, n)
			if err == nil && s.Owner(ip.String()) != node.Name {
				err = fmt.Errorf("says that %q announces, the wire says %s", s.Owner(ip.String()), node.Name)
			}
			return err
		})
	}
	if message := event(t, "reach", "IPAllocated"); !strings.Contains(message, ip.String()) {
		t.Errorf("event IPAllocated does not name %s: %s", ip, message)
	}
}

func TestDualStack(t *testing.T) {
	w := watch(t)
	both := core.IPFamilyPolicyRequireDualStack
	create(t, "dual", func(s *core.Service) { s.Spec.IPFamilyPolicy = &both })
	families := map[bool]bool{}
	for _, ip := range addresses(t, "dual", 2) {
		families[ip.Is4()] = true
		owner(t, w, ip)
		reach(t, "tcp", ip)
		reach(t, "udp", ip)
	}
	if len(families) != 2 {
		t.Error("both addresses are of one family")
	}
}

func TestIPv6Only(t *testing.T) {
	w := watch(t)
	ip := expose(t, "six", func(s *core.Service) { s.Spec.IPFamilies = []core.IPFamily{core.IPv6Protocol} })
	if !netip.MustParsePrefix(cluster.Pool6).Contains(ip) {
		t.Errorf("address %s is not of the pool %s", ip, cluster.Pool6)
	}
	owner(t, w, ip)
	reach(t, "tcp", ip)
}

// TestFiftyServices also holds that in steady state every address has one announcer, all the time.
func TestFiftyServices(t *testing.T) {
	const count = 50
	w := watch(t)
	for i := range count {
		create(t, fmt.Sprintf("fifty-%d", i))
	}
	var ips []netip.Addr
	for i := range count {
		ips = append(ips, addresses(t, fmt.Sprintf("fifty-%d", i), 1)...)
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	if distinct := len(slices.Compact(slices.Clone(ips))); distinct != count {
		t.Fatalf("%d Services have %d distinct addresses", count, distinct)
	}
	for _, ip := range ips {
		reach(t, "tcp", ip)
	}
	load := map[string]int{}
	for _, mac := range steady(t, w, ips...) {
		load[mac]++
	}
	t.Logf("addresses by node: %v", load)
	for _, n := range shared.Nodes {
		if got := load[n.MAC.String()]; got < count/len(shared.Nodes)/2 || got > 2*count/len(shared.Nodes) {
			t.Errorf("%s announces %d of %d addresses", n.Name, got, count)
		}
	}
}

// steady asks twenty times and wants exactly one answerer for each address, always the same one,
// whom it returns by address.
func steady(t *testing.T, w *probe.Watcher, ips ...netip.Addr) map[netip.Addr]string {
	t.Helper()
	first, err := twentyTimes(t.Context(), w, ips)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// settled waits until the addresses are steady; while one moves, two nodes may answer for it.
func settled(t *testing.T, w *probe.Watcher, ips ...netip.Addr) {
	t.Helper()
	until(t, 10*time.Second, "one answer", func(ctx context.Context) error {
		_, err := twentyTimes(ctx, w, ips)
		return err
	})
}

func twentyTimes(ctx context.Context, w *probe.Watcher, ips []netip.Addr) (map[netip.Addr]string, error) {
	first := map[netip.Addr]string{}
	for round := range 20 {
		answers, err := w.WhoAll(ctx, 50*time.Millisecond, ips)
		if err == nil && len(answers) < len(ips) { // A busy machine may answer later.
			answers, err = w.WhoAll(ctx, 500*time.Millisecond, ips)
		}
		if err != nil {
			return nil, err
		}
		for _, ip := range ips {
			macs := answers[ip]
			if round == 0 && len(macs) == 1 {
				first[ip] = macs[0]
			}
			if len(macs) != 1 || macs[0] != first[ip] {
				return nil, fmt.Errorf("round %d: %s is answered by %v, at first by %s", round, ip, macs, first[ip])
			}
		}
	}
	return first, nil
}

func TestLocalFollowsEndpoint(t *testing.T) {
	w := watch(t)
	first, second := shared.Nodes[0], shared.Nodes[1]
	avoid(t, allBut(first)...)
	ip := expose(t, "local", func(s *core.Service) { s.Spec.ExternalTrafficPolicy = core.ServiceExternalTrafficPolicyLocal })
	served := func(want *cluster.Node) {
		t.Helper()
		until(t, 10*time.Second, "announcer of a Local Service", func(ctx context.Context) error {
			n, err := workload.Owner(ctx, shared, w, ip)
			if err == nil && n != want {
				err = fmt.Errorf("is %s, but the endpoint is on %s", n.Name, want.Name)
			}
			return err
		})
		fields := strings.Fields(reach(t, "tcp", ip))
		if len(fields) != 3 || fields[1] != want.Name || !strings.HasPrefix(fields[2], shared.Client.IP4.String()+":") {
			t.Errorf("answer %q: want one from %s that saw the client's own address", fields, want.Name)
		}
	}
	served(first)
	avoid(t, allBut(second)...)
	served(second)
	avoid(t, shared.Nodes...)
	silent(t, w, ip)
}

// TestEndpointsHaveAFamily: each address of a dual-stack Service with Local is announced where the
// endpoints of its own family are, and by nobody when there are none.
func TestEndpointsHaveAFamily(t *testing.T) {
	w := watch(t)
	first, second := shared.Nodes[0], shared.Nodes[1]
	both := core.IPFamilyPolicyRequireDualStack
	create(t, "families", func(s *core.Service) {
		s.Spec.Selector, s.Spec.IPFamilyPolicy, s.Spec.ExternalTrafficPolicy = nil, &both, core.ServiceExternalTrafficPolicyLocal
	})
	ips := addresses(t, "families", 2)
	if ips[0].Is6() {
		ips[0], ips[1] = ips[1], ips[0]
	}
	served := func(four, six *cluster.Node) {
		t.Helper()
		serveAt(t, "families", discovery.AddressTypeIPv4, four)
		serveAt(t, "families", discovery.AddressTypeIPv6, six)
		for i, want := range []*cluster.Node{four, six} {
			if want == nil {
				silent(t, w, ips[i])
				continue
			}
			until(t, 10*time.Second, "announcer of "+ips[i].String(), func(ctx context.Context) error { return announces(ctx, w, ips[i], want, true) })
		}
	}
	served(first, second)
	served(second, first)
	served(first, nil)
	if message := event(t, "families", "NoEligibleNode"); !strings.Contains(message, "all endpoints of its Service are of IPv4") {
		t.Errorf("event NoEligibleNode does not name the cause: %s", message)
	}
}

// serveAt makes the EndpointSlice of one family of a Service that has no selector, with one
// endpoint on the node, or none.
func serveAt(t *testing.T, service string, family discovery.AddressType, n *cluster.Node) {
	t.Helper()
	s := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: service + "-" + strings.ToLower(string(family)), Labels: map[string]string{discovery.LabelServiceName: service}},
		AddressType: family,
	}
	if n != nil {
		ip := n.IP4
		if family == discovery.AddressTypeIPv6 {
			ip = n.IP6
		}
		s.Endpoints = []discovery.Endpoint{{Addresses: []string{ip.String()}, NodeName: &n.Name}}
	}
	slices := shared.Kube.DiscoveryV1().EndpointSlices(workload.Namespace)
	_, err := slices.Update(t.Context(), s, meta.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = slices.Create(t.Context(), s, meta.CreateOptions{})
		t.Cleanup(func() {
			if err := slices.Delete(context.WithoutCancel(t.Context()), s.Name, meta.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// allBut returns the other nodes.
func allBut(node *cluster.Node) []*cluster.Node {
	return slices.DeleteFunc(slices.Clone(shared.Nodes), func(n *cluster.Node) bool { return n == node })
}

func TestDeleteAndReuse(t *testing.T) {
	w := watch(t)
	ip := expose(t, "first")
	owner(t, w, ip)
	remove(t, "first")
	silent(t, w, ip)
	create(t, "second", annotate("loadBalancerIPs", ip.String()))
	if got := addresses(t, "second", 1)[0]; got != ip {
		t.Errorf("got %s, asked for %s", got, ip)
	}
	owner(t, w, ip)
	reach(t, "tcp", ip)
}

func TestRequestedBySpec(t *testing.T) {
	want := netip.MustParseAddr("198.18.64.200")
	if got := expose(t, "asked", func(s *core.Service) { s.Spec.LoadBalancerIP = want.String() }); got != want {
		t.Errorf("got %s, asked for %s", got, want)
	}
	reach(t, "tcp", want)
}

func TestChangeOfTypeReleases(t *testing.T) {
	w := watch(t)
	ip := expose(t, "type")
	owner(t, w, ip)
	s, err := services().Get(t.Context(), "type", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Spec.Type = core.ServiceTypeClusterIP
	if _, err := services().Update(t.Context(), s, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	silent(t, w, ip)
	until(t, 10*time.Second, "released Service", func(ctx context.Context) error {
		s, err := services().Get(ctx, "type", meta.GetOptions{})
		if err != nil {
			return err
		}
		for key, value := range s.Annotations {
			if strings.HasPrefix(key, "starling-lb.io/") {
				return fmt.Errorf("still has %s=%s", key, value)
			}
		}
		if len(s.Status.LoadBalancer.Ingress) > 0 {
			return fmt.Errorf("still shows %v", s.Status.LoadBalancer.Ingress)
		}
		return nil
	})
}

func TestExhaustedPool(t *testing.T) {
	for _, name := range []string{"a", "b"} {
		expose(t, name, annotate("address-pool", tiny))
	}
	create(t, "c", annotate("address-pool", tiny))
	if message := event(t, "c", "AllocationFailed"); !strings.Contains(message, tiny) {
		t.Errorf("event AllocationFailed does not name the pool %s: %s", tiny, message)
	}
	w := watch(t)
	ip := addresses(t, "a", 1)[0]
	owner(t, w, ip)
	remove(t, "a")
	freed := time.Now()
	if got := addresses(t, "c", 1)[0]; got != ip {
		t.Errorf("got %s after %s was released", got, ip)
	}
	took := time.Since(freed)
	t.Logf("c has the address %v after a was deleted", took.Round(time.Millisecond))
	if took > handedOn {
		t.Errorf("c waited for %v, more than %v", took, handedOn)
	}
	reach(t, "tcp", ip)
	settled(t, w, ip)
}

// handedOn is how long a Service may wait for an address that another one had.
const handedOn = 500 * time.Millisecond

func TestBadAnnotation(t *testing.T) {
	create(t, "bad", annotate("loadBalancerIPs", "198.18.64.999"))
	if message := event(t, "bad", "AllocationFailed"); !strings.Contains(message, "198.18.64.999") {
		t.Errorf("event AllocationFailed does not name the mistake: %s", message)
	}
	reach(t, "tcp", expose(t, "good"))
	if s, err := services().Get(t.Context(), "bad", meta.GetOptions{}); err != nil || len(s.Status.LoadBalancer.Ingress) > 0 {
		t.Errorf("the Service with the mistake has %v, %v", s.Status.LoadBalancer.Ingress, err)
	}
}
