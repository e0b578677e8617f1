package main

import (
	"context"
	"net/netip"
	"path/filepath"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/workload"
)

// exposeBare gives a Service an address on nodes without kubelet and kube-proxy: each takes packets for it and
// answers them itself, so that only who announces the address decides who is asked.
func exposeBare(ctx context.Context, c *cluster.Cluster) (netip.Addr, error) {
	slice := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: backend, Labels: map[string]string{discovery.LabelServiceName: backend}},
		AddressType: discovery.AddressTypeIPv4,
	}
	for _, n := range c.Nodes {
		slice.Endpoints = append(slice.Endpoints, discovery.Endpoint{Addresses: []string{n.IP4.String()}, NodeName: &n.Name})
	}
	if _, err := c.Kube.DiscoveryV1().EndpointSlices(workload.Namespace).Create(ctx, slice, meta.CreateOptions{}); err != nil {
		return netip.Addr{}, err
	}
	ip, err := workload.Expose(ctx, c, backend, func(s *core.Service) { s.Spec.Selector = nil })
	if err != nil {
		return ip, err
	}
	for _, n := range c.Nodes {
		if err := n.Answer(ip); err != nil {
			return ip, err
		}
		if err := n.Start(c, backend, filepath.Join(c.Tools(), backend), "80"); err != nil {
			return ip, err
		}
	}
	return ip, nil
}
