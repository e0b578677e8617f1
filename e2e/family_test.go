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
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// internalIPs makes these the InternalIPs of a node that has no kubelet.
func internalIPs(t *testing.T, c *cluster.Cluster, n *cluster.Node, ips ...netip.Addr) {
	t.Helper()
	node, err := c.Kube.CoreV1().Nodes().Get(t.Context(), n.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = nil
	for _, ip := range ips {
		node.Status.Addresses = append(node.Status.Addresses, core.NodeAddress{Type: core.NodeInternalIP, Address: ip.String()})
	}
	if _, err := c.Kube.CoreV1().Nodes().UpdateStatus(t.Context(), node, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestGossipFamilies: one node has its IPv6 address first, one gets another address while its
// speaker runs, and in the end two have no family in common: all are members all the time, and only
// the last is a problem, which is named.
func TestGossipFamilies(t *testing.T) {
	c, err := cluster.Up(t.Context(), cluster.Options{Tools: tools, Nodes: 3, Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			dir, err := c.SaveLogs("")
			t.Logf("logs: %s %v", dir, err)
		}
		if err := c.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	n1, n2, n3 := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	internalIPs(t, c, n1, n1.IP6, n1.IP4)
	if err := product.RunProcesses(t.Context(), c, pools()[0]); err != nil {
		t.Fatal(err)
	}
	ip, err := workload.ExposeBare(t.Context(), c, "families")
	if err != nil {
		t.Fatal(err)
	}
	w, err := probe.Watch(workload.Station(c.Client))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	once(t, c, w, []netip.Addr{ip})
	noneProblems(t, c)

	old := n2.IP4
	n2.IP4 = netip.MustParseAddr("198.18.0.222")
	if err := n2.Readdress(old, n2.IP4); err != nil {
		t.Fatal(err)
	}
	internalIPs(t, c, n2, n2.IP4, n2.IP6)
	begun := time.Now()
	until(t, time.Minute, "the new address of "+n2.Name, func(ctx context.Context) error {
		for _, n := range c.Nodes {
			s, err := starling.StatusOf(ctx, c, n)
			if err != nil {
				return err
			}
			for _, m := range s.Members {
				if m.Name == n2.Name && !strings.HasPrefix(m.Addr, n2.IP4.String()+":") {
					return fmt.Errorf("%s sees %s at %s", n.Name, m.Name, m.Addr)
				}
			}
		}
		return starling.Steady(ctx, c)
	})
	t.Logf("all know the new address of %s after %v", n2.Name, time.Since(begun).Round(10*time.Millisecond))
	once(t, c, w, []netip.Addr{ip})
	noneProblems(t, c)

	internalIPs(t, c, n2, n2.IP4)
	internalIPs(t, c, n3, n3.IP6)
	for n, other := range map[*cluster.Node]*cluster.Node{n2: n3, n3: n2} {
		want := fmt.Sprintf("gossip cannot reach node %s: it has only IPv", other.Name)
		until(t, 20*time.Second, n.Name+" names "+other.Name, func(ctx context.Context) error {
			s, err := starling.StatusOf(ctx, c, n)
			if err == nil && !slices.ContainsFunc(s.Problems, func(p string) bool { return strings.HasPrefix(p, want) }) {
				err = fmt.Errorf("it says %q", s.Problems)
			}
			return err
		})
	}
	until(t, 20*time.Second, "all are members still", func(ctx context.Context) error { return starling.Steady(ctx, c) })
	once(t, c, w, []netip.Addr{ip})
}

// noneProblems waits until no speaker of a cluster has a problem.
func noneProblems(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	until(t, 90*time.Second, "no problem", func(ctx context.Context) error {
		for _, n := range c.Nodes {
			s, err := starling.StatusOf(ctx, c, n)
			if err != nil {
				return err
			}
			if len(s.Problems) > 0 {
				return fmt.Errorf("%s: %q", n.Name, s.Problems)
			}
		}
		return nil
	})
}
