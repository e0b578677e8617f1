package main

import (
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
		fmt.Fprintf(out, "%s: no mistakes; pools: %s\n", from, strings.Join(names, ", "))
	}
	return errors.Join(errs...)
}

// configurations are those of a file by what they are called in messages: the file itself, or the entry of each
// ConfigMap among its documents.
func configurations(name string, data []byte) (map[string]string, error) {
	texts := map[string]string{}
	objects := 0
	for document := range strings.SplitSeq("\n"+string(data), "\n---") {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := yaml.Unmarshal([]byte(document), &o); err != nil || o.Kind == "" {
			continue // whoever reads the configuration says what is wrong
		}
		objects++
		if o.Kind != "ConfigMap" {
			continue
		}
		entries := slices.Sorted(maps.Keys(o.Data))
		if slices.Contains(entries, configEntry) {
			entries = []string{configEntry}
		}
		if len(entries) != 1 {
			return nil, fmt.Errorf("%s: ConfigMap %s has no entry %s", name, o.Metadata.Name, configEntry)
		}
		texts[fmt.Sprintf("%s: ConfigMap %s: %s", name, o.Metadata.Name, entries[0])] = o.Data[entries[0]]
	}
	switch {
	case objects == 0:
		return map[string]string{name: string(data)}, nil
	case len(texts) == 0:
		return nil, fmt.Errorf("%s: there is no ConfigMap in it", name)
	}
	return texts, nil
}
