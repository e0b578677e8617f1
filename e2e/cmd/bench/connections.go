package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// heldConnections is how many connections are held through the address while speakers restart.
const heldConnections = 1000

// connections measures what restarts of speakers do to connections that are held.
func (o *options) connections(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	p.Say("\n  %d connections on which a byte goes to and fro every 50 ms, and a client asking by UDP every 5 ms", heldConnections)
	for _, fault := range []struct {
		what string
		do   func(ctx context.Context, owner *cluster.Node, pod string) error
	}{
		{"rolling update of all speakers", func(ctx context.Context, _ *cluster.Node, _ string) error { return f.rolled(ctx) }},
		{"SIGKILL of the owner's speaker, back", func(ctx context.Context, owner *cluster.Node, pod string) error {
			if err := owner.Signal(starling.Name, syscall.SIGKILL); err != nil {
				return err
			}
			if err := c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, *meta.NewDeleteOptions(0)); err != nil {
				return err
			}
			return f.replaced(ctx, owner, pod)
		}},
		{"owner's speaker stopped for 10 s", f.stoppedFor(10 * time.Second)},
		{"owner's speaker stopped for 40 s", f.stoppedFor(40 * time.Second)},
		{"owner cordoned and uncordoned", func(ctx context.Context, owner *cluster.Node, _ string) error {
			for _, command := range []string{"cordon", "uncordon"} {
				if _, err := f.c.Kubectl(ctx, "", command, owner.Name); err != nil {
					return err
				}
				if err := f.healthy(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		if err := f.hold(ctx, fault.what, fault.do); err != nil {
			return fmt.Errorf("%s: %w", fault.what, err)
		}
	}
	return nil
}

// stoppedFor stops the speaker of the owner for a while, as long as an image may take to pull.
func (f *faulter) stoppedFor(d time.Duration) func(context.Context, *cluster.Node, string) error {
	return func(ctx context.Context, owner *cluster.Node, _ string) error {
		if err := owner.Signal(starling.Name, syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(d)
		if err := owner.Signal(starling.Name, syscall.SIGCONT); err != nil {
			return err
		}
		return f.healthy(ctx)
	}
}

// rolled replaces all speakers, one after the other, as a new image does.
func (f *faulter) rolled(ctx context.Context) error {
	set := "daemonset/" + starling.Name
	for _, args := range [][]string{{"restart", set}, {"status", "--timeout=2m", set}} {
		if _, err := f.c.Kubectl(ctx, "", append([]string{"-n", starling.Namespace, "rollout"}, args...)...); err != nil {
			return err
		}
	}
	return f.healthy(ctx)
}

// hold holds connections while something happens, and prints what became of them, and how often the owner changed.
func (f *faulter) hold(ctx context.Context, what string, do func(ctx context.Context, owner *cluster.Node, pod string) error) error {
	owner, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	pod, err := starling.PodOn(ctx, f.c, owner)
	if err != nil {
		return err
	}
	config := f.client()
	held, err := probe.Hold(ctx, config, heldConnections)
	if err != nil {
		return err
	}
	defer held.Stop()
	config.Network = "udp"
	client, err := probe.Start(config)
	if err != nil {
		return err
	}
	err = await(ctx, client)
	begun := time.Now()
	if err == nil {
		err = do(ctx, owner, pod)
	}
	report, moves, last := client.Stop(), 0, owner.MAC.String()
	for _, claim := range f.watcher.Claims(f.ip) {
		if claim.At.After(begun) && claim.MAC != last {
			moves, last = moves+1, claim.MAC
		}
	}
	f.Say("    %-40s %s; %d of %d datagrams lost; %d changes of owner", what, held.Stop(), report.Lost, report.Asked, moves)
	return err
}
