package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/lease"
)

// errMistakes ends check when a file has mistakes.
var errMistakes = errors.New("nothing was applied")

// configEntry is where the configuration is in its ConfigMap.
const configEntry = "starling.yaml"

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "check configuration files before they are applied", ArgsUsage: "FILE...",
		Description: "Reads each FILE (- for standard input) as a speaker would: a configuration file, or a manifest with the " +
			"ConfigMap that holds it. Prints all mistakes at once, each with its line. It talks to no cluster.\n\n" +
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
	texts, err := configurations(name, data)
	if err != nil {
		return err
	}
	var errs []error
	for _, from := range slices.Sorted(maps.Keys(texts)) {
		pools, err := lease.ReadPools(nil, from, []byte(texts[from]))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var names []string
		for _, p := range pools.List() {
			names = append(names, p.Name)
		}
		fmt.Fprintf(out, "%s: no mistakes; pools: %s%s\n", from, cmp.Or(strings.Join(names, ", "), "none"), routersOf(pools))
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

// configurations are those of a file by what they are called in messages: the file itself, or the
// entries of the ConfigMaps in it.
func configurations(name string, data []byte) (map[string]string, error) {
	all := documentsOf(data)
	if len(all) == 0 {
		return map[string]string{name: string(data)}, nil
	}
	texts, err := entriesOf(name, slices.DeleteFunc(all, func(o document) bool { return o.Kind != "ConfigMap" }))
	switch {
	case err != nil:
		return nil, err
	case len(texts) == 0 && strings.Contains(string(data), "apiVersion: metallb.io/"):
		return nil, fmt.Errorf("%s: there is no ConfigMap in it; starling convert turns MetalLB's objects into a configuration", name)
	case len(texts) == 0:
		return nil, fmt.Errorf("%s: there is no ConfigMap in it", name)
	}
	return texts, nil
}

// document is an object of a manifest, as far as it matters here.
type document struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
}

// documentsOf are those of a manifest. What is none is left out: whoever reads the configuration
// says what is wrong.
func documentsOf(data []byte) (all []document) {
	for text := range strings.SplitSeq("\n"+string(data), "\n---") {
		var o document
		if err := yaml.Unmarshal([]byte(text), &o); err == nil && o.Kind != "" {
			all = append(all, o)
		}
	}
	return all
}

// entriesOf are the entries starling.yaml of ConfigMaps, or where none has it the only entry of
// each.
func entriesOf(name string, list []document) (map[string]string, error) {
	named, only := map[string]string{}, map[string]string{}
	var without error
	for _, o := range list {
		called := fmt.Sprintf("%s: ConfigMap %s", name, o.Metadata.Name)
		if text, has := o.Data[configEntry]; has {
			named[called+": "+configEntry] = text
			continue
		}
		if len(o.Data) != 1 {
			without = fmt.Errorf("%s has no entry %s", called, configEntry)
		}
		for entry, text := range o.Data {
			only[called+": "+entry] = text
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return only, without
}
