package page

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// parse reads a document, or a part as the content of one.
func parse(t *testing.T, text string) *html.Node {
	t.Helper()
	n, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// all are the elements of these names within a node, in the order of the document; without names
// all elements.
func all(n *html.Node, names ...string) []*html.Node {
	var r []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && (len(names) == 0 || slices.Contains(names, d.Data)) {
			r = append(r, d)
		}
	}
	return r
}

// first is the first element of a name, or an empty node.
func first(n *html.Node, name string) *html.Node {
	if found := all(n, name); len(found) > 0 {
		return found[0]
	}
	return &html.Node{}
}

// one is the element with an id, of which there must be one.
func one(t *testing.T, n *html.Node, id string) *html.Node {
	t.Helper()
	var r *html.Node
	for _, e := range all(n) {
		if attr(e, "id") != id {
			continue
		}
		if r != nil {
			t.Fatalf("two elements have the id %s", id)
		}
		r = e
	}
	if r == nil {
		t.Fatalf("no element has the id %s", id)
	}
	return r
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words are all that is to be read in a node, a line break being "|".
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode && d.Parent.Data != "style" && d.Parent.Data != "script":
			b.WriteString(d.Data)
		case d.Data == "br":
			b.WriteString("|")
		}
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(b.String()), " "), " | ", "|")
}

// lines are the words of the elements of these names.
func lines(n *html.Node, names ...string) []string {
	var r []string
	for _, e := range all(n, names...) {
		r = append(r, words(e))
	}
	return r
}

// cells are the words of all rows of all bodies of tables.
func cells(n *html.Node) [][]string {
	var r [][]string
	for _, body := range all(n, "tbody") {
		for _, tr := range all(body, "tr") {
			r = append(r, lines(tr, "th", "td"))
		}
	}
	return r
}

// markup is a node as text.
func markup(t *testing.T, n *html.Node) string {
	t.Helper()
	var b strings.Builder
	if err := html.Render(&b, n); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
