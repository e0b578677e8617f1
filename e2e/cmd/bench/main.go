// Command bench measures starling on a real cluster of this machine and prints figures, each beside a
// reference of the same run: this machine may be slow or busy, the ratio tells.
//
//	go -C e2e run ./cmd/bench leases    how soon Services get addresses, and what 10,000 of them cost: on two
//	                                    cores their creation alone takes longer than ten minutes
//	go -C e2e run ./cmd/bench faults    how long an address is silent when its node dies, beside keepalived
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// many is a pool of 32,768 addresses on the segment of the cluster.
var many = starling.Pool{Name: "many", Ranges: []string{"198.18.128.0/17"}}

// measure prints figures of a cluster on which starling runs.
type measure func(context.Context, *step.Printer, *cluster.Cluster) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main with an exit code: 0 measured, 1 something failed, 2 cannot begin.
func run(ctx context.Context, args []string) int {
	measures := map[string]measure{"leases": leases, "faults": faults}
	m := measures[strings.Join(args, " ")]
	if m == nil {
		fmt.Fprintln(os.Stderr, "bench: leases or faults, not", args)
		return 2
	}
	if err := cluster.Possible(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	if err := bench(ctx, step.New(os.Stdout), m); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// bench makes a cluster, measures, and removes it whatever happens.
func bench(ctx context.Context, p *step.Printer, m measure) (err error) {
	if _, err := cluster.Sweep(ctx, false); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "starling-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var tools string
	var product *starling.Product
	err = p.Do("build Kubernetes, containerd, etcd and starling", func() error {
		if tools, err = build.Tools(ctx, p.Count("compile")); err != nil {
			return err
		}
		product, err = starling.Make(ctx, dir)
		return err
	})
	if err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: 3, Images: []string{product.Archive}, Step: p.Do})
	if err != nil {
		return err
	}
	defer func() {
		if down := c.Down(context.WithoutCancel(ctx)); err == nil {
			err = down
		}
	}()
	if err := p.Do("starling on three nodes", func() error { return product.Install(ctx, c, many) }); err != nil {
		return err
	}
	return m(ctx, p, c)
}
