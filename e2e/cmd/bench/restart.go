package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// restartTries is how often a speaker is ended among all Services.
const restartTries = 5

// restart measures speakers among Services that were bound before they started: what they need, and
// how soon one that was ended knows everything again.
func restart(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	if err := p.Do(fmt.Sprintf("%d bound Services, without speakers", all), func() error { return prepare(ctx, c) }); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if _, err := known(ctx, c, n, all); err != nil {
			return err
		}
	}
	if err := starling.WaitReady(ctx, c, time.Minute); err != nil {
		return err
	}
	begun := time.Now()
	if err := rest(ctx, 90*time.Second); err != nil { // longer than a minute, after which speakers give memory back
		return err
	}
	if err := memory(p, c, all); err != nil {
		return err
	}
	var took []time.Duration
	for range restartTries {
		d, err := restarted(ctx, c, c.Nodes[0])
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	writes, err := writesSince(c, begun)
	if err != nil {
		return err
	}
	p.Say("\n  a speaker restarted among %d Services, %d times (median, worst)", all, restartTries)
	p.Say("    knows all of them after             %8.2f s   %8.2f s", median(took).Seconds(), late(took).Seconds())
	p.Say("    writes of all speakers meanwhile    %8d", writes.done+writes.refused)
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// prepare creates the Services while no speaker runs.
func prepare(ctx context.Context, c *cluster.Cluster) error {
	if err := park(ctx, c, "none"); err != nil {
		return err
	}
	ns := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}}
	if _, err := c.Kube.CoreV1().Namespaces().Create(ctx, ns, meta.CreateOptions{}); err != nil {
		return err
	}
	system, err := c.Kube.CoreV1().Namespaces().Get(ctx, meta.NamespaceSystem, meta.GetOptions{})
	if err != nil {
		return err
	}
	bound := func(ctx context.Context, c *cluster.Cluster, name string) (begun, created time.Time, err error) {
		return begun, created, createBound(ctx, c, name, string(system.UID))
	}
	if err := createMany(ctx, c, "bound", all, bound); err != nil {
		return err
	}
	return park(ctx, c, "")
}

// park takes the speakers away from all nodes whose label is not the value, or gives them back.
func park(ctx context.Context, c *cluster.Cluster, value string) error {
	selector := "null"
	if value != "" {
		selector = strconv.Quote(value)
	}
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"nodeSelector":{"bench":%s}}}}}`, selector)
	_, err := c.Kube.AppsV1().DaemonSets(starling.Namespace).Patch(ctx, starling.Name, types.StrategicMergePatchType, []byte(patch), meta.PatchOptions{})
	if err != nil || value == "" {
		return err
	}
	return cluster.Until(ctx, time.Minute, "end of the speakers", func(ctx context.Context) error {
		pods, err := c.Kube.CoreV1().Pods(starling.Namespace).List(ctx, meta.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d are left", len(pods.Items))
		}
		return err
	})
}

// createBound makes a Service as speakers leave it.
func createBound(ctx context.Context, c *cluster.Cluster, name, installation string) error {
	number, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return fmt.Errorf("name %q has no number: %w", name, err)
	}
	if _, err := c.Kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice(name, c.Nodes[0]), meta.CreateOptions{}); err != nil {
		return err
	}
	ip := fmt.Sprintf("198.18.%d.%d", 128+number/250, 1+number%250)
	s := balanced(name)
	s.Annotations = map[string]string{
		"starling-lb.io/ip-allocated-from-pool": many.Name,
		"starling-lb.io/lease":                  fmt.Sprintf(`{"v":1,"by":%q,"holder":"n1","ips":[{"ip":%q,"pool":%q,"state":"bound"}]}`, installation, ip, many.Name),
	}
	s, err = c.Kube.CoreV1().Services(namespace).Create(ctx, s, meta.CreateOptions{})
	if err != nil {
		return err
	}
	mode := core.LoadBalancerIPModeVIP
	s.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: ip, IPMode: &mode}}
	_, err = c.Kube.CoreV1().Services(namespace).UpdateStatus(ctx, s, meta.UpdateOptions{})
	return err
}

// restarted ends the speaker of a node and times its successor from its start until it knows every
// address.
func restarted(ctx context.Context, c *cluster.Cluster, n *cluster.Node) (time.Duration, error) {
	old, err := n.Pids("starling")
	if err != nil {
		return 0, err
	}
	pod, err := starling.PodOn(ctx, c, n)
	if err != nil {
		return 0, err
	}
	if err := c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, meta.DeleteOptions{}); err != nil {
		return 0, err
	}
	before, err := successor(ctx, n, old)
	if err != nil {
		return 0, err
	}
	at, err := known(ctx, c, n, all)
	if err != nil {
		return 0, err
	}
	return at.Sub(before), starling.WaitReady(ctx, c, time.Minute)
}
