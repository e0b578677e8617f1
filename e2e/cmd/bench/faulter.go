package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// backend is the workload that answers the clients.
const backend = "echo"

// faulter hurts the node that announces an address, again and again.
type faulter struct {
	*step.Printer
	c       *cluster.Cluster
	ip      netip.Addr
	watcher *probe.Watcher
	rounds  int // of every fault

	// Of the row that is being measured:
	lost      int           // connections without an answer
	datagrams *datagramLoss // nil: not asked
}

// datagramLoss counts the questions of a client that asks by UDP as well. Each of them can be
// answered whichever node it goes to; a connection that is under way when the address moves cannot,
// for the next node does not know of it.
type datagramLoss struct{ asked, lost int }

func (d *datagramLoss) String() string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf(", of %d datagrams %d", d.asked, d.lost)
}

// newFaulter exposes an address with backends everywhere and listens.
func newFaulter(ctx context.Context, p *step.Printer, c *cluster.Cluster) (*faulter, error) {
	expose := exposeEverywhere
	if c.Bare() {
		expose = exposeBare
	}
	ip, err := expose(ctx, c)
	if err != nil {
		return nil, err
	}
	watcher, err := probe.Watch(workload.Station(c.Client))
	return &faulter{Printer: p, c: c, ip: ip, watcher: watcher}, err
}

func exposeEverywhere(ctx context.Context, c *cluster.Cluster) (netip.Addr, error) {
	if err := exposeWorkload(ctx, c); err != nil {
		return netip.Addr{}, err
	}
	return workload.Expose(ctx, c, backend)
}

// exposeWorkload runs the backends.
func exposeWorkload(ctx context.Context, c *cluster.Cluster) error {
	return workload.Everywhere(ctx, c, backend)
}

// head says what the figures of rows are.
func (f *faulter) head(rounds int) {
	f.rounds = rounds
	f.Say("\n  longest time without an answer, a client asking every 5 ms, %d times (median, worst)", rounds)
}

// row repeats a fault and prints what it cost.
func (f *faulter) row(ctx context.Context, what string, once func(context.Context) (time.Duration, error)) error {
	var gaps []time.Duration
	f.lost, f.datagrams = 0, nil
	for range f.rounds {
		gap, err := once(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		gaps = append(gaps, gap)
	}
	f.Say("    %-48s %6.0f ms %6.0f ms   %d lost%v", what, ms(median(gaps)), ms(slices.Max(gaps)), f.lost, f.datagrams)
	return nil
}

// client asks the address by TCP every 5 ms.
func (f *faulter) client() probe.Config {
	return probe.Config{Dial: f.c.Client.Dial, Network: "tcp", Address: net.JoinHostPort(f.ip.String(), "80")}
}

// planned is during, beside a client that asks by UDP.
func (f *faulter) planned(ctx context.Context, happens, undo func() error) (gap time.Duration, err error) {
	config := f.client()
	config.Network = "udp"
	client, err := probe.Start(config)
	if err != nil {
		return 0, err
	}
	err = await(ctx, client)
	if err == nil {
		gap, err = f.during(ctx, happens, undo)
	}
	report := client.Stop()
	if f.datagrams == nil {
		f.datagrams = &datagramLoss{}
	}
	f.datagrams.asked += report.Asked
	f.datagrams.lost += report.Lost
	return gap, err
}

// during asks by TCP while something happens, and for a while after it, and returns the longest
// silence.
func (f *faulter) during(ctx context.Context, happens, undo func() error) (gap time.Duration, err error) {
	client, err := probe.Start(f.client())
	if err != nil {
		return 0, err
	}
	if err := await(ctx, client); err != nil {
		return 0, err
	}
	err = happens()
	if err == nil {
		err = await(ctx, client)
	}
	report := client.Stop()
	f.lost += report.Lost
	if undo != nil {
		if again := undo(); err == nil {
			err = again
		}
	}
	return report.Gap, err
}

func await(ctx context.Context, client *probe.Prober) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return client.Await(ctx, 100)
}

// prepare waits until all is well and moves the backends off the announcer, which it returns.
func (f *faulter) prepare(ctx context.Context) (*cluster.Node, error) {
	if err := f.healthy(ctx); err != nil {
		return nil, err
	}
	nodes, err := f.first(ctx, 1)
	if err != nil {
		return nil, err
	}
	return nodes[0], nil
}

// first moves the backends off so many nodes, which it returns: the announcer, the next in line,
// and others.
func (f *faulter) first(ctx context.Context, count int) (nodes []*cluster.Node, err error) {
	err = cluster.Until(ctx, time.Minute, "announcer of "+f.ip.String(), func(ctx context.Context) (err error) {
		nodes, err = f.line(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	nodes = nodes[:count]
	if f.c.Bare() {
		return nodes, nil // Every node is a backend of its own.
	}
	if err := workload.Avoid(ctx, f.c, backend, nodes...); err != nil {
		return nil, err
	}
	return nodes, workload.Programmed(ctx, f.c, f.ip)
}

// line returns all nodes, first the announcer, then the next in line.
func (f *faulter) line(ctx context.Context) ([]*cluster.Node, error) {
	owner, err := workload.Owner(ctx, f.c, f.watcher, f.ip)
	if err != nil {
		return nil, err
	}
	s, err := starling.StatusOf(ctx, f.c, owner)
	if err != nil {
		return nil, err
	}
	next := f.c.Node(s.Next(f.ip.String()))
	if next == nil {
		return nil, fmt.Errorf("%s knows no successor for %s", owner.Name, f.ip)
	}
	others := slices.DeleteFunc(slices.Clone(f.c.Nodes), func(n *cluster.Node) bool { return n == owner || n == next })
	return append([]*cluster.Node{owner, next}, others...), nil
}

// healthy waits until every speaker is steady in the eyes of all.
func (f *faulter) healthy(ctx context.Context) error { return f.until(ctx, starling.Steady) }

func (f *faulter) until(ctx context.Context, are func(context.Context, *cluster.Cluster) error) error {
	return cluster.Until(ctx, 3*time.Minute, "speakers", func(ctx context.Context) error { return are(ctx, f.c) })
}

// moved waits until another node than before answers, alone.
func (f *faulter) moved(ctx context.Context, before ...*cluster.Node) error {
	return cluster.Until(ctx, 15*time.Second, "take-over", func(ctx context.Context) error {
		next, err := workload.Owner(ctx, f.c, f.watcher, f.ip)
		if err == nil && slices.Contains(before, next) {
			err = fmt.Errorf("%s still announces", next.Name)
		}
		return err
	})
}
