package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

// referenceFile is made by `make reference`.
const referenceFile = "../../docs/reference.md"

const referenceHead = "# Reference\n\n" +
	"Flags, configuration file, annotations, events, endpoints and metrics. `make reference` makes this\n" +
	"page from the code, and a test compares the two.\n"

// TestReference: the page says what the code says. With UPDATE_REFERENCE set it is written instead.
func TestReference(t *testing.T) {
	want := reference(t)
	if os.Getenv("UPDATE_REFERENCE") != "" {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/reference.md is not current; run `make reference` (-code +page):\n%s", diff)
	}
}

// reference is the whole page.
func reference(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(referenceHead)
	fmt.Fprint(&b, "\n## Commands and flags\n\nA flag may have an environment variable. If both are set, the flag counts.\n[install.md](install.md#set-a-flag) says how to set one on a cluster.\n")
	app := newApp(io.Discard, io.Discard)
	writeCommands(&b, app.Name, app.Commands)
	writeConfiguration(t, &b)
	writeSources(t, &b)
	writeMetrics(t, &b)
	return b.Bytes()
}

// writeCommands lists commands and their flags, those of subcommands too.
func writeCommands(w io.Writer, parent string, commands []*cli.Command) {
	for _, c := range commands {
		if c.Hidden || c.Name == "help" {
			continue
		}
		name := parent + " " + c.Name
		fmt.Fprintf(w, "\n### `%s`\n\n%s.\n", strings.TrimSpace(name+" "+c.ArgsUsage), sentence(c.Usage))
		writeFlags(w, c.Flags)
		writeCommands(w, name, c.Subcommands)
	}
}

func writeFlags(w io.Writer, flags []cli.Flag) {
	var rows [][]string
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if v, hides := f.(cli.VisibleFlag); !ok || hides && !v.IsVisible() {
			continue
		}
		flag := "`--" + strings.Join(f.Names(), "`, `-") + "`"
		value, usage := placeholder(d.GetUsage())
		if value != "" {
			flag += " " + value
		}
		rows = append(rows, []string{flag, code(strings.Join(d.GetEnvVars(), ", ")), d.GetDefaultText(), usage})
	}
	table(w, []string{"flag", "variable", "default", "meaning"}, rows)
}

// writeConfiguration shows the example of the manifests, which has every key with its comment.
func writeConfiguration(t *testing.T, w io.Writer) {
	t.Helper()
	text, err := os.ReadFile("../../manifests/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "\n## Configuration file\n\nAll keys; [pools.md](pools.md) explains them.\n\n```yaml\n%s```\n", text)
}

// table writes rows in Markdown, and nothing without any.
func table(w io.Writer, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		cells := strings.ReplaceAll(strings.Join(row, "\x00"), "|", "\\|")
		fmt.Fprintf(w, "| %s |\n", strings.ReplaceAll(cells, "\x00", " | "))
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	table(&b, []string{"a", "b"}, [][]string{{"json|console", ""}, {"x", code("y")}})
	want := "\n| a | b |\n|---|---|\n| json\\|console |  |\n| x | `y` |\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if value, rest := placeholder("the `URL` of it"); value != "URL" || rest != "the URL of it" {
		t.Errorf("value %q, usage %q", value, rest)
	}
}
