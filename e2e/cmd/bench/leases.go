package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/step"
)

// How many Services are created: one after the other, at once, and on a full cluster.
const (
	single  = 100
	storm   = 1000
	all     = 10000
	clients = 8
)

// namespace of the Services that are measured.
const namespace = "bench"

// proxyName keeps kube-proxy from working on the Services, which nobody is going to use: what is
// measured is the allocation, and three kube-proxies on one machine would take most of it.
const proxyName = "service.kubernetes.io/service-proxy-name"

// leases measures the allocation of addresses.
func leases(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	ns := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}}
	if _, err := c.Kube.CoreV1().Namespaces().Create(ctx, ns, meta.CreateOptions{}); err != nil {
		return err
	}
	t, err := track(ctx, c)
	if err != nil {
		return err
	}
	defer t.stop()
	for _, part := range []func(context.Context, *step.Printer, *cluster.Cluster, *tracker) error{oneByOne, atOnce} {
		if err := part(ctx, p, c, t); err != nil {
			return err
		}
	}
	return nil
}

// fill lets the speakers allocate all addresses.
func fill(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	ns := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}}
	if _, err := c.Kube.CoreV1().Namespaces().Create(ctx, ns, meta.CreateOptions{}); err != nil {
		return err
	}
	t, err := track(ctx, c)
	if err != nil {
		return err
	}
	defer t.stop()
	return burst(ctx, p, c, t, "fill", all)
}

// burst lets several clients create Services as fast as they can, and waits until all are bound.
func burst(ctx context.Context, p *step.Printer, c *cluster.Cluster, t *tracker, prefix string, count int) error {
	begun := time.Now()
	if err := createMany(ctx, c, prefix, count, create); err != nil {
		return err
	}
	created := time.Now()
	last, err := t.lastOf(ctx, prefix, count)
	if err != nil {
		return err
	}
	writes, err := writesSince(c, begun)
	if err != nil {
		return err
	}
	p.Say("\n  %d Services by %d clients at once", count, clients)
	p.Say("    created in                          %8.2f s", created.Sub(begun).Seconds())
	p.Say("    all bound after the last was created%8.2f s", last.Sub(created).Seconds())
	p.Say("    writes of speakers per Service      %8.3f    refused %d", float64(writes.done)/float64(count), writes.refused)
	return nil
}

// oneByOne creates Services one after the other, each beside a raw write of a status.
func oneByOne(ctx context.Context, p *step.Printer, c *cluster.Cluster, t *tracker) error {
	probe, err := c.Kube.CoreV1().Services(namespace).Create(ctx, service("reference"), meta.CreateOptions{})
	if err != nil {
		return err
	}
	var served, whole, write, seen []time.Duration
	for i := range single {
		name := fmt.Sprintf("single-%d", i)
		begun, created, err := create(ctx, c, name)
		if err != nil {
			return err
		}
		bound, err := t.bound(ctx, name)
		if err != nil {
			return err
		}
		served, whole = append(served, bound.Sub(created)), append(whole, bound.Sub(begun))
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"reference":"%d"}}}`, i)
		begun = time.Now()
		s, err := c.Kube.CoreV1().Services(namespace).Patch(ctx, probe.Name, types.MergePatchType, []byte(patch), meta.PatchOptions{}, "status")
		if err != nil {
			return err
		}
		write = append(write, time.Since(begun))
		at, err := t.version(ctx, s.ResourceVersion)
		if err != nil {
			return err
		}
		seen = append(seen, at.Sub(begun))
	}
	p.Say("\n  one Service after the other, %d times (median, 99th percentile)", single)
	p.Say("    raw status write                    %8.1f ms  %8.1f ms", ms(median(write)), ms(late(write)))
	p.Say("    raw status write until a watch      %8.1f ms  %8.1f ms", ms(median(seen)), ms(late(seen)))
	p.Say("    created until ingress IP seen       %8.1f ms  %8.1f ms   %.1f raw writes", ms(median(served)), ms(late(served)), ratio(served, write))
	p.Say("    create called until ingress IP seen %8.1f ms  %8.1f ms", ms(median(whole)), ms(late(whole)))
	return memory(p, c, t.count())
}

// atOnce is a burst beside which the events are counted.
func atOnce(ctx context.Context, p *step.Printer, c *cluster.Cluster, t *tracker) error {
	if err := burst(ctx, p, c, t, "storm", storm); err != nil {
		return err
	}
	events, err := eventsOf(ctx, c, "storm")
	if err != nil {
		return err
	}
	p.Say("    events per Service                  %8.3f    %s", float64(events.total)/storm, events)
	return nil
}

// creator makes one Service, and says when it was asked for and made.
type creator func(ctx context.Context, c *cluster.Cluster, name string) (begun, created time.Time, err error)

// createMany shares the work among the clients.
func createMany(ctx context.Context, c *cluster.Cluster, prefix string, count int, create creator) error {
	errs := make([]error, clients)
	var done sync.WaitGroup
	for k := range clients {
		done.Go(func() {
			for i := k; i < count && errs[k] == nil; i += clients {
				_, _, errs[k] = create(ctx, c, fmt.Sprintf("%s-%d", prefix, i))
			}
		})
	}
	done.Wait()
	return firstOf(errs)
}

func firstOf(errs []error) error {
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// create makes a Service with an endpoint on one node, and says when the Service was asked for and
// made.
func create(ctx context.Context, c *cluster.Cluster, name string) (begun, created time.Time, err error) {
	if _, err := c.Kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice(name, c.Nodes[0]), meta.CreateOptions{}); err != nil {
		return begun, created, err
	}
	begun = time.Now()
	_, err = c.Kube.CoreV1().Services(namespace).Create(ctx, balanced(name), meta.CreateOptions{})
	return begun, time.Now(), err
}

// balanced is a Service that is to have an address.
func balanced(name string) *core.Service {
	s := service(name)
	s.Spec.Type = core.ServiceTypeLoadBalancer
	no := false
	s.Spec.AllocateLoadBalancerNodePorts = &no
	return s
}

func service(name string) *core.Service {
	return &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{proxyName: "none"}},
		Spec:       core.ServiceSpec{Ports: []core.ServicePort{{Port: 80, Protocol: core.ProtocolTCP}}},
	}
}

func slice(service string, n *cluster.Node) *discovery.EndpointSlice {
	yes, port := true, int32(80)
	return &discovery.EndpointSlice{
		ObjectMeta: meta.ObjectMeta{Name: service, Labels: map[string]string{
			discovery.LabelServiceName: service, discovery.LabelManagedBy: "bench", proxyName: "none",
		}},
		AddressType: discovery.AddressTypeIPv4,
		Ports:       []discovery.EndpointPort{{Port: &port}},
		Endpoints: []discovery.Endpoint{{
			Addresses: []string{n.IP4.String()}, NodeName: &n.Name, Conditions: discovery.EndpointConditions{Ready: &yes, Serving: &yes},
		}},
	}
}
