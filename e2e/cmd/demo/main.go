// Command demo shows the whole promise on this machine: a real Kubernetes of three nodes, starling
// applied as a user does, a Service that gets an address, and that address answering again right
// after the node that announced it is cut off.
//
//	go -C e2e run ./cmd/demo         the whole of it; with KEEP=1 in the environment the cluster stays
//	go -C e2e run ./cmd/demo up      only a cluster with starling, which stays
//	go -C e2e run ./cmd/demo bare    only a cluster, which stays
//	go -C e2e run ./cmd/demo down    remove what stayed
//	go -C e2e run ./cmd/demo build   only compile what all of this needs
//
// It compiles in a second, so that the user sees at once what is going on; it then compiles
// everything else, showing progress, and hands over to cmd/cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/step"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main with an exit code: 0 all well, 1 something failed, 2 cannot begin.
func run(ctx context.Context, args []string) int {
	if len(args) > 1 || len(args) == 1 && !slices.Contains([]string{"up", "bare", "down", "build"}, args[0]) {
		fmt.Fprintln(os.Stderr, "demo: up, bare, down, build or nothing, not", args)
		return 2
	}
	if os.Geteuid() != 0 && !slices.Equal(args, []string{"build"}) {
		fmt.Fprintln(os.Stderr, "demo: needs root, because it makes network namespaces and runs containers: use sudo")
		return 2
	}
	p := step.New(os.Stdout)
	if len(args) == 0 {
		p.Say("starling on a real Kubernetes of three nodes, each a network namespace of this machine\n")
	}
	if !slices.Equal(args, []string{"down"}) {
		if err := compile(ctx, p); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
			return 1
		}
	}
	if slices.Equal(args, []string{"build"}) {
		return 0
	}
	return handOver(p, args)
}

func compile(ctx context.Context, p *step.Printer) error {
	what, missing, err := build.Sources()
	if err != nil {
		return err
	}
	if missing {
		p.Say("  %s are compiled from their Go modules, once.\n  On two cores that took about 10 minutes, and downloading them a minute.\n", what)
	}
	return p.Do("build Kubernetes, containerd and etcd (kept for next time)", func() error {
		_, err := build.Tools(ctx, p.Count())
		return err
	})
}

// handOver becomes the other program, so that there is one to be interrupted.
func handOver(p *step.Printer, args []string) int {
	command, err := exec.LookPath("go")
	if err == nil {
		argv := append([]string{"go", "run", "./cmd/cluster"}, args...)
		env := append(os.Environ(), "CGO_ENABLED=0", step.BegunVariable+"="+p.Begun())
		err = syscall.Exec(command, argv, env)
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 1
}
