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
)

// silentDeath cuts the announcer off without anybody being told.
func (f *faulter) silentDeath(ctx context.Context) (gap time.Duration, err error) {
	return f.death(ctx, 1)
}

// halfDeath cuts off the announcer, the next in line, and so many others that half of the nodes are
// gone.
func (f *faulter) halfDeath(ctx context.Context) (gap time.Duration, err error) {
	return f.death(ctx, len(f.c.Nodes)/2)
}

func (f *faulter) death(ctx context.Context, count int) (gap time.Duration, err error) {
	// Not steady ones: they would let others go first for a minute soon.
	if err := f.until(ctx, starling.Joined); err != nil {
		return 0, err
	}
	victims, err := f.first(ctx, count)
	if err != nil {
		return 0, err
	}
	return f.during(ctx, func() error { return f.cut(ctx, victims...) }, func() error {
		var errs []error
		for _, n := range victims {
			errs = append(errs, n.Heal())
		}
		return errors.Join(errs...)
	})
}

func (f *faulter) cut(ctx context.Context, victims ...*cluster.Node) error {
	for _, n := range victims {
		if err := n.Cut(); err != nil {
			return err
		}
	}
	return f.moved(ctx, victims...)
}

// deleted ends the announcer's pod as a rolling update does, and waits for its successor on the
// node.
func (f *faulter) deleted(ctx context.Context) (time.Duration, error) {
	owner, err := f.prepare(ctx)
	if err != nil {
		return 0, err
	}
	pod, err := starling.PodOn(ctx, f.c, owner)
	if err != nil {
		return 0, err
	}
	return f.planned(ctx, func() error {
		if err := f.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, meta.DeleteOptions{}); err != nil {
			return err
		}
		return f.replaced(ctx, owner, pod)
	}, nil)
}

// replaced waits until a node has another pod, and all are well.
func (f *faulter) replaced(ctx context.Context, n *cluster.Node, pod string) error {
	if err := f.another(ctx, n, pod); err != nil {
		return err
	}
	return f.healthy(ctx)
}

// another waits until a node has another pod.
func (f *faulter) another(ctx context.Context, n *cluster.Node, pod string) error {
	return cluster.Until(ctx, cluster.PodTime, "new pod on "+n.Name, func(ctx context.Context) error {
		now, err := starling.PodOn(ctx, f.c, n)
		if err == nil && now == pod {
			err = fmt.Errorf("%s is still there", pod)
		}
		return err
	})
}

// killed ends the announcing process. Its node goes on serving those who know the way, so what
// counts is how soon somebody answers who asks for the address.
func (f *faulter) killed(ctx context.Context) (time.Duration, error) {
	owner, err := f.prepare(ctx)
	if err != nil {
		return 0, err
	}
	pod, err := starling.PodOn(ctx, f.c, owner)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := owner.Signal(starling.Name, syscall.SIGKILL); err != nil {
		return 0, err
	}
	err = cluster.Until(ctx, 15*time.Second, "an answer", func(ctx context.Context) error {
		macs, err := f.watcher.Who(ctx, 10*time.Millisecond, f.ip)
		if err == nil && len(macs) == 0 {
			err = errors.New("nobody answers")
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	var took time.Duration
	for _, claim := range f.watcher.Claims(f.ip) {
		if claim.At.After(begun) {
			took = claim.At.Sub(begun)
			break
		}
	}
	// A new pod at once: of one that is killed again and again, kubelet waits longer and longer
	// with the next start.
	if err := f.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, *meta.NewDeleteOptions(0)); err != nil {
		return 0, err
	}
	return took, f.replaced(ctx, owner, pod)
}
