package lease

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Layer2Entry is a compiled layer 2 entry of a pool's key announce, or the one that the pool's own
// keys are. It is for a Service and a node if both match.
type Layer2Entry struct {
	Name             string   // "announce[1]"; "": the pool's own keys
	ServiceSelectors []string // as kubectl writes them; none: for all Services
	NodeSelectors    []string // none: on all nodes
	Interfaces       []string // patterns as of --interface; none: on all that a node uses
	NodeWeights      []string // in words, such as "3 for a=b"
	services, nodes  selectors
	weights          []weighed
	text             string // see String
}

// compileLayer2 checks an entry and returns one error for each mistake.
func compileLayer2(name string, c OnLayer2) (Layer2Entry, []error) {
	e := Layer2Entry{Name: name, Interfaces: slices.Clone(c.Interfaces)}
	var errs []error
	for i, pattern := range c.Interfaces {
		if err := checkPattern(pattern); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("%s %q: %w", within(name, "interface"), clip(pattern), err), "interfaces", i))
		}
	}
	for _, l := range []struct {
		key   string
		given []Selector
		into  *selectors
		texts *[]string
	}{
		{"serviceSelectors", c.ServiceSelectors, &e.services, &e.ServiceSelectors},
		{"nodeSelectors", c.NodeSelectors, &e.nodes, &e.NodeSelectors},
	} {
		compiled, wrong := compileSelectors(within(name, l.key), l.given)
		*l.into, *l.texts = compiled, compiled.texts()
		errs = append(errs, renamed(wrong, l.key)...)
	}
	weights, texts, wrong := compileWeights(within(name, "nodeWeights"), c.NodeWeights)
	e.weights, e.NodeWeights = weights, texts
	e.text = e.words()
	return e, append(errs, wrong...)
}

// within names a key of an entry in a message.
func within(entry, key string) string {
	if entry == "" {
		return key
	}
	return entry + ": " + key
}

// renamed gives mistakes in selectors the key that these are under.
func renamed(errs []error, key ...any) []error {
	for i, err := range errs {
		var m mistake
		errors.As(err, &m)
		errs[i] = mistake{append(slices.Clone(place(key)), m.where[1:]...), m.error}
	}
	return errs
}

// Node reports whether the entry is for a node with these labels.
func (e Layer2Entry) Node(labels Labels) bool { return e.nodes.match(labels) }

// service reports whether the entry is for a Service with these labels.
func (e Layer2Entry) service(labels string) bool { return e.services.matchText(labels) }

// Interface reports whether the entry is for an interface of a node.
func (e Layer2Entry) Interface(name string) bool {
	fits, asked := true, false
	for _, pattern := range e.Interfaces {
		glob, not := strings.CutPrefix(pattern, "!")
		matches, _ := path.Match(glob, name) // checked by NewPools
		switch {
		case not && matches:
			return false
		case !not && !asked:
			fits, asked = matches, true
		case !not:
			fits = fits || matches
		}
	}
	return fits
}

// Named reports whether the entry names an interface itself, and not by a pattern that fits it.
func (e Layer2Entry) Named(name string) bool {
	pattern := strings.HasPrefix(name, "!") || strings.ContainsAny(name, `*?[\`)
	return !pattern && slices.Contains(e.Interfaces, name) && e.Interface(name)
}

// Weight is what the entry says of a node with these labels, if it says anything: the first of its
// weights that matches.
func (e Layer2Entry) Weight(labels Labels) (weight int, said bool) {
	for _, w := range e.weights {
		if w.nodes.match(labels) {
			return w.weight, true
		}
	}
	return 0, false
}

// Same reports whether two entries say the same.
func (e Layer2Entry) Same(o Layer2Entry) bool { return e.Name == o.Name && e.text == o.text }

// free reports whether the entry limits nothing and weighs nothing.
func (e Layer2Entry) free() bool {
	return len(e.services)+len(e.nodes)+len(e.weights)+len(e.Interfaces) == 0
}

// String says in words, and in full, where the entry announces what.
func (e Layer2Entry) String() string { return e.text }

func (e Layer2Entry) words() string {
	words := []string{"on layer 2"}
	say := func(what string, values ...string) {
		if len(values) > 0 {
			words = append(words, what+" "+strings.Join(values, " or "))
		}
	}
	say("for Services with", every(e.ServiceSelectors)...)
	say("by nodes with", every(e.NodeSelectors)...)
	if len(e.Interfaces) > 0 {
		say("on interfaces", strings.Join(e.Interfaces, " "))
	}
	if len(e.NodeWeights) > 0 {
		say("by weight", strings.Join(e.NodeWeights, ", "))
	}
	return strings.Join(words, " ")
}
