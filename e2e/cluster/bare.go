package cluster

import (
	"context"
	"fmt"
	"net/netip"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/vishvananda/netlink"
)

// Bare reports whether the nodes are without Kubernetes.
func (c *Cluster) Bare() bool { return c.options.Bare }

// register tells the API server of nodes on which no kubelet does.
func (c *Cluster) register(ctx context.Context) error {
	for _, n := range c.Nodes {
		nodes := c.Kube.CoreV1().Nodes()
		node, err := nodes.Create(ctx, &core.Node{ObjectMeta: meta.ObjectMeta{Name: n.Name}}, meta.CreateOptions{})
		if err != nil {
			return fmt.Errorf("register %s: %w", n.Name, err)
		}
		for _, ip := range []string{n.IP4.String(), n.IP6.String()} {
			node.Status.Addresses = append(node.Status.Addresses, core.NodeAddress{Type: core.NodeInternalIP, Address: ip})
		}
		if _, err := nodes.UpdateStatus(ctx, node, meta.UpdateOptions{}); err != nil {
			return fmt.Errorf("register %s: %w", n.Name, err)
		}
	}
	return nil
}

// Credentials writes a kubeconfig for the user, good for programs on the node, and returns its
// name.
func (c *Cluster) Credentials(n *Node, user string) (string, error) {
	file := n.conf("user.kubeconfig")
	return file, c.users.kubeconfig(file, c.server(), user)
}

// Answer gives the node an address that it takes packets for but does not tell anybody of: who
// sends them there has learned it from somebody else.
func (n *Node) Answer(ip netip.Addr) error {
	err := n.Space.Do(func() error { return setSysctls("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2") })
	if err != nil {
		return err
	}
	return withHandle(n.Space, func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		host := &netlink.Addr{IPNet: netlink.NewIPNet(ip.AsSlice())}
		if err := h.AddrAdd(lo, host); err != nil {
			return fmt.Errorf("add %s to %s: %w", ip, n.Name, err)
		}
		return nil
	})
}
