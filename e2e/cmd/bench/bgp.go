package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/routers"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// behind is a cluster with a router, and clients behind it.
type behind struct {
	*step.Printer
	c      *cluster.Cluster
	r      *cluster.Router
	ip     netip.Addr
	rounds int
	conf   string // of the speakers: pools and more routers than one; "": the pools of the tests
}

// disturbs takes -only: a regular expression that fits some names of disturbances.
func (o *options) disturbs(text string) (err error) {
	if o.only, err = regexp.Compile(text); err != nil {
		return err
	}
	if !slices.ContainsFunc(new(behind).disturbances(), func(d disturbance) bool { return o.only.MatchString(d.name()) }) {
		return errors.New("it fits no fault")
	}
	return nil
}

// bgpParts are those of the measurement of BGP.
func (o *options) bgpParts() []part {
	return []part{
		{name: "bird", nodes: 3, measure: o.behind(routers.BIRD)},
		{name: "frr", nodes: 3, measure: o.behind(routers.FRR)},
		{name: "thousand", nodes: 3, measure: o.thousand},
	}
}

// disturbance is what clients behind a router are not to notice.
type disturbance struct {
	mode, what string
	once       func(context.Context, int) (routers.Report, error)
}

func (d disturbance) name() string { return d.mode + ": " + d.what }

// The modes of sessions.
const (
	few     = "few"
	each    = "each"
	watched = "each, BFD 3x300"
)

func (b *behind) disturbances() []disturbance {
	list := []disturbance{{few, "silent death of a node", b.silentDeath}}
	for _, mode := range []string{few, each} {
		list = append(list,
			disturbance{mode, "SIGKILL of a speaker, and return", b.killed},
			disturbance{mode, "a node is to be drained, and is not", b.drained},
			disturbance{mode, "a cordoned node leaves, and is back", b.left},
			disturbance{mode, "rolling update of all speakers", b.rolled})
	}
	return append(list, disturbance{watched, "silent death of a node", b.silentDeath})
}

// behind measures what clients behind a router notice, with both kinds of sessions.
func (o *options) behind(kind routers.Kind) measure {
	return func(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
		b := &behind{Printer: p, c: c, rounds: o.rounds}
		if err := b.begin(ctx, kind, kind.Conf, few); err != nil {
			return err
		}
		p.Say("\n  %s: longest gap of %d clients behind the router, each asking every 5 ms by UDP, %d times (median, worst)", kind.Name, routers.Count, o.rounds)
		mode := few
		for _, t := range b.disturbances() {
			name := t.name()
			if o.only != nil && !o.only.MatchString(name) {
				continue
			}
			if t.mode != mode {
				if err := b.change(ctx, kind, t.mode); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				mode = t.mode
			}
			if err := b.row(ctx, name, t.once); err != nil {
				return err
			}
		}
		return nil
	}
}

// change has the speakers hold other sessions, all at once, and not in turns.
func (b *behind) change(ctx context.Context, kind routers.Kind, mode string) error {
	var bfd []string
	if mode == watched {
		if err := kind.Watch(ctx, b.r); err != nil {
			return err
		}
		bfd = []string{"bfd: {interval: 300ms, multiplier: 3}"}
	}
	if err := b.configure(ctx, each, bfd...); err != nil {
		return err
	}
	if err := errors.Join(routers.Mode(ctx, b.c, each), kind.Reset(ctx, b.r)); err != nil {
		return err
	}
	if mode == watched {
		return kind.Watched(ctx, b.r, len(b.c.Nodes))
	}
	return nil
}

// until waits for so many next hops in the router's kernel.
func (b *behind) until(ctx context.Context, what string, ok func(n int) bool) error {
	return cluster.Until(ctx, 5*time.Minute, what, func(ctx context.Context) error {
		out, err := b.r.Run(ctx, "ip", "route", "show", "proto", "bird")
		n := strings.Count(out, "via 198.18.0.")
		if err == nil && !ok(n) {
			err = fmt.Errorf("%d next hops", n)
		}
		return err
	})
}

// begin makes the router, and an address of which it learns.
func (b *behind) begin(ctx context.Context, kind routers.Kind, conf, sessions string) (err error) {
	// Nodes that die again and again would wait longer each time before they come back.
	if err := setEnv(ctx, b.c, "STARLING_HOLD_DOWN=0"); err != nil {
		return err
	}
	if err := exposeWorkload(ctx, b.c); err != nil {
		return err
	}
	if b.r, err = b.c.AddRouter(ctx); err != nil {
		return err
	}
	if _, err := b.r.Run(ctx, "ip", "address", "add", secondRouter+"/16", "dev", b.r.NIC); err != nil {
		return err
	}
	if err := kind.Start(ctx, b.r, conf); err != nil {
		return err
	}
	if err := b.configure(ctx, sessions); err != nil {
		return err
	}
	b.ip, err = routers.Expose(ctx, b.c, b.r, backend)
	return err
}

// configure has the speakers announce the pool, and waits until all are well.
func (b *behind) configure(ctx context.Context, sessions string, more ...string) error {
	text := routers.Configuration(sessions, more...) + cmp.Or(b.conf, routers.Pools())
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"starling.yaml": text}})
	if err != nil {
		return err
	}
	_, err = b.c.Kube.CoreV1().ConfigMaps(starling.Namespace).Patch(ctx, starling.Name, types.MergePatchType, patch, meta.PatchOptions{})
	if err == nil && b.ip.IsValid() {
		err = b.well(ctx)
	}
	return err
}

// well waits until all speakers are ready and steady and the router knows all nodes.
func (b *behind) well(ctx context.Context) error {
	f := faulter{c: b.c}
	if err := f.healthy(ctx); err != nil {
		return err
	}
	return routers.Spread(ctx, b.r, b.ip, b.c.Nodes...)
}

// row repeats a fault and prints what it cost, also if a round fails.
func (b *behind) row(ctx context.Context, what string, once func(context.Context, int) (routers.Report, error)) error {
	var gaps []time.Duration
	var all routers.Report
	var failed error
	for i := range b.rounds {
		var report routers.Report
		if failed = b.well(ctx); failed == nil {
			report, failed = once(ctx, i)
		}
		if failed != nil {
			failed = fmt.Errorf("%s: %w", what, failed)
			break
		}
		gaps = append(gaps, report.Gap)
		all.Asked, all.Lost = all.Asked+report.Asked, all.Lost+report.Lost
	}
	if len(gaps) > 0 {
		b.Say("    %-52s %6.0f ms %6.0f ms   %d of %d datagrams lost, %d times", what, ms(median(gaps)), ms(slices.Max(gaps)), all.Lost, all.Asked, len(gaps))
	}
	return failed
}

// during asks while something happens, and for a while after it.
func (b *behind) during(ctx context.Context, happens func() error) (routers.Report, error) {
	flows, err := routers.Start(ctx, b.r, b.ip)
	if err != nil {
		return routers.Report{}, err
	}
	if err = happens(); err == nil {
		err = flows.Await(ctx)
	}
	return flows.Stop(), err
}

// silentDeath cuts one node after the other off without anybody being told.
func (b *behind) silentDeath(ctx context.Context, round int) (routers.Report, error) {
	victim := b.c.Nodes[round%len(b.c.Nodes)]
	others := slices.DeleteFunc(slices.Clone(b.c.Nodes), func(n *cluster.Node) bool { return n == victim })
	report, err := b.during(ctx, func() error {
		if err := victim.Cut(); err != nil {
			return err
		}
		return routers.Spread(ctx, b.r, b.ip, others...)
	})
	return report, errors.Join(err, victim.Heal())
}

// killed ends a process without a word. A new pod takes its place at once.
func (b *behind) killed(ctx context.Context, round int) (routers.Report, error) {
	n, f := b.c.Nodes[round%len(b.c.Nodes)], faulter{c: b.c}
	pod, err := starling.PodOn(ctx, b.c, n)
	if err != nil {
		return routers.Report{}, err
	}
	return b.during(ctx, func() error {
		if err := n.Signal(starling.Name, syscall.SIGKILL); err != nil {
			return err
		}
		if err := b.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, *meta.NewDeleteOptions(0)); err != nil {
			return err
		}
		return f.replaced(ctx, n, pod)
	})
}

// drained says that a node is drained, by its condition, and then that it is not.
func (b *behind) drained(ctx context.Context, round int) (routers.Report, error) {
	n := b.c.Nodes[round%len(b.c.Nodes)]
	others := slices.DeleteFunc(slices.Clone(b.c.Nodes), func(o *cluster.Node) bool { return o == n })
	say := func(status string) error {
		_, err := b.c.Kubectl(context.WithoutCancel(ctx), "", "patch", "node", n.Name, "--subresource=status", "--type=strategic", "-p",
			`{"status":{"conditions":[{"type":"DrainInProgress","status":"`+status+`","reason":"Bench","message":"bench"}]}}`)
		return err
	}
	return b.during(ctx, func() error {
		if err := say("True"); err != nil {
			return err
		}
		err := routers.Spread(ctx, b.r, b.ip, others...)
		return errors.Join(err, say("False"), routers.Spread(ctx, b.r, b.ip, b.c.Nodes...))
	})
}

// left ends the speaker of a cordoned node. Its successor announces nothing of the node until this
// is uncordoned.
func (b *behind) left(ctx context.Context, round int) (routers.Report, error) {
	n, f := b.c.Nodes[round%len(b.c.Nodes)], faulter{c: b.c}
	others := slices.DeleteFunc(slices.Clone(b.c.Nodes), func(o *cluster.Node) bool { return o == n })
	say := func(command string) error {
		_, err := b.c.Kubectl(context.WithoutCancel(ctx), "", command, n.Name)
		return err
	}
	pod, err := starling.PodOn(ctx, b.c, n)
	if err != nil {
		return routers.Report{}, err
	}
	return b.during(ctx, func() error {
		if err := say("cordon"); err != nil {
			return err
		}
		err := b.c.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, meta.DeleteOptions{})
		if err == nil {
			err = errors.Join(routers.Spread(ctx, b.r, b.ip, others...), f.another(ctx, n, pod), f.until(ctx, starling.Joined))
		}
		return errors.Join(err, say("uncordon"), routers.Spread(ctx, b.r, b.ip, b.c.Nodes...))
	})
}

// rolled replaces all speakers, one after the other.
func (b *behind) rolled(ctx context.Context, _ int) (routers.Report, error) {
	f := faulter{c: b.c}
	return b.during(ctx, func() error { return f.rolled(ctx) })
}
