package starling_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// retired are words that names of files, types, functions and fields do without, and what to write.
// The glossary is in CONTRIBUTING.md.
var retired = map[string]string{
	"accuse": "suspect", "accused": "suspect", "accusation": "suspicion", "alarm": "message or notice", "alarms": "messages or notices", "arbiter": "claims", "ballot": "eligibility", "company": "peers", "complaint": "condition",
	"complaints": "condition", "electorate": "nodes", "hooks": "delegate", "inquiry": "probe", "judge": "decide, or look at", "judged": "evaluated", "knock": "probe",
	"knocker": "probe", "mercy": "suspect", "patrol": "recheck", "pulse": "heartbeat", "quarrel": "conflict",
	"reprieve": "suspect", "seat": "election", "seats": "elections", "shelf": "free list", "shelves": "free lists",
	"teller": "reporter", "tellers": "reporters", "telling": "report", "testimony": "reply", "trouble": "condition",
	"troubles": "conditions", "turnout": "difference", "vigil": "host watch", "voter": "node", "voters": "candidates",
	"wards": "host watch", "wish": "request", "wishes": "requests",
}

var camel = regexp.MustCompile(`[A-Z]+(?:[a-z0-9]+|\b)|[a-z0-9]+`)

// retiredIn returns which retired word a name contains, "" for none.
func retiredIn(name string) string {
	for _, word := range camel.FindAllString(name, -1) {
		if word = strings.ToLower(word); retired[word] != "" {
			return word
		}
	}
	return ""
}

// declared are the names that a file declares, by where, those of local variables left out.
func declared(file *ast.File) (names []*ast.Ident) {
	fields := func(l *ast.FieldList) {
		if l != nil {
			for _, f := range l.List {
				names = append(names, f.Names...)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names = append(names, n.Name)
		case *ast.TypeSpec:
			names = append(names, n.Name)
		case *ast.ValueSpec:
			names = append(names, n.Names...)
		case *ast.StructType:
			fields(n.Fields)
		case *ast.InterfaceType:
			fields(n.Methods)
		}
		return true
	})
	return names
}

// TestNames keeps the words that the glossary replaced out of the names of files, types, functions
// and fields.
func TestNames(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		if word := retiredIn(strings.ReplaceAll(strings.TrimSuffix(d.Name(), ".go"), "_", " ")); word != "" {
			t.Errorf("file %s: better %q than %q", path, retired[word], word)
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, name := range declared(file) {
			if word := retiredIn(name.Name); word != "" {
				t.Errorf("%s: name %s: better %q than %q", fset.Position(name.Pos()), name.Name, retired[word], word)
			}
		}
		for _, line := range wideComments(fset, file) {
			t.Errorf("%s: a comment of more than %d columns", line, maxColumns)
		}
		for _, group := range file.Comments {
			if m := tellsWhether.FindString(group.Text()); m != "" {
				t.Errorf("%s: %q: better \"reports whether\"", fset.Position(group.Pos()), m)
			}
			if m := british.FindString(group.Text()); m != "" {
				t.Errorf("%s: %q is not American English", fset.Position(group.Pos()), m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// british are spellings that comments do without.
var british = regexp.MustCompile(`(?i)\b(\w*colour\w*|\w*behaviour\w*|neighbour\w*|labelled|licence|synchronis\w*|recognis\w*|normalis\w*|signalled|dialling|cancelled|travelled|for ever|defence)\b`)

// wideComments are the lines of comments that are too long and could be broken, a tab counting four
// columns. What follows code on a line is left out, and so are tables and lists, which gofmt keeps
// as they are.
func wideComments(fset *token.FileSet, file *ast.File) (lines []token.Position) {
	for _, group := range file.Comments {
		for _, c := range group.List {
			text, at := c.Text, fset.Position(c.Pos())
			if broken := strings.HasPrefix(text, "// ") && !strings.HasPrefix(text, "//  "); broken && at.Column < 8 && 4*(at.Column-1)+len([]rune(text)) > maxColumns && strings.Count(text, " ") > 1 {
				lines = append(lines, at)
			}
		}
	}
	return lines
}

var tellsWhether = regexp.MustCompile(`^\S+ (tells|says|returns) whether|^\S+ returns true (if|when|while)`)

func TestRetiredIn(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"TheirWish": "wish", "newShelf": "shelf", "seatsAtOnce": "seats", "bookshelf": "", "a_knock test": "knock", "Candidate": ""} {
		if got := retiredIn(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if words := slices.Sorted(maps.Keys(retired)); len(words) < 20 {
		t.Errorf("only %q", words)
	}
}
