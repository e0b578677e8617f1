package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ranges of pods' addresses where there is a pod network; each node has a part of each.
const (
	Pods4 = "198.19.128.0/17"
	Pods6 = "2001:db8:1a::/56"
)

// PodNetwork reports whether pods can have addresses of their own.
func (c *Cluster) PodNetwork() bool { return c.options.Flannel != "" }

// podRanges are those of pods, "" if they have none.
func (c *Cluster) podRanges() string {
	if !c.PodNetwork() {
		return ""
	}
	return Pods4 + "," + Pods6
}

// plugins is the folder of CNI plugins, as seen from inside.
func (c *Cluster) plugins() string { return filepath.Join(c.Dir, "cni") }

// bindPlugins shows flannel and its plugins to the node.
func (n *Node) bindPlugins(c *Cluster) error {
	if !c.PodNetwork() {
		return nil
	}
	return n.Space.Bind(c.options.Flannel, c.plugins())
}

// noNetwork is never used, because all pods use the node's network; without it the node is not
// ready.
const noNetwork = `{"cniVersion": "1.0.0", "name": "none", "plugins": [{"type": "none"}]}`

// bridgeNetwork is a bridge, and addresses of the node's part of the ranges, as flannel's own CNI
// plugin asks for them. That one reads what the daemon has written; here Node.joinNetwork does.
const bridgeNetwork = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [
{"type": "bridge", "bridge": "cni0", "mtu": %s, "isDefaultGateway": true, "hairpinMode": true,
 "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}], [{"subnet": %q}]]}}]}`

// writeNetwork says how a pod gets its addresses. With flannel, nodes are not ready before that is
// known.
func (n *Node) writeNetwork(config string) error {
	return os.WriteFile(n.conf("cni/10-pods.conflist"), []byte(config), 0o644)
}

// flannelConfig has flannel carry packets between nodes by VXLAN, as its manifest does.
var flannelConfig = fmt.Sprintf(`{"Network": %q, "EnableIPv6": true, "IPv6Network": %q, "Backend": {"Type": "vxlan"}}`, Pods4, Pods6)

// startFlannel starts flannel's daemon on every node, and waits until pods can have addresses
// everywhere. A daemon whose node has no part of the ranges ends, so they are waited for first.
func (c *Cluster) startFlannel(ctx context.Context) error {
	if !c.PodNetwork() {
		return nil
	}
	if err := c.permitFlannel(ctx); err != nil {
		return err
	}
	if err := Until(ctx, 30*time.Second, "ranges for pods", c.rangesGiven); err != nil {
		return err
	}
	return eachNode(c.Nodes, func(n *Node) error {
		if err := n.startFlannel(c); err != nil {
			return err
		}
		return Until(ctx, 60*time.Second, "pod network", func(context.Context) error {
			if err := n.alive(); err != nil {
				return Final(err)
			}
			return n.joinNetwork()
		})
	})
}

// joinNetwork gives pods addresses of what flannel has written.
func (n *Node) joinNetwork() error {
	text, err := os.ReadFile(filepath.Join(n.dir, "run/flannel/subnet.env"))
	if err != nil {
		return err
	}
	config, err := bridgeOf(string(text))
	if err != nil {
		return Final(err)
	}
	return n.writeNetwork(config)
}

// bridgeOf makes the configuration of the plugins of flannel's variables.
func bridgeOf(env string) (string, error) {
	values := map[string]string{}
	for line := range strings.Lines(env) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	var parts [2]netip.Prefix
	for i, name := range []string{"FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"} {
		gateway, err := netip.ParsePrefix(values[name])
		if err != nil {
			return "", fmt.Errorf("flannel's %s: %w", name, err)
		}
		parts[i] = gateway.Masked()
	}
	return fmt.Sprintf(bridgeNetwork, values["FLANNEL_MTU"], parts[0].String(), parts[1].String()), nil
}

// permitFlannel gives flannel the rights that its own manifest gives it.
func (c *Cluster) permitFlannel(ctx context.Context) error {
	role := &rbac.ClusterRole{ObjectMeta: meta.ObjectMeta{Name: "flannel"}, Rules: []rbac.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"nodes/status"}, Verbs: []string{"patch"}},
	}}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "flannel"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "flannel"},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: rbac.UserKind, Name: "flannel"}},
	}
	_, err := c.Kube.RbacV1().ClusterRoles().Create(ctx, role, meta.CreateOptions{})
	_, more := c.Kube.RbacV1().ClusterRoleBindings().Create(ctx, binding, meta.CreateOptions{})
	return errors.Join(err, more)
}

// rangesGiven returns nil when every node has its part of the ranges of pods.
func (c *Cluster) rangesGiven(ctx context.Context) error {
	list, err := c.Kube.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	given := 0
	for _, n := range list.Items {
		if len(n.Spec.PodCIDRs) == 2 {
			given++
		}
	}
	if given < len(c.Nodes) {
		return fmt.Errorf("%d of %d nodes have theirs", given, len(c.Nodes))
	}
	return nil
}

func (n *Node) startFlannel(c *Cluster) error {
	config, kubeconfig := n.conf("flannel.json"), n.conf("flannel.kubeconfig")
	for _, err := range []error{
		os.WriteFile(config, []byte(flannelConfig), 0o644),
		c.users.kubeconfig(kubeconfig, c.server(), "flannel"),
		n.Start(c, "flannel", "/usr/bin/env", "NODE_NAME="+n.Name, filepath.Join(c.plugins(), "flannel"),
			"--kubeconfig", kubeconfig, "--config", config),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
