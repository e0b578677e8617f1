package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	nodes "go.yaml.in/yaml/v3"
)

// configEntry is where the configuration is in its ConfigMap.
const configEntry = "starling.yaml"

// configuration is one that a file is or holds.
type configuration struct {
	called string // in messages
	from   string // in messages with a line
	text   string
}

// configurations are those of a file: the file itself, or entries of the ConfigMaps in it. Those
// that can be read are returned beside an error about the others.
func configurations(name string, data []byte) ([]configuration, error) {
	all, broken := objectsOf(name, data)
	if len(all) == 0 {
		return []configuration{{name, name, string(data)}}, nil // whoever reads it says what is wrong
	}
	var kinds []string
	var maps []document
	for _, o := range all {
		if kinds = append(kinds, o.Kind); o.Kind == "ConfigMap" {
			maps = append(maps, o)
		}
	}
	if len(maps) > 0 {
		list, err := entriesOf(name, maps)
		return list, errors.Join(broken, err)
	}
	const want = "name the manifest of the one with the pools, or a configuration file"
	slices.Sort(kinds)
	missing := fmt.Errorf("%s: there is no ConfigMap in it, only %s; %s", name, strings.Join(slices.Compact(kinds), ", "), want)
	if strings.Contains(string(data), "apiVersion: metallb.io/") {
		missing = fmt.Errorf("%s: there is no ConfigMap in it; starling convert turns MetalLB's objects into a configuration", name)
	}
	return nil, cmp.Or(broken, missing)
}

// document is an object of a manifest, as far as it matters here.
type document struct {
	Kind     string
	Metadata struct{ Name string }
	Data     nodes.Node
	Items    nodes.Node // of a list
	before   int        // lines of the file that the nodes do not count
}

// objectsOf are those of a manifest, and what is wrong with documents that are no YAML.
func objectsOf(name string, data []byte) (all []document, broken error) {
	before := 0
	for text := range strings.SplitSeq(string(data), "\n---") {
		var root nodes.Node
		if err := nodes.Unmarshal([]byte(text), &root); err != nil {
			err = nodes.Unmarshal([]byte(strings.Repeat("\n", before)+text), &root) // says the line in the file
			broken = errors.Join(broken, fmt.Errorf("%s: %w", name, err))
		}
		all = append(all, objectsIn(&root, "", before)...)
		before += strings.Count(text, "\n") + 1
	}
	return all, broken
}

// objectsIn is the object of a document, or those of its list. These may leave out the kind that
// the list says.
func objectsIn(n *nodes.Node, kind string, before int) []document {
	var o document
	_ = n.Decode(&o) // what does not fit stays empty
	if o.Kind = cmp.Or(o.Kind, kind); o.Kind == "" {
		return nil
	}
	o.before = before
	var all []document
	if of, list := strings.CutSuffix(o.Kind, "List"); list && kind == "" {
		for _, item := range o.Items.Content {
			all = append(all, objectsIn(item, cmp.Or(of, "List"), before)...)
		}
	}
	if len(all) == 0 {
		return []document{o}
	}
	return all
}

// entry is one of a ConfigMap.
type entry struct {
	of         string // what the ConfigMap is called in messages
	key, value *nodes.Node
	before     int
}

// entriesOf are the entries starling.yaml of ConfigMaps, or where none has it the only entry of
// each.
func entriesOf(name string, maps []document) ([]configuration, error) {
	var named, only []entry
	var without []error
	for _, o := range maps {
		of := name + ": " + strings.TrimSpace("ConfigMap "+o.Metadata.Name)
		var mine []entry
		for pair := range slices.Chunk(o.Data.Content, 2) {
			if len(pair) == 2 {
				mine = append(mine, entry{of, pair[0], pair[1], o.before})
			}
		}
		if len(mine) == 1 {
			only = append(only, mine...)
		} else {
			without = append(without, fmt.Errorf("%s has no entry %s; the configuration belongs there", of, configEntry))
		}
		named = append(named, slices.DeleteFunc(mine, func(e entry) bool { return e.key.Value != configEntry })...)
	}
	if len(named) > 0 {
		only, without = named, nil
	}
	var list []configuration
	for _, e := range only {
		c, err := e.configuration()
		if err != nil {
			without = append(without, err)
			continue
		}
		list = append(list, c)
	}
	return list, errors.Join(without...)
}

// configuration is what the entry holds. Where lines of its text are lines of the file, as many
// empty ones before it make them count there.
func (e entry) configuration() (configuration, error) {
	called, value := e.of+": "+e.key.Value, e.value
	if value.Kind == nodes.AliasNode {
		value = value.Alias
	}
	if value.Kind != nodes.ScalarNode || value.ShortTag() != "!!str" {
		return configuration{}, fmt.Errorf("%s: line %d: %s: want text; write %q, and indent the configuration below it", e.of, e.before+e.key.Line, e.key.Value, e.key.Value+": |")
	}
	text, line := value.Value, e.before+value.Line
	switch {
	case value.Style&nodes.LiteralStyle != 0: // begins below
		return configuration{called, e.of, strings.Repeat("\n", line) + text}, nil
	case !strings.Contains(strings.TrimRight(text, "\n"), "\n"):
		return configuration{called, e.of, strings.Repeat("\n", line-1) + text}, nil
	}
	return configuration{called, fmt.Sprintf("%s: line %d, within %s", e.of, line, e.key.Value), text}, nil
}
