package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// What the cluster is to bear without taking anybody for dead.
const (
	spinners   = 8
	stopFor    = 300 * time.Millisecond
	stopsEvery = 10 * time.Second
)

// calm keeps all cores busy, stops speakers for a moment in turn, and counts the members that were
// given up. What gossip alone says of one is no verdict yet: its speaker and its port are asked,
// and nothing moves before they have answered.
func (o *options) calm(ctx context.Context, p *step.Printer, c *cluster.Cluster) (err error) {
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	if _, err := f.prepare(ctx); err != nil {
		return err
	}
	before, err := verdicts(ctx, c)
	if err != nil {
		return err
	}
	client, err := probe.Start(f.client())
	if err != nil {
		return err
	}
	if err := await(ctx, client); err != nil { // One that still asks who has the address is another matter.
		return err
	}
	begun := time.Now()
	err = busy(ctx, func() error { return stops(ctx, c, time.Duration(o.minutes)*time.Minute) })
	report := client.Stop()
	after, again := verdicts(ctx, c)
	if err = errors.Join(err, again); err != nil {
		return err
	}
	p.Say("\n  %d minutes with %d spinning processes, a speaker stopped for %v every %v; counts of all %d together", o.minutes, spinners, stopFor, stopsEvery, len(c.Nodes))
	p.Say("    %-48s %6d", "starling: members that were given up", after.deaths-before.deaths)
	p.Say("    %-48s %6d", "starling: addresses that changed their owner", after.moves-before.moves)
	p.Say("    %-48s %6d", "gossip alone: members taken for dead", after.gossip-before.gossip)
	p.Say("    %-48s %6d", "wire watch: hosts taken for dead", after.wire-before.wire)
	p.Say("    %-48s %6.0f ms   after %.1f s; %d of %d lost", "client: longest time without an answer",
		ms(report.Gap), report.GapBegan.Sub(begun).Seconds(), report.Lost, report.Asked)
	return nil
}

// busy does the work while as many processes spin as are to.
func busy(ctx context.Context, work func() error) error {
	ctx, stop := context.WithCancel(ctx)
	var spinning []*exec.Cmd
	defer func() {
		stop()
		for _, cmd := range spinning {
			_ = cmd.Wait() // It was killed.
		}
	}()
	for range spinners {
		cmd := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			return err
		}
		spinning = append(spinning, cmd)
	}
	return work()
}

// stops stops one speaker after the other for a moment.
func stops(ctx context.Context, c *cluster.Cluster, length time.Duration) error {
	end := time.Now().Add(length)
	for i := 0; time.Now().Before(end); i++ {
		n := c.Nodes[i%len(c.Nodes)]
		for _, do := range []struct {
			signal syscall.Signal
			then   time.Duration
		}{{syscall.SIGSTOP, stopFor}, {syscall.SIGCONT, stopsEvery - stopFor}} {
			if err := n.Signal(starling.Name, do.signal); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(do.then):
			}
		}
	}
	return nil
}

// counted is what all speakers have counted together.
type counted struct{ deaths, gossip, wire, moves int }

func verdicts(ctx context.Context, c *cluster.Cluster) (sum counted, err error) {
	for _, n := range c.Nodes {
		text, err := starling.MetricsOf(ctx, c, n)
		if err != nil {
			return sum, err
		}
		for name, count := range map[string]*int{
			"starling_member_deaths_total": &sum.deaths, "starling_mesh_deaths_total": &sum.gossip,
			"starling_wire_deaths_total": &sum.wire, "starling_ownership_changes_total": &sum.moves,
		} {
			v, err := starling.Total(text, name)
			if err != nil {
				return sum, fmt.Errorf("metrics of %s: %w", n.Name, err)
			}
			*count += v
		}
	}
	return sum, nil
}
