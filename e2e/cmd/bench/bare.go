package main

import (
	"context"
	"net/netip"
	"path/filepath"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/workload"
)

// exposeBare gives a Service an address on nodes without kubelet and kube-proxy: each takes packets
// for it and answers them itself, so that only who announces the address decides who is asked.
func exposeBare(ctx context.Context, c *cluster.Cluster) (netip.Addr, error) {
	ip, err := workload.ExposeBare(ctx, c, backend)
	if err != nil {
		return ip, err
	}
	for _, n := range c.Nodes {
		if err := n.Answer(ip); err != nil {
			return ip, err
		}
	}
	return ip, bareBackends(c)
}

// bareBackends runs one on every node, for all addresses that the node takes packets for.
func bareBackends(c *cluster.Cluster) error {
	for _, n := range c.Nodes {
		if err := n.Start(c, backend, filepath.Join(c.Tools(), backend), "80"); err != nil {
			return err
		}
	}
	return nil
}
