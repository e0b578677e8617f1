package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/routers"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// thousand is how many addresses are announced at once, of a range of twice as many.
const (
	thousand = 1000
	wide     = "203.0.112.0/21"
)

// A second router, on the same machine as the first. BIRD takes no sessions from the same network
// for two protocols, so it is a process of its own, at another port.
const (
	secondRouter = "198.18.0.253"
	secondPeer   = "  - name: tor2\n    address: " + secondRouter + "\n    port: 1179\n    asn: 64512\n"
)

// another is the configuration of the second router, which leaves the kernel to the first.
func another(conf string) string {
	conf, _, _ = strings.Cut(conf, "# All next hops")
	conf = strings.ReplaceAll(conf, "local 198.18.0.254 as", "local "+secondRouter+" port 1179 as")
	return strings.ReplaceAll(conf, "198.18.0.254", secondRouter)
}

// second starts the second router.
func (b *behind) second(conf string) error {
	file, err := b.r.File("second.conf", another(conf))
	if err != nil {
		return err
	}
	return b.r.Start("second", "bird", "-f", "-c", file, "-s", b.r.Path("second.ctl"), "-P", b.r.Path("second.pid"))
}

// thousand measures how soon all paths to a dead node are withdrawn from two routers, and what they
// cost.
func (o *options) thousand(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	b := &behind{Printer: p, c: c, rounds: o.rounds}
	conf := strings.ReplaceAll(routers.BirdConf, cluster.Routed4, wide)
	b.conf = secondPeer + strings.ReplaceAll(routers.Pools(), cluster.Routed4, wide)
	if err := b.begin(ctx, routers.BIRD, conf, few); err != nil {
		return err
	}
	if err := b.second(conf); err != nil {
		return err
	}
	for i := range thousand - 1 {
		s := routers.Named(fmt.Sprint("many", i), backend)
		if _, err := c.Kube.CoreV1().Services("default").Create(ctx, s, meta.CreateOptions{}); err != nil {
			return err
		}
	}
	var took []time.Duration
	var failed error
	for i := range o.rounds {
		var one time.Duration
		if one, failed = b.withdrawn(ctx, i); failed != nil {
			break
		}
		took = append(took, one)
	}
	if len(took) > 0 {
		p.Say("    one node dies: all of its %d paths are out of the router's kernel after %.0f ms, worst %.0f ms, %d times", thousand, ms(median(took)), ms(slices.Max(took)), len(took))
	}
	return failed
}

// withdrawn is how long the router's kernel has some of a thousand routes to a node that dies.
func (b *behind) withdrawn(ctx context.Context, round int) (time.Duration, error) {
	if err := b.complete(ctx); err != nil {
		return 0, err
	}
	if round == 0 {
		if err := b.memory(ctx); err != nil {
			return 0, err
		}
	}
	victim, begun := b.c.Nodes[round%len(b.c.Nodes)], time.Now()
	if err := victim.Cut(); err != nil {
		return 0, err
	}
	err := b.until(ctx, "paths of "+victim.Name+" withdrawn", func(n int) bool { return n == thousand*(len(b.c.Nodes)-1) })
	return time.Since(begun), errors.Join(err, victim.Heal())
}

// complete waits until all speakers are well and the router has all paths.
func (b *behind) complete(ctx context.Context) error {
	if err := b.well(ctx); err != nil {
		return err
	}
	return b.until(ctx, "all addresses by all nodes", func(n int) bool { return n == thousand*len(b.c.Nodes) })
}

// memory prints what the speakers hold once each has told both routers everything: of each address
// the other two nodes.
func (b *behind) memory(ctx context.Context) error {
	const sessions, all = 2, 2 * 2 * thousand
	for _, n := range b.c.Nodes {
		err := cluster.Until(ctx, time.Minute, "sessions of "+n.Name, func(ctx context.Context) error {
			text, err := starling.MetricsOf(ctx, b.c, n)
			if err != nil {
				return err
			}
			rss, err1 := starling.Total(text, "process_resident_memory_bytes")
			up, err2 := starling.Total(text, "starling_bgp_session_up")
			paths, err3 := starling.Total(text, "starling_bgp_session_paths")
			if err := errors.Join(err1, err2, err3); err != nil {
				return err
			}
			if up != sessions || paths != all {
				return fmt.Errorf("%d sessions with %d paths", up, paths)
			}
			b.Say("    memory of the speaker on %s, %d addresses, %d sessions, %d paths in them: %d MB", n.Name, thousand, up, paths, rss/1_000_000)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
