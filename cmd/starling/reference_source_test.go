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
)

// writeSources lists what constants and package comments say: annotations, events and endpoints.
func writeSources(t *testing.T, w io.Writer) {
	t.Helper()
	all := constants(t, "../../lease", "../../speaker")
	fmt.Fprint(w, "\n## Annotations of a Service\n\nThe three that ask for something are understood under `metallb.io/` and `metallb.universe.tf/`, too.\n")
	table(w, []string{"annotation", "meaning"}, rowsOf(all, "Annotation", "starling-lb.io/"))
	fmt.Fprint(w, "\n## Events on a Service\n")
	table(w, []string{"event", "meaning"}, rowsOf(all, "Event", ""))
	fmt.Fprint(w, "\n## Events on a Node\n\nIn the namespace `default`, as those of kubelet: `kubectl describe node NAME` shows them. However many speakers see the same, there is one event of it in ten minutes by the clock; its time and words are those of the last who told it.\n")
	table(w, []string{"event", "meaning"}, rowsOf(all, "NodeEvent", ""))
	fmt.Fprintf(w, "\n## Endpoints\n\nOf the port of `--status-addr`:\n\n```\n%s```\n", endpoints(t))
}

// constant is a documented constant with a text.
type constant struct{ name, value, doc string }

// constants are those of packages that have a comment of their own, sorted by value.
func constants(t *testing.T, dirs ...string) []constant {
	t.Helper()
	var out []constant
	for _, dir := range dirs {
		for _, file := range parse(t, dir) {
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok && spec.Doc != nil && len(spec.Values) == 1 {
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

// rowsOf are the constants of a kind. That of an annotation ends with the word; the comment of an event begins
// "NAME tells", that of one on a Node "NAME tells on a Node that".
func rowsOf(all []constant, kind, prefix string) [][]string {
	var rows [][]string
	for _, c := range all {
		of, onNode := strings.HasSuffix(c.name, kind), strings.HasPrefix(c.doc, c.value+" tells on a Node that ")
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

// TestSources: an empty list would look current for ever.
func TestSources(t *testing.T) {
	t.Parallel()
	all := constants(t, "../../lease", "../../speaker")
	for kind, want := range map[string][]string{
		"Event":     {"AddressConflict", "AllocationFailed", "IPAllocated", "IPReleased", "NoEligibleNode", "NodeAssigned"},
		"NodeEvent": {"ConfigRejected", "GossipBlocked", "GossipKeyMismatch", "OtherCluster", "PoolOverlapsNodes", "SpeakerLost"},
	} {
		var events []string
		for _, row := range rowsOf(all, kind, "") {
			events = append(events, strings.Trim(row[0], "`"))
		}
		if !slices.Equal(events, want) {
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
