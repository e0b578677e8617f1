package text

import (
	"fmt"
	"io"
	"strings"

	"github.com/starling-lb/starling/api"
)

// Node prints what a node announces and what it would take over, with its health in a word or two.
func (p Printer) Node(out io.Writer, name, health string, announces, next []api.VIP) error {
	return output(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s (%s) announces %s and is next in line for %d\n", clean(name), clean(orDash(health)), plural(len(announces), "address"), len(next))
		if len(announces)+len(next) == 0 {
			return
		}
		fmt.Fprintln(w)
		t := p.table(w, "ADDRESS", "ROLE", "SINCE", "POOL", "SERVICE", "INTERFACE", "REASON")
		for _, v := range announces {
			t.row(v.IP, "announcer", p.since(v.Since), v.Pool, strings.Join(v.Services, " "), strings.Join(v.Interfaces, " "), v.Reason)
		}
		for _, v := range next {
			t.row(v.IP, "next", "", v.Pool, strings.Join(v.Services, " "), "", "after "+v.Owner)
		}
		t.end()
	})
}

// plural counts things: "1 address", "2 addresses".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ses", n, what)
}
