package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/lease"
)

// errMistakes ends check when a file has mistakes.
var errMistakes = errors.New("nothing was applied")

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "check configuration files before they are applied", ArgsUsage: "FILE...",
		Description: "Reads each FILE (- for standard input) as a speaker would: a configuration file, or a manifest with the " +
			"ConfigMap that holds it, as kubectl get -o yaml prints it too. Prints all mistakes at once, each with its " +
			"line in FILE. It talks to no cluster.\n\n" +
			"For editors and CI there is also a JSON schema, manifests/config.schema.json.\n\n" +
			"Exit codes: 0 no mistakes, 2 mistakes, or a wrong command line.",
		Action: checkFiles,
	}
}

func checkFiles(c *cli.Context) error {
	if !c.Args().Present() {
		return usageError{command: "check ", err: errors.New("name a FILE, as in starling check pools.yaml")}
	}
	var errs []error
	for _, name := range c.Args().Slice() {
		data, err := readSource(c.App.Reader, name)
		if err == nil {
			err = checkFile(c.App.Writer, name, data)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return mistaken{err}
	}
	return nil
}

// mistaken marks mistakes in a file.
type mistaken struct{ error }

func (mistaken) Is(target error) bool { return target == errMistakes }

// checkFile checks one file and says what is in it.
func checkFile(out io.Writer, name string, data []byte) error {
	list, err := configurations(name, data)
	errs := []error{err}
	for _, c := range list {
		pools, err := lease.ReadPools(nil, c.from, []byte(c.text))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var names []string
		for _, p := range pools.List() {
			names = append(names, p.Name)
		}
		fmt.Fprintf(out, "%s: no mistakes; pools: %s%s\n", c.called, cmp.Or(strings.Join(names, ", "), "none"), routersOf(pools))
	}
	return errors.Join(errs...)
}

// routersOf names the BGP routers, as a part of a sentence; "" without the key bgp.
func routersOf(pools *lease.Pools) string {
	b := pools.BGP()
	if b == nil {
		return ""
	}
	var names []string
	for _, r := range b.Routers {
		names = append(names, r.Name)
	}
	return "; routers: " + strings.Join(names, ", ")
}
