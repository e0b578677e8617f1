package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

// routedRange is on no node's network; a router, or as here the client, has it behind its
// interface.
const routedRange = "203.0.113.0/28"

// routeTo gives the client a way to the range, on its link, until the test ends.
func routeTo(t *testing.T, h *cluster.Host, cidr string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(cidr)
	if err != nil {
		t.Fatal(err)
	}
	change := func(how func(*netlink.Route) error) error {
		return h.Space.Do(func() error {
			link, err := netlink.LinkByName(h.NIC)
			if err != nil {
				return err
			}
			return how(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK})
		})
	}
	if err := change(netlink.RouteAdd); err != nil {
		t.Fatalf("route to %s: %v", cidr, err)
	}
	t.Cleanup(func() {
		if err := change(netlink.RouteDel); err != nil {
			t.Errorf("remove route to %s: %v", cidr, err)
		}
	})
}

// announcedBy waits until this node is the one that answers for the address.
func announcedBy(t *testing.T, w *probe.Watcher, ip netip.Addr, want *cluster.Node) {
	t.Helper()
	until(t, 15*time.Second, fmt.Sprintf("announcer of %s", ip), func(ctx context.Context) error {
		n, err := workload.Owner(ctx, shared, w, ip)
		if err == nil && n != want {
			err = fmt.Errorf("is %s, want %s", n.Name, want.Name)
		}
		return err
	})
}

// TestRoutedPoolWithPreferredNode: an address that is on no node's network is announced by the node
// that the weights prefer, goes with the preference, and elsewhere when that node dies.
func TestRoutedPoolWithPreferredNode(t *testing.T) {
	allReady(t)
	w := watch(t)
	routeTo(t, shared.Client, routedRange)
	first, second := shared.Nodes[0], shared.Nodes[1]
	label(t, first, "rack", "1")
	label(t, second, "rack", "2")
	prefer := func(rack string) string {
		return fmt.Sprintf(`pools:
- name: default
  ranges: [%s, %s]
- name: routed
  ranges: [%s]
  autoAssign: false
  nodeWeights:
  - weight: 0
    nodeSelectors: [{matchExpressions: [{key: rack, operator: NotIn, values: ["%s"]}]}]
`, cluster.Pool4, cluster.Pool6, routedRange, rack)
	}
	configure(t, prefer("1"))
	ip := expose(t, "routed", annotate("address-pool", "routed"))
	if !netip.MustParsePrefix(routedRange).Contains(ip) {
		t.Fatalf("the Service has %s, want one of %s", ip, routedRange)
	}
	announcedBy(t, w, ip, first)
	reach(t, "tcp", ip)
	if err := patchConfig(t.Context(), prefer("2")); err != nil {
		t.Fatal(err)
	}
	announcedBy(t, w, ip, second)
	reach(t, "tcp", ip)
	settled(t, w, ip)

	avoid(t, second)
	cut(t, second)
	until(t, 15*time.Second, "another announcer", func(ctx context.Context) error {
		n, err := workload.Owner(ctx, shared, w, ip)
		if err == nil && n == second {
			err = fmt.Errorf("is %s, whose link is cut", n.Name)
		}
		return err
	})
	reach(t, "tcp", ip)
}
