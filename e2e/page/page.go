// Package page reads the commands that a page of the documentation shows, and what they print
// according to it.
//
// A block of language "sh" holds commands as a user types them. A block of language "text" right
// after it is what they print. Names and figures are of the run that the page was written from, so
// that outputs are compared in what they say: numbers, times, ages, the ends of pods' names, what
// happened before and the order of lines do not count.
package page

import (
	"regexp"
	"slices"
	"strings"
)

// Block is a fenced block of code.
type Block struct {
	Heading  string // Of the section that it stands in.
	Language string
	Text     string // Without the indentation of its fence.

	indent     string
	begin, end int // Of its lines in the page.
}

// First is its first line.
func (b Block) First() string {
	first, _, _ := strings.Cut(b.Text, "\n")
	return first
}

// Blocks are those of the page, in its order.
func Blocks(markdown string) (all []Block) {
	var b Block
	heading, inside, at := "", false, 0
	for line := range strings.Lines(markdown) {
		bare := strings.TrimSpace(line)
		begins := at
		at += len(line)
		switch {
		case inside && bare == "```":
			b.end, inside = begins, false
			all = append(all, b)
		case inside:
			b.Text += strings.TrimPrefix(line, b.indent)
		case strings.HasPrefix(bare, "```"):
			indent := line[:strings.Index(line, "`")]
			b, inside = Block{Heading: heading, Language: bare[3:], indent: indent, begin: at}, true
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	return all
}

// Fill returns the page with another text in the block.
func Fill(markdown string, b Block, text string) string {
	var lines strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n ") + "\n") {
		lines.WriteString(strings.TrimRight(b.indent+line, " \n") + "\n")
	}
	return markdown[:b.begin] + lines.String() + markdown[b.end:]
}

// varying is what differs in each run; also what an address did since it was made, which depends on
// which node was ready first.
var varying = regexp.MustCompile(`\bsince +\S+: .*|(-[a-z0-9]{8,10})?-[a-z0-9]{5}\b|\b[0-9a-f]{16}\b|\b(\d+(\.\d+)?( ?ms|d|h|m|s))+\b|\d+`)

// Essence is what an output says, comparable with that of another run: its lines without what
// varies, in the order of the alphabet.
func Essence(output string) (lines []string) {
	for line := range strings.Lines(output) {
		if words := strings.Fields(varying.ReplaceAllString(line, "#")); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	slices.Sort(lines)
	return lines
}
