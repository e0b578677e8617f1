//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/doctor"
)

// errNotLinux is the answer of what needs a node.
var errNotLinux = fmt.Errorf("this works on the Linux nodes of a cluster only, and this machine runs %s", runtime.GOOS)

// runCommand is there to say why it is not.
func runCommand() *cli.Command {
	return &cli.Command{
		Name:   "run",
		Usage:  "run the speaker on this node (Linux only)",
		Flags:  runFlags(),
		Action: func(*cli.Context) error { return errNotLinux },
	}
}

// examineHere says that there is no node here to examine, and how to examine those of the cluster.
func examineHere(context.Context, []string) ([]doctor.Answer, error) {
	return nil, errors.Join(
		fmt.Errorf("--local: %w", errNotLinux),
		errors.New("leave --local out to have the speakers of the cluster examine their nodes, through your kubeconfig"),
	)
}
