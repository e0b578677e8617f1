package page

import (
	"strings"
	"unicode/utf8"

	"github.com/starling-lb/starling/health"
)

// Piece is a stretch of a sentence: plain text, a link, or what somebody types.
type Piece struct {
	Text    string
	Link    string // "" nowhere
	Code    bool   // in backquotes in the sentence
	Command bool   // code that has arguments, so that it is worth copying
}

// prose parts a sentence at its backquotes. One without a partner is text.
func prose(sentence string) (pieces []Piece) {
	add := func(p Piece) {
		if p.Text != "" {
			pieces = append(pieces, p)
		}
	}
	for {
		before, rest, found := strings.Cut(sentence, "`")
		code, after, closed := strings.Cut(rest, "`")
		if !found || !closed {
			add(Piece{Text: sentence})
			return pieces
		}
		add(Piece{Text: before})
		add(Piece{Text: code, Code: true, Command: strings.Contains(code, " ")})
		sentence = after
	}
}

// naming is a sentence about a subject in which the subject's name leads somewhere. Where the
// sentence does not have it, the subject goes before, so that it is there once in any case.
func naming(sentence string, about health.Subject, label, link string) []Piece {
	pieces := prose(sentence)
	for i, p := range pieces {
		at := mention(p.Text, about.Name)
		if p.Code || at < 0 {
			continue
		}
		end := at + len(about.Name)
		named := []Piece{{Text: p.Text[:at]}, {Text: about.Name, Link: link}, {Text: p.Text[end:]}}
		return append(append(pieces[:i:i], named...), pieces[i+1:]...)
	}
	if label == "" {
		return pieces
	}
	return append([]Piece{{Text: label, Link: link}, {Text: ": "}}, pieces...)
}

// mention is where a name stands in a text, and not as a part of a longer one; -1 nowhere.
func mention(text, name string) int {
	if name == "" {
		return -1
	}
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return -1
		}
		at := from + i
		if !goesOn(lastByte(text[:at])) && !longer(text[at+len(name):]) {
			return at
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		from = at + size
	}
}

// longer reports whether what follows a name makes it a longer one. A dot, a colon or a dash at the
// end of a word does not.
func longer(after string) bool {
	if after == "" {
		return false
	}
	if strings.IndexByte(".:-", after[0]) >= 0 {
		return len(after) > 1 && goesOn(after[1])
	}
	return goesOn(after[0])
}

// goesOn reports whether a byte may be in a name of Kubernetes or an address.
func goesOn(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= utf8.RuneSelf || b == '-' || b == '.' || b == ':' || b == '/'
}

func lastByte(s string) byte {
	if s == "" {
		return ' '
	}
	return s[len(s)-1]
}
