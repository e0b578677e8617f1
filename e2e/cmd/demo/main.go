// Command demo is under construction.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/step"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := step.New(os.Stdout)
	if len(os.Args) > 1 && os.Args[1] == "down" {
		removed, err := cluster.Sweep(ctx, true)
		fmt.Println(removed, err)
		return
	}
	var tools string
	err := p.Do("building Kubernetes", func() (err error) {
		tools, err = build.Tools(ctx, p.Count("compiling"))
		return err
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: 3, Step: p.Do, Keep: os.Getenv("KEEP") != ""})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv("KEEP") != "" {
		fmt.Println("KUBECONFIG="+c.Kubeconfig, c.Dir)
		return
	}
	fmt.Println(p.Do("down", func() error { return c.Down(context.WithoutCancel(ctx)) }))
}
