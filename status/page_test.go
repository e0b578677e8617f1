package status

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/starling-lb/starling/speaker"
)

func TestPageTables(t *testing.T) {
	t.Parallel()
	since := time.Now().Add(-3 * time.Hour)
	body := get(t, speaker.Snapshot{
		Node: "n1", Version: "v1", Reasons: []string{"missing NET_RAW"}, Problems: []string{"peer 198.18.0.9 has another key"},
		Members: []speaker.Member{
			{Name: "n1", Addr: "198.18.0.1:7927", State: "alive", Ready: true, Segments: []string{"198.18.0.0/24", "2001:db8::/64"}},
			{Name: "n2", State: "dead"},
		},
		VIPs: []speaker.VIP{
			{IP: "198.18.64.1", Services: []string{"a/web", "b/web"}, Pool: "p", Owner: "n1", Next: "n2", Reason: "highest score", Since: since},
			{IP: "198.18.64.2", Services: []string{"a/db"}, Reason: "no serving endpoint"},
		},
		Pools:     []speaker.Pool{{Name: "p", Ranges: []string{"198.18.64.0/31"}, Rules: []string{"priority 1", "by nodes with rack=1"}, Size: 2, Used: 2, Waiting: 1}},
		Conflicts: []speaker.Conflict{{IP: "198.18.64.1", Kind: "stranger", MAC: "02:00:00:00:00:01", Since: since}},
	})
	want := [][]string{
		{"198.18.64.1", "a/web|b/web", "n1", "n2", "3h", "p", "highest score"},
		{"198.18.64.2", "a/db", "none", "-", "-", "-", "no serving endpoint"},
		{"n1", "ready", "198.18.0.1:7927", "198.18.0.0/24|2001:db8::/64"},
		{"n2", "dead", "-", "-"},
		{"p", "198.18.64.0/31", "priority 1|by nodes with rack=1", "2", "0", "1"},
		{"198.18.64.1", "stranger", "02:00:00:00:00:01", "3h"},
	}
	if diff := cmp.Diff(want, rows(t, body)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for _, words := range []string{"<title>starling on n1</title>", "not ready", "<li>missing NET_RAW</li>", "<li>peer 198.18.0.9 has another key</li>", "version v1"} {
		if !strings.Contains(body, words) {
			t.Errorf("the page does not have %q", words)
		}
	}
}

func TestPageWithNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   speaker.Snapshot
		want []string
	}{
		{"just started", speaker.Snapshot{}, []string{
			"<li>not ready</li>", "name a pool first", "has not joined the mesh yet", "no pools yet", "nobody else was heard",
		}},
		{"no Service", speaker.Snapshot{Ready: true, Pools: []speaker.Pool{{Name: "p"}}}, []string{
			`<strong class="good">ready</strong>`, "create a Service of type LoadBalancer",
		}},
	}
	for _, tt := range tests {
		body := get(t, tt.in)
		for _, words := range tt.want {
			if !strings.Contains(body, words) {
				t.Errorf("%s: the page does not have %q", tt.name, words)
			}
		}
	}
}

// Nothing that a member or a Service is called becomes markup.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	body := get(t, speaker.Snapshot{
		Node: evil, Version: evil, Reasons: []string{evil},
		Members:   []speaker.Member{{Name: evil, Addr: evil, State: evil, Segments: []string{evil}}},
		VIPs:      []speaker.VIP{{IP: evil, Services: []string{evil}, Pool: evil, Owner: evil, Next: evil, Reason: evil}},
		Pools:     []speaker.Pool{{Name: evil, Ranges: []string{evil}, Rules: []string{evil}}},
		Conflicts: []speaker.Conflict{{IP: evil, Kind: evil, MAC: evil}},
	})
	if strings.Contains(body, "<script") {
		t.Error("a name became a script")
	}
	if got := strings.Count(body, "alert(1)"); got < 15 {
		t.Errorf("only %d of the names are shown", got)
	}
}

// The page is complete in itself: no script, nothing to load, and the policy allows its own style.
func TestPageStandsAlone(t *testing.T) {
	t.Parallel()
	resp := ask(t, testConfig(nil), "/")
	body := resp.Body.String()
	if bad := regexp.MustCompile(`<script|<link|<img|<iframe|src=|url\(|@import|https?://|style=`).FindString(body); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	if style == nil {
		t.Fatal("no style in the page")
	}
	want := "style-src 'sha256-" + digest(style[1]) + "'"
	if got := resp.Header().Get("Content-Security-Policy"); !strings.Contains(got, want) {
		t.Errorf("policy %q does not allow the page's style by %q", got, want)
	}
	for _, words := range []string{`<html lang="en">`, `name="viewport"`, "prefers-color-scheme: dark", "color-scheme: light dark"} {
		if !strings.Contains(body, words) {
			t.Errorf("the page does not have %q", words)
		}
	}
}

// rows are the cells of all table bodies, lines within a cell joined by "|".
func rows(t *testing.T, body string) [][]string {
	t.Helper()
	var out [][]string
	inside := false // of a table's body
	for z := html.NewTokenizer(strings.NewReader(body)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return out
		case html.StartTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "tbody":
				inside = true
			case "tr":
				if inside {
					out = append(out, nil)
				}
			case "td", "th":
				if inside {
					out[len(out)-1] = append(out[len(out)-1], "")
				}
			case "br":
				add(out, "|")
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "tbody" {
				inside = false
			}
		case html.TextToken:
			if inside {
				add(out, strings.TrimSpace(string(z.Text())))
			}
		}
	}
}

// add appends to the last cell.
func add(rows [][]string, s string) {
	if len(rows) > 0 && len(rows[len(rows)-1]) > 0 {
		last := rows[len(rows)-1]
		last[len(last)-1] += s
	}
}

func get(t *testing.T, s speaker.Snapshot) string {
	t.Helper()
	resp := ask(t, testConfig(func(c *Config) { c.Snapshot = func() speaker.Snapshot { return s } }), "/")
	if resp.Code != 200 {
		t.Fatalf("code %d: %s", resp.Code, resp.Body)
	}
	return resp.Body.String()
}
