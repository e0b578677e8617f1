// Package step tells the user what is being done: one line for each step, with the seconds that it took.
package step

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Printer writes the lines. On a terminal a step is shown as soon as it begins and its line is completed
// later; elsewhere a line appears when the step has ended.
type Printer struct {
	out      io.Writer
	terminal bool
	started  time.Time
}

// BegunVariable carries the beginning from one program to the next, which then counts from there.
const BegunVariable = "STARLING_E2E_BEGUN"

// New returns a printer to the file.
func New(out *os.File) *Printer {
	started := time.Now()
	if begun, err := time.Parse(time.RFC3339Nano, os.Getenv(BegunVariable)); err == nil {
		started = begun
	}
	info, err := out.Stat()
	return &Printer{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, started: started}
}

// Begun is the value of BegunVariable for the next program.
func (p *Printer) Begun() string { return p.started.Format(time.RFC3339Nano) }

// Do runs one step.
func (p *Printer) Do(what string, work func() error) error {
	begun := time.Now()
	if p.terminal {
		fmt.Fprintf(p.out, "  · %s", what)
	}
	err := work()
	mark := "✓"
	if err != nil {
		mark = "✗"
	}
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
	fmt.Fprintf(p.out, "  %s %-58s %6.1f s\n", mark, what, time.Since(begun).Seconds())
	return err
}

// Count shows how far a long step has come: at once on a terminal, else every ten seconds.
func (p *Printer) Count(what string) func(done, most int) {
	begun, last := time.Now(), time.Now()
	return func(done, most int) {
		rest := 10 * time.Second
		if p.terminal {
			rest = 100 * time.Millisecond
		}
		if time.Since(last) < rest {
			return
		}
		last = time.Now()
		line := fmt.Sprintf("  · %s: %d of at most %d packages", what, done, most)
		if p.terminal {
			fmt.Fprintf(p.out, "\r\033[K%s", line)
			return
		}
		fmt.Fprintf(p.out, "%-62s %6.1f s\n", line, time.Since(begun).Seconds())
	}
}

// Total returns the time since the beginning.
func (p *Printer) Total() time.Duration { return time.Since(p.started) }

// Show prints what a command said, indented, under the command itself.
func (p *Printer) Show(command, output string) {
	fmt.Fprintf(p.out, "\n    %s\n", command)
	for line := range strings.Lines(strings.TrimRight(output, "\n") + "\n") {
		fmt.Fprint(p.out, strings.TrimRight("      "+line, " \n")+"\n")
	}
}

// Say prints a line of its own.
func (p *Printer) Say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }
