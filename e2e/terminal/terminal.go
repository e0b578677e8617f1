// Package terminal draws what commands print, colors included, as a picture of a terminal in SVG.
//
// Every line is a text of its own, with the length that its letters have in the drawing, so that
// columns stay below each other whatever font the reader has.
package terminal

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Command is one that was typed, and what it printed.
type Command struct {
	Line, Output string
}

// Sizes of the drawing: of a letter and a line, and of what is around them.
const (
	letter = 7.83
	line   = 18
	margin = 20
)

const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13" role="img" aria-labelledby="t">
  <title id="t">%[3]s</title>
  <style>text { white-space: pre; fill: #e6edf3 } .good { fill: #3fb950 } .fair { fill: #d29922 } .bad { fill: #ff7b72 } .you { fill: #79c0ff }</style>
  <rect width="%[1]d" height="%[2]d" rx="8" fill="#0d1117"/>
`

// Draw returns the picture.
func Draw(title string, commands ...Command) string {
	var lines []string
	for i, c := range commands {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, `<tspan class="you">`+html.EscapeString("$ "+c.Line)+`</tspan>`)
		for text := range strings.Lines(strings.TrimRight(c.Output, "\n") + "\n") {
			lines = append(lines, colored(strings.TrimRight(text, "\n")))
		}
	}
	var b strings.Builder
	widest := 0.0
	for i, text := range lines {
		width := letter * float64(letters(text))
		if width > 0 {
			fmt.Fprintf(&b, "  <text x=\"%d\" y=\"%d\" textLength=\"%.1f\" lengthAdjust=\"spacing\" xml:space=\"preserve\">%s</text>\n", margin, margin+8+i*line, width, text)
		}
		widest = max(widest, width)
	}
	return fmt.Sprintf(head, int(widest)+2*margin, len(lines)*line+2*margin-10, html.EscapeString(title)) + b.String() + "</svg>\n"
}

// classes are how colors of the terminal are drawn; any other means none.
func classes() map[string]string { return map[string]string{"31": "bad", "32": "good", "33": "fair"} }

var (
	sequence = regexp.MustCompile(`\x1b\[([0-9;]*)[a-zA-Z]`)
	tag      = regexp.MustCompile(`<[^>]*>`)
)

// colored turns the colors of a line into spans.
func colored(text string) string {
	var b strings.Builder
	open, at := "", 0
	for _, m := range sequence.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(html.EscapeString(text[at:m[0]]) + open)
		open, at = "", m[1]
		if class := classes()[text[m[2]:m[3]]]; class != "" {
			b.WriteString(`<tspan class="` + class + `">`)
			open = "</tspan>"
		}
	}
	return strings.TrimRight(b.String()+html.EscapeString(text[at:]), " ") + open
}

// letters counts what is seen of a line.
func letters(text string) int {
	return utf8.RuneCountInString(html.UnescapeString(tag.ReplaceAllString(text, "")))
}
