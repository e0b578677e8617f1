package main

import (
	"context"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// planned measures what an administrator does on purpose.
func (o *options) planned(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	f.head(o.rounds)
	if err := f.row(ctx, "starling: drain and uncordon", f.drained); err != nil {
		return err
	}
	return f.row(ctx, "starling: rolling update of all speakers", f.updated)
}

// drained takes the announcer out of service, and back.
func (f *faulter) drained(ctx context.Context) (time.Duration, error) {
	owner, err := f.prepare(ctx)
	if err != nil {
		return 0, err
	}
	uncordon := func() error {
		_, err := f.c.Kubectl(context.WithoutCancel(ctx), "", "uncordon", owner.Name)
		return err
	}
	return f.planned(ctx, func() error {
		if _, err := f.c.Kubectl(ctx, "", "drain", "--ignore-daemonsets", owner.Name); err != nil {
			return err
		}
		if err := f.moved(ctx, owner); err != nil {
			return err
		}
		if err := uncordon(); err != nil {
			return err
		}
		return f.returned(ctx, owner)
	}, uncordon)
}

// returned waits until the node answers again, alone.
func (f *faulter) returned(ctx context.Context, owner *cluster.Node) error {
	var others []*cluster.Node
	for _, n := range f.c.Nodes {
		if n != owner {
			others = append(others, n)
		}
	}
	return f.moved(ctx, others...)
}

// updated replaces all speakers, one after the other, as a new image does.
func (f *faulter) updated(ctx context.Context) (time.Duration, error) {
	if _, err := f.prepare(ctx); err != nil {
		return 0, err
	}
	return f.planned(ctx, func() error {
		set := "daemonset/" + starling.Name
		for _, args := range [][]string{{"restart", set}, {"status", "--timeout=2m", set}} {
			if _, err := f.c.Kubectl(ctx, "", append([]string{"-n", starling.Namespace, "rollout"}, args...)...); err != nil {
				return err
			}
		}
		return f.healthy(ctx)
	}, nil)
}
