package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
)

// writeSources lists what constants and package comments say: annotations, events and endpoints.
func writeSources(t *testing.T, w io.Writer) {
	t.Helper()
	all := constants(t, "../../lease", "../../report", "../../speaker")
	fmt.Fprint(w, "\n## Annotations of a Service\n\nstarling understands the three that ask for something under `metallb.io/` and\n`metallb.universe.tf/` as well.\n")
	table(w, []string{"annotation", "meaning"}, rowsOf(all, "Annotation", "starling-lb.io/"))
	fmt.Fprint(w, "\n## Events on a Service\n")
	table(w, []string{"event", "meaning"}, rowsOf(all, "Event", ""))
	fmt.Fprint(w, "\n## Events on a Node\n\nThey are in the namespace `default`, like those of kubelet, and `kubectl describe node NAME` shows\nthem. Speakers that see the same condition share one event per ten minutes. Its time and words are\nthose of the last speaker that reported it.\n")
	table(w, []string{"event", "meaning"}, rowsOf(all, "NodeEvent", ""))
	writeConditions(w)
	fmt.Fprintf(w, "\n## Endpoints\n\nThese are on the port of `--status-addr`:\n\n```\n%s```\n", endpoints(t))
}

// writeConditions lists the rules of all conditions.
func writeConditions(w io.Writer) {
	var rows [][]string
	for _, r := range health.Rules() {
		kinds := make([]string, len(r.About))
		for i, k := range r.About {
			kinds[i] = string(k)
		}
		rows = append(rows, []string{code(string(r.Code)), string(r.Severity), strings.Join(kinds, ", "), code(r.Event), r.Meaning + later(r.After)})
	}
	fmt.Fprint(w, "\n## Conditions\n\nWhat can be wrong. The code stays the same in every release. The status shows conditions\n(`conditions`), and so do the page, `starling doctor`, Events (annotation\n`starling-lb.io/condition`) and the metric `starling_conditions`. An `error` needs the operator to\nact, a `warning` is worth a look, and an `information` only explains.\n")
	table(w, []string{"code", "severity", "about", "event", "meaning"}, rows)
}

// later says that a condition must last until it is shown.
func later(after time.Duration) string {
	if after == 0 {
		return ""
	}
	return fmt.Sprintf(" Shown after %s.", after)
}

// constant is a constant with a text, and its comment.
type constant struct{ name, value, doc string }

// constants are those of packages, with their own comments, sorted by value.
func constants(t *testing.T, dirs ...string) []constant {
	t.Helper()
	var out []constant
	for _, dir := range dirs {
		for _, file := range parse(t, dir) {
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
					out = append(out, constant{spec.Names[0].Name, literal(spec.Values[0]), strings.Join(strings.Fields(spec.Doc.Text()), " ")})
				}
				return true
			})
		}
	}
	slices.SortFunc(out, func(a, b constant) int { return strings.Compare(a.value, b.value) })
	return out
}

// parse reads the package in dir without its tests.
func parse(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// literal is the value of a literal, or of a name and a literal: only the latter.
func literal(e ast.Expr) string {
	if sum, ok := e.(*ast.BinaryExpr); ok {
		e = sum.Y
	}
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}

// rowsOf are the constants of a kind. That of an annotation ends with the word; the comment of an
// event begins "NAME tells", that of one on a Node "NAME tells on a Node that".
func rowsOf(all []constant, kind, prefix string) [][]string {
	var rows [][]string
	for _, c := range all {
		of, onNode := strings.HasSuffix(c.name, kind) && !strings.HasPrefix(c.doc, c.value+" tells "), strings.HasPrefix(c.doc, c.value+" tells on a Node that ")
		switch kind {
		case "Event":
			of = strings.HasPrefix(c.doc, c.value+" tells ") && !onNode
		case "NodeEvent":
			of = onNode
		}
		if of {
			rest := strings.Replace(strings.TrimPrefix(c.doc, c.name+" "), "tells on a Node that ", "", 1)
			rows = append(rows, []string{code(prefix + c.value), strings.TrimPrefix(strings.TrimPrefix(rest, "tells that "), "tells ")})
		}
	}
	return rows
}

// names are the first cells.
func names(rows [][]string) []string {
	var out []string
	for _, row := range rows {
		out = append(out, strings.Trim(row[0], "`"))
	}
	return out
}

// endpoints is the list in the package comment of status.
func endpoints(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, file := range parse(t, "../../status") {
		for line := range strings.Lines(file.Doc.Text()) {
			if strings.HasPrefix(line, "\t/") {
				b.WriteString(line[1:])
			}
		}
	}
	return b.String()
}

// TestEventsHaveRows: the comment of a constant begins as rowsOf wants it, and so do those of all
// events of conditions.
func TestEventsHaveRows(t *testing.T) {
	t.Parallel()
	all := constants(t, "../../lease", "../../report", "../../speaker")
	rows := append(names(rowsOf(all, "Event", "")), names(rowsOf(all, "NodeEvent", ""))...)
	for _, c := range all {
		if c.value != "" && c.name == c.value && !slices.Contains(rows, c.value) {
			t.Errorf("the event %s has no row: its comment is %q, and begins neither \"%s tells \" nor \"%s tells on a Node that \"", c.name, c.doc, c.name, c.name)
		}
	}
	for _, r := range health.Rules() {
		if r.Event != "" && !slices.Contains(rows, r.Event) {
			t.Errorf("the event %s of the condition %s has no row", r.Event, r.Code)
		}
	}
}

// TestSources: an empty list would look current forever.
func TestSources(t *testing.T) {
	t.Parallel()
	all := constants(t, "../../lease", "../../report", "../../speaker")
	for kind, want := range map[string][]string{
		"Event":     {"AddressConflict", "AllocationFailed", "IPAllocated", "IPReleased", "NoEligibleNode", "NodeAssigned", "StatusOverwritten", "UnknownAnnotation"},
		"NodeEvent": {"ConfigMissing", "ConfigRejected", "GossipBlocked", "GossipKeyMismatch", "KubeProxyMissing", "NotForwarding", "OtherCluster", "PoolOverlapsNodes", "RouterLost", "SpeakerAway", "SpeakerLost"},
	} {
		if events := names(rowsOf(all, kind, "")); !slices.Equal(events, want) {
			t.Errorf("%s %q, want %q", kind, events, want)
		}
	}
	if n := len(rowsOf(all, "Annotation", "")); n < 5 {
		t.Errorf("%d annotations", n)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/status"} {
		if !strings.Contains(endpoints(t), path+" ") {
			t.Errorf("no %s among the endpoints:\n%s", path, endpoints(t))
		}
	}
}
