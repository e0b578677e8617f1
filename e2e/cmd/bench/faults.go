package main

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// options of the measurements of faults, BGP and detection.
type options struct {
	rounds, minutes int
	only            *regexp.Regexp // Names of the rows of bgp; nil for all.

	record, svg string         // Files of detection, "" for none.
	runs        []detectionRun // What detection has measured so far.
}

// check refuses what cannot be measured.
func (o *options) check() error {
	if o.rounds < 1 || o.minutes < 1 {
		return errors.New("-rounds and -minutes are at least 1")
	}
	return nil
}

func (o *options) parts() []part {
	return []part{
		{name: "three", nodes: 3, measure: o.three},
		{name: "planned", nodes: 3, measure: o.planned},
		{name: "connections", nodes: 3, measure: o.connections},
		{name: "away", nodes: 3, measure: o.away},
		{name: "reboot", nodes: 3, measure: o.reboot},
		{name: "five", nodes: 5, measure: o.rows("silent death of one of 5", (*faulter).silentDeath)},
		{name: "gossip", nodes: 3, measure: unwatched(o.rows("silent death of one of 3 by gossip", (*faulter).silentDeath))},
		{name: "gossip5", nodes: 5, measure: unwatched(o.rows("silent death of one of 5 by gossip", (*faulter).silentDeath))},
		{name: "half", nodes: 6, measure: o.rows("half of 6 die together", (*faulter).halfDeath)},
		{name: "twenty", nodes: 20, bare: true, measure: o.rows("silent death of one of 20", (*faulter).silentDeath)},
		{name: "calm", nodes: 3, measure: o.calm},
	}
}

// three measures how long an address is not answered when its node dies or leaves.
func (o *options) three(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	f.head(o.rounds)
	for _, row := range []struct {
		what string
		once func(context.Context) (time.Duration, error)
	}{
		{"silent death, link cut", f.silentDeath},
		{"SIGTERM, pod deleted, and return", f.deleted},
		{"SIGKILL, until a new client is answered", f.killed},
	} {
		if err := f.row(ctx, "starling: "+row.what, row.once); err != nil {
			return err
		}
	}
	if err := external(ctx, c); err != nil {
		return err
	}
	for _, adverts := range []string{"1", "0.1"} {
		if err := f.keepalived(ctx, adverts); err != nil {
			return err
		}
	}
	return nil
}

// rows measures one fault on a cluster of its own.
func (o *options) rows(what string, once func(*faulter, context.Context) (time.Duration, error)) measure {
	return func(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
		f, err := newFaulter(ctx, p, c)
		if err != nil {
			return err
		}
		defer f.watcher.Close()
		f.head(o.rounds)
		return f.row(ctx, "starling: "+what, func(ctx context.Context) (time.Duration, error) { return once(f, ctx) })
	}
}

// unwatched measures speakers that leave it to gossip to notice a death.
func unwatched(then measure) measure {
	return func(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
		if err := setEnv(ctx, c, "STARLING_WIRE_WATCH=false"); err != nil {
			return err
		}
		return then(ctx, p, c)
	}
}

// setEnv sets a flag of the speakers by its variable.
func setEnv(ctx context.Context, c *cluster.Cluster, variable string) error {
	set := "daemonset/" + starling.Name
	for _, args := range [][]string{{"set", "env", set, variable}, {"rollout", "status", "--timeout=2m", set}} {
		if _, err := c.Kubectl(ctx, "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
			return err
		}
	}
	return nil
}
