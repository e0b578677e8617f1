package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/speaker"
	"github.com/starling-lb/starling/status"
	"github.com/starling-lb/starling/status/text"
)

const defaultServer = "http://localhost:7928"

// codes ends the help of every command that asks.
const codes = "\n\nExit codes: 0 shown, 1 nobody answered or the answer cannot be understood, 2 a wrong command line."

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show members, addresses with their announcer, pools, and what to look at",
		Description: "Asks one speaker for its view of the whole mesh: the one of this node, or, as kubectl starling and with\n" +
			"--kubeconfig, any one (--node chooses) through the API server." + codes,
		Flags: askFlags(
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "show it again and again, until interrupted"},
			&cli.DurationFlag{Name: "interval", Value: 2 * time.Second, Usage: "time between two views of --watch"},
		),
		Action: showStatus,
	}
}

func showStatus(c *cli.Context) error {
	v, err := newView(c, 0, "")
	if every := c.Duration("interval"); every <= 0 {
		err = errors.Join(err, fmt.Errorf("--interval: %s is not a time to wait", every))
		return usageError{command: "status ", err: err}
	}
	if err != nil {
		return err
	}
	once := func(ctx context.Context) error { return v.status(ctx) }
	if !c.Bool("watch") {
		return once(c.Context)
	}
	return watch(c.Context, v.shower.out, c.Duration("interval"), once)
}

func (v view) status(ctx context.Context) error {
	t, body, err := v.asker.anyone(ctx, "api/v1/status")
	if err != nil {
		return err
	}
	s, err := read[speaker.Snapshot](body)
	if err != nil {
		return err
	}
	told, body, err := v.asker.others(ctx, t, body)
	if err != nil {
		return err
	}
	return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Status(w, s, told) })
}

// others asks the same speaker what others find and it does not, and adds that to its answer. A speaker that does not
// say so, as one of an earlier release, has said what it sees itself.
func (a asker) others(ctx context.Context, t target, body []byte) ([]speaker.Told, []byte, error) {
	r := a.ask(ctx, t, "api/v1/others")
	if r.err != nil {
		return nil, body, nil
	}
	e, err := read[status.Others](r.body)
	if err != nil {
		return nil, nil, err
	}
	findings, err := json.Marshal(e.Findings)
	if err != nil {
		return nil, nil, fmt.Errorf("put the answers together: %w", err)
	}
	object := bytes.TrimSuffix(bytes.TrimSpace(body), []byte("}")) // has keys, in an order that people read
	return e.Findings, fmt.Appendf(nil, `%s,"others":%s}`, object, findings), nil
}

// watch shows again and again. On a terminal each view takes the place of the one before. A view that fails is told
// in its place: it may be back in a moment.
func watch(ctx context.Context, out io.Writer, every time.Duration, once func(context.Context) error) error {
	f, file := out.(*os.File)
	redraw := file && interactive(f)
	for {
		if redraw {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if err := once(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(out, "starling: %v\n", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func poolsCommand() *cli.Command {
	return &cli.Command{
		Name: "pools", Usage: "show the pools, how full they are, and who waits for an address and why",
		Description: "With -o json or yaml: the keys pools and waiting of what status shows." + codes,
		Flags:       askFlags(),
		Action: func(c *cli.Context) error {
			v, err := newView(c, 0, "")
			if err != nil {
				return err
			}
			body, err := v.asker.one(c.Context, "api/v1/status")
			if err != nil {
				return err
			}
			s, err := read[speaker.Snapshot](body)
			if err != nil {
				return err
			}
			if body, err = part(body, "pools", "waiting"); err != nil {
				return err
			}
			return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Pools(w, s) })
		},
	}
}

func whoCommand() *cli.Command {
	return &cli.Command{
		Name: "who", Usage: "say who announces an address and why, and why not the others", ArgsUsage: "ADDRESS",
		Description: "Shows the whole ranking of one address as one speaker sees it: each node's score, whether it is eligible,\n" +
			"and the reason if not. Of an address that no Service holds it says who would announce it." + codes,
		Flags: askFlags(),
		Action: func(c *cli.Context) error {
			v, err := newView(c, 1, "an ADDRESS, as starling who 192.168.1.240")
			if err != nil {
				return err
			}
			ip, err := netip.ParseAddr(c.Args().First())
			if err != nil || ip.Zone() != "" {
				return usageError{command: "who ", err: fmt.Errorf("%q is no IP address: give one, as starling who 192.168.1.240", c.Args().First())}
			}
			body, err := v.asker.one(c.Context, "api/v1/who?ip="+ip.String())
			if err != nil {
				return err
			}
			a, err := read[speaker.Who](body)
			if err != nil {
				return err
			}
			return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Who(w, a) })
		},
	}
}

func leasesCommand() *cli.Command {
	return &cli.Command{
		Name: "leases", Usage: "show which addresses each Service holds, and how far that is",
		Description: "States: bound (announced, if somebody may), claimed (on its way), shown (by the Service's status alone: of\n" +
			"another implementation, or edited)." + codes,
		Flags: askFlags(),
		Action: func(c *cli.Context) error {
			v, err := newView(c, 0, "")
			if err != nil {
				return err
			}
			body, err := v.asker.one(c.Context, "api/v1/leases")
			if err != nil {
				return err
			}
			list, err := read[[]speaker.Lease](body)
			if err != nil {
				return err
			}
			return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Leases(w, list) })
		},
	}
}
