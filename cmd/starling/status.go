package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/text"
)

const defaultServer = "http://localhost:7928"

// codes ends the help of every command that asks.
const codes = "\n\nExit codes: 0 shown, 1 no speaker answered or the answer cannot be read, 2 a wrong command line."

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show nodes, addresses with their announcer, pools, and what is wrong",
		Description: "Asks one speaker for its view of the whole mesh. On a node it asks the speaker there. Elsewhere, as kubectl " +
			"starling, and with --kubeconfig or --context it asks any speaker, through the API server; with --node, the one of " +
			"that node." + codes,
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
	s, err := read[api.Snapshot](body)
	if err != nil {
		return err
	}
	others, body, err := v.asker.others(ctx, t, body)
	if err != nil {
		return err
	}
	s.VIPs = api.Locate(s.VIPs, others.Places)
	return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Status(w, s, others.Conditions) })
}

// others asks the same speaker what others know and it does not, and adds that to its answer. A
// speaker that does not say so, as one of an earlier release, has said what it sees itself.
func (a asker) others(ctx context.Context, t target, body []byte) (api.Others, []byte, error) {
	r := a.ask(ctx, t, "api/v1/others")
	if r.err != nil {
		return api.Others{}, body, nil
	}
	e, err := read[api.Others](r.body)
	if err != nil {
		return e, nil, err
	}
	findings, err := json.Marshal(e.Findings)
	conditions, also := json.Marshal(e.Conditions)
	places, failed := json.Marshal(e.Places)
	if err := errors.Join(err, also, failed); err != nil {
		return e, nil, fmt.Errorf("put the answers together: %w", err)
	}
	object := bytes.TrimSuffix(bytes.TrimSpace(body), []byte("}")) // has keys, in an order that people read
	return e, fmt.Appendf(nil, `%s,"others":%s,"places":%s,"conditionsOfOthers":%s}`, object, findings, places, conditions), nil
}

// watch shows again and again. On a terminal each view takes the place of the one before. A view
// that fails is reported in its place: it may be back in a moment.
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
			s, err := read[api.Snapshot](body)
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

func leasesCommand() *cli.Command {
	return &cli.Command{
		Name: "leases", Usage: "show the addresses each Service holds and the state of each",
		Description: "States: bound (announced, if a node may), claimed (on its way), shown (in the Service's status only: by " +
			"another load balancer, or edited)." + codes,
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
			list, err := read[[]api.Lease](body)
			if err != nil {
				return err
			}
			return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Leases(w, list) })
		},
	}
}
