package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/status/text"
)

func eventsCommand() *cli.Command {
	return &cli.Command{
		Name:  "events",
		Usage: "show the latest events of all speakers in order of time",
		Description: "Each speaker remembers the last 500 lines of its log at level info and above: changes of members, " +
			"announcers, leases, interfaces and readiness, each with its reason. Events about a Service are shown by " +
			"kubectl describe service, too, and what is wrong with a node by kubectl describe node." + codes,
		Flags: askFlags(
			&cli.IntFlag{Name: "limit", Value: 50, Usage: "show the last `N` events; 0 for all"},
			&cli.DurationFlag{Name: "since", Usage: "show events of this long ago and later", DefaultText: "any"},
			&cli.StringFlag{Name: "grep", Usage: "show only lines that contain `TEXT`, such as an address or a Service"},
			&cli.BoolFlag{Name: "memberlist", Usage: "show the lines of the gossip library memberlist as well"},
		),
		Action: showEvents,
	}
}

func showEvents(c *cli.Context) error {
	v, err := newView(c, 0, "")
	if c.Int("limit") < 0 || c.Duration("since") < 0 {
		return usageError{command: "events ", err: errors.Join(err, errors.New("--limit and --since may not be negative"))}
	}
	if err != nil {
		return err
	}
	answers, err := v.asker.all(c.Context, "api/v1/events")
	if err != nil {
		return err
	}
	lines, remarks, err := merge(answers)
	if err != nil {
		return err
	}
	if !c.Bool("memberlist") {
		lines = slices.DeleteFunc(lines, func(e text.Event) bool { return e.Message == libraryMessage })
	}
	lines = choose(lines, c.String("grep"), c.Duration("since"), c.Int("limit"), time.Now())
	for _, r := range remarks {
		fmt.Fprintf(c.App.ErrWriter, "starling: %s\n", r)
	}
	body, err := json.Marshal(raw(lines))
	if err != nil {
		return fmt.Errorf("put the answers together: %w", err)
	}
	return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Events(w, lines) })
}

// libraryMessage is the message of every line that package mesh takes from memberlist's own log.
const libraryMessage = "memberlist"

// merge puts the lines of all speakers in order of time, and remarks whose are missing.
func merge(answers []answer) (lines []text.Event, remarks []string, err error) {
	var known, asked []string
	for _, a := range answers {
		asked = append(asked, a.name)
		if a.err != nil {
			remarks = append(remarks, fmt.Sprintf("%s did not answer: %s", a.name, oneLine(a.err)))
			continue
		}
		told, err := read[struct {
			Node   string
			Nodes  []string
			Events []json.RawMessage
		}](a.body)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", a.name, err)
		}
		known, asked = append(known, told.Nodes...), append(asked, told.Node)
		for _, line := range told.Events {
			e, err := text.ParseEvent(told.Node, line)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", a.name, err)
			}
			lines = append(lines, e)
		}
	}
	if words := doctor.Unasked(known, asked); words != "" {
		remarks = append(remarks, words+"; kubectl starling events asks all")
	}
	slices.SortStableFunc(lines, func(a, b text.Event) int { return a.Time.Compare(b.Time) })
	return lines, remarks, nil
}

// choose leaves the last lines that contain a text.
func choose(lines []text.Event, contains string, since time.Duration, limit int, now time.Time) []text.Event {
	lines = slices.DeleteFunc(lines, func(e text.Event) bool {
		return since > 0 && now.Sub(e.Time) > since || !strings.Contains(string(e.Raw), contains)
	})
	if limit > 0 && len(lines) > limit {
		lines = lines[len(lines)-limit:]
	}
	return lines
}

// raw are the lines as they came, with the node that told them.
func raw(lines []text.Event) []json.RawMessage {
	out := make([]json.RawMessage, len(lines))
	for i, e := range lines {
		out[i] = e.Raw
	}
	return out
}
