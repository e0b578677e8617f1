// Package text prints a speaker's snapshot for people on a terminal: who is in the mesh, which
// address is announced by whom, how full the pools are, who else uses an address.
//
// Columns are aligned by text/tabwriter, one table for each kind, without colours and without lines,
// so that grep and awk work on it. An empty table is replaced by what to do about it.
package text

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/starling-lb/starling/speaker"
)

// Render prints the snapshot; now is the moment that ages are counted to.
func Render(out io.Writer, s speaker.Snapshot, now time.Time) error {
	w := bufio.NewWriter(out)
	head(w, s)
	members(w, s)
	addresses(w, s, now)
	pools(w, s.Pools)
	conflicts(w, s.Conflicts, now)
	return w.Flush() // the first error of all writes
}

// head says whose view this is.
func head(w io.Writer, s speaker.Snapshot) {
	state := "ready"
	if !s.Ready {
		state = "not ready"
	}
	fmt.Fprintf(w, "As %s sees it, starling %s, %s\n", orDash(s.Node), orDash(s.Version), state)
	for _, r := range slices.Concat(s.Reasons, s.Problems) {
		fmt.Fprintf(w, "  %s\n", clean(r))
	}
}

func members(w io.Writer, s speaker.Snapshot) {
	fmt.Fprint(w, "\nMEMBERS\n")
	if len(s.Members) == 0 {
		fmt.Fprintln(w, "  none: this speaker has not joined the mesh yet")
		return
	}
	t := newTable(w, "NAME", "STATE", "GOSSIP", "NETWORKS")
	for _, m := range s.Members {
		t.row(m.Name, m.Condition(), m.Addr, strings.Join(m.Segments, " "))
	}
	t.end()
}

func addresses(w io.Writer, s speaker.Snapshot, now time.Time) {
	fmt.Fprint(w, "\nADDRESSES\n")
	if len(s.VIPs) == 0 {
		fmt.Fprintln(w, "  "+NoAddresses(s.Pools))
		return
	}
	t := newTable(w, "ADDRESS", "ANNOUNCER", "NEXT", "SINCE", "POOL", "SERVICE", "REASON")
	for _, v := range s.VIPs {
		t.row(v.IP, cmp.Or(v.Owner, "none"), v.Next, Since(v.Since, now), v.Pool, strings.Join(v.Services, " "), v.Reason)
	}
	t.end()
}

// NoAddresses says why there are none and what would make one.
func NoAddresses(pools []speaker.Pool) string {
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

func pools(w io.Writer, list []speaker.Pool) {
	fmt.Fprint(w, "\nPOOLS\n")
	if len(list) == 0 {
		fmt.Fprintln(w, "  "+NoPools)
		return
	}
	t := newTable(w, "NAME", "USED", "FREE", "WAITING", "RANGES", "RULES")
	for _, p := range list {
		t.row(p.Name, fmt.Sprint(p.Used), fmt.Sprint(Free(p)), fmt.Sprint(p.Waiting), strings.Join(p.Ranges, " "), strings.Join(p.Rules, "; "))
	}
	t.end()
}

// Free is how many addresses of the pool nobody holds.
func Free(p speaker.Pool) uint64 {
	return p.Size - min(p.Used, p.Size)
}

// conflicts are printed only when there are some: nobody misses them otherwise.
func conflicts(w io.Writer, list []speaker.Conflict, now time.Time) {
	if len(list) == 0 {
		return
	}
	fmt.Fprint(w, "\nCONFLICTS\n")
	t := newTable(w, "ADDRESS", "KIND", "MAC", "SINCE")
	for _, c := range list {
		t.row(c.IP, c.Kind, c.MAC, Since(c.Since, now))
	}
	t.end()
}

// table aligns columns, indented by two.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, head ...string) table {
	t := table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

// row prints one line; the last column is not padded, so that no line ends in spaces.
func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = orDash(clean(c))
	}
	fmt.Fprintf(t.w, "  %s\n", strings.Join(cells, "\t"))
}

func (t table) end() { t.w.Flush() }

func orDash(s string) string { return cmp.Or(s, "-") }

// clean keeps what members say of themselves from moving columns or the cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
