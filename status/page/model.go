package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/status/text"
)

// latest is how many moves are listed.
const latest = 12

// model is what the template shows: an index by a query. Its methods are for the template.
type model struct {
	*Index
	Query    Query
	Who      *api.Who // of the address to explain; nil: none is asked for
	Rows     []*row   // of the page
	Found    int      // rows on all pages
	Members  []member
	Moves    []move
	Drawings []drawing
	Style    template.CSS
	Script   template.JS
	live     bool // ages are counted by a script
}

func (x *Index) model(q Query, who *api.Who) *model {
	found := q.find(x.rows)
	q.Page = min(q.Page, max(0, (len(found)-1)/PageSize)) // rows may have gone
	m := &model{Index: x, Query: q, Who: who, Found: len(found), Members: x.crew, Drawings: x.pictures, Moves: x.moves()}
	m.Rows = found[q.Page*PageSize : min(len(found), (q.Page+1)*PageSize)]
	return m
}

// Level is the worst of all notices.
func (m *model) Level() string {
	n := m.severities()
	switch {
	case n[health.Error] > 0:
		return bad
	case n[health.Warning] > 0:
		return fair
	}
	return good
}

// severities are the numbers of notices of each.
func (m *model) severities() map[health.Severity]int {
	n := map[health.Severity]int{}
	for _, a := range m.Notices {
		n[a.Severity]++
	}
	return n
}

// Headline is the state of everything in one sentence.
func (m *model) Headline() string {
	n := m.severities()
	switch wrong, look := n[health.Error], n[health.Warning]; {
	case wrong > 0 && look > 0:
		return fmt.Sprintf("%s wrong, %s to look at", plural(wrong, "thing is", "things are"), thousands(look))
	case wrong > 0:
		return plural(wrong, "thing is", "things are") + " wrong"
	case look > 0:
		return plural(look, "thing", "things") + " to look at"
	case len(m.rows) == 0:
		return "Ready, and no addresses yet"
	}
	return "All is well"
}

// Title is the headline for a tab of the browser.
func (m *model) Title() string {
	mark := map[string]string{good: "", fair: "▲ ", bad: "✕ "}[m.Level()]
	return mark + m.Headline() + " – starling on " + orDash(m.Snapshot.Node)
}

// Summary is what there is, in numbers.
func (m *model) Summary() string {
	ready := 0
	for _, e := range m.Members {
		if e.Level == good {
			ready++
		}
	}
	parts := []string{
		plural(len(m.rows), "address", "addresses"),
		fmt.Sprintf("%d of %s ready", ready, plural(len(m.Members), "member", "members")),
	}
	return strings.Join(append(parts, m.agreement()), " · ")
}

// agreement says how many of those who told their view see the same.
func (m *model) agreement() string {
	same, told := 0, 0
	for _, v := range m.Views {
		if v.Silent == "" {
			told++
			if len(v.Differs) == 0 {
				same++
			}
		}
	}
	switch {
	case told == 0:
		return "no other view known"
	case same < told:
		return fmt.Sprintf("%d of %d others see the same", same, told)
	case told == 1:
		return "the other speaker sees the same"
	case told == 2:
		return "both others see the same"
	}
	return fmt.Sprintf("all %d others see the same", told)
}

// Ago is the age of a moment, which a script counts on.
func (m *model) Ago(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	stamp, age := m.Stamp(t), ""
	if !m.live {
		age = text.Since(t, m.At)
	}
	return template.HTML(`<time datetime="` + stamp + `" title="` + stamp + `">` + age + `</time>`)
}

// Stamp is a moment for machines and for the exact.
func (*model) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// NoAddresses says why there are none, NoPools how to make one.
func (m *model) NoAddresses() string { return text.NoAddresses(m.Snapshot.Pools) }

// NoPools says how to make one.
func (*model) NoPools() string { return text.NoPools }

// Count writes a number for people, Free how many addresses of a pool are left, Percent how full it
// is.
func (*model) Count(n int) string          { return thousands(n) }
func (*model) Big(n uint64) string         { return thousands(n) }
func (*model) Free(f api.FamilyUse) string { return text.Free(f) }
func (*model) Percent(p api.Pool) uint64   { return percent(p) }

// listed is how many of those who wait, and of the conflicts, are listed.
const listed = 50

// Worst are the notices that are listed, MoreNotices how many are not.
func (m *model) Worst() []Notice { return m.Notices[:min(len(m.Notices), noticesMost)] }

// MoreNotices is how many notices are not listed.
func (m *model) MoreNotices() int { return len(m.Notices) - len(m.Worst()) }

// Waiters are the first of the Services without an address, Conflicts the first of the conflicts.
func (m *model) Waiters() []api.Waiting { return some(m.waiters()) }

// waiters are the Services without an address, without those of which the list above has a line.
func (m *model) waiters() []api.Waiting {
	said := map[health.Subject]bool{}
	for _, a := range m.Worst() {
		said[a.Subject] = true
	}
	return slices.DeleteFunc(slices.Clone(m.Snapshot.Waiting), func(w api.Waiting) bool { return said[health.Service(w.Service)] })
}

// Conflicts are the first of the conflicts.
func (m *model) Conflicts() []api.Conflict { return some(m.Snapshot.Conflicts) }

// MoreWaiters and MoreConflicts are how many are not listed.
func (m *model) MoreWaiters() int   { return len(m.waiters()) - len(m.Waiters()) }
func (m *model) MoreConflicts() int { return len(m.Snapshot.Conflicts) - len(m.Conflicts()) }

func some[T any](s []T) []T { return s[:min(len(s), listed)] }

// Searching reports whether only some addresses are asked for.
func (m *model) Searching() bool { return m.Query.Words != "" || m.Query.Show != "" }

// tab is a choice of rows.
type tab struct {
	Name, Link string
	Count      int
	Here       bool
}

// Tabs are the choices of rows.
func (m *model) Tabs() []tab {
	choice := func(name, show string, n int) tab {
		q := Query{Words: m.Query.Words, Sort: m.Query.Sort, Show: show}
		return tab{Name: name, Link: q.Encode(), Count: n, Here: m.Query.Show == show}
	}
	return []tab{choice("All", "", len(m.rows)), choice("Affected", "wrong", m.wrong), choice("Just moved", "moved", m.moved)}
}

// column is a heading of the table of addresses.
type column struct {
	Name, Link, Sorted string
}

// Columns are the headings, those that sort with a link.
func (m *model) Columns() []column {
	head := func(name, by string) column {
		q := m.Query
		q.Page, q.Sort = 0, by
		c := column{Name: name, Link: q.Encode()}
		if m.Query.Sort == by {
			c.Sorted = map[bool]string{true: "descending", false: "ascending"}[by == "since"]
		}
		return c
	}
	return []column{
		head("Address", ""),
		head("Service", "service"),
		head("Announcer", "announcer"),
		{Name: "Next in line"},
		head("Since", "since"),
		{Name: "Pool"},
		{Name: "Why there"},
	}
}

// First and Last are the rows shown, counted from 1.
func (m *model) First() int { return min(m.Found, m.Query.Page*PageSize+1) }
func (m *model) Last() int  { return m.Query.Page*PageSize + len(m.Rows) }

// Prev and Following are links to the pages beside, "" when there is none.
func (m *model) Prev() string { return m.turn(-1) }

// Following is the link to the next page.
func (m *model) Following() string { return m.turn(1) }

func (m *model) turn(by int) string {
	q := m.Query
	q.Page += by
	if q.Page < 0 || q.Page*PageSize >= m.Found {
		return ""
	}
	return q.Encode()
}

// Prose parts a sentence into text and code.
func (*model) Prose(sentence string) []Piece { return prose(sentence) }

// Direct is the page of another speaker, if the browser came by this node's own address: then it
// reaches the others by theirs. Through a port-forward or a proxy it may not.
func (m *model) Direct(page string) string {
	if !m.Query.Near {
		return ""
	}
	return page
}

// Explain is the link to why an address is where it is.
func (m *model) Explain(ip string) string {
	q := m.Query
	q.Address = ip
	return q.Encode()
}

// Rank counts from 1.
func (*model) Rank(i int) int { return i + 1 }

// Plain is the query without an explanation.
func (m *model) Plain() string { return m.Explain("") }

// Others are the speakers that see the address to explain elsewhere, in words.
func (m *model) Others() []string {
	i := slices.IndexFunc(m.rows, func(r row) bool { return r.IP == m.Who.IP })
	if i < 0 {
		return nil
	}
	return m.rows[i].Others
}

// Of is the link to the addresses of a node or pool.
func (*model) Of(name string) string { return Query{Words: name}.Encode() }
