package status

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/status/page"
)

// FuzzAnswer: whatever another speaker answers, here as both the short form of its view and the
// whole of it, the page shows at most a line for each of so many conditions, and nothing of it
// becomes a part of the document but text.
func FuzzAnswer(f *testing.F) {
	here := sees(map[string]string{"198.18.64.1": "n1", "198.18.64.2": "n2"}, api.Member{Name: "n2", Addr: "198.18.0.2:7927", State: "alive"})
	var many []health.Condition
	for i := range 30 {
		many = append(many, health.New(health.NodeLost, health.Node(fmt.Sprintf("<n%d>", i)), fmt.Sprintf("</li><script>%d</script>", i)))
	}
	for _, seed := range []any{
		viewOf(here), here,
		api.View{Node: "n2", Conditions: many},
		map[string]any{"vips": []map[string]string{{"ip": "198.18.64.1", "owner": `"><script>`}, {"ip": "<b>"}}},
	} {
		text, err := json.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"node": 1}`))
	own := strings.Count(rendered(f, here, page.View{Node: "n2"}), "<script")
	f.Fuzz(func(t *testing.T, body []byte) {
		short, err := decode[api.View](body)
		whole, also := decode[owners](body)
		if err != nil || also != nil {
			return
		}
		text := rendered(t, here, page.View{Node: "n2", Conditions: short.Conditions, Differs: differences(here.VIPs, whole)})
		if got := strings.Count(strings.ToLower(text), "<script"); got != own {
			t.Errorf("the page has %d scripts, want its own %d:\n%s", got, own, text)
		}
		_, head, _ := strings.Cut(text, `<section id="head"`)
		head, _, _ = strings.Cut(head, "</section>")
		if lines := strings.Count(head, "<li"); lines > viewMost {
			t.Errorf("the headline has %d lines", lines)
		}
	})
}

// rendered is the page of a speaker that sees this, and has heard that view.
func rendered(t testing.TB, here api.Snapshot, v page.View) string {
	t.Helper()
	var b strings.Builder
	if err := page.NewIndex(page.Scene{Snapshot: here, Views: []page.View{v}, At: time.Unix(1_800_000_000, 0)}).Render(&b, page.Query{}, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
