package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestHelpWraps: no line is longer than the terminal, but for what has no place to break.
func TestHelpWraps(t *testing.T) {
	for _, width := range []string{"50", "80", "100"} {
		t.Setenv("COLUMNS", width)
		limit := map[string]int{"50": 50, "80": 80, "100": 100}[width]
		for _, c := range newApp(nil, nil).Commands {
			_, out, _ := called(t, "starling", c.Name, "--help")
			for line := range strings.Lines(out) {
				line = strings.TrimRight(line, "\n")
				example := strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") // as it is typed, or the name of a flag
				if len(line) > limit && strings.Contains(strings.TrimSpace(line), " ") && !example {
					t.Errorf("%s at %s columns: %d in %q", c.Name, width, len(line), line)
				}
			}
		}
	}
}

// TestHelp: each way to ask gives the same, with the flags, their values and what they are if not
// given.
func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	_, want, _ := called(t, "starling", "events", "--help")
	for _, part := range []string{
		"starling events: show the latest events of all speakers in order of time\n\nUSAGE:\n  starling events [FLAGS]\n",
		"\n  --limit N", "(default: 50)", "\n  --output, -o FORMAT", "$STARLING_SERVER", "\n  --help, -h",
	} {
		if !strings.Contains(want, part) {
			t.Errorf("no %q in\n%s", part, want)
		}
	}
	for _, args := range [][]string{{"help", "events"}, {"events", "-h"}, {"events", "--since", "5m", "--help"}} {
		if code, out, errOut := called(t, append([]string{"starling"}, args...)...); code != exitOK || out != want {
			t.Errorf("%q: exit code %d, %s\n%s", args, code, errOut, out)
		}
	}
	_, want, _ = called(t, "starling")
	for _, c := range newApp(nil, nil).Commands {
		if !strings.Contains(want, "\n  "+c.Name+" ") {
			t.Errorf("no %s in\n%s", c.Name, want)
		}
	}
	if _, out, _ := called(t, "kubectl-starling", "key"); !strings.HasPrefix(out, "kubectl starling key: ") || !strings.Contains(out, "\n  rotate ") {
		t.Errorf("help of key:\n%s", out)
	}
}

// TestHelpOfSwitches: a switch that is on by default says so, since only false changes anything.
func TestHelpOfSwitches(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	_, out, _ := called(t, "starling", "run", "--help")
	out = strings.Join(strings.Fields(out), " ")
	for _, f := range runFlags() {
		b, is := f.(*cli.BoolFlag)
		if !is {
			continue
		}
		if got := strings.Contains(out, "(default: true; $"+b.EnvVars[0]+")"); got != b.Value {
			t.Errorf("--%s: its help names true as the default: %v, want %v", b.Name, got, b.Value)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	_, want, _ := called(t, "starling", "version")
	if code, out, errOut := called(t, "starling", "--version"); code != exitOK || out != want || !strings.HasPrefix(out, "starling ") {
		t.Errorf("exit code %d, %q, %q", code, out, errOut)
	}
}

// TestValuesAreReal: what is offered for a flag, a command accepts, and no flag that has such
// values is forgotten.
func TestValuesAreReal(t *testing.T) {
	offered := map[string]bool{}
	for _, c := range newApp(nil, nil).Commands {
		for _, f := range c.Flags {
			name := f.Names()[0]
			for _, v := range valuesOf(name) {
				offered[name] = true
				if _, _, errOut := called(t, "starling", c.Name, "--"+name, v, "--timeout=-1s", "--log-level=loud"); strings.Contains(errOut, "--"+name+": ") && name != "log-level" {
					t.Errorf("%s --%s %s: %s", c.Name, name, v, errOut)
				}
				if usage := f.(cli.DocGenerationFlag).GetUsage(); !strings.Contains(usage, v) {
					t.Errorf("%s --%s: its usage %q does not name %s", c.Name, name, usage, v)
				}
			}
		}
	}
	if len(offered) != 8 {
		t.Errorf("values of %v are offered", offered)
	}
	if !slices.Contains(formats(), "table") {
		t.Error("no table")
	}
}
