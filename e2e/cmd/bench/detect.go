package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// detectionParts are the presets of --failure-detection, each beside all the others. A node that
// comes back does not let others go first, so that it can be taken for dead again soon.
func (o *options) detectionParts() (parts []part) {
	for _, preset := range []string{"fast", "default", "calm"} {
		parts = append(parts, part{
			name: preset, nodes: 3, bare: true, measure: o.detection(preset),
			flags: []string{"--failure-detection=" + preset, "--hold-down=0"},
		})
	}
	return parts
}

// detector has several systems notice the same deaths, and the same nodes that only seem dead. They
// run on the same nodes, at the same time. Each node is home to one address, or one BFD session, of
// each system.
type detector struct {
	*step.Printer
	c       *cluster.Cluster
	watcher *probe.Watcher
	systems []*system
	begun   []func() error // Ends what has begun outside the nodes.
}

// detection measures one preset beside the other systems, and prints the table of all runs so far.
func (o *options) detection(preset string) measure {
	return func(ctx context.Context, p *step.Printer, c *cluster.Cluster) (err error) {
		d := &detector{Printer: p, c: c}
		defer func() { err = errors.Join(err, d.end()) }()
		if err := d.begin(ctx, preset); err != nil {
			return err
		}
		run := detectionRun{Day: time.Now().Format(time.DateOnly), Nodes: len(c.Nodes), Took: map[string][]milliseconds{}}
		if err := d.deaths(ctx, o.rounds, run.Took); err != nil {
			return err
		}
		for _, l := range loads {
			done, err := d.bear(ctx, l, time.Duration(o.minutes)*time.Minute)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			run.Loads = append(run.Loads, done)
		}
		return o.publish(p, run)
	}
}

// begin starts all systems.
func (d *detector) begin(ctx context.Context, preset string) (err error) {
	if err := haveKeepalived(); err != nil {
		return err
	}
	if d.watcher, err = probe.Watch(workload.Station(d.c.Client)); err != nil {
		return err
	}
	d.begun = append(d.begun, d.watcher.Close)
	for _, what := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"an address of starling for each node", func(ctx context.Context) error { return d.startStarling(ctx, preset) }},
		{"an address of each keepalived for each node", d.startVRRP},
		{"BFD of each node with two routers", d.startBFD},
		{"everything is at home", d.settle},
	} {
		if err := d.Do(what.name, func() error { return what.start(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

func (d *detector) end() error {
	var errs []error
	for i := range d.begun {
		errs = append(errs, d.begun[len(d.begun)-1-i]())
	}
	return errors.Join(errs...)
}

// settle waits until everything has been at home for two seconds.
func (d *detector) settle(ctx context.Context) error {
	var since time.Time
	return cluster.Until(ctx, 2*time.Minute, "home", func(ctx context.Context) error {
		if err := errors.Join(starling.Steady(ctx, d.c), d.atHome(ctx)); err != nil {
			since = time.Time{}
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < 2*time.Second {
			return errors.New("only since a moment ago")
		}
		return nil
	})
}

// atHome returns nil when every address is answered by its home alone and every session is up.
func (d *detector) atHome(ctx context.Context) error {
	who, err := d.watcher.WhoAll(ctx, 150*time.Millisecond, d.addresses())
	if err != nil {
		return err
	}
	for _, s := range d.systems {
		for i, n := range d.c.Nodes {
			if s.sessions != nil {
				err = errors.Join(err, s.sessions.up(n.IP4))
			} else if macs := who[s.ips[i]]; len(macs) != 1 || macs[0] != n.MAC.String() {
				err = errors.Join(err, fmt.Errorf("%s: %v answer for the address of %s", s.name, macs, n.Name))
			}
		}
	}
	return err
}

// deaths cuts one node after the other off without anybody being told.
func (d *detector) deaths(ctx context.Context, rounds int, took map[string][]milliseconds) error {
	return d.Do(fmt.Sprintf("%d silent deaths", rounds), func() error {
		for i := range rounds {
			if err := d.settle(ctx); err != nil {
				return err
			}
			if err := d.death(ctx, i%len(d.c.Nodes), took); err != nil {
				return err
			}
		}
		return nil
	})
}

// death cuts a node off until all systems have noticed. All are measured by the same cut.
func (d *detector) death(ctx context.Context, node int, took map[string][]milliseconds) error {
	n, cut := d.c.Nodes[node], time.Now()
	if err := n.Cut(); err != nil {
		return err
	}
	err := cluster.Until(ctx, time.Minute, "death of "+n.Name, func(context.Context) error {
		var errs []error
		for _, s := range d.systems {
			if _, ok := noticed(s.seen(node), cut); !ok {
				errs = append(errs, fmt.Errorf("%s does not notice", s.name))
			}
		}
		return errors.Join(errs...)
	})
	if err = errors.Join(err, n.Heal()); err != nil {
		return err
	}
	for _, s := range d.systems {
		at, _ := noticed(s.seen(node), cut)
		took[s.name] = append(took[s.name], inMilliseconds(at.Sub(cut)))
	}
	return nil
}
