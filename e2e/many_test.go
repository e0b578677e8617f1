package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// manyTime is how long it may take until all is well after many nodes died at once.
const manyTime = 10 * time.Second

// TestTwentyNodes cuts one of twenty nodes off, and then half of them at once: every address is
// soon answered by exactly one of those that are left, and no other.
func TestTwentyNodes(t *testing.T) {
	c, err := cluster.Up(t.Context(), cluster.Options{Tools: tools, Nodes: 20, Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := product.RunProcesses(t.Context(), c, pools()[0]); err != nil {
		t.Fatal(err)
	}
	var ips []netip.Addr
	for i := range 40 {
		ip, err := workload.ExposeBare(t.Context(), c, fmt.Sprintf("many-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		ips = append(ips, ip)
	}
	w, err := probe.Watch(workload.Station(c.Client))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	owner := once(t, c, w, ips)
	victims := []*cluster.Node{owner[ips[0]]}
	for _, what := range []string{"one of twenty died", "half of twenty died"} {
		begun := time.Now()
		for _, n := range victims {
			if err := n.Cut(); err != nil {
				t.Fatal(err)
			}
		}
		once(t, c, w, ips, victims...)
		t.Logf("%s: all %d addresses are answered by others after %v", what, len(ips), time.Since(begun).Round(time.Millisecond))
		for _, n := range victims {
			if err := n.Heal(); err != nil {
				t.Fatal(err)
			}
		}
		until(t, 4*time.Minute, "steady speakers", func(ctx context.Context) error { return starling.Steady(ctx, c) })
		once(t, c, w, ips)
		victims = c.Nodes[:len(c.Nodes)/2]
	}
}

// once waits until each address is answered by exactly one node, none of them among the dead, and
// says by which.
func once(t *testing.T, c *cluster.Cluster, w *probe.Watcher, ips []netip.Addr, dead ...*cluster.Node) map[netip.Addr]*cluster.Node {
	t.Helper()
	owner := map[netip.Addr]*cluster.Node{}
	until(t, manyTime, "one answer for each address", func(ctx context.Context) error {
		who, err := w.WhoAll(ctx, 50*time.Millisecond, ips)
		if err != nil {
			return err
		}
		for _, ip := range ips {
			at := slices.IndexFunc(c.Nodes, func(n *cluster.Node) bool { return slices.Equal(who[ip], []string{n.MAC.String()}) })
			if at < 0 || slices.Contains(dead, c.Nodes[at]) {
				return fmt.Errorf("%v answer for %s", who[ip], ip)
			}
			owner[ip] = c.Nodes[at]
		}
		return nil
	})
	return owner
}
