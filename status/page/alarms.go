package page

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// Alarm is a line above the drawing: a condition, and whose.
type Alarm struct {
	health.Condition
	Level string // "bad", "fair" or "good", for the style
	About string
	Link  string // to what it is about, "" nowhere
}

// alarms are the lines above the drawing, the worst first: what the speaker itself found, what others found of their
// nodes, and what only the page knows, which is that other speakers see something else.
func (x *Index) alarms() []Alarm {
	all := slices.Concat(x.own(), x.told(), x.differing())
	slices.SortStableFunc(all, func(a, b Alarm) int { return a.Severity.Compare(b.Severity) })
	return all
}

func (x *Index) own() []Alarm {
	var r []Alarm
	for _, c := range x.Snapshot.Conditions {
		a := alarmOf(c)
		if c.Subject == health.Node(x.Snapshot.Node) {
			a.About, a.Link = "", ""
		}
		r = append(r, a)
	}
	return r
}

func alarmOf(c health.Condition) Alarm {
	a := Alarm{Condition: c, Level: fair, About: c.Subject.String(), Link: place(c.Subject)}
	switch c.Severity {
	case health.Error:
		a.Level = bad
	case health.Information:
		a.Level = good
	}
	return a
}

// toldMost bounds the lines of others: a mistake that all have made should be one line, and is not always.
const toldMost = 10

// Elsewhere are the conditions of the other speakers that this one does not have.
func (x *Index) Elsewhere() []api.Reported {
	others := map[string][]health.Condition{}
	for _, v := range x.Views {
		others[v.Node] = v.Conditions
	}
	return api.Elsewhere(x.Snapshot.Conditions, others)
}

// told is a line for each of them.
func (x *Index) told() []Alarm {
	var r []Alarm
	all := x.Elsewhere()
	for _, t := range all[:min(len(all), toldMost)] {
		a := alarmOf(t.Condition)
		if t.Subject.Kind == health.KindNode {
			a.About, a.Link = "on "+t.By(), place(health.Node(t.Nodes[0]))
		}
		r = append(r, a)
	}
	if more := len(all) - len(r); more > 0 {
		c := health.Condition{Severity: health.Warning, Words: plural(more, "more condition that another speaker reports", "more conditions that other speakers report"), Advice: "`starling doctor` lists them all"}
		r = append(r, alarmOf(c))
	}
	return r
}

// place is where on the page more is said of a subject.
func place(s health.Subject) string {
	switch s.Kind {
	case health.KindAddress:
		if _, err := netip.ParseAddr(s.Name); err == nil {
			return Query{Address: s.Name}.Encode()
		}
	case health.KindNode:
		return "#member-" + s.Name
	case health.KindPool:
		return "#pool-" + s.Name
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
		a := alarmOf(health.New(health.ViewsDiffer, health.Node(v.Node),
			fmt.Sprintf("sees %s otherwise: %s at %s, where this speaker sees %s", plural(len(v.Differs), "address", "addresses"), first.IP, first.there(), first.here())))
		a.Link = Query{Show: "wrong"}.Encode()
		r = append(r, a)
	}
	return r
}

// fill is the level of a pool, by the family of which least is left.
func fill(p api.Pool) string {
	switch {
	case p.Waiting > 0:
		return bad
	case len(p.NearlyFull()) > 0:
		return fair
	}
	return good
}

// percent is how full the fuller family of a pool is, from 0 to 100.
func percent(p api.Pool) (most uint64) {
	for _, f := range p.Families {
		most = max(most, f.Percent())
	}
	return most
}
