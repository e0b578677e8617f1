package page

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/starling-lb/starling/api"
)

// Levels of concern; also names of styles.
const (
	good = "good"
	fair = "fair" // somebody should look at it
	bad  = "bad"  // it does harm
)

// freshFor is how long a change counts as recent.
const freshFor = time.Minute

// Index is a scene, looked through once for everybody who wants to see it. It does not change.
type Index struct {
	Scene
	Notices  []Notice
	rows     []row           // in the order of the addresses
	mixed    map[string]bool // pools whose addresses are announced by different entries
	wrong    int             // rows that are not good
	moved    int             // rows that are fresh
	usual    string          // why most addresses are where they are, "" if there is no such reason
	counts   map[string]int  // addresses by announcer
	crew     []member
	pictures []drawing
}

// row is an address with what is to be said of it.
type row struct {
	api.VIP
	Level  string
	Notes  []string // what is wrong, in words
	Others []string // who sees it elsewhere, in words
	Fresh  bool     // changed a moment ago
}

// NewIndex looks through a scene.
func NewIndex(s Scene) *Index {
	s.Views = ofTheLiving(s)
	s.Snapshot.VIPs = api.Locate(s.Snapshot.VIPs, s.Places())
	x := &Index{Scene: s, counts: map[string]int{}, mixed: api.Mixed(s.Snapshot.VIPs)}
	notes, others := x.conflictNotes(), x.otherViews()
	x.rows = make([]row, len(s.Snapshot.VIPs))
	for i, v := range s.Snapshot.VIPs {
		r := row{VIP: v, Level: good, Notes: notes[v.IP], Others: others[v.IP]}
		r.Fresh = !v.Since.IsZero() && s.At.Sub(v.Since) < freshFor
		switch {
		case len(r.Notes) > 0:
			r.Level = bad
		case v.Owner == "" && len(v.Routes) == 0 || len(r.Others) > 0: // a Service without pods may be meant so
			r.Level = fair
		}
		x.add(r, i)
	}
	x.usual = usual(x.rows)
	x.Notices, x.crew = x.notices(), x.members()
	x.pictures = x.drawings(x.crew)
	return x
}

// usual is the reason that more than half of the addresses share, "" if there is none: it is said
// once, and not for each.
func usual(rows []row) string {
	n := map[string]int{}
	for _, r := range rows {
		if r.Owner != "" && r.Level == good {
			n[r.Reason]++
		}
	}
	for reason, count := range n {
		if count > 1 && 2*count > len(rows) {
			return reason
		}
	}
	return ""
}

// Usual is why most addresses are where they are, "" if there is no such reason.
func (x *Index) Usual() string { return x.usual }

// Why is what is to be said of a row besides who announces it: what is not as with most.
func (x *Index) Why(r *row) string {
	if r.Reason == x.usual {
		return ""
	}
	return orDash(r.Reason)
}

// By names the entries of the pool's key announce that announce a row, where they are not the same
// for all addresses of the pool.
func (x *Index) By(r *row) []string {
	if !x.mixed[r.Pool] {
		return nil
	}
	return r.Entries
}

// Places are where the other speakers announce their addresses, by node.
func (s Scene) Places() map[string][]api.Place {
	r := map[string][]api.Place{}
	for _, v := range s.Views {
		if len(v.Places) > 0 {
			r[v.Node] = v.Places
		}
	}
	return r
}

// ofTheLiving are the views but for those of members that have died or left since they were asked.
func ofTheLiving(s Scene) []View {
	return slices.DeleteFunc(slices.Clone(s.Views), func(v View) bool {
		return slices.ContainsFunc(s.Snapshot.Members, func(m api.Member) bool {
			return m.Name == v.Node && (m.State == "dead" || m.State == "left")
		})
	})
}

func (x *Index) add(r row, at int) {
	x.rows[at] = r
	x.counts[r.Owner]++
	if r.Level != good {
		x.wrong++
	}
	if r.Fresh {
		x.moved++
	}
}

// conflictNotes are who else uses an address, in a few words: the list above has the whole of it.
func (x *Index) conflictNotes() map[string][]string {
	r := map[string][]string{}
	for _, c := range x.Snapshot.Conflicts {
		r[c.IP] = append(r[c.IP], cmp.Or(c.Node, "a "+c.Kind)+" answers for it too")
	}
	return r
}

// otherViews are the speakers that see an address at another announcer, in words.
func (x *Index) otherViews() map[string][]string {
	r := map[string][]string{}
	for _, v := range x.Views {
		for _, d := range v.Differs {
			r[d.IP] = append(r[d.IP], v.Node+" sees "+d.there())
		}
	}
	return r
}

// there and here are the announcer in words.
func (d Difference) there() string { return announcer(d.There, d.Heard) }
func (d Difference) here() string  { return announcer(d.Here, d.Known) }

func announcer(owner string, known bool) string {
	switch {
	case !known:
		return "no such address"
	case owner == "":
		return "nobody"
	}
	return owner
}

// member is a line of the table of members.
type member struct {
	api.Member
	Level     string
	View      string // how its view compares with this one
	ViewLevel string
	Why       string // what is behind View
	Page      string // where its own view is shown
}

// members are those of the snapshot, with what they announce and see.
func (x *Index) members() []member {
	var r []member
	for _, m := range x.Snapshot.Members {
		e := member{Member: m, Level: memberLevel(m)}
		x.compare(&e)
		r = append(r, e)
	}
	return r
}

// memberLevel is what a member's condition means for clients: its addresses are elsewhere by now.
func memberLevel(m api.Member) string {
	switch {
	case m.State == "alive" && m.Ready && m.Unfit == "":
		return good
	case m.State == "dead":
		return bad
	}
	return fair
}

// compare says in a word, and at length, how a member sees the addresses.
func (x *Index) compare(m *member) {
	if m.Name == x.Snapshot.Node {
		m.View = "this page"
		return
	}
	i := slices.IndexFunc(x.Views, func(v View) bool { return v.Node == m.Name })
	if i < 0 {
		m.View = "not asked"
		return
	}
	v := x.Views[i]
	m.Page = v.Page
	switch {
	case v.Silent != "":
		m.View, m.Why = "not told", v.Silent
	case len(v.Differs) > 0:
		m.View, m.ViewLevel = "differs in "+thousands(len(v.Differs)), fair
	default:
		m.View, m.ViewLevel = "the same", good
	}
}

// Trip is the last round trip for people.
func (m member) Trip() string {
	if m.RoundTrip <= 0 {
		return "–"
	}
	ms := m.RoundTrip * 1000
	decimals := 0
	for limit := 10.0; ms < limit && decimals < 2; limit /= 10 {
		decimals++
	}
	return fmt.Sprintf("%.*f ms", decimals, ms)
}

// Aside is what else is to be said of its condition.
func (m member) Aside() string {
	switch {
	case m.Hold != "":
		return m.Hold
	case m.Away != "":
		return m.Away
	case m.Unfit != "" && m.Unfit != m.Health:
		return m.Unfit
	case m.Unfit == "" && m.Tier != "normal" && m.Tier != m.Health:
		return m.Tier
	}
	return ""
}
