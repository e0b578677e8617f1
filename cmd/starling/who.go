package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/text"
)

const whoExample = "an ADDRESS, a NAMESPACE/SERVICE or a NODE, as in starling who 192.168.1.240"

func whoCommand() *cli.Command {
	return &cli.Command{
		Name: "who", Usage: "show who announces an address, and why not the others", ArgsUsage: "ADDRESS|NAMESPACE/SERVICE|NODE",
		Description: "For an ADDRESS, shows its whole ranking as one speaker sees it: each node's score, whether it is eligible, " +
			"and the reason if not. For an address that no Service holds, it shows who would announce it.\n\n" +
			"For a NAMESPACE/SERVICE, shows the same for each address of the Service. For a NODE, shows the addresses it " +
			"announces and those it is next in line for." + codes,
		Flags:  askFlags(),
		Action: showWho,
	}
}

func showWho(c *cli.Context) error {
	v, err := newView(c, 1, whoExample)
	if err != nil {
		return err
	}
	what := c.Args().First()
	ip, err := netip.ParseAddr(what)
	switch {
	case err == nil && ip.Zone() == "":
		return v.who(c.Context, ip.String())
	case strings.Count(what, "/") == 1 && !strings.HasPrefix(what, "/") && !strings.HasSuffix(what, "/"):
		return v.whoService(c.Context, what)
	case checkName(what) == nil && !likeAddress(what):
		return v.whoNode(c.Context, what)
	}
	return usageError{command: "who ", err: fmt.Errorf("%q is no address, Service or node: give %s", what, whoExample)}
}

// likeAddress reports whether what is no address looks like a mistyped one of IPv4: digits and
// dots, as no node is called.
func likeAddress(what string) bool {
	return strings.Contains(what, ".") && strings.Trim(what, ".0123456789") == ""
}

// who shows the ranking of one address.
func (v view) who(ctx context.Context, ip string) error {
	a, body, err := v.ranking(ctx, ip)
	if err != nil {
		return err
	}
	return v.shower.show(body, func(p text.Printer, w io.Writer) error { return p.Who(w, a) })
}

func (v view) ranking(ctx context.Context, ip string) (api.Who, []byte, error) {
	body, err := v.asker.one(ctx, "api/v1/who?ip="+url.QueryEscape(ip))
	if err != nil {
		return api.Who{}, nil, err
	}
	a, err := read[api.Who](body)
	return a, body, err
}

// snapshot asks one speaker for its view of the mesh.
func (v view) snapshot(ctx context.Context) (api.Snapshot, error) {
	body, err := v.asker.one(ctx, "api/v1/status")
	if err != nil {
		return api.Snapshot{}, err
	}
	return read[api.Snapshot](body)
}

// whoService shows the ranking of each address of a Service; as JSON they are a list.
func (v view) whoService(ctx context.Context, name string) error {
	s, err := v.snapshot(ctx)
	if err != nil {
		return err
	}
	var all []api.Who
	var bodies []json.RawMessage
	for _, vip := range s.VIPs {
		if !slices.Contains(vip.Services, name) {
			continue
		}
		a, body, err := v.ranking(ctx, vip.IP)
		if err != nil {
			return err
		}
		all, bodies = append(all, a), append(bodies, body)
	}
	if len(all) == 0 {
		return noAddress(s, name)
	}
	body, err := json.Marshal(bodies)
	if err != nil {
		return fmt.Errorf("put the answers together: %w", err)
	}
	return v.shower.show(body, func(p text.Printer, w io.Writer) error {
		for i, a := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := p.Who(w, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// noAddress says why a Service holds none, as far as a speaker knows.
func noAddress(s api.Snapshot, name string) error {
	for _, w := range s.Waiting {
		if w.Service == name {
			return fmt.Errorf("Service %s waits for an address: %s", name, w.Reason)
		}
	}
	return fmt.Errorf("Service %s holds no address of starling; `starling leases` lists those that do, `kubectl describe service` shows its events", name)
}

// placed is the answer to who NODE.
type placed struct {
	Node      string    `json:"node"`
	Health    string    `json:"health"`
	Away      string    `json:"away"` // until when it keeps its addresses while its speaker is away, "" it is not
	Hold      string    `json:"hold"` // what it waits for if it came back, "" nothing
	Announces []api.VIP `json:"announces"`
	NextFor   []api.VIP `json:"nextFor"`
}

// whoNode shows what a node announces, and what it would.
func (v view) whoNode(ctx context.Context, name string) error {
	s, err := v.snapshot(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.Members, func(m api.Member) bool { return m.Name == name })
	if i < 0 {
		var names []string
		for _, m := range s.Members {
			names = append(names, m.Name)
		}
		return fmt.Errorf("%s knows no node %q%s", s.Node, name, cmp.Or(didYouMean(name, names), "; its members are "+strings.Join(names, ", ")))
	}
	a := placed{Node: name, Health: s.Members[i].Health, Hold: s.Members[i].Hold, Away: s.Members[i].Away, Announces: []api.VIP{}, NextFor: []api.VIP{}}
	for _, vip := range s.VIPs {
		switch name {
		case vip.Owner:
			a.Announces = append(a.Announces, vip)
		case vip.Next:
			a.NextFor = append(a.NextFor, vip)
		}
	}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("put the answer together: %w", err)
	}
	return v.shower.show(body, func(p text.Printer, w io.Writer) error {
		return p.Node(w, a.Node, cmp.Or(a.Hold, a.Away, a.Health), a.Announces, a.NextFor)
	})
}
