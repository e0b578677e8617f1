package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/api"
)

const (
	// completeName is the hidden command that shells call with the words so far, the last of which
	// may be "". It is called and answers as programs made with cobra do, because kubectl expects
	// that of plugins: one candidate a line, with its meaning behind a tab, then a line with a
	// directive.
	completeName = "__complete"
	// completerName is what kubectl calls to complete `kubectl starling`.
	completerName = "kubectl_complete-starling"

	filesToo = ":0" // directive: names of files may follow as well
	noFiles  = ":4"

	// completeLimit is how long somebody who pressed TAB may be kept waiting for an answer from the
	// cluster.
	completeLimit = 2 * time.Second
)

// choice is what may follow, and what it means.
type choice struct{ word, meaning string }

// complete prints what may follow the words.
func complete(ctx context.Context, app *cli.App, words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	found, files := choices(ctx, app, words)
	last := words[len(words)-1]
	for _, c := range found {
		if strings.HasPrefix(c.word, last) {
			fmt.Fprintf(app.Writer, "%s\t%s\n", c.word, c.meaning)
		}
	}
	directive := noFiles
	if files {
		directive = filesToo
	}
	_, err := fmt.Fprintln(app.Writer, directive)
	return err
}

// choices are what may follow the words, whatever the last one begins with, and whether it may be a
// file.
func choices(ctx context.Context, app *cli.App, words []string) (found []choice, files bool) {
	before, last := words[:len(words)-1], words[len(words)-1]
	l := understand(app, before)
	if name, _, ok := strings.Cut(last, "="); ok && strings.HasPrefix(last, "-") {
		found, files = l.values(ctx, flagOf(l.known(), strings.TrimLeft(name, "-")))
		for i := range found {
			found[i].word = name + "=" + found[i].word
		}
		return found, files
	}
	if n := len(before); n > 0 && strings.HasPrefix(before[n-1], "-") && takesValue(l.known(), before[n-1]) {
		return l.values(ctx, flagOf(l.known(), strings.TrimLeft(before[n-1], "-")))
	}
	if strings.HasPrefix(last, "-") {
		return flagChoices(l.known()), false
	}
	return l.operands(ctx)
}

// flagChoices are all flags, by their long names.
func flagChoices(flags []cli.Flag) []choice {
	found := []choice{{"--help", "show help"}}
	for _, f := range flags {
		if d, ok := f.(cli.DocGenerationFlag); ok {
			_, usage := placeholder(d.GetUsage())
			found = append(found, choice{dashed(f.Names()[0]), usage})
		}
	}
	slices.SortFunc(found, func(a, b choice) int { return cmp.Compare(a.word, b.word) })
	return found
}

// values are those of a flag.
func (l line) values(ctx context.Context, f cli.Flag) (found []choice, files bool) {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return nil, false
	}
	if words := valuesOf(f.Names()[0]); words != nil {
		return plainChoices(words), false
	}
	if f.Names()[0] == "node" {
		return l.ask(ctx, nodeChoices), false
	}
	place, _ := placeholder(d.GetUsage())
	return nil, place == "FILE" || place == "FOLDER"
}

// valuesOf are those that a flag has and no others.
func valuesOf(flag string) []string {
	return map[string][]string{
		"output":            formats(),
		"color":             {"auto", "always", "never"},
		"failure-detection": {"fast", "default", "calm"},
		"hold-down":         {"never"},
		"kube-proxy-health": {"auto", "none"},
		"log-level":         {"debug", "info", "warn", "error"},
		"log-format":        {"json", "console"},
		"probe":             {"fast", "rfc5227", "off"},
	}[flag]
}

// operands are what may stand where no flag does.
func (l line) operands(ctx context.Context) (found []choice, files bool) {
	for _, c := range l.commands() {
		if !c.Hidden {
			found = append(found, choice{c.Name, c.Usage})
		}
	}
	if len(l.path) == 0 || len(found) > 0 {
		return found, false
	}
	switch l.path[0].Name {
	case "who":
		return l.ask(ctx, whoChoices), false
	case "return":
		return l.ask(ctx, nodeChoices), false
	case "completion":
		return plainChoices(shells()), false
	case "check", "convert":
		return nil, true
	}
	return nil, false
}

// ask asks a speaker, by the flags so far, and gives no choices if there is no answer soon.
func (l line) ask(ctx context.Context, choose func(api.Snapshot) []choice) (found []choice) {
	ctx, cancel := context.WithTimeout(ctx, completeLimit)
	defer cancel()
	command := l.path[len(l.path)-1]
	command.Action = func(c *cli.Context) error {
		a, err := newAsker(c)
		if err != nil {
			return err
		}
		body, err := a.one(c.Context, "api/v1/status")
		if err != nil {
			return err
		}
		s, err := read[api.Snapshot](body)
		found = choose(s)
		return err
	}
	l.rest = nil
	if n := len(l.flags); n > 0 && takesValue(l.known(), l.flags[n-1]) && l.flags[n-1] == "--node" {
		l.flags = l.flags[:n-1]
	}
	l.app.ErrWriter = io.Discard
	_ = l.app.RunContext(ctx, l.arguments()) // whoever presses TAB wants no errors
	return found
}

func nodeChoices(s api.Snapshot) (found []choice) {
	for _, m := range s.Members {
		found = append(found, choice{m.Name, "node, " + m.Health})
	}
	return found
}

// whoChoices are addresses, Services and nodes.
func whoChoices(s api.Snapshot) (found []choice) {
	addresses := map[string]string{} // of a Service, of which a dual-stack one has two
	for _, v := range s.VIPs {
		found = append(found, choice{v.IP, "address of " + strings.Join(v.Services, ", ")})
		for _, name := range v.Services {
			addresses[name] += ", " + v.IP
		}
	}
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		found = append(found, choice{name, "Service" + addresses[name]})
	}
	return append(found, nodeChoices(s)...)
}

func plainChoices(words []string) (found []choice) {
	for _, w := range words {
		found = append(found, choice{w, ""})
	}
	return found
}
