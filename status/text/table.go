package text

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Colors, all of them of the same length, and the end of one: tabwriter counts them as text, so
// every cell of a colored column gets one.
const (
	plain  = "\x1b[39m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	over   = "\x1b[0m"
)

// colorOf is the color of a condition or level; all other words are plain.
func colorOf(word string) string {
	switch word {
	case "ready", "bound", "announcer", "ok":
		return green
	case "dead", "none", "error", "fail", "not ready", "stranger":
		return red
	case "draining", "returning", "on the wire", "left", "warning", "warn", "claimed", "shown", "cordoned", "no kube-proxy", "not forwarding", "member", "node":
		return yellow
	}
	return plain
}

// table aligns columns, indented by two.
type table struct {
	w     *tabwriter.Writer
	color map[int]bool // columns that are colored
}

func (p Printer) table(out io.Writer, head ...string) table {
	t := table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), color: map[int]bool{}}
	for i, h := range head {
		t.color[i] = p.Color && (h == "STATE" || h == "ANNOUNCER" || h == "LEVEL" || h == "ROLE" || h == "RESULT" || h == "KIND")
	}
	t.row(head...)
	return t
}

// row prints one line; the last column is not padded, so that no line ends in spaces.
func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = orDash(clean(c))
		if t.color[i] {
			cells[i] = colorOf(c) + cells[i] + over
		}
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
