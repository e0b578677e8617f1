package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/status/text"
)

// errUnwell ends doctor when it has found something wrong.
var errUnwell = errors.New("something is wrong, see above")

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "examine all nodes and say what is wrong and what to do about it",
		Description: "Each speaker examines its node: packet sockets, interfaces, the gossip port of every other node by TCP and " +
			"UDP, keys, kube-proxy, strictARP, and the conditions of its status. Then doctor compares pools, clocks and " +
			"views of all speakers. --local needs no speaker: it examines whether this node could run one.\n\n" +
			"Exit codes: 0 nothing is wrong (there may be warnings), 1 no speaker answered, 2 a wrong command line, 3 something is wrong.",
		Flags: askFlags(
			&cli.StringSliceFlag{Name: "dhcp", Usage: "`RANGE` (CIDR or first-last) that a DHCP server hands out and no pool may overlap; repeatable"},
			&cli.BoolFlag{Name: "local", Usage: "examine this node, without a speaker"},
			&cli.StringSliceFlag{Name: "interface", Usage: "with --local: `PATTERN` of interfaces, as for run", DefaultText: "automatic"},
		),
		Action: examine,
	}
}

func examine(c *cli.Context) error {
	v, err := newView(c, 0, "")
	dhcp := c.StringSlice("dhcp")
	errs := []error{err}
	for _, r := range dhcp {
		if _, err := lease.Overlap(r, r); err != nil {
			errs = append(errs, fmt.Errorf("--dhcp: %q is %w", r, err))
		}
	}
	if err := checkPatterns(c.StringSlice("interface")); err != nil {
		errs = append(errs, prefixed("--interface", err))
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{command: "doctor ", err: err}
	}
	ask := v.asker.examineAll
	if c.Bool("local") {
		ask = func(ctx context.Context) ([]doctor.Answer, []doctor.Check, error) {
			answers, err := examineHere(ctx, c.StringSlice("interface"))
			return answers, nil, err
		}
	}
	answers, cluster, err := ask(c.Context)
	if err != nil {
		return err
	}
	found := doctor.Together(answers, dhcp, cluster...)
	if c.Bool("local") { // nobody asked a speaker
		found = slices.DeleteFunc(found, func(f doctor.Found) bool { return f.Name == "speaker" || f.Name == "clock" || f.Name == "views" })
	}
	body, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("put the reports together: %w", err)
	}
	if err := v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Doctor(w, found) }); err != nil {
		return err
	}
	if doctor.Wrong(found) {
		return errUnwell
	}
	return nil
}

// examineAll has all speakers examine their nodes, and looks at what the API server alone knows.
func (a asker) examineAll(ctx context.Context) ([]doctor.Answer, []doctor.Check, error) {
	speakers, err := a.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	answers, err := a.each(ctx, speakers, "api/v1/doctor")
	if err != nil {
		return nil, nil, err
	}
	cluster := a.examinePolicies(ctx, speakers)
	var list []doctor.Answer
	for _, r := range answers {
		d := doctor.Answer{Name: r.name, Err: r.err, Begun: r.begun, Ended: r.begun.Add(r.took)}
		if d.Err == nil {
			d.Report, d.Err = read[doctor.Report](r.body)
		}
		list = append(list, d)
	}
	return list, cluster, nil
}

// examinePolicies reports whether the admission policies apply to the speakers, where they were
// found by the API server and it shows the policies.
func (a asker) examinePolicies(ctx context.Context, speakers []target) []doctor.Check {
	if speakers[0].policies == nil {
		return nil
	}
	ctx, cancel := a.within(ctx)
	defer cancel()
	policies, known, err := speakers[0].policies(ctx)
	if err != nil {
		return []doctor.Check{{Name: "policies", Result: doctor.Unknown, Words: err.Error(), Todo: "look at the API server, and ask again"}}
	}
	if !known {
		return nil
	}
	var list []doctor.Policy
	for _, p := range policies {
		list = append(list, doctor.Policy(p))
	}
	var users []string
	for _, s := range speakers {
		users = append(users, s.user)
	}
	return doctor.Policies(list, users)
}
