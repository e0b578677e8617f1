// Package text prints what speakers say for people on a terminal: who is in the mesh, which
// address is announced by whom and why, how full the pools are, who else uses an address.
//
// Columns are aligned by text/tabwriter, one table for each kind and without lines, so that grep
// and awk work on it; colors only where a Printer has them. An empty table is replaced by what to
// do about it.
package text

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// Printer says how to print.
type Printer struct {
	Now   time.Time // the moment that ages are counted to
	Wide  bool      // all columns
	Color bool
}

// output writes to out by f and gives the first error of all writes.
func output(out io.Writer, f func(io.Writer)) error {
	w := bufio.NewWriter(out)
	f(w)
	return w.Flush()
}

// Status prints a snapshot, and what other speakers find besides.
func (p Printer) Status(out io.Writer, s api.Snapshot, elsewhere []api.Reported) error {
	return output(out, func(w io.Writer) {
		p.head(w, s)
		for _, t := range elsewhere {
			p.condition(w, t.Condition, " on "+t.By())
		}
		p.members(w, s)
		p.addresses(w, s)
		p.routers(w, s)
		p.pools(w, s)
		p.conflicts(w, s.Conflicts)
		if p.Wide {
			p.node(w, s)
		}
	})
}

// head says whose view this is, and what to look at.
func (p Printer) head(w io.Writer, s api.Snapshot) {
	state := "ready"
	if !s.Ready {
		state = "not ready"
	}
	fmt.Fprintf(w, "As %s sees it, starling %s, %s\n", orDash(s.Node), orDash(s.Version), p.paint(state, state))
	list := s.Conditions
	if len(list) == 0 { // of an earlier release
		for _, f := range s.Findings {
			list = append(list, health.Condition{Severity: health.Severity(f.Level), Words: f.Words, Advice: f.Todo})
		}
	}
	for _, c := range list {
		p.condition(w, c, "")
	}
}

// condition prints what is wrong, on which nodes if it is not this one, and what to do.
func (p Printer) condition(w io.Writer, c health.Condition, on string) {
	level := string(c.Severity)
	code := ""
	if p.Wide && c.Code != "" {
		code = fmt.Sprintf(" (%s)", clean(string(c.Code)))
	}
	fmt.Fprintf(w, "  %s%s%s: %s\n", p.paint(level, clean(level)), clean(on), code, clean(c.Words))
	if c.Advice != "" {
		fmt.Fprintf(w, "    to do: %s\n", clean(c.Advice))
	}
}

// paint colors text as the word is.
func (p Printer) paint(word, text string) string {
	if !p.Color {
		return text
	}
	return colorOf(word) + text + over
}

// pick leaves the columns out that only a wide table has.
func (p Printer) pick(cells []string, wide ...string) []string {
	if p.Wide {
		return append(cells, wide...)
	}
	return cells
}

func (p Printer) members(w io.Writer, s api.Snapshot) {
	fmt.Fprint(w, "\nMEMBERS\n")
	if len(s.Members) == 0 {
		fmt.Fprintln(w, "  none: this speaker has not joined the mesh yet")
		return
	}
	t := p.table(w, p.pick([]string{"NAME", "STATE", "ANNOUNCES", "SEEN", "ROUND-TRIP", "VERSION", "NETWORKS"}, "GOSSIP", "TIER", "KEYS")...)
	for _, m := range s.Members {
		t.row(p.pick([]string{
			m.Name, m.Condition(), fmt.Sprint(m.Announces), p.since(m.LastSeen), RoundTrip(m.RoundTrip), m.Version, strings.Join(m.Segments, " "),
		}, m.Addr, cmp.Or(m.Unfit, m.Hold, m.Tier), strings.Join(m.Keys, " "))...)
	}
	t.end()
}

// RoundTrip writes seconds as milliseconds, "" for none.
func RoundTrip(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ms", seconds*1000)
}

func (p Printer) addresses(w io.Writer, s api.Snapshot) {
	fmt.Fprint(w, "\nADDRESSES\n")
	if len(s.VIPs) == 0 {
		fmt.Fprintln(w, "  "+NoAddresses(s.Pools))
		return
	}
	t := p.table(w, p.pick([]string{"ADDRESS", "ANNOUNCER", "NEXT", "SINCE", "POOL", "SERVICE", "INTERFACE", "REASON"}, "CHANGE")...)
	mixed := api.Mixed(s.VIPs)
	for _, v := range s.VIPs {
		pool := v.Pool
		if p.Wide || mixed[pool] {
			pool = strings.Join(append([]string{pool}, v.Entries...), " ")
		}
		t.row(p.pick([]string{
			v.IP, announcers(v), v.Next, p.since(v.Since), pool, strings.Join(v.Services, " "), strings.Join(v.Interfaces, " "), v.Reason,
		}, v.Change)...)
	}
	t.end()
}

// announcers are who announces an address: its owner, the nodes that routers learn of, or both.
func announcers(v api.VIP) string {
	hops := v.Hops()
	if len(hops) == 0 {
		return cmp.Or(v.Owner, "none")
	}
	text := "BGP: " + health.Some(hops, 3)
	if v.Owner != "" {
		text = v.Owner + ", " + text
	}
	return text
}

// routers prints the BGP routers, only where some are configured.
func (p Printer) routers(w io.Writer, s api.Snapshot) {
	if len(s.Routers) == 0 {
		return
	}
	fmt.Fprint(w, "\nROUTERS\n")
	t := p.table(w, p.pick([]string{"NAME", "ADDRESS", "AS", "SESSIONS", "SPEAKERS", "UP", "OF " + strings.ToUpper(orDash(s.Node)), "SINCE", "PATHS"}, "WHY", "LAST")...)
	for _, r := range s.Routers {
		own := api.Session{State: "none"}
		if r.Session != nil {
			own = *r.Session
		}
		t.row(p.pick([]string{
			r.Name, r.Address, fmt.Sprint(r.ASN), r.Sessions, strings.Join(r.Speakers, " "), strings.Join(r.Up, " "),
			strings.TrimSuffix(own.State+": "+own.Cause, ": "), p.since(own.Since), fmt.Sprint(own.Paths),
		}, r.Why, own.Words)...)
	}
	t.end()
}

// NoAddresses says why there are none and what would make one.
func NoAddresses(pools []api.Pool) string {
	for _, p := range pools {
		if p.Waiting > 0 {
			return "no addresses yet: Services wait for one; `kubectl describe service` says why"
		}
	}
	if len(pools) == 0 {
		return "no addresses yet: name a pool first"
	}
	return "no addresses yet: create a Service of type LoadBalancer"
}

// NoPools says how to make one.
const NoPools = "no pools yet: put your addresses into the ConfigMap starling"

// Pools prints the pools of a snapshot and who waits for an address.
func (p Printer) Pools(out io.Writer, s api.Snapshot) error {
	return output(out, func(w io.Writer) { p.pools(w, s) })
}

func (p Printer) pools(w io.Writer, s api.Snapshot) {
	fmt.Fprint(w, "\nPOOLS\n")
	if len(s.Pools) == 0 {
		fmt.Fprintln(w, "  "+NoPools)
	} else {
		t := p.table(w, "NAME", "FAMILY", "USED", "FREE", "WAITING", "RANGES", "RULES")
		for _, q := range s.Pools {
			families := q.Families
			if len(families) == 0 { // of an earlier release
				families = []api.FamilyUse{{Size: q.Size, Used: q.Used, Free: q.Size - min(q.Used, q.Size)}}
			}
			for _, f := range families {
				t.row(q.Name, f.Family, fmt.Sprint(f.Used), Free(f), fmt.Sprint(q.Waiting), strings.Join(q.Ranges, " "), strings.Join(q.Rules, "; "))
			}
		}
		t.end()
	}
	if len(s.Waiting) == 0 {
		return
	}
	fmt.Fprint(w, "\nWAITING\n")
	t := p.table(w, "SERVICE", "POOL", "REASON")
	for _, x := range s.Waiting {
		t.row(x.Service, x.Pool, x.Reason)
	}
	t.end()
}

// many is from how many on nobody counts the free addresses of a pool.
const many = 1_000_000_000

// Free is how many addresses nobody holds, for people: not to the last one of a /64.
func Free(f api.FamilyUse) string {
	if f.Free >= many {
		return ">10^9"
	}
	return fmt.Sprint(f.Free)
}

// conflicts are printed only when there are some: nobody misses them otherwise.
func (p Printer) conflicts(w io.Writer, list []api.Conflict) {
	if len(list) == 0 {
		return
	}
	fmt.Fprint(w, "\nCONFLICTS\n")
	t := p.table(w, "ADDRESS", "KIND", "MAC", "NODE", "SINCE")
	for _, c := range list {
		t.row(c.IP, c.Kind, c.MAC, c.Node, p.since(c.Since))
	}
	t.end()
}

// node prints what concerns the speaker's own node alone.
func (p Printer) node(w io.Writer, s api.Snapshot) {
	fmt.Fprintf(w, "\nINTERFACES OF %s\n", orDash(s.Node))
	t := p.table(w, "NAME", "USED", "MAC", "NETWORKS", "WHY NOT")
	for _, i := range s.Interfaces {
		used := "no"
		if i.Used {
			used = "yes"
		}
		t.row(i.Name, used, i.MAC, strings.Join(i.Prefixes, " "), i.Reason)
	}
	t.end()
	fmt.Fprintf(w, "\nKEYS  %s: %s\n", orDash(strings.Join(s.Keys.Held, " ")), orDash(s.Keys.State))
	fmt.Fprintf(w, "WROTE  leases: %s; events: %s\n", counts(s.Activity.Writes), counts(s.Activity.Events))
}

// counts writes numbers by result, sorted by it.
func counts(m map[string]uint64) string {
	var words []string
	for result, n := range m {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, result))
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		_, x, _ := strings.Cut(a, " ")
		_, y, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return cmp.Or(strings.Join(words, ", "), "none")
}

func (p Printer) since(t time.Time) string { return Since(t, p.Now) }
