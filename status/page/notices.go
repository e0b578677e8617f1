package page

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// Notice is a line above the drawing: a condition, and whose.
type Notice struct {
	health.Condition
	Level string // "bad", "fair" or "good", for the style
	About string // named before the words if they do not name the subject, "" nothing
	Link  string // to what it is about, "" nowhere
	By    string // other nodes that report it, "" it is this one, or the one that it is about
}

// Sentence is what is wrong, Todo what to do about it.
func (a Notice) Sentence() []Piece { return naming(a.Words, a.Subject, a.About, a.Link) }

// Todo is what to do about it.
func (a Notice) Todo() []Piece { return prose(a.Advice) }

// notices are the lines above the drawing, the worst first: what the speaker itself found, what
// others found of their nodes, and what only the page knows, which is that other speakers see
// something else.
func (x *Index) notices() []Notice {
	all := slices.Concat(x.own(), x.reported(), x.differing())
	slices.SortStableFunc(all, func(a, b Notice) int { return a.Severity.Compare(b.Severity) })
	return all
}

func (x *Index) own() []Notice {
	var r []Notice
	for _, c := range x.Snapshot.Conditions {
		a := noticeOf(c)
		if c.Subject == health.Node(x.Snapshot.Node) {
			a.About, a.Link = "", ""
		}
		r = append(r, a)
	}
	return r
}

func noticeOf(c health.Condition) Notice {
	a := Notice{Condition: c, Level: fair, About: c.Subject.String(), Link: place(c.Subject)}
	switch c.Severity {
	case health.Error:
		a.Level = bad
	case health.Information:
		a.Level = good
	}
	return a
}

// noticesMost bounds the lines, of which the worst come first. The headline counts all.
const noticesMost = 20

// Elsewhere are the conditions of the other speakers that this one does not have.
func (x *Index) Elsewhere() []api.Reported {
	others := map[string][]health.Condition{}
	for _, v := range x.Views {
		others[v.Node] = v.Conditions
	}
	return api.SeenByOthers(x.Snapshot.Conditions, others)
}

// reported is a line for each of them.
func (x *Index) reported() []Notice {
	var r []Notice
	all := x.Elsewhere()
	for _, t := range all {
		a := noticeOf(t.Condition)
		if by := t.By(); t.Subject != health.Node(by) { // else it is said by being about that node
			a.By = by
		}
		r = append(r, a)
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
	case health.KindRouter:
		return "#router-" + s.Name
	}
	return ""
}

// differing is one line for each speaker with another view.
func (x *Index) differing() []Notice {
	var r []Notice
	for _, v := range x.Views {
		if len(v.Differs) == 0 {
			continue
		}
		first := v.Differs[0]
		a := noticeOf(health.New(health.ViewsDiffer, health.Node(v.Node),
			fmt.Sprintf("%s sees %s otherwise: %s at %s, where this speaker sees %s", v.Node, plural(len(v.Differs), "address", "addresses"), first.IP, first.there(), first.here())))
		a.Link = Query{Show: "wrong"}.Encode()
		r = append(r, a)
	}
	return r
}

// Fill is the level of a pool: the worst that is said of it above.
func (x *Index) Fill(p api.Pool) string {
	for _, a := range x.Notices { // the worst first
		if a.Subject == health.Pool(p.Name) {
			return a.Level
		}
	}
	return good
}

// Waited is the level of those who wait for a pool: if it is not used up, they have asked for what
// they cannot have.
func (x *Index) Waited(p api.Pool) string {
	if slices.ContainsFunc(x.Snapshot.Conditions, func(c health.Condition) bool { return c.Code == health.PoolFull && c.Subject == health.Pool(p.Name) }) {
		return bad
	}
	return fair
}

// percent is how full the fuller family of a pool is, from 0 to 100.
func percent(p api.Pool) (most uint64) {
	for _, f := range p.Families {
		most = max(most, f.Percent())
	}
	return most
}
