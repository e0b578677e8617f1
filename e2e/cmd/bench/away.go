package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// untestedFor is for how long a Service whose backends have just changed is no test of a node, and
// a little more.
const untestedFor = 4 * time.Second

// away measures what the death of a host, or the end of its forwarding, costs while its speaker is
// there and while it is away, and that a Service which is dead everywhere moves nothing.
func (o *options) away(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	// Nodes come back after each round: else they would let others go first for a minute soon.
	if err := setEnv(ctx, c, "STARLING_HOLD_DOWN=0"); err != nil {
		return err
	}
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	f.head(o.rounds)
	for _, row := range []struct {
		what string
		away bool
		do   func(ctx context.Context, n *cluster.Node) error
		undo func(ctx context.Context, n *cluster.Node) error
	}{
		{
			"host dies while its speaker is away", true,
			func(_ context.Context, n *cluster.Node) error { return n.Cut() },
			func(_ context.Context, n *cluster.Node) error { return n.Heal() },
		},
		{"owner's rules flushed, until another announces", false, flush, unflush},
		{"the same while its speaker is away", true, flush, unflush},
	} {
		err := f.row(ctx, "starling: "+row.what, func(ctx context.Context) (time.Duration, error) {
			n, err := f.victim(ctx, row.away)
			if err != nil {
				return 0, err
			}
			begun := time.Now()
			gap, err := f.during(ctx, func() error { begun = time.Now(); return errors.Join(row.do(ctx, n), f.moved(ctx, n)) }, func() error {
				err := row.undo(context.WithoutCancel(ctx), n)
				if row.away {
					err = errors.Join(err, n.Signal(starling.Name, syscall.SIGCONT))
				}
				return err
			})
			return max(gap, f.taken(n, begun)), err
		})
		if err != nil {
			return err
		}
	}
	return f.dead(ctx)
}

// victim is the owner, with its speaker away if it is to be, and known to forward.
func (f *faulter) victim(ctx context.Context, away bool) (n *cluster.Node, err error) {
	// The one before may take its address back a moment after it is steady.
	err = cluster.Until(ctx, time.Minute, "an owner that stays", func(ctx context.Context) (err error) {
		if n, err = f.prepare(ctx); err != nil {
			return err
		}
		time.Sleep(untestedFor)
		return f.owns(ctx, n)
	})
	if err != nil || !away {
		return n, err
	}
	if err = f.absent(ctx, n); err == nil {
		time.Sleep(untestedFor)
		err = f.owns(ctx, n)
	}
	if err != nil {
		err = errors.Join(err, n.Signal(starling.Name, syscall.SIGCONT))
	}
	return n, err
}

// taken is how long after a moment another node announced the address first. A node without rules
// may send what comes on to that one, so clients may notice nothing.
func (f *faulter) taken(n *cluster.Node, begun time.Time) time.Duration {
	for _, claim := range f.watcher.Claims(f.ip) {
		if claim.At.After(begun) && claim.MAC != n.MAC.String() {
			return claim.At.Sub(begun)
		}
	}
	return 0
}

// owns fails if a node does not announce the address.
func (f *faulter) owns(ctx context.Context, n *cluster.Node) error {
	owner, err := workload.Owner(ctx, f.c, f.watcher, f.ip)
	if err == nil && owner != n {
		err = fmt.Errorf("%s announces, not %s", owner.Name, n.Name)
	}
	return err
}

// deadFor is how long a Service is watched that is dead everywhere.
const deadFor = 30 * time.Second

// dead has a Service whose backends refuse all connections, and counts how often its owner changes.
func (f *faulter) dead(ctx context.Context) error {
	const name = "refused"
	s := workload.Service(name, backend, func(s *core.Service) {
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].TargetPort = intstr.FromInt32(9)
		}
	})
	if _, err := f.c.Kube.CoreV1().Services(workload.Namespace).Create(ctx, s, meta.CreateOptions{}); err != nil {
		return err
	}
	ips, err := workload.Addresses(ctx, f.c, name, 1)
	if err != nil {
		return err
	}
	if err := errors.Join(workload.Programmed(ctx, f.c, ips[0]), f.healthy(ctx)); err != nil {
		return err
	}
	begun := time.Now()
	for time.Since(begun) < deadFor {
		if _, err := f.watcher.Who(ctx, time.Second, ips[0]); err != nil {
			return err
		}
	}
	n, err := moves(f.watcher.Claims(ips[0]), begun)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", ips[0], name, err)
	}
	f.Say("    %-48s %d changes of owner", fmt.Sprintf("starling: Service dead everywhere for %v", deadFor), n)
	return nil
}

// moves counts how often who claims an address has changed since then. It is an error if nobody
// did: then nothing has shown that nothing moves.
func moves(claims []probe.Claim, begun time.Time) (n int, err error) {
	var last string
	for _, claim := range claims {
		switch {
		case claim.At.Before(begun):
		case last == "":
			last = claim.MAC
		case claim.MAC != last:
			n, last = n+1, claim.MAC
		}
	}
	if last == "" {
		err = errors.New("nobody answered")
	}
	return n, err
}

// absent stops the speaker of a node, and waits until the others know that it is away.
func (f *faulter) absent(ctx context.Context, n *cluster.Node) error {
	if err := n.Signal(starling.Name, syscall.SIGSTOP); err != nil {
		return err
	}
	return f.until(ctx, func(ctx context.Context, c *cluster.Cluster) error {
		for _, o := range c.Nodes {
			if o == n {
				continue
			}
			s, err := starling.StatusOf(ctx, c, o)
			if err != nil {
				return err
			}
			if state := s.State(n.Name); state != "absent" {
				return fmt.Errorf("%s sees %s %s", o.Name, n.Name, state)
			}
		}
		return nil
	})
}

// flush takes all rules of a node away, and stops its kube-proxy without ending it.
func flush(ctx context.Context, n *cluster.Node) error {
	if err := n.Signal("kube-proxy", syscall.SIGSTOP); err != nil {
		return err
	}
	_, err := n.Run(ctx, "nft", "flush ruleset")
	return err
}

// unflush has kube-proxy write them again.
func unflush(ctx context.Context, n *cluster.Node) error {
	return errors.Join(n.End(ctx, "kube-proxy", syscall.SIGKILL), n.Again("kube-proxy"))
}
