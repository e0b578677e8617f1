package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// backend is the workload that answers the clients.
const backend = "echo"

// options of the measurement of faults.
type options struct {
	rounds, minutes, count int
	seed                   uint64
}

// check refuses what cannot be measured.
func (o *options) check() error {
	if o.rounds < 1 || o.minutes < 1 || o.count < 1 {
		return errors.New("-rounds, -minutes and -count are at least 1")
	}
	return nil
}

func (o *options) parts() []part {
	return []part{
		{name: "three", nodes: 3, measure: o.three},
		{name: "planned", nodes: 3, measure: o.planned},
		{name: "connections", nodes: 3, measure: o.connections},
		{name: "five", nodes: 5, measure: o.rows("silent death of one of 5", (*faulter).silentDeath)},
		{name: "gossip", nodes: 3, measure: unwatched(o.rows("silent death of one of 3 by gossip", (*faulter).silentDeath))},
		{name: "gossip5", nodes: 5, measure: unwatched(o.rows("silent death of one of 5 by gossip", (*faulter).silentDeath))},
		{name: "half", nodes: 6, measure: o.rows("half of 6 die together", (*faulter).halfDeath)},
		{name: "twenty", nodes: 20, bare: true, measure: o.rows("silent death of one of 20", (*faulter).silentDeath)},
		{name: "calm", nodes: 3, measure: o.calm},
		{name: "random", nodes: 3, measure: o.random},
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
		set := "daemonset/" + starling.Name
		for _, args := range [][]string{{"set", "env", set, "STARLING_WIRE_WATCH=false"}, {"rollout", "status", "--timeout=2m", set}} {
			if _, err := c.Kubectl(ctx, "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
				return err
			}
		}
		return then(ctx, p, c)
	}
}

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

// datagramLoss counts the questions of a client that asks by UDP as well. Each of them can be answered whichever node it
// goes to; a connection that is under way when the address moves cannot, for the next node does not know of it.
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
	if err := workload.Everywhere(ctx, c, backend); err != nil {
		return netip.Addr{}, err
	}
	return workload.Expose(ctx, c, backend)
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

// silentDeath cuts the announcer off without anybody being told.
func (f *faulter) silentDeath(ctx context.Context) (gap time.Duration, err error) {
	return f.death(ctx, 1)
}

// halfDeath cuts off the announcer, the next in line, and so many others that half of the nodes are gone.
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

// deleted ends the announcer's pod as a rolling update does, and waits for its successor on the node.
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
	err := cluster.Until(ctx, cluster.PodTime, "new pod on "+n.Name, func(ctx context.Context) error {
		now, err := starling.PodOn(ctx, f.c, n)
		if err == nil && now == pod {
			err = fmt.Errorf("%s is still there", pod)
		}
		return err
	})
	if err != nil {
		return err
	}
	return f.healthy(ctx)
}

// killed ends the announcing process. Its node goes on serving those who know the way, so what counts is how soon
// somebody answers who asks for the address.
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
	// A new pod at once: of one that is killed again and again, kubelet waits longer and longer with the next start.
	if err := f.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, *meta.NewDeleteOptions(0)); err != nil {
		return 0, err
	}
	return took, f.replaced(ctx, owner, pod)
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

// during asks by TCP while something happens, and for a while after it, and returns the longest silence.
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

// first moves the backends off so many nodes, which it returns: the announcer, the next in line, and others.
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
