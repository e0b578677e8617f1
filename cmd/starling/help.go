package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

const (
	pipeWidth = 80  // of help that nobody reads on a terminal
	minWidth  = 40  // below, help is cut by the terminal
	maxWidth  = 100 // above, lines are hard to read
)

// screenWidth is how many columns help may take: those of the terminal, $COLUMNS before it.
func screenWidth(out io.Writer) int {
	width := pipeWidth
	if f, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			width = int(size.Col)
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		width = n
	}
	return min(max(width, minWidth), maxWidth)
}

// writeHelp prints the help of the command that a line names.
func (l line) writeHelp() error {
	h := helpText{width: screenWidth(l.app.Writer)}
	called := strings.TrimSpace(l.app.Name + " " + l.name())
	if len(l.path) == 0 {
		h.paragraph(0, l.app.Name+": "+l.app.Usage)
		h.section("USAGE", called+" COMMAND [FLAGS] [ARGUMENTS]")
	} else {
		c := l.path[len(l.path)-1]
		h.paragraph(0, called+": "+c.Usage)
		usage := called
		if len(c.Subcommands) > 0 {
			usage += " COMMAND"
		}
		h.section("USAGE", strings.TrimSpace(usage+" [FLAGS] "+c.ArgsUsage))
		if c.Description != "" {
			h.section("", c.Description)
		}
	}
	h.commands(l.commands())
	h.flags(l.known())
	if len(l.commands()) > 0 {
		h.section("", fmt.Sprintf("%s COMMAND --help says more about a command.", called))
	}
	_, err := io.WriteString(l.app.Writer, h.String())
	return err
}

// helpText collects help, wrapped.
type helpText struct {
	strings.Builder
	width int
}

// section is a title, "" for none, and paragraphs.
func (h *helpText) section(title, text string) {
	h.WriteString("\n")
	if title != "" {
		fmt.Fprintf(h, "%s:\n", title)
	}
	for paragraph := range strings.SplitSeq(text, "\n") {
		h.paragraph(2, paragraph)
	}
}

// paragraph is wrapped text behind an indent. A line that begins with spaces is shown as it is.
func (h *helpText) paragraph(indent int, text string) {
	if strings.HasPrefix(text, " ") {
		fmt.Fprintf(h, "%s\n", text)
		return
	}
	margin := strings.Repeat(" ", indent)
	fmt.Fprintln(h, strings.TrimRight(margin+strings.Join(wrap(text, h.width-indent), "\n"+margin), " "))
}

// commands lists them with what they are for.
func (h *helpText) commands(list []*cli.Command) {
	var rows [][2]string
	for _, c := range list {
		if !c.Hidden {
			rows = append(rows, [2]string{strings.TrimSpace(c.Name + " " + c.ArgsUsage), c.Usage})
		}
	}
	h.rows("COMMANDS", rows)
}

// flags lists them with their meaning, default and variable.
func (h *helpText) flags(list []cli.Flag) {
	var rows [][2]string
	for _, f := range list {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		var names []string
		for _, n := range f.Names() {
			names = append(names, dashed(n))
		}
		value, usage := placeholder(d.GetUsage())
		if value == "" {
			value = typeName(f)
		}
		rows = append(rows, [2]string{strings.TrimSpace(strings.Join(names, ", ") + " " + value), usage + origin(f, d)})
	}
	h.rows("FLAGS", append(rows, [2]string{"--help, -h", "show this help"}))
}

// typeName names the value of a flag whose usage does not; "" for one without a value.
func typeName(f cli.Flag) string {
	switch f.(type) {
	case *cli.BoolFlag:
		return ""
	case *cli.DurationFlag:
		return "TIME"
	}
	return "VALUE"
}

// origin is where the value of a flag comes from when it is not given.
func origin(f cli.Flag, d cli.DocGenerationFlag) string {
	var parts []string
	if text := d.GetDefaultText(); text != "" && (needsValue(f) || text == "true") {
		parts = append(parts, "default: "+text)
	}
	if vars := d.GetEnvVars(); len(vars) > 0 {
		parts = append(parts, "$"+strings.Join(vars, ", $"))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// rows are two columns. The second one begins below the first where there is no room beside it.
func (h *helpText) rows(title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(h, "\n%s:\n", title)
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(r[0]))
	}
	indent := min(widest+4, h.width/3)
	margin := strings.Repeat(" ", indent)
	for _, r := range rows {
		text := strings.Join(wrap(r[1], h.width-indent), "\n"+margin)
		if len(r[0])+4 > indent {
			fmt.Fprintf(h, "  %s\n%s%s\n", r[0], margin, text)
			continue
		}
		fmt.Fprintf(h, "  %-*s%s\n", indent-2, r[0], text)
	}
}

// wrap breaks text into lines of at most so many columns, but for words that are longer.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := lines[len(lines)-1]
		switch {
		case last == "":
			lines[len(lines)-1] = word
		case len(last)+1+len(word) <= width:
			lines[len(lines)-1] = last + " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// placeholder takes the name of a flag's value, which stands in backquotes, out of its usage.
func placeholder(usage string) (value, rest string) {
	before, after, found := strings.Cut(usage, "`")
	if !found {
		return "", usage
	}
	value, after, _ = strings.Cut(after, "`")
	return value, before + value + after
}
