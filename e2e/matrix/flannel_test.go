package matrix

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// apart waits until the backends have addresses of the pod network, and the speakers know all its
// interfaces and announce on none of them.
func (k kind) apart(t *testing.T) {
	t.Helper()
	pods, err := k.Kube.CoreV1().Pods(workload.Namespace).List(t.Context(), meta.ListOptions{LabelSelector: "app=" + backend})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		for i, ranges := range []string{cluster.Pods4, cluster.Pods6} {
			if ips := pod.Status.PodIPs; len(ips) != 2 || !netip.MustParsePrefix(ranges).Contains(netip.MustParseAddr(ips[i].IP)) {
				t.Fatalf("%s has %v, wanted one of %s", pod.Name, ips, ranges)
			}
		}
	}
	for _, n := range k.Nodes {
		k.until(t, "interfaces of "+n.Name, func(ctx context.Context) error { return k.announcesApart(ctx, n) })
	}
}

// announcesApart returns nil when the speaker of the node announces on its NIC alone, and knows of
// flannel's interfaces.
func (k kind) announcesApart(ctx context.Context, n *cluster.Node) error {
	s, err := starling.StatusOf(ctx, k.Cluster, n)
	if err != nil {
		return err
	}
	var names []string
	for _, i := range s.Interfaces {
		if i.Used != (i.Name == cluster.NIC) {
			return cluster.Final(fmt.Errorf("%s: used %v", i.Name, i.Used))
		}
		names = append(names, i.Name)
	}
	for _, name := range []string{cluster.NIC, "cni0", "flannel.1", "flannel-v6.1"} {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s is not among %v", name, names)
		}
	}
	return nil
}
