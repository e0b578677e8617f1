package lease

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	nodes "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// A place is where something is in the configuration: keys, and indices of lists, that lead there.
type place []any

// to returns the place of what is below a key or index.
func (p place) to(step any) place { return append(slices.Clip(p), step) }

// String returns "pools[0].ranges".
func (p place) String() string {
	if len(p) == 0 {
		return "configuration"
	}
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(clip(step))
		}
	}
	return fmt.Sprintf("%.512s", strings.ToValidUTF8(strings.Join(strings.Fields(b.String()), " "), "?"))
}

// exact is the same for equal places alone, which String is not: a key may have any letters.
func (p place) exact() string { return fmt.Sprintf("%#v", append([]any{}, p...)) }

// mistake is what is wrong at a place, in one line.
type mistake struct {
	where place
	error
}

func (m mistake) Unwrap() error { return m.error }

// wrongAt notes where an error is in what was compiled. A caller knows the way there.
func wrongAt(err error, where ...any) error { return mistake{where, err} }

// twiceThere marks the mistake that a key is in a map more than once.
type twiceThere struct{ error }

// misspelled marks the mistake that a key is unknown, and says where the one is that may have been
// meant.
type misspelled struct {
	error
	meant place
}

func asErrors(all []mistake) []error {
	errs := make([]error, len(all))
	for i, m := range all {
		errs[i] = m.error
	}
	return errs
}

// document is a configuration file that was read.
type document struct {
	config Config
	form   []mistake // keys and types that do not fit; config is what is left without these
	root   *nodes.Node
	keys   map[*nodes.Node]map[string]int // where in a map a key is, for those that were looked at
}

// readDocument reads what it can. Its error is for what is no YAML at all.
func readDocument(data []byte) (document, error) {
	if len(data) > maxConfig {
		return document{}, fmt.Errorf("configuration of %d bytes: longer than %d", len(data), maxConfig)
	}
	raw, err := yaml.YAMLToJSON(data)
	if err != nil {
		return document{}, oneLine("configuration", err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return document{}, oneLine("configuration", err)
	}
	d := document{root: new(nodes.Node), keys: map[*nodes.Node]map[string]int{}}
	if err := nodes.Unmarshal(data, d.root); err != nil { // the two readers differ in a few rare forms: then without lines
		d.root = nil
		if _, err := yaml.YAMLToJSONStrict(data); err != nil {
			return document{}, oneLine("configuration", err)
		}
	}
	d.form = mistakes(nil, tree, reflect.TypeFor[Config]())
	for _, m := range d.form {
		tree = leaveOut(tree, m.where)
	}
	d.form = append(twice(nil, d.root), d.form...) // of those the last ones count
	if raw, err = json.Marshal(tree); err == nil {
		err = json.Unmarshal(raw, &d.config)
	}
	if err != nil {
		return document{}, oneLine("configuration", err)
	}
	return d, nil
}

// deepest is more levels than a configuration has. What is deeper is refused for its form, and a
// search for keys there would take time that grows with the square of the depth.
const deepest = 16

// twice finds keys that are in a map more than once.
func twice(where place, n *nodes.Node) []mistake {
	if n == nil || len(where) > deepest {
		return nil
	}
	var found []mistake
	switch n.Kind {
	case nodes.DocumentNode:
		for _, c := range n.Content {
			found = append(found, twice(where, c)...)
		}
	case nodes.SequenceNode:
		for i, c := range n.Content {
			found = append(found, twice(where.to(i), c)...)
		}
	case nodes.MappingNode:
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if line, there := first[k.Value]; there {
				text := fmt.Errorf("%s: key %q is there twice, first in line %d", where, clip(k.Value), line)
				found = append(found, mistake{where.to(k.Value), twiceThere{text}})
			} else {
				first[k.Value] = k.Line
			}
			found = append(found, twice(where.to(k.Value), n.Content[i+1])...)
		}
	}
	return found
}

// leaveOut takes out what is at a place. In a list nothing stays there, so that all else keeps its
// place.
func leaveOut(tree any, where place) any {
	if len(where) == 0 {
		return nil
	}
	switch step := where[0].(type) {
	case string:
		if m, ok := tree.(map[string]any); ok {
			if m[step] = leaveOut(m[step], where[1:]); len(where) == 1 {
				delete(m, step)
			}
		}
	case int:
		if l, ok := tree.([]any); ok && step < len(l) {
			l[step] = leaveOut(l[step], where[1:])
		}
	}
	return tree
}

// ReadPools compiles the pools of a configuration file behind those given besides. Its error joins
// one error for each mistake in either, each of one line; those of the file begin with its name and
// the line. from is its name.
func ReadPools(besides []Pool, from string, data []byte) (*Pools, error) {
	d, err := readDocument(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	inFile := slices.Clone(d.form)
	explained := d.explained()
	if noPools := (mistake{place{"pools"}, errors.New(`no key "pools" (an empty list is written as pools: [])`)}); d.config.Pools == nil && !explained(noPools) {
		inFile = append(inFile, noPools)
	}
	config := d.config
	config.Pools = slices.Concat(besides, config.Pools)
	p, errs := newPools(config, len(besides))
	var all []error
	for _, err := range errs {
		var m mistake
		errors.As(err, &m)
		switch i, inPool := m.where.index("pools"); {
		case inPool && i < len(besides):
			all = append(all, err)
			continue
		case inPool:
			m.where = append(place{"pools", i - len(besides)}, m.where[2:]...)
		}
		if !explained(m) {
			inFile = append(inFile, m)
		}
	}
	all = append(all, d.numbered(from, inFile)...)
	if err := joinErrors(all); err != nil {
		return nil, err
	}
	return p, nil
}

// numbered words mistakes with the file's name and their lines, in the order of these.
func (d document) numbered(from string, all []mistake) []error {
	type numbered struct {
		line int
		err  error
	}
	list := make([]numbered, len(all))
	for i, m := range all {
		list[i] = numbered{d.line(m.where), fmt.Errorf("%s: %w", from, m.error)}
		if line := list[i].line; line > 0 {
			list[i].err = fmt.Errorf("%s: line %d: %w", from, line, m.error)
		}
	}
	slices.SortStableFunc(list, func(a, b numbered) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(list))
	for i, n := range list {
		errs[i] = n.err
	}
	return errs
}

// explained returns what reports whether a mistake only follows from one in the form of the
// document: its place, or one above, was left out, or it is about a router whose name may have
// been. A key that is there twice explains nothing, since the last one counts, but a name may be in
// the first one.
func (d document) explained() func(m mistake) bool {
	lost, router := map[string]bool{}, false
	for _, m := range d.form {
		if _, twice := errors.AsType[twiceThere](m.error); !twice {
			lost[m.where.exact()] = true
		}
		router = router || m.where.namesRouter()
		if typo, is := errors.AsType[misspelled](m.error); is && !d.has(typo.meant) {
			lost[typo.meant.exact()] = true
			router = router || typo.meant.namesRouter()
		}
	}
	return func(m mistake) bool {
		if router && errors.As(m.error, new(aboutRouter)) {
			return true
		}
		for n := range len(m.where) + 1 {
			if lost[m.where[:n].exact()] {
				return true
			}
		}
		return false
	}
}

// namesRouter reports whether a place is the name of a router, bgp.peers[N].name, or contains one.
func (p place) namesRouter() bool {
	way := place{bgpWord, "peers", 0, "name"}
	if len(p) > len(way) {
		return false
	}
	for i, step := range p {
		if _, element := step.(int); step != way[i] && !(i == 2 && element) {
			return false
		}
	}
	return true
}

// index returns the index of the element of a list that a place is in.
func (p place) index(list string) (i int, in bool) {
	if len(p) < 2 || p[0] != list {
		return 0, false
	}
	i, in = p[1].(int)
	return i, in
}

// has reports whether there is something in a place.
func (d document) has(where place) bool {
	n := d.root
	for _, step := range where {
		if n, _ = d.below(n, step); n == nil {
			return false
		}
	}
	return true
}

// line is that of a place, or of what leads there as far as it exists; 0 unknown. Of a key that is
// there twice it is the last one.
func (d document) line(where place) int {
	n, last := d.root, 0
	for _, step := range where {
		next, line := d.below(n, step)
		if next == nil {
			break
		}
		n, last = next, line
	}
	return last
}

// below is what is below a key or index, and the line where it begins.
func (d document) below(n *nodes.Node, step any) (next *nodes.Node, line int) {
	for n != nil && (n.Kind == nodes.AliasNode || n.Kind == nodes.DocumentNode && len(n.Content) > 0) {
		if n.Kind == nodes.AliasNode {
			n = n.Alias
		} else {
			n = n.Content[0]
		}
	}
	if n == nil {
		return nil, 0
	}
	switch step := step.(type) {
	case string:
		if i, ok := d.index(n)[step]; ok {
			return n.Content[i+1], n.Content[i].Line
		}
	case int:
		if n.Kind == nodes.SequenceNode && step < len(n.Content) {
			return n.Content[step], n.Content[step].Line
		}
	}
	return nil, 0
}

// index says where the keys of a map are, the last one of the same.
func (d document) index(n *nodes.Node) map[string]int {
	keys, known := d.keys[n]
	if !known && n.Kind == nodes.MappingNode {
		keys = make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			keys[n.Content[i].Value] = i
		}
		d.keys[n] = keys
	}
	return keys
}
