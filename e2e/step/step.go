// Package step tells the user what is being done: one line for each step, with the seconds that it
// took.
package step

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Printer writes the lines. On a terminal a step is shown as soon as it begins and its line is
// completed later; elsewhere a line appears when the step has ended.
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

// Count shows how far a long step has come: at once on a terminal, else every ten seconds. What is
// counted without knowing how many there will be has 0 for that.
func (p *Printer) Count() func(what string, done, most int) {
	begun, last, doing := time.Now(), time.Now(), ""
	return func(what string, done, most int) {
		if what != doing {
			begun, doing = time.Now(), what
		}
		rest := 10 * time.Second
		if p.terminal {
			rest = 100 * time.Millisecond
		}
		if time.Since(last) < rest {
			return
		}
		last = time.Now()
		line := "  · " + what + ": " + howFar(done, most, time.Since(begun))
		if p.terminal {
			fmt.Fprintf(p.out, "\r\033[K%s", line)
			return
		}
		fmt.Fprintf(p.out, "%-62s %6.1f s\n", line, time.Since(begun).Seconds())
	}
}

// howFar is how much is done, in per cent, and how long the rest takes if it goes on like this.
func howFar(done, most int, took time.Duration) string {
	if most <= 0 {
		return fmt.Sprintf("%d modules", done)
	}
	words := fmt.Sprintf("%d %%", 100*done/most)
	if done == 0 || took < 20*time.Second {
		return words
	}
	rest := time.Duration(float64(took) * float64(most-done) / float64(done))
	if rest < time.Minute {
		return words + ", less than a minute left"
	}
	return fmt.Sprintf("%s, about %.0f min left", words, rest.Minutes())
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
