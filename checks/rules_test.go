package checks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"

	"github.com/starling-lb/starling/checks/alerts"
)

const interval = 5 * time.Second // of scrapes and evaluations, as in the manifests

// rulesOf reads the shipped alerts.
func rulesOf(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, err := alerts.Read([]byte(read(t, "../manifests/monitoring/prometheusrule.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	var out []rulefmt.Rule
	for _, g := range groups {
		if time.Duration(g.Interval) != interval {
			t.Errorf("group %s is evaluated every %s", g.Name, g.Interval)
		}
		out = append(out, g.Rules...)
	}
	return out
}

// firing evaluates the rule from the beginning of the series until then and returns the summaries
// of what fires.
func firing(t *testing.T, r rulefmt.Rule, series string, until time.Duration) []string {
	t.Helper()
	rule, err := alerts.New(r)
	if err != nil {
		t.Fatal(err)
	}
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 1_000_000)
	query := rules.EngineQueryFunc(engine, promqltest.LoadedStorage(t, "load 5s\n"+strings.TrimPrefix(series, "\n")))
	var last []*rules.Alert
	for at := time.Duration(0); at <= until; at += interval {
		if last, err = alerts.Firing(t.Context(), rule, time.Unix(0, 0).Add(at), query); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for _, a := range last {
		out = append(out, a.Annotations.Get("summary"))
	}
	return out
}

// healthy is a cluster of three nodes in which one address has moved once.
func healthy(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for i := range 3 {
		all := fmt.Sprintf(`namespace="starling-system",job="starling",pod="starling-%d",node="n%d"`, i, i)
		for _, s := range []string{
			"up{%s} 1", "starling_ready{%s} 1", "starling_problems{%s} 0", "starling_addresses{%s} 3", "starling_owned_addresses{%s} 1",
			"starling_addresses_without_owner{%s} 0", `starling_conflicts{kind="stranger",%s} 0`, `starling_conflicts{kind="member",%s} 0`,
			`starling_pool_addresses{pool="lan",family="IPv4",%s} 10`, `starling_pool_addresses_free{pool="lan",family="IPv4",%s} 2`,
			`starling_pool_addresses{pool="one",family="IPv4",%s} 1`, `starling_pool_addresses_free{pool="one",family="IPv4",%s} 0`,
			`starling_services_waiting{pool="lan",code="pool-full",%s} 0`, `starling_services_waiting{pool="",code="no-pool",%s} 0`, `starling_allocator_addresses_of_nodes{pool="lan",%s} 0`,
			"starling_kube_proxy_missing{%s} 0", "starling_config_last_reload_successful{%s} 1", "starling_members_with_other_config{%s} 0", "starling_members_on_wire{%s} 0",
			`starling_mesh_members{state="alive",%s} 3`, `starling_mesh_members{state="dead",%s} 0`, `starling_mesh_members{state="left",%s} 0`,
			"starling_watcher_nodes{%s} 4", "starling_nodes_not_selected{%s} 1", "starling_watcher_contact_age_seconds{%s} 4",
		} {
			fmt.Fprintf(&b, "  "+s+"x400\n", all)
		}
		for code, severity := range severities(t) { // information is there
			n := 0
			if severity == "information" {
				n = 1
			}
			fmt.Fprintf(&b, "  starling_conditions{code=%q,severity=%q,%s} %dx400\n", code, severity, all, n)
		}
		fmt.Fprintf(&b, `  starling_ownership_changes_total{reason="moved",%s} 0x50 1x350`+"\n", all)
		fmt.Fprintf(&b, `  starling_ownership_changes_total{reason="new",%s} 0x10 3x390`+"\n", all)
	}
	return b.String()
}

func TestNothingFiresWhileAllIsWell(t *testing.T) {
	for _, r := range rulesOf(t) {
		if got := firing(t, r, healthy(t), 20*time.Minute); got != nil {
			t.Errorf("%s: %q", r.Alert, got)
		}
	}
}

// TestAlerts: each alert fires on its fault, and not before its time.
func TestAlerts(t *testing.T) {
	all := rulesOf(t)
	tested := map[string]bool{}
	for _, tt := range faults {
		tested[tt.alert] = true
		t.Run(tt.alert, func(t *testing.T) {
			i := slices.IndexFunc(all, func(r rulefmt.Rule) bool { return r.Alert == tt.alert })
			if i < 0 {
				t.Fatal("there is no such alert")
			}
			r := all[i]
			if diff := cmp.Diff([]string{tt.want}, firing(t, r, tt.series, tt.after)); diff != "" {
				t.Errorf("firing after %s (-want +got):\n%s", tt.after, diff)
			}
			if before := firing(t, r, tt.series, tt.after-2*interval); before != nil {
				t.Errorf("%q fires already before %s", before, tt.after)
			}
		})
	}
	for _, r := range all {
		if !tested[r.Alert] {
			t.Errorf("no fault tests %s", r.Alert)
		}
	}
}

// TestAlertsHelp: every alert says what it is, what it means and what to do, and its section
// exists.
func TestAlertsHelp(t *testing.T) {
	page := read(t, "../docs/troubleshooting.md")
	for _, r := range rulesOf(t) {
		for _, key := range []string{"summary", "description", "action"} {
			if len(r.Annotations[key]) < 15 {
				t.Errorf("%s: annotation %s is %q", r.Alert, key, r.Annotations[key])
			}
		}
		if s := r.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info"}, s) {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		want := "https://github.com/starling-lb/starling/blob/main/docs/troubleshooting.md#" + strings.ToLower(r.Alert)
		if got := r.Annotations["runbook_url"]; got != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, got, want)
		}
		if !regexp.MustCompile(`(?m)^#+ ` + r.Alert + `$`).MatchString(page) {
			t.Errorf("%s: docs/troubleshooting.md has no section of this name", r.Alert)
		}
	}
}

// TestAlertsKnowTheirMetrics: an alert on a metric that does not exist never fires.
func TestAlertsKnowTheirMetrics(t *testing.T) {
	known := reference(t)
	for _, r := range rulesOf(t) {
		for _, mistake := range unknown(t, known, r.Expr) {
			t.Errorf("%s: %s", r.Alert, mistake)
		}
	}
}

// TestAlertsByCode: each condition that somebody should look at has one alert, which is as bad as
// it is.
func TestAlertsByCode(t *testing.T) {
	alertOf := map[string]string{"error": "critical", "warning": "warning"}
	for code, severity := range severities(t) {
		var by []string
		for _, r := range rulesOf(t) {
			if r.Labels["code"] != code && !selects(t, r, code, severity) {
				continue
			}
			by = append(by, r.Alert)
			if r.Labels["severity"] != alertOf[severity] {
				t.Errorf("%s is %q, and the condition %s is of severity %q", r.Alert, r.Labels["severity"], code, severity)
			}
		}
		switch {
		case severity == "information" && len(by) > 0:
			t.Errorf("%s is for information only: %q", code, by)
		case severity != "information" && len(by) != 1 && !slices.Contains(saidOfItself, code):
			t.Errorf("alerts on %s: %q", code, by)
		}
	}
}

// saidOfItself are conditions that a speaker reports of another node, which reports the cause
// itself.
var saidOfItself = []string{"node-not-ready", "node-out-of-touch"}

// selects reports whether an alert reads the condition's series.
func selects(t *testing.T, r rulefmt.Rule, code, severity string) bool {
	t.Helper()
	expr, err := alerts.PromQL().ParseExpr(r.Expr)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok || v.Name != "starling_conditions" && v.Name != "starling_services_waiting" {
			return nil
		}
		all := true
		for _, m := range v.LabelMatchers {
			switch m.Name {
			case "code":
				all = all && m.Matches(code)
			case "severity":
				all = all && m.Matches(severity)
			}
		}
		found = found || all
		return nil
	})
	return found
}

// TestAlertsKnowTheirCodes: a code that does not exist is a slip.
func TestAlertsKnowTheirCodes(t *testing.T) {
	known := severities(t)
	for _, r := range rulesOf(t) {
		if code := r.Labels["code"]; code != "" && known[code] == "" {
			t.Errorf("%s: no condition has the code %q", r.Alert, code)
		}
		for _, m := range regexp.MustCompile(`code!?=~?"([^"]*)"`).FindAllStringSubmatch(r.Expr, -1) {
			for code := range strings.SplitSeq(m[1], "|") {
				if known[code] == "" {
					t.Errorf("%s: no condition has the code %q", r.Alert, code)
				}
			}
		}
	}
}
