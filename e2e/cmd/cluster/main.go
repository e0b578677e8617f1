// Command cluster is what cmd/demo hands over to: it makes a cluster, tells the story, or removes
// clusters. Without argument it tells the story; see cmd/demo for the others.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
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
	d := &demo{Printer: step.New(os.Stdout), keep: os.Getenv("KEEP") != ""}
	command := strings.Join(args, " ")
	if err := cluster.Possible(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 2
	}
	var err error
	switch command {
	case "":
		err = d.whole(ctx)
	case "up", "bare":
		d.keep = true
		err = d.up(ctx, command == "up")
	case "down":
		err = d.down(ctx)
	default:
		fmt.Fprintf(os.Stderr, "demo: unknown command %q: up, bare, down or nothing\n", command)
		return 2
	}
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "demo: interrupted") // What the interrupted step says is of no interest.
		return 1
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

// demo is one run of it.
type demo struct {
	*step.Printer
	keep    bool
	product *starling.Product
	cluster *cluster.Cluster
}

// whole shows everything, and cleans up whatever happens.
func (d *demo) whole(ctx context.Context) (err error) {
	if err := d.start(ctx, true); err != nil {
		return err
	}
	defer func() { err = d.finish(ctx, err) }()
	return d.story(ctx)
}

// up makes a cluster that stays.
func (d *demo) up(ctx context.Context, install bool) error {
	if err := d.start(ctx, install); err != nil {
		return err
	}
	return d.finish(ctx, nil)
}

// start builds and makes the cluster; after an error there is none.
func (d *demo) start(ctx context.Context, install bool) error {
	if _, err := cluster.Sweep(ctx, false); err != nil {
		return err
	}
	tools, err := build.Tools(ctx, d.Count())
	if err != nil {
		return err
	}
	options := cluster.Options{Tools: tools, Nodes: 3, Keep: d.keep, Step: d.Do}
	if install {
		dir, err := os.MkdirTemp("", "starling-build-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		err = d.Do("build starling and its image", func() (err error) {
			d.product, err = starling.Make(ctx, dir)
			return err
		})
		if err != nil {
			return err
		}
		options.Images = []string{d.product.Archive}
	}
	if d.cluster, err = cluster.Up(ctx, options); err != nil {
		return err
	}
	if !install {
		return nil
	}
	err = d.Do("kubectl apply -f manifests/starling.yaml, with one pool", func() error {
		return d.product.Install(ctx, d.cluster, starling.Pool{Name: "default", Ranges: []string{cluster.Pool4}})
	})
	if err != nil {
		return d.finish(ctx, err)
	}
	return d.adopt()
}

// adopt moves the command to where it outlives the folder it was built in.
func (d *demo) adopt() error {
	binary := d.cluster.Dir + "/starling"
	if out, err := exec.Command("cp", d.product.Binary, binary).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", d.product.Binary, err, out)
	}
	d.product.Binary = binary
	if err := os.Symlink("starling", d.cluster.Dir+"/kubectl-starling"); err != nil {
		return fmt.Errorf("plugin of kubectl: %w", err)
	}
	return nil
}

// finish keeps the cluster, or saves the logs if anything went wrong and removes it.
func (d *demo) finish(ctx context.Context, err error) error {
	if err == nil && d.keep {
		d.cluster.Release()
		d.lookAround()
		return nil
	}
	if err != nil && ctx.Err() == nil {
		if logs, saveErr := d.cluster.SaveLogs(""); saveErr == nil {
			err = fmt.Errorf("%w (logs: %s)", err, logs)
		}
	}
	down := d.Do("clean up", func() error { return d.cluster.Down(context.WithoutCancel(ctx)) })
	if down != nil {
		d.Say("    %v", down)
	}
	if err = errors.Join(err, down); err == nil {
		d.Say("\n  done in %.0f s; make demo KEEP=1 leaves the cluster, to open the page and to look around", d.Total().Seconds())
	}
	return err
}

// lookAround prints how to use a cluster that stays.
func (d *demo) lookAround() {
	c := d.cluster
	d.Say("\n  The cluster stays. To look around:\n")
	d.Say("    export KUBECONFIG=%s PATH=%s:%s:$PATH", c.Kubeconfig, c.Dir, c.Tools())
	if d.product != nil {
		d.Say("    kubectl starling status                                       # where every address is, and why")
		d.Say("    kubectl -n %s port-forward ds/starling 7928      # the page: http://localhost:7928/", starling.Namespace)
	}
	d.Say("    kubectl get pods -A -o wide")
	d.Say("    nsenter --net=%s ip -br address", c.Client.Space.Path())
	d.Say("    nsenter -t %d -n -m -p -u %s/bin/ctr -n k8s.io containers ls", c.Nodes[0].Space.Init, c.Dir)
	d.Say("    ls %s/logs", c.Dir)
	d.Say("\n  To remove it: make demo-down")
}

func (d *demo) down(ctx context.Context) error {
	removed, err := cluster.Sweep(ctx, true)
	for _, dir := range removed {
		d.Say("  removed %s", dir)
	}
	if len(removed) == 0 && err == nil {
		d.Say("  nothing to remove")
	}
	return err
}
