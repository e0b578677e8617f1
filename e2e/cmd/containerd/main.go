// Command containerd is containerd and its client ctr in one binary: the name it is called by
// chooses.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins" // The plugins.
	"github.com/containerd/containerd/v2/cmd/containerd/command"
	ctr "github.com/containerd/containerd/v2/cmd/ctr/app"
)

func main() {
	name, run := filepath.Base(os.Args[0]), command.App().Run
	if name == "ctr" {
		run = ctr.New().Run
	}
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}
