package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// downFor is how long a node is away that boots anew, keptFor how long connections are held after
// their address moved.
const (
	downFor = 5 * time.Second
	keptFor = 10 * time.Second
)

// reboot measures what --keep-connections does for connections to pods of other nodes: while their
// node is drained and its speaker ends, and, after it was down, at its return.
func (o *options) reboot(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	if err := keepConnections(ctx, c); err != nil {
		return err
	}
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	if err := f.healthy(ctx); err != nil {
		return err
	}
	line, err := f.first(ctx, 2)
	if err != nil {
		return err
	}
	owner, next := line[0], line[1]
	p.Say(holding, heldConnections)
	if err := f.hold(ctx, "drain of the owner, and its speaker ends", owner, f.leaves); err != nil {
		return err
	}
	if err := f.down(ctx, owner); err != nil {
		return err
	}
	return f.hold(ctx, "it was down, and returns", next, func(ctx context.Context, _ *cluster.Node) error {
		if _, err := c.Kubectl(ctx, "", "uncordon", owner.Name); err != nil {
			return err
		}
		if err := f.returned(ctx, owner); err != nil {
			return err
		}
		return f.kept(ctx, owner)
	})
}

// keepConnections has the speakers keep connections, as the overlay of that name does.
func keepConnections(ctx context.Context, c *cluster.Cluster) error {
	const patch = `{"spec":{"template":{"spec":{"containers":[{"name":"starling",
		"env":[{"name":"STARLING_KEEP_CONNECTIONS","value":"true"}],"securityContext":{"capabilities":{"add":["NET_RAW","NET_ADMIN"]}}}]}}}}`
	set := "daemonset/" + starling.Name
	for _, args := range [][]string{{"patch", set, "--type=strategic", "-p", patch}, {"rollout", "status", "--timeout=2m", set}} {
		if _, err := c.Kubectl(ctx, "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// leaves drains the owner and ends its speaker, as the beginning of a reboot does.
func (f *faulter) leaves(ctx context.Context, owner *cluster.Node) error {
	if _, err := f.c.Kubectl(ctx, "", "drain", owner.Name, "--ignore-daemonsets"); err != nil {
		return err
	}
	pod, err := starling.PodOn(ctx, f.c, owner)
	if err != nil {
		return err
	}
	if err := f.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, meta.DeleteOptions{}); err != nil {
		return err
	}
	if err := f.moved(ctx, owner); err != nil {
		return err
	}
	next, err := workload.Owner(ctx, f.c, f.watcher, f.ip)
	if err != nil {
		return err
	}
	return f.kept(ctx, next)
}

// kept waits until a node passes connections on, and goes on for a while.
func (f *faulter) kept(ctx context.Context, n *cluster.Node) error {
	err := cluster.Until(ctx, 15*time.Second, "connections that "+n.Name+" passes on", func(ctx context.Context) error {
		text, err := starling.MetricsOf(ctx, f.c, n)
		if err != nil {
			return err
		}
		flows, err := starling.Total(text, "starling_forwarded_flows")
		if err == nil && flows < heldConnections {
			err = fmt.Errorf("%d", flows)
		}
		return err
	})
	if err == nil {
		time.Sleep(keptFor)
	}
	return err
}

// down is a node that boots anew: its link and its rules go, and so does its speaker, and all are
// back after a while.
func (f *faulter) down(ctx context.Context, n *cluster.Node) error {
	err := errors.Join(n.Cut(), flush(ctx, n), n.Signal(starling.Name, syscall.SIGKILL))
	if err == nil {
		time.Sleep(downFor)
	}
	if err := errors.Join(err, unflush(context.WithoutCancel(ctx), n), n.Heal()); err != nil {
		return err
	}
	return f.until(ctx, starling.Joined)
}
