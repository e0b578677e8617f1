package checks

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/starling-lb/starling/checks/alerts"
)

type dashboard struct {
	Panels []struct {
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ Expr string }
		Links       []struct{ URL string }
		FieldConfig struct {
			Defaults struct {
				Thresholds struct{ Steps []struct{ Value *float64 } }
			}
		}
	}
	Links       []struct{ URL string }
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

// panels reads the dashboard; expressions have values in place of Grafana's variables.
func panels(t *testing.T) dashboard {
	t.Helper()
	text := strings.NewReplacer("$__rate_interval", "1m", "$namespace", "s").Replace(read(t, "../manifests/monitoring/dashboard.json"))
	return parse[dashboard](t, "dashboard.json", text)
}

// TestPanels: every panel asks for metrics that exist, and shows something when they do.
func TestPanels(t *testing.T) {
	known := reference(t)
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 1_000_000)
	storage := promqltest.LoadedStorage(t, "load 5s\n"+everything(known))
	shown := map[string]bool{}
	for _, p := range panels(t).Panels {
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, mistake := range unknown(t, known, target.Expr) {
				t.Errorf("panel %q: %s", p.Title, mistake)
			}
			maps.Copy(shown, namesIn(t, target.Expr))
			q, err := engine.NewInstantQuery(t.Context(), storage, nil, target.Expr, time.Unix(0, 0).Add(5*time.Minute))
			if err != nil {
				t.Fatalf("panel %q: %v", p.Title, err)
			}
			result := q.Exec(t.Context())
			if v, err := result.Vector(); err != nil || len(v) == 0 {
				t.Errorf("panel %q is empty for %s: %v", p.Title, target.Expr, err)
			}
			q.Close()
		}
	}
	if len(shown) < 20 {
		t.Errorf("the dashboard shows only %d metrics", len(shown))
	}
}

// TestPanelsDoNotOverlap: Grafana moves panels that do, and the dashboard looks otherwise than
// meant.
func TestPanelsDoNotOverlap(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range panels(t).Panels {
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			t.Errorf("panel %q is at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q overlap", other, p.Title)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestMarks: moves and absences are marked on all panels, by metrics that exist.
func TestMarks(t *testing.T) {
	known := reference(t)
	var names []string
	for _, a := range panels(t).Annotations.List {
		names = append(names, a.Name)
		for _, mistake := range unknown(t, known, a.Expr) {
			t.Errorf("annotation %q: %s", a.Name, mistake)
		}
	}
	if diff := cmp.Diff([]string{"Moves", "Absences"}, names); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

// TestPanelsLead: what may be wrong has a threshold and a link to what to do about it, and every
// link has a section.
func TestPanelsLead(t *testing.T) {
	d := panels(t)
	links := d.Links
	for _, p := range d.Panels {
		links = append(links, p.Links...)
		if wrong := len(p.FieldConfig.Defaults.Thresholds.Steps) > 1; p.Type == "stat" && wrong && len(p.Links) == 0 {
			t.Errorf("panel %q turns red and does not say what to do", p.Title)
		}
	}
	const pages = "https://github.com/starling-lb/starling/blob/main/"
	if len(links) < 10 {
		t.Errorf("%d links", len(links))
	}
	for _, l := range links {
		path, anchor, _ := strings.Cut(strings.TrimPrefix(l.URL, pages), "#")
		if !strings.HasPrefix(l.URL, pages) {
			t.Errorf("a link to %s", l.URL)
			continue
		}
		page := read(t, "../"+path)
		if anchor != "" && !regexp.MustCompile(`(?mi)^#+ `+anchor+`$`).MatchString(page) {
			t.Errorf("%s has no section %s", path, anchor)
		}
	}
}

// everything is a series of every metric with every value of a label that the dashboard may ask
// for.
func everything(known map[string]metric) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(known)) {
		m := known[name]
		sets := []string{`namespace="s",pod="p",node="n1",job="starling"`}
		for _, l := range m.labels {
			var longer []string
			for _, set := range sets {
				for _, value := range []string{"alive", "dead", "key", "error", "warning"} {
					longer = append(longer, fmt.Sprintf("%s,%s=%q", set, l, value))
				}
			}
			sets = longer
		}
		for _, set := range sets {
			for _, s := range seriesOf(name, m.kind) {
				fmt.Fprintf(&b, "  %s%s} 0+1x100\n", s, set)
			}
		}
	}
	return b.String()
}

// seriesOf are the names under which a metric is scraped, with the opening of its labels.
func seriesOf(name, kind string) []string {
	if kind != "histogram" {
		return []string{name + "{"}
	}
	return []string{name + "_count{", name + "_sum{", name + `_bucket{le="0.1",`, name + `_bucket{le="+Inf",`}
}

var ofHistogram = regexp.MustCompile(`_(bucket|sum|count)$`)

// unknown names the metrics and labels of an expression that do not exist.
func unknown(t *testing.T, known map[string]metric, expr string) (mistakes []string) {
	t.Helper()
	inspect(t, expr, func(name string, matched []string) {
		m, ok := known[name]
		if base := ofHistogram.ReplaceAllString(name, ""); !ok && known[base].kind == "histogram" {
			m, ok = known[base], true
		}
		if !ok {
			mistakes = append(mistakes, "there is no metric "+name)
			return
		}
		for _, l := range matched {
			if !slices.Contains(m.labels, l) && !slices.Contains(targetLabels, l) {
				mistakes = append(mistakes, fmt.Sprintf("%s has no label %s", name, l))
			}
		}
	})
	return mistakes
}

func namesIn(t *testing.T, expr string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	inspect(t, expr, func(name string, _ []string) { out[name] = true })
	return out
}

// inspect calls f with each selector of the expression and the labels that it matches.
func inspect(t *testing.T, expr string, f func(name string, matched []string)) {
	t.Helper()
	parsed, err := alerts.PromQL().ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			var matched []string
			for _, m := range s.LabelMatchers {
				if m.Name != model.MetricNameLabel {
					matched = append(matched, m.Name)
				}
			}
			f(s.Name, matched)
		}
		return nil
	})
}

func TestUnknown(t *testing.T) {
	known := map[string]metric{"a": {"gauge", []string{"x"}}, "h": {"histogram", nil}}
	got := unknown(t, known, `sum(a{x="1",node="n"}) + b / rate(h_bucket[1m]) + a{y="2"} + a_bucket`)
	want := []string{"there is no metric b", "a has no label y", "there is no metric a_bucket"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}
