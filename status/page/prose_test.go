package page

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
)

func TestProse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []Piece
	}{
		{"nothing", "", nil},
		{"text", "wait a second", []Piece{{Text: "wait a second"}}},
		{"a command", "see `starling pools` there", []Piece{{Text: "see "}, {Text: "starling pools", Code: true, Command: true}, {Text: " there"}}},
		{"a command alone", "`kubectl get nodes`", []Piece{{Text: "kubectl get nodes", Code: true, Command: true}}},
		{"a word", "edit `keys`", []Piece{{Text: "edit "}, {Text: "keys", Code: true}}},
		{"two", "`a` and `b`", []Piece{{Text: "a", Code: true}, {Text: " and "}, {Text: "b", Code: true}}},
		{"a backquote alone", "an odd ` here", []Piece{{Text: "an odd ` here"}}},
		{"nothing between", "``", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, prose(tt.in)); diff != "" {
				t.Errorf("pieces (-want +got):\n%s", diff)
			}
		})
	}
}

// The subject of a sentence is there once, and leads to where more is said of it.
func TestNaming(t *testing.T) {
	t.Parallel()
	n1 := health.Node("n1")
	link := func(text string) Piece { return Piece{Text: text, Link: "#x"} }
	tests := []struct {
		name, in string
		about    health.Subject
		want     []Piece
	}{
		{"named", "gossip to n1 is blocked", n1, []Piece{{Text: "gossip to "}, link("n1"), {Text: " is blocked"}}},
		{"named at the end of a sentence", "nothing reaches n1.", n1, []Piece{{Text: "nothing reaches "}, link("n1"), {Text: "."}}},
		{"named before a colon", "n1: no link", n1, []Piece{{}, link("n1"), {Text: ": no link"}}},
		{"not named", "no interface is up", n1, []Piece{link("node n1"), {Text: ": "}, {Text: "no interface is up"}}},
		{"a longer name", "n10 and n1-a", n1, []Piece{link("node n1"), {Text: ": "}, {Text: "n10 and n1-a"}}},
		{"a longer name first", "n10 sees n1", n1, []Piece{{Text: "n10 sees "}, link("n1"), {}}},
		{"only in a command", "ask `starling who n1`", n1, []Piece{link("node n1"), {Text: ": "}, {Text: "ask "}, {Text: "starling who n1", Code: true, Command: true}}},
		{"an address in a longer one", "198.18.64.10 is taken", health.Address("198.18.64.1"), []Piece{link("198.18.64.1"), {Text: ": "}, {Text: "198.18.64.10 is taken"}}},
		{"no subject", "all is odd", health.Cluster(), []Piece{{Text: "all is odd"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, naming(tt.in, tt.about, tt.about.String(), "#x")); diff != "" {
				t.Errorf("pieces (-want +got):\n%s", diff)
			}
		})
	}
}
