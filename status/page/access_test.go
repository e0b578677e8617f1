package page

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/starling-lb/starling/api"
)

// TestAccessible holds what a screen reader and a keyboard need, on the fullest page there is.
func TestAccessible(t *testing.T) {
	t.Parallel()
	s := night()
	who := api.Who{IP: "198.18.64.1", VIP: &s.Snapshot.VIPs[0], Ranking: []api.Candidate{{Node: "n1", Eligible: true}}}
	for name, doc := range map[string]*html.Node{
		"full":  parse(t, render(t, s, Query{Address: who.IP, Words: "198", Sort: "since"}, &who)),
		"empty": parse(t, render(t, Scene{}, Query{}, nil)),
		"large": parse(t, render(t, many(1000, 70), Query{Page: 1}, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if attr(first(doc, "html"), "lang") != "en" {
				t.Error("the language is not told")
			}
			for _, rule := range []func(*testing.T, *html.Node){idsAreUnique, referencesLead, namesAreThere, tablesHaveHeads, headingsAreInOrder, landmarks} {
				rule(t, doc)
			}
		})
	}
}

func idsAreUnique(t *testing.T, doc *html.Node) {
	seen := map[string]bool{}
	for _, e := range all(doc) {
		if id := attr(e, "id"); id != "" && seen[id] {
			t.Errorf("two elements have the id %s", id)
		} else if id != "" {
			seen[id] = true
		}
	}
}

// referencesLead wants each label, description and link within the page to lead somewhere.
func referencesLead(t *testing.T, doc *html.Node) {
	ids := map[string]bool{}
	for _, e := range all(doc) {
		ids[attr(e, "id")] = true
	}
	for _, e := range all(doc) {
		for _, name := range []string{"aria-labelledby", "aria-controls", "for"} {
			if to := attr(e, name); to != "" && !ids[to] {
				t.Errorf("%s of a %s names %q, which is not there", name, e.Data, to)
			}
		}
		if _, to, local := strings.Cut(attr(e, "href"), "#"); local && !ids[to] {
			t.Errorf("the link %s leads nowhere", attr(e, "href"))
		}
	}
}

// namesAreThere wants words for everything that can be used, reached or seen.
func namesAreThere(t *testing.T, doc *html.Node) {
	labels := map[string]string{}
	for _, l := range all(doc, "label") {
		labels[attr(l, "for")] = words(l)
	}
	for _, e := range all(doc) {
		name := attr(e, "aria-label") + attr(e, "aria-labelledby")
		switch {
		case e.Data == "a" || e.Data == "button":
			name += words(e)
		case e.Data == "input" && attr(e, "type") != "hidden":
			name += labels[attr(e, "id")]
		case e.Data == "svg" || attr(e, "role") == "img" || attr(e, "role") == "region" || e.Data == "nav" || e.Data == "section":
		default:
			continue
		}
		if name == "" {
			t.Errorf("a %s has no name: %s", e.Data, markup(t, e))
		}
	}
}

// tablesHaveHeads wants each cell to be under a heading, and each row to begin with what it is
// about.
func tablesHaveHeads(t *testing.T, doc *html.Node) {
	for _, table := range all(doc, "table") {
		heads := len(all(first(table, "thead"), "th"))
		for _, th := range all(table, "th") {
			if attr(th, "scope") == "" {
				t.Errorf("the heading %q does not say of what", words(th))
			}
		}
		for _, tr := range all(first(table, "tbody"), "tr") {
			if got := len(all(tr, "td", "th")); got != heads || len(all(tr, "th")) != 1 {
				t.Errorf("a row has %d cells under %d headings, and %d heads", got, heads, len(all(tr, "th")))
			}
		}
	}
}

func headingsAreInOrder(t *testing.T, doc *html.Node) {
	last := 0
	for i, h := range all(doc, "h1", "h2", "h3", "h4") {
		level := int(h.Data[1] - '0')
		if i == 0 && level != 1 || level == 1 && i > 0 || level > last+1 {
			t.Errorf("%s %q after a heading of level %d", h.Data, words(h), last)
		}
		last = level
	}
}

// landmarks wants a way past what comes first, and news to be read out.
func landmarks(t *testing.T, doc *html.Node) {
	for name, want := range map[string]int{"main": 1, "header": 1, "footer": 1} {
		if got := len(all(doc, name)); got != want {
			t.Errorf("%d elements %s, want %d", got, name, want)
		}
	}
	if skip := first(doc, "a"); attr(skip, "href") != "#addresses" {
		t.Errorf("the first link is %s", markup(t, skip))
	}
	if attr(one(t, doc, "headline"), "role") != "status" {
		t.Error("a new headline is not read out")
	}
}
