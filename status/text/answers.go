package text

import (
	"fmt"
	"io"
	"strings"

	"github.com/starling-lb/starling/api"
)

// Who prints who announces an address, and what speaks for and against each node.
func (p Printer) Who(out io.Writer, a api.Who) error {
	return output(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n", clean(a.Words))
		if v := a.VIP; v != nil {
			fmt.Fprintf(w, "  service  %s\n", clean(strings.Join(v.Services, " ")))
			fmt.Fprintf(w, "  pool     %s\n", orDash(clean(strings.Join(append([]string{v.Pool}, v.Entries...), " "))))
			fmt.Fprintf(w, "  on       %s\n", orDash(clean(strings.Join(v.Interfaces, " "))))
			fmt.Fprintf(w, "  since    %s: %s\n", orDash(p.since(v.Since)), clean(v.Change))
			if v.Todo != "" {
				fmt.Fprintf(w, "  to do    %s\n", clean(v.Todo))
			}
		}
		if c := a.Conflict; c != nil {
			fmt.Fprintf(w, "  %s: %s\n    to do: %s\n", p.paint("error", "conflict"), clean(c.Words), clean(c.Todo))
		}
		fmt.Fprintf(w, "\nRANKING AS %s SEES IT\n", orDash(a.Node))
		t := p.table(w, "NODE", "SCORE", "ELIGIBLE", "ROLE", "WHY NOT")
		for _, c := range a.Ranking {
			eligible := "no"
			if c.Eligible {
				eligible = "yes"
			}
			t.row(c.Node, c.Score, eligible, c.Role, c.Reason)
		}
		t.end()
		if a.VIP != nil && len(a.VIP.Routes) > 0 {
			p.routes(w, a)
		}
	})
}

// routes prints which routers learn of which nodes for the address.
func (p Printer) routes(w io.Writer, a api.Who) {
	fmt.Fprint(w, "\nBY BGP\n")
	t := p.table(w, "ROUTER", "NEXT HOPS", "LEAVING", "ANNOUNCED BY")
	for _, r := range a.VIP.Routes {
		t.row(r.Router, strings.Join(r.Nodes, " "), strings.Join(r.Leaving, " "), strings.Join(r.By, " "))
	}
	t.end()
	t = p.table(w, "NODE", "TO", "WHY NOT")
	for _, c := range a.Ranking {
		t.row(c.Node, strings.Join(c.Routers, " "), c.NotRouted)
	}
	t.end()
}

// Leases prints what Services hold, one line for each address.
func (p Printer) Leases(out io.Writer, list []api.Lease) error {
	return output(out, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "no Service holds an address")
			return
		}
		t := p.table(w, p.pick([]string{"SERVICE", "ADDRESS", "STATE", "POOL", "WRITTEN BY", "REMARK"}, "INSTALLATION")...)
		for _, l := range list {
			remark := l.Mistake
			if l.Foreign {
				remark = strings.TrimPrefix(remark+"; of another installation or release, never touched", "; ")
			}
			for _, i := range l.IPs {
				t.row(p.pick([]string{l.Service, i.IP, i.State, i.Pool, l.Holder, remark}, l.By)...)
			}
		}
		t.end()
	})
}
