package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/watcher/kube"
)

func returnCommand() *cli.Command {
	return &cli.Command{
		Name: "return", Usage: "end the hold-down of a node that came back, so that its addresses return to it", ArgsUsage: "NODE...",
		Description: "Sets the annotation " + kube.ReturnAnnotation + " of the Nodes to the present time. When a speaker sees a value that was " +
			"not there when its hold-down began, it ends the hold-down. Connections through an address end when it moves.\n\n" +
			"Your user needs the right to patch Nodes; the speakers do not have it.\n\n" +
			"Exit codes: 0 all are set, 1 one is not, 2 a wrong command line.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kubeconfig", EnvVars: env("KUBECONFIG"), Usage: "kubeconfig `FILE` for the API server", DefaultText: "as kubectl finds it, else in-cluster"},
			&cli.StringFlag{Name: "context", Usage: "use this `CONTEXT` of the kubeconfig", DefaultText: "the current context"},
			&cli.DurationFlag{Name: "timeout", Value: askLimit, Usage: "how long to wait for the API server"},
		},
		Action: release,
	}
}

// release sets the annotation of each node.
func release(c *cli.Context) error {
	var errs []error
	if !c.Args().Present() {
		errs = append(errs, errors.New("name a NODE, as in starling return n1"))
	}
	for _, node := range c.Args().Slice() {
		errs = append(errs, checkName(node))
	}
	limit := c.Duration("timeout")
	if limit <= 0 {
		errs = append(errs, fmt.Errorf("--timeout: %s is not a time to wait", limit))
	}
	client, err := kube.ConnectUser(c.String("kubeconfig"), c.String("context"), "starling/"+version())
	if err != nil {
		errs = append(errs, fmt.Errorf("--kubeconfig: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{command: "return ", err: err}
	}
	ctx, cancel := context.WithTimeout(c.Context, limit)
	defer cancel()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for _, node := range c.Args().Slice() {
		if err := kube.Release(ctx, client, node, now); err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(c.App.Writer, "%s: asked to take its addresses back\n", node)
	}
	return errors.Join(errs...)
}
