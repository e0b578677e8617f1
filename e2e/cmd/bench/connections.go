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

// holding says what the rows about held connections are.
const holding = "\n  %d connections on which a byte goes back and forth every 50 ms, a client asking by UDP every 5 ms,\n" +
	"  and one that asks for the MAC every 50 ms"

// connections measures what restarts of speakers do to connections that are held.
func (o *options) connections(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	p.Say(holding, heldConnections)
	for _, fault := range []struct {
		what string
		do   func(ctx context.Context, owner *cluster.Node) error
	}{
		{"rolling update of all speakers", func(ctx context.Context, _ *cluster.Node) error { return f.rolled(ctx) }},
		{"SIGKILL of the owner's speaker, back", f.crashed},
		{"owner's speaker stopped for 10 s", f.stoppedFor(10 * time.Second)},
		{"owner's speaker stopped for 40 s", f.stoppedFor(40 * time.Second)},
		{"owner cordoned and uncordoned", f.cordoned},
	} {
		owner, err := f.prepare(ctx)
		if err == nil {
			err = f.hold(ctx, fault.what, owner, fault.do)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", fault.what, err)
		}
	}
	return nil
}

// crashed kills the speaker of the owner, and has a new pod started for it at once.
func (f *faulter) crashed(ctx context.Context, owner *cluster.Node) error {
	pod, err := starling.PodOn(ctx, f.c, owner)
	if err != nil {
		return err
	}
	if err := owner.Signal(starling.Name, syscall.SIGKILL); err != nil {
		return err
	}
	if err := f.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, *meta.NewDeleteOptions(0)); err != nil {
		return err
	}
	return f.replaced(ctx, owner, pod)
}

// cordoned cordons the owner, and takes that back.
func (f *faulter) cordoned(ctx context.Context, owner *cluster.Node) error {
	for _, command := range []string{"cordon", "uncordon"} {
		if _, err := f.c.Kubectl(ctx, "", command, owner.Name); err != nil {
			return err
		}
		if err := f.healthy(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stoppedFor stops the speaker of the owner for a while, as long as an image may take to pull.
func (f *faulter) stoppedFor(d time.Duration) func(context.Context, *cluster.Node) error {
	return func(ctx context.Context, owner *cluster.Node) error {
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

// hold holds connections while something happens, and prints what became of them, how often the
// owner changed, and how long a client waited that did not know the way.
func (f *faulter) hold(ctx context.Context, what string, owner *cluster.Node, do func(context.Context, *cluster.Node) error) error {
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
	if err := await(ctx, client); err != nil {
		client.Stop()
		return err
	}
	begun, asking := time.Now(), f.newcomers(ctx)
	err = do(ctx, owner)
	waited, report, moves, last := asking(), client.Stop(), 0, owner.MAC.String()
	for _, claim := range f.watcher.Claims(f.ip) {
		if claim.At.After(begun) && claim.MAC != last {
			moves, last = moves+1, claim.MAC
		}
	}
	f.Say("    %-48s %s; %d of %d datagrams lost; %d changes of owner; a new client waited for %.0f ms at most",
		what, held.Stop(), report.Lost, report.Asked, moves, ms(waited))
	return err
}

// newcomers asks who has the address, as a client does that does not know the way, until it is
// stopped, and says then how long the answer took at most, to 10 ms.
func (f *faulter) newcomers(ctx context.Context) (stop func() time.Duration) {
	const every, window = 50 * time.Millisecond, 10 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	longest := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		begun := time.Now()
		for ctx.Err() == nil {
			macs, err := f.watcher.Who(ctx, window, f.ip)
			if err != nil {
				break
			}
			if most = max(most, time.Since(begun)); len(macs) > 0 {
				time.Sleep(every)
				begun = time.Now()
			}
		}
		longest <- most
	}()
	return func() time.Duration { cancel(); return <-longest }
}
