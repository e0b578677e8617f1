// Package workload puts Services and their backends on a test cluster, and finds out who serves
// them.
package workload

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
)

// Namespace of everything here.
const Namespace = "default"

// port the backends listen on. Without a pod network they share the node's, so two workloads need
// two nodes or two ports.
const port = 8080

// avoidLabel keeps the backends of one workload off a node.
func avoidLabel(name string) string { return "avoid-" + name }

// Everywhere runs the echo workload on every node and waits for it.
func Everywhere(ctx context.Context, c *cluster.Cluster, name string) error {
	labels := map[string]string{"app": name}
	zero := int64(0)
	set := &apps.DaemonSet{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Spec: apps.DaemonSetSpec{
			Selector: &meta.LabelSelector{MatchLabels: labels},
			Template: core.PodTemplateSpec{
				ObjectMeta: meta.ObjectMeta{Labels: labels},
				Spec: core.PodSpec{
					HostNetwork: !c.PodNetwork(), TerminationGracePeriodSeconds: &zero, Affinity: notLabeled(avoidLabel(name)),
					Tolerations: []core.Toleration{{Operator: core.TolerationOpExists}},
					Containers:  []core.Container{container(name)},
				},
			},
		},
	}
	if _, err := c.Kube.AppsV1().DaemonSets(Namespace).Create(ctx, set, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("workload %s: %w", name, err)
	}
	return cluster.Until(ctx, 60*time.Second, "workload "+name, func(ctx context.Context) error {
		s, err := c.Kube.AppsV1().DaemonSets(Namespace).Get(ctx, name, meta.GetOptions{})
		if err == nil && int(s.Status.NumberAvailable) < len(c.Nodes) {
			err = fmt.Errorf("%d of %d are available", s.Status.NumberAvailable, len(c.Nodes))
		}
		return err
	})
}

func container(name string) core.Container {
	field := func(name, path string) core.EnvVar {
		return core.EnvVar{Name: name, ValueFrom: &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{FieldPath: path}}}
	}
	return core.Container{
		Name: name, Image: build.EchoImage, Args: []string{fmt.Sprint(port)},
		Env: []core.EnvVar{field("POD_NAME", "metadata.name"), field("NODE_NAME", "spec.nodeName"), field("POD_IPS", "status.podIPs")},
	}
}

func notLabeled(label string) *core.Affinity {
	return &core.Affinity{NodeAffinity: &core.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &core.NodeSelector{
		NodeSelectorTerms: []core.NodeSelectorTerm{{MatchExpressions: []core.NodeSelectorRequirement{
			{Key: label, Operator: core.NodeSelectorOpDoesNotExist},
		}}},
	}}}
}

// Avoid takes the workload's pods off these nodes, brings them back to all others, and waits until
// no kube-proxy sends anything to the former any more.
func Avoid(ctx context.Context, c *cluster.Cluster, name string, nodes ...*cluster.Node) error {
	gone, err := addressesOn(ctx, c, name, nodes)
	if err != nil {
		return err
	}
	var want []string
	for _, n := range c.Nodes {
		value := "null"
		if slices.Contains(nodes, n) {
			value = `"yes"`
		} else {
			want = append(want, n.Name)
		}
		patch := fmt.Sprintf(`{"metadata": {"labels": {%q: %s}}}`, avoidLabel(name), value)
		_, err := c.Kube.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, []byte(patch), meta.PatchOptions{})
		if err != nil {
			return err
		}
	}
	return cluster.Until(ctx, cluster.PodTime, "endpoints of "+name, func(ctx context.Context) error {
		if err := serving(ctx, c, name, want); err != nil {
			return err
		}
		return forgotten(ctx, c, gone)
	})
}

// Programmed waits until every kube-proxy sends on what comes for the address, on the port of
// Service. A datagram that comes earlier is remembered by the kernel as one that is not to be
// translated, and with it all that follow from the same client port. Without protocols it waits for
// those of Service.
func Programmed(ctx context.Context, c *cluster.Cluster, ip netip.Addr, protocols ...string) error {
	if len(protocols) == 0 {
		protocols = []string{"tcp", "udp"}
	}
	return cluster.Until(ctx, 90*time.Second, "rules for "+ip.String(), func(ctx context.Context) error {
		for _, n := range c.Nodes {
			rules, err := n.Run(ctx, "nft", "list", "ruleset")
			if err != nil {
				return err
			}
			if !takes(rules, ip, protocols) {
				return fmt.Errorf("%s has none", n.Name)
			}
		}
		return nil
	})
}

// takes finds the address among what leads to a chain: in a map if kube-proxy is in its mode
// nftables, in rules if it is in its mode iptables.
func takes(rules string, ip netip.Addr, protocols []string) bool {
	for _, protocol := range protocols {
		rule := regexp.MustCompile(fmt.Sprintf(` %[1]s \. %[2]s \. 80 : goto external-| daddr %[1]s  ?%[2]s dport 80 .*jump KUBE-EXT-`,
			regexp.QuoteMeta(ip.String()), protocol))
		if !rule.MatchString(rules) {
			return false
		}
	}
	return true
}

// addressesOn returns the addresses of the workload's pods on these nodes.
func addressesOn(ctx context.Context, c *cluster.Cluster, name string, nodes []*cluster.Node) ([]netip.Addr, error) {
	pods, err := c.Kube.CoreV1().Pods(Namespace).List(ctx, meta.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return nil, err
	}
	var ips []netip.Addr
	for _, pod := range pods.Items {
		if !slices.Contains(nodes, c.Node(pod.Spec.NodeName)) {
			continue
		}
		for _, podIP := range pod.Status.PodIPs {
			ip, err := netip.ParseAddr(podIP.IP)
			if err != nil {
				return nil, err
			}
			ips = append(ips, ip)
		}
	}
	return ips, nil
}

// forgotten returns nil when the rules of kube-proxy lead to none of these backends.
func forgotten(ctx context.Context, c *cluster.Cluster, backends []netip.Addr) error {
	for _, proxy := range c.Nodes {
		rules, err := proxy.Run(ctx, "nft", "list", "ruleset")
		if err != nil {
			return err
		}
		for _, ip := range backends {
			if leadsTo(rules, ip) {
				return fmt.Errorf("%s still sends to %s", proxy.Name, ip)
			}
		}
	}
	return nil
}

// leadsTo finds the backend among those that a rule of kube-proxy chooses from. In its mode
// nftables they are in a map. In its mode iptables each has a chain, of which nft shows for IPv4
// where it leads to, and for IPv6 only how it marks what the backend sends to itself.
func leadsTo(rules string, ip netip.Addr) bool {
	chain := regexp.MustCompile(fmt.Sprintf(`(?m)\sdnat to %[1]s:%[2]d$|\sip6 saddr %[1]s\s.*jump KUBE-MARK-MASQ`, regexp.QuoteMeta(ip.String()), port))
	return strings.Contains(rules, fmt.Sprintf(": %s . %d", ip, port)) || chain.MatchString(rules)
}

// serving returns nil when exactly these nodes have serving endpoints of the workload.
func serving(ctx context.Context, c *cluster.Cluster, name string, want []string) error {
	pods, err := c.Kube.CoreV1().Pods(Namespace).List(ctx, meta.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		return err
	}
	var have []string
	for _, pod := range pods.Items {
		have = append(have, pod.Spec.NodeName)
		for _, condition := range pod.Status.Conditions {
			if condition.Type == core.PodReady && condition.Status != core.ConditionTrue {
				return fmt.Errorf("pod on %s is not ready", pod.Spec.NodeName)
			}
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		return fmt.Errorf("pods are on %v, wanted on %v", have, want)
	}
	return nil
}

// Service returns one of type LoadBalancer for the workload, by TCP and UDP on port 80, to be
// changed by options before it is created.
func Service(name, backend string, options ...func(*core.Service)) *core.Service {
	s := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Spec: core.ServiceSpec{
			Type: core.ServiceTypeLoadBalancer, Selector: map[string]string{"app": backend},
			Ports: []core.ServicePort{
				{Name: "tcp", Protocol: core.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(port)},
				{Name: "udp", Protocol: core.ProtocolUDP, Port: 80, TargetPort: intstr.FromInt32(port)},
			},
		},
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// Expose creates a Service named like its workload and waits for its first address.
func Expose(ctx context.Context, c *cluster.Cluster, name string, options ...func(*core.Service)) (netip.Addr, error) {
	if _, err := c.Kube.CoreV1().Services(Namespace).Create(ctx, Service(name, name, options...), meta.CreateOptions{}); err != nil {
		return netip.Addr{}, err
	}
	ips, err := Addresses(ctx, c, name, 1)
	if err != nil {
		return netip.Addr{}, err
	}
	return ips[0], nil
}

// ExposeBare is Expose where nothing runs that makes endpoints: a Service without a selector, with
// one on every node.
func ExposeBare(ctx context.Context, c *cluster.Cluster, name string) (netip.Addr, error) {
	slice := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: name, Labels: map[string]string{discovery.LabelServiceName: name}},
		AddressType: discovery.AddressTypeIPv4,
	}
	for _, n := range c.Nodes {
		slice.Endpoints = append(slice.Endpoints, discovery.Endpoint{Addresses: []string{n.IP4.String()}, NodeName: &n.Name})
	}
	if _, err := c.Kube.DiscoveryV1().EndpointSlices(Namespace).Create(ctx, slice, meta.CreateOptions{}); err != nil {
		return netip.Addr{}, err
	}
	return Expose(ctx, c, name, func(s *core.Service) { s.Spec.Selector = nil })
}

// Addresses waits until the Service shows that many addresses in its status.
func Addresses(ctx context.Context, c *cluster.Cluster, name string, count int) (ips []netip.Addr, err error) {
	err = cluster.Until(ctx, 15*time.Second, "address of Service "+name, func(ctx context.Context) error {
		s, err := c.Kube.CoreV1().Services(Namespace).Get(ctx, name, meta.GetOptions{})
		if err != nil {
			return err
		}
		if ips, err = Ingress(s); err == nil && len(ips) != count {
			err = fmt.Errorf("has %v", ips)
		}
		return err
	})
	return ips, err
}

// Ingress returns the addresses in the status of the Service.
func Ingress(s *core.Service) ([]netip.Addr, error) {
	var ips []netip.Addr
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		ip, err := netip.ParseAddr(ingress.IP)
		if err != nil {
			return nil, err
		}
		ips = append(ips, ip)
	}
	return ips, nil
}

// Station is a host, such as the cluster's client, as a place to watch its segment from.
func Station(h *cluster.Host) probe.Station {
	return probe.Station{Do: h.Space.Do, NIC: h.NIC, MAC: h.MAC, IP4: h.IP4, IP6: h.IP6}
}

// Owner asks the segment who has the address; it is an error if nobody, more than one, or a
// stranger answers.
func Owner(ctx context.Context, c *cluster.Cluster, watcher *probe.Watcher, ip netip.Addr) (*cluster.Node, error) {
	macs, err := watcher.Who(ctx, 50*time.Millisecond, ip)
	if err != nil {
		return nil, err
	}
	if len(macs) != 1 {
		return nil, fmt.Errorf("%d hosts answer for %s: %v", len(macs), ip, macs)
	}
	mac, err := net.ParseMAC(macs[0])
	if err != nil {
		return nil, err
	}
	if n := c.NodeByMAC(mac); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%s is answered by %s, which is no node", ip, mac)
}
