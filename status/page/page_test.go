package page

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// noon is when the scenes of these tests play.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// night is a scene in which everything is wrong that a page tells of.
func night() Scene {
	since := noon.Add(-3 * time.Hour)
	return Scene{
		At: noon,
		Snapshot: api.Snapshot{
			Node: "n1", Version: "v1", Ready: true,
			Members: []api.Member{
				{Name: "n1", Addr: "198.18.0.1:7927", State: "alive", Ready: true, Health: "ready", Segments: []string{"198.18.0.0/24", "2001:db8::/64"}, Version: "v1", Announces: 1},
				{Name: "n2", Addr: "198.18.0.2:7927", State: "alive", Ready: true, Health: "ready", RoundTrip: 0.00042, Tier: "cordoned"},
				{Name: "n3", State: "dead", Health: "dead", Unfit: "out of order"},
			},
			VIPs: []api.VIP{
				{IP: "198.18.64.1", Services: []string{"a/web", "b/web"}, Pool: "p", Owner: "n1", Next: "n2", Reason: "highest score", Since: since, From: "n3", Change: "n3 was lost"},
				{IP: "198.18.64.2", Services: []string{"a/db"}, Reason: "no serving endpoint", Since: noon.Add(-5 * time.Second), From: "n1", Change: "n1 may not announce it any more"},
				{IP: "198.18.64.3", Services: []string{"a/dns"}, Pool: "p", Owner: "n2", Reason: "highest score"},
			},
			Pools: []api.Pool{
				{Name: "p", Ranges: []string{"198.18.64.0/31"}, Rules: []string{"priority 1", "by nodes with rack=1"}, Size: 2, Used: 2, Waiting: 1},
				{Name: "q", Ranges: []string{"198.18.65.0/24"}, Size: 12000, Used: 11000, Free: 1000},
			},
			Waiting: []api.Waiting{{Service: "a/late", Pool: "p", Reason: "pool p is full"}},
			Conflicts: []api.Conflict{
				{IP: "198.18.64.1", Kind: "stranger", MAC: "02:00:00:00:00:01", Since: since, Words: "a stranger answers too", Todo: "find it"},
			},
			Moves: []api.Move{
				{At: noon.Add(-5 * time.Second), From: "n1", Count: 1, IPs: []string{"198.18.64.2"}, Change: "n1 may not announce any more", Held: 3600},
				{At: since, From: "n3", To: "n1", Count: 5, IPs: []string{"198.18.64.1", "198.18.64.5", "198.18.64.6", "198.18.64.7"}, Change: "n3 was lost", Silent: 0.18, Held: 90000},
			},
			Conditions: []health.Condition{
				health.New(health.AddressTaken, health.Address("198.18.64.1"), "a stranger answers too").Do("find it"),
				health.New(health.NodeNotReady, health.Node("n3"), "nothing reaches n3"),
			},
		},
		Views: []View{
			{Node: "n2", Page: "http://198.18.0.2:7928/", Differs: []Difference{{IP: "198.18.64.3", Here: "n2", There: "n1", Known: true, Heard: true}}},
			{Node: "n3", Differs: []Difference{{IP: "198.18.64.1", Here: "n1", There: "n3", Known: true, Heard: true}}}, // told before it died
		},
	}
}

// many is a mesh with n addresses on nodes that announce equally many.
func many(n, nodes int) Scene {
	s := Scene{At: noon, Snapshot: api.Snapshot{Node: "n0", Ready: true, Pools: []api.Pool{{Name: "p"}}}}
	for i := range nodes {
		s.Snapshot.Members = append(s.Snapshot.Members, api.Member{Name: fmt.Sprintf("n%d", i), State: "alive", Ready: true, Health: "ready"})
	}
	ip := netip.MustParseAddr("198.18.64.0")
	for i := range n {
		ip = ip.Next()
		s.Snapshot.VIPs = append(s.Snapshot.VIPs, api.VIP{IP: ip.String(), Services: []string{fmt.Sprintf("a/s%d", i)}, Owner: fmt.Sprintf("n%d", i%nodes), Since: noon.Add(-time.Hour)})
	}
	return s
}

// render is a page as a document.
func render(t *testing.T, s Scene, q Query, who *api.Who) string {
	t.Helper()
	var b strings.Builder
	if err := NewIndex(s).Render(&b, q, who); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTables(t *testing.T) {
	t.Parallel()
	want := [][]string{
		{"198.18.64.1", "a/web|b/web", "n1", "n2", "3h", "p", "a stranger answers for it too|highest score"},
		{"198.18.64.2", "a/db", "nobody", "–", "5s", "–", "no serving endpoint n1 may not announce it any more"},
		{"198.18.64.3", "a/dns", "n2|n2 sees n1", "–", "–", "p", "highest score"},
		{"n1", "ready", "1", "–", "this page", "198.18.0.0/24|2001:db8::/64", "198.18.0.1:7927", "v1"},
		{"n2", "ready cordoned", "0", "0.42 ms", "differs in 1", "–", "198.18.0.2:7927", "–"},
		{"n3", "dead out of order", "0", "–", "not asked", "–", "–", "–"},
		{"p", "", "2", "0", "1", "198.18.64.0/31", "priority 1|by nodes with rack=1"},
		{"q", "", "11 000", "1 000", "0", "198.18.65.0/24", "–"},
		{"198.18.64.1", "stranger", "02:00:00:00:00:01", "3h"},
	}
	if diff := cmp.Diff(want, cells(parse(t, render(t, night(), Query{}, nil)))); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

// What is wrong stands above everything, in the order of how much it matters.
func TestHead(t *testing.T) {
	t.Parallel()
	doc := parse(t, render(t, night(), Query{}, nil))
	want := []string{
		"1 thing is wrong, 2 to look at", "3 addresses · 2 of 3 members ready · 0 of 1 others see the same",
		"198.18.64.1: a stranger answers too", "find it",
		"nothing reaches n3", "ask it why: starling status --node n3",
		"n2 sees 1 address otherwise: 198.18.64.3 at n1, where this speaker sees n2", "compare both views (starling status --node n2): which one has old news, or does not reach the others?",
	}
	if diff := cmp.Diff(want, lines(one(t, doc, "head"), "h1", "p")); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	if got := words(first(doc, "title")); got != "✕ 1 thing is wrong, 2 to look at – starling on n1" {
		t.Errorf("title %q", got)
	}
	if got := lines(one(t, doc, "pools"), "li"); !cmp.Equal(got, []string{"a/late for pool p: pool p is full"}) {
		t.Errorf("who waits: %q", got)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	want := []string{
		"n1 → nobody 5s", "198.18.64.2", "n1 may not announce any more; it had announced for 60m",
		"n3 → n1 3h", "198.18.64.1, 198.18.64.5, 198.18.64.6 and 2 more", "n3 was lost, last heard 0.2 s before; it had announced for 25h",
	}
	if diff := cmp.Diff(want, lines(one(t, parse(t, render(t, night(), Query{}, nil)), "changes"), "p")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// What most addresses share is said once. A link to another speaker's page is there only where it
// leads somewhere.
func TestUsual(t *testing.T) {
	t.Parallel()
	s := many(4, 2)
	for i := range s.Snapshot.VIPs {
		s.Snapshot.VIPs[i].Reason = "highest score of 2 eligible"
	}
	s.Snapshot.VIPs[3].Reason = "the only one with a local endpoint"
	s.Views = []View{{Node: "n1", Page: "http://198.18.0.2:7928/"}}
	text := render(t, s, Query{}, nil)
	if got := strings.Count(text, "highest score of 2 eligible"); got != 1 {
		t.Errorf("the reason of most is there %d times", got)
	}
	if got := strings.Count(text, "the only one with a local endpoint"); got != 1 {
		t.Errorf("the exception is there %d times", got)
	}
	if strings.Contains(text, "198.18.0.2:7928") {
		t.Error("a link that may lead nowhere")
	}
	if !strings.Contains(render(t, s, Query{Near: true}, nil), `<a href="http://198.18.0.2:7928/">its page</a>`) {
		t.Error("no link where nodes can be reached")
	}
}

// An address names its entry of announce where other addresses of the pool have another one.
func TestEntries(t *testing.T) {
	t.Parallel()
	s := many(3, 2)
	for i, pool := range []string{"racks", "racks", "plain"} {
		v := &s.Snapshot.VIPs[i]
		v.Pool, v.Entries = pool, []string{fmt.Sprintf("announce[%d]", i)}
	}
	var got []string
	for _, row := range cells(parse(t, render(t, s, Query{}, nil)))[:3] {
		got = append(got, row[5])
	}
	if diff := cmp.Diff([]string{"racks announce[0]", "racks announce[1]", "plain"}, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func TestExplanation(t *testing.T) {
	t.Parallel()
	s := night()
	s.Snapshot.VIPs[2].Entries = []string{"announce[0]", "announce[2]"}
	who := api.Who{
		IP: "198.18.64.3", Words: "n2 announces it", VIP: &s.Snapshot.VIPs[2], Conflict: &api.Conflict{Words: "so does another", Todo: "find it"},
		Ranking: []api.Candidate{
			{Node: "n2", Score: "ff", Eligible: true, Role: "announcer"},
			{Node: "n1", Score: "0f", Eligible: true, Role: "next"},
			{Node: "n3", Score: "f0", Reason: "dead"},
		},
	}
	got := one(t, parse(t, render(t, s, Query{Address: who.IP}, &who)), "who")
	wantLines := []string{
		"Why 198.18.64.3 is where it is", "n2 announces it; n2 sees n1", "From pool p by announce[0], announce[2], for a/dns.", "so does another find it", "Close",
	}
	if diff := cmp.Diff(wantLines, lines(got, "h3", "p")); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
	wantCells := [][]string{{"1", "n2", "ff", "yes announces it"}, {"2", "n1", "0f", "yes is next in line"}, {"3", "n3", "f0", "no: dead"}}
	if diff := cmp.Diff(wantCells, cells(got)); diff != "" {
		t.Errorf("ranking (-want +got):\n%s", diff)
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   api.Snapshot
		q    Query
		want []string
	}{
		{"just started", api.Snapshot{}, Query{}, []string{
			"no addresses yet: name a pool first", "has not joined the mesh yet", "no pools yet", "nobody else was heard", "No address has moved",
		}},
		{"no Service", api.Snapshot{Ready: true, Pools: []api.Pool{{Name: "p"}}}, Query{}, []string{
			"Ready, and no addresses yet", "create a Service of type LoadBalancer", "no other view known",
		}},
		{"a filter that finds nothing", many(3, 1).Snapshot, Query{Words: "zzz"}, []string{"All is well", "No address is like that."}},
	}
	for _, tt := range tests {
		text := words(parse(t, render(t, Scene{Snapshot: tt.in, At: noon}, tt.q, nil)))
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page does not have %q", tt.name, want)
			}
		}
	}
}

// Nothing that a member, a Service or a visitor calls something becomes markup, in the page or in
// its parts.
func TestEscapes(t *testing.T) {
	t.Parallel()
	const evil = `"><img src=x onerror=alert(1)><script>alert(1)</script></script></style>`
	vip := api.VIP{IP: evil, Services: []string{evil}, Pool: evil, Owner: evil, Next: evil, Reason: evil, From: evil, Change: evil, Since: noon}
	conflict := api.Conflict{IP: evil, Kind: evil, MAC: evil, Node: evil, Words: evil, Todo: evil}
	s := Scene{
		At: noon,
		Snapshot: api.Snapshot{
			Node: evil, Version: evil,
			Members: []api.Member{
				{Name: evil, Addr: evil, State: evil, Health: evil, Unfit: evil, Segments: []string{evil}, Version: evil},
				{Name: "n2", Tier: evil},
			},
			VIPs:      []api.VIP{vip, {IP: "198.18.64.1", Owner: "n2"}},
			Pools:     []api.Pool{{Name: evil, Ranges: []string{evil}, Rules: []string{evil}}},
			Waiting:   []api.Waiting{{Service: evil, Pool: evil, Reason: evil}},
			Moves:     []api.Move{{From: evil, To: evil, Count: 1, IPs: []string{evil}, Change: evil}},
			Conflicts: []api.Conflict{conflict},
			Conditions: []health.Condition{
				{Code: evil, Severity: evil, Subject: health.Subject{Kind: evil, Name: evil}, Words: evil, Advice: evil},
				{Subject: health.Node(evil)},
				{Subject: health.Address(evil)},
				{Subject: health.Pool(evil)},
			},
		},
		Views: []View{
			{Node: "n2", Page: "javascript:alert(1)", Silent: evil},
			{Node: evil, Differs: []Difference{{IP: "198.18.64.1", Here: evil, There: evil, Known: true, Heard: true}}},
		},
	}
	who := &api.Who{IP: "198.18.64.1", Words: evil, VIP: &vip, Conflict: &conflict, Ranking: []api.Candidate{{Node: evil, Score: evil, Reason: evil}}}
	q := Query{Words: "198", Address: "198.18.64.1"}
	pieces, err := NewIndex(s).Parts(q, who)
	if err != nil {
		t.Fatal(err)
	}
	pieces["document"] = render(t, s, q, who)
	q.Words = evil
	pieces["filter"] = render(t, s, q, who)
	for name, text := range pieces {
		doc := parse(t, text)
		if got := len(all(doc, "img")); got > 0 {
			t.Errorf("%s: a name became %d images", name, got)
		}
		if got := len(all(doc, "script")); got > 1 {
			t.Errorf("%s: there are %d scripts", name, got)
		}
		for _, a := range all(doc, "a") {
			if strings.HasPrefix(strings.ToLower(attr(a, "href")), "javascript:") {
				t.Errorf("%s: a link runs %s", name, attr(a, "href"))
			}
		}
	}
	if got := strings.Count(words(parse(t, pieces["document"])), "alert(1)"); got < 30 {
		t.Errorf("only %d of the names are shown", got)
	}
}

// The page is complete in itself: nothing to load but its icon, and the policy allows exactly its
// style and script.
func TestStandsAlone(t *testing.T) {
	t.Parallel()
	text := render(t, night(), Query{}, nil)
	if bad := regexp.MustCompile(`<img|<iframe|src=|url\(|@import|style="|onclick=`).FindString(text); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	doc := parse(t, text)
	for _, l := range all(doc, "link") {
		if got := attr(l, "href"); got != "icon.svg?level=bad" {
			t.Errorf("the page loads %s", got)
		}
	}
	for element, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		found := all(doc, element)
		if len(found) != 1 {
			t.Fatalf("%d elements %s", len(found), element)
		}
		if want := directive + " 'sha256-" + digest(found[0].FirstChild.Data) + "'"; !strings.Contains(Policy, want) {
			t.Errorf("the policy %q does not have %q", Policy, want)
		}
	}
	if !strings.HasPrefix(Policy, "default-src 'none'; ") || strings.Contains(Policy, "unsafe") {
		t.Errorf("policy %q", Policy)
	}
}

// The parts are what the document has, with moments in place of ages.
func TestPartsAreTheDocument(t *testing.T) {
	t.Parallel()
	x := NewIndex(night())
	got, err := x.Parts(Query{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	doc := parse(t, render(t, night(), Query{}, nil))
	ages := regexp.MustCompile(`(<time [^>]*>)[^<]*(</time>)`)
	for _, name := range parts {
		part := one(t, parse(t, got[name]), name)
		if len(all(part, "time")) != len(all(one(t, doc, name), "time")) {
			t.Errorf("%s: the part and the document have other moments", name)
		}
		for _, moment := range all(part, "time") {
			if words(moment) != "" {
				t.Errorf("%s: an age %q would change every second", name, words(moment))
			}
		}
		want := ages.ReplaceAllString(markup(t, one(t, doc, name)), "$1$2")
		if diff := cmp.Diff(want, markup(t, part)); diff != "" {
			t.Errorf("%s (-document +part):\n%s", name, diff)
		}
	}
	if len(got) != len(parts) {
		t.Errorf("%d parts, want %d", len(got), len(parts))
	}
}

// However many addresses there are, a page is small, and all can be reached.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	s := many(10000, 50)
	text := render(t, s, Query{}, nil)
	if limit := 150 << 10; len(text) > limit {
		t.Errorf("the page has %d bytes, want at most %d", len(text), limit)
	}
	doc := parse(t, text)
	seen, pages := map[string]bool{}, 0
	x := NewIndex(s)
	for q := (Query{}); ; pages++ {
		m := x.model(q, nil)
		for _, r := range m.Rows {
			seen[r.IP] = true
		}
		if m.Following() == "" {
			break
		}
		q.Page++
	}
	if len(seen) != 10000 || pages != 10000/PageSize-1 {
		t.Errorf("%d addresses on %d pages", len(seen), pages+1)
	}
	if got := len(all(one(t, doc, "addresses"), "tr")); got != PageSize+1 {
		t.Errorf("%d rows, want %d and the headings", got, PageSize)
	}
}
