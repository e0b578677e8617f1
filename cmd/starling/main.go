// Command starling gives Services of type LoadBalancer an external IP on a layer 2 network.
// `starling run` is the speaker that runs on every node, `starling status`, `who`, `pools`,
// `leases`, `events` and `doctor` ask running speakers, `starling return` ends the hold-down of a
// node, `starling check` reads a configuration file, `starling key` replaces the key of the gossip,
// and `starling convert` reads MetalLB's configuration. Called kubectl-starling the program is a
// plugin of kubectl.
//
// This package turns flags into the Config values of the rooms, starts them in
// order and stops them in the reverse order. It decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command was understood and failed
	exitUsage  = 2 // a flag, a variable or a file says something impossible
	exitUnwell = 3 // doctor found something that is wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := execute(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and gives its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	if len(args) == 0 {
		args = []string{app.Name}
	}
	if plugin(args[0]) {
		app.Name = pluginName
	}
	if filepath.Base(args[0]) == completerName {
		args = slices.Insert(slices.Clone(args), 1, completeName)
	}
	return run(ctx, app, args)
}

func run(ctx context.Context, app *cli.App, args []string) int {
	return report(app, dispatch(ctx, app, args[1:]))
}

// dispatch runs a command, or prints its help.
func dispatch(ctx context.Context, app *cli.App, words []string) error {
	if len(words) > 0 && words[0] == completeName {
		return complete(ctx, app, words[1:])
	}
	l := understand(app, words)
	if err := l.check(); err != nil {
		return err
	}
	if l.help || len(l.flags) == 0 && len(l.commands()) > 0 {
		return l.writeHelp()
	}
	return app.RunContext(ctx, l.arguments())
}

// report prints an error and gives the exit code.
func report(app *cli.App, err error) int {
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(app.ErrWriter, "starling: %s\n", strings.TrimRight(line, "\n"))
	}
	switch usage := (usageError{}); {
	case errors.Is(err, errUnwell):
		return exitUnwell
	case errors.Is(err, errMistakes):
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(app.ErrWriter, "starling: see %q\n", app.Name+" "+usage.command+"--help")
		return exitUsage
	}
	return exitFailed
}

// usageError marks an error that the user mends by saying something else.
type usageError struct {
	command string // name of the command with a space behind, "" for none
	err     error
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:               "starling",
		Usage:              "external IPs for Services of type LoadBalancer on layer 2 and by BGP, with one DaemonSet",
		HideVersion:        true,
		HideHelp:           true, // help is ours: see line
		Writer:             stdout,
		ErrWriter:          stderr,
		ExitErrHandler:     func(*cli.Context, error) {},
		SliceFlagSeparator: ";", // a pool has commas of its own
		Flags:              []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version of this program"}},
		Commands: []*cli.Command{
			runCommand(), statusCommand(), whoCommand(), poolsCommand(), leasesCommand(), eventsCommand(), doctorCommand(), returnCommand(),
			checkCommand(), keyCommand(), convertCommand(), completionCommand(), versionCommand(),
		},
		Action: printVersion, // the only flag is --version
	}
	app.OnUsageError = onUsageError
	for _, c := range app.Commands {
		for _, c := range append(c.Subcommands, c) {
			c.HideHelp, c.OnUsageError = true, onUsageError
		}
	}
	return app
}

// onUsageError is for what the library notices and line does not, of which nothing is known.
func onUsageError(_ *cli.Context, err error, _ bool) error { return usageError{err: err} }
