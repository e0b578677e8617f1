package main

import (
	"context"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
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
	if err := f.row(ctx, "starling: a node is to be drained, and is not", f.drained); err != nil {
		return err
	}
	return f.row(ctx, "starling: rolling update of all speakers", f.updated)
}

// drained says that the announcer's node is drained, by its condition, and then that it is not.
func (f *faulter) drained(ctx context.Context) (time.Duration, error) {
	owner, err := f.prepare(ctx)
	if err != nil {
		return 0, err
	}
	say := func(status string) error {
		_, err := f.c.Kubectl(context.WithoutCancel(ctx), "", "patch", "node", owner.Name, "--subresource=status", "--type=strategic", "-p",
			`{"status":{"conditions":[{"type":"DrainInProgress","status":"`+status+`","reason":"Bench","message":"bench"}]}}`)
		return err
	}
	back := func() error { return say("False") }
	return f.planned(ctx, func() error {
		if err := say("True"); err != nil {
			return err
		}
		if err := f.moved(ctx, owner); err != nil {
			return err
		}
		if err := back(); err != nil {
			return err
		}
		return f.returned(ctx, owner)
	}, back)
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
	return f.planned(ctx, func() error { return f.rolled(ctx) }, nil)
}
