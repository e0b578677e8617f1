package page

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/speaker"
)

// Alarm is something that needs somebody: what is the case, and what to do about it.
type Alarm struct {
	Level string
	About string
	What  string
	Do    string
	Link  string // to what it is about, "" nowhere
}

const nearlyFull = 90 // percent of a pool

// alarms are the lines above the drawing, the worst first: what the speaker itself found, what others found of their
// nodes, and what only the page knows, which is that other speakers see something else, and that a pool is nearly full.
func (x *Index) alarms() []Alarm {
	all := slices.Concat(x.findings(), x.told(), x.differing(), x.full())
	slices.SortStableFunc(all, func(a, b Alarm) int { return strings.Compare(a.Level, b.Level) }) // bad before fair
	return all
}

func (x *Index) findings() []Alarm {
	var r []Alarm
	for _, f := range x.Snapshot.Findings {
		r = append(r, alarmOf(f))
	}
	return r
}

func alarmOf(f speaker.Finding) Alarm {
	a := Alarm{Level: fair, About: f.About, What: f.Words, Do: f.Todo, Link: place(f.About)}
	if f.Level == "error" {
		a.Level = bad
	}
	return a
}

// toldMost bounds the lines of others: a mistake that all have made should be one line, and is not always.
const toldMost = 10

// Elsewhere are the findings of the other speakers that this one does not have.
func (x *Index) Elsewhere() []speaker.Told {
	others := map[string][]speaker.Finding{}
	for _, v := range x.Views {
		others[v.Node] = v.Findings
	}
	return speaker.Elsewhere(x.Snapshot.Findings, others)
}

// told is a line for each of them.
func (x *Index) told() []Alarm {
	var r []Alarm
	all := x.Elsewhere()
	for _, t := range all[:min(len(all), toldMost)] {
		a := alarmOf(t.Finding)
		if a.About == "" {
			a.About, a.Link = "on "+t.By(), place("node "+t.Nodes[0])
		}
		r = append(r, a)
	}
	if more := len(all) - len(r); more > 0 {
		r = append(r, Alarm{Level: fair, What: plural(more, "thing more that another speaker tells", "things more that other speakers tell"), Do: "`starling doctor` lists them all"})
	}
	return r
}

// place is where on the page more is said of what a finding is about.
func place(about string) string {
	kind, name, _ := strings.Cut(about, " ")
	if _, err := netip.ParseAddr(about); err == nil {
		return Query{Address: about}.Encode()
	}
	switch kind {
	case "node":
		return "#member-" + name
	case "pool":
		return "#pool-" + name
	}
	return ""
}

// differing is one line for each speaker with another view.
func (x *Index) differing() []Alarm {
	var r []Alarm
	for _, v := range x.Views {
		if len(v.Differs) == 0 {
			continue
		}
		first := v.Differs[0]
		r = append(r, Alarm{
			Level: fair, About: "node " + v.Node, Link: Query{Show: "wrong"}.Encode(),
			What: fmt.Sprintf("sees %s otherwise: %s at %s, where this speaker sees %s", plural(len(v.Differs), "address", "addresses"), first.IP, first.there(), first.here()),
			Do:   "compare the pages of both: which one has old news, or does not reach the others?",
		})
	}
	return r
}

// full is one line for each pool that is nearly used up; of those that are, the speaker tells who waits.
func (x *Index) full() []Alarm {
	var r []Alarm
	for _, p := range x.Snapshot.Pools {
		if fill(p) != fair {
			continue
		}
		r = append(r, Alarm{
			Level: fair, About: "pool " + p.Name, Link: place("pool " + p.Name),
			What: fmt.Sprintf("is nearly full: %s left", plural(p.Free, "address is", "addresses are")),
			Do:   "add addresses to the pool before a Service has to wait",
		})
	}
	return r
}

// fill is the level of a pool. One without addresses, or small and used up on purpose, is no concern as long as
// nobody waits.
func fill(p speaker.Pool) string {
	switch {
	case p.Waiting > 0:
		return bad
	case p.Free > 0 && percent(p) >= nearlyFull:
		return fair
	}
	return good
}

// percent is how full a pool is, from 0 to 100.
func percent(p speaker.Pool) uint64 {
	if p.Size == 0 {
		return 0
	}
	return uint64(float64(min(p.Used, p.Size)) / float64(p.Size) * 100)
}
