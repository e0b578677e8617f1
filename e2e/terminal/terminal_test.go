package terminal

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColored(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		letters          int
	}{
		{"plain", "a <b> & c  ", "a &lt;b&gt; &amp; c", 9},
		{"a word", "n1 \x1b[32mready\x1b[39m 0s", `n1 <tspan class="good">ready</tspan> 0s`, 11},
		{"one after another", "\x1b[31mbad\x1b[33mfair", `<tspan class="bad">bad</tspan><tspan class="fair">fair</tspan>`, 7},
		{"what is no color", "\x1b[2Jx\x1b[0m", "x", 1},
		{"nothing", "", "", 0},
	} {
		got := colored(tt.text)
		if got != tt.want || letters(got) != tt.letters {
			t.Errorf("%s: %q with %d letters, want %q with %d", tt.name, got, letters(got), tt.want, tt.letters)
		}
	}
}

// TestDraw reads the picture back.
func TestDraw(t *testing.T) {
	picture := Draw("two <commands>", Command{"ls -l", "a\n\n\x1b[31mb\x1b[0m & " + strings.Repeat("c", 50) + "\n"}, Command{"who", "me"})
	var texts []string
	var title string
	decoder := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "title":
			err = decoder.DecodeElement(&title, &start)
		case "text":
			texts = append(texts, start.Attr[1].Value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Seven lines, two of them empty.
	if diff := cmp.Diff([]string{"28", "46", "82", "118", "136"}, texts); diff != "" || title != "two <commands>" {
		t.Errorf("title %q, lines at (-want +got):\n%s", title, diff)
	}
	for _, want := range []string{`viewBox="0 0 462 156"`, `textLength="422.8"`, `<tspan class="you">$ who</tspan>`} {
		if !strings.Contains(picture, want) {
			t.Errorf("%s is missing in:\n%s", want, picture)
		}
	}
}
