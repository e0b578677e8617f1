// Command starling gives Services of type LoadBalancer an external IP on a
// layer 2 network. `starling run` is the speaker that runs on every node,
// `starling status`, `who`, `pools`, `leases`, `events` and `doctor` ask running
// speakers, `starling key` replaces the key of the gossip, and `starling convert`
// reads MetalLB's configuration. Called kubectl-starling the program is a plugin
// of kubectl.
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
	if len(args) > 0 && plugin(args[0]) {
		app.Name = pluginName
	}
	return run(ctx, app, flagsFirst(app, args))
}

func run(ctx context.Context, app *cli.App, args []string) int {
	err := app.RunContext(ctx, args)
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(app.ErrWriter, "starling: %s\n", strings.TrimRight(line, "\n"))
	}
	if errors.Is(err, errUnwell) {
		return exitUnwell
	}
	if usage := (usageError{}); errors.As(err, &usage) {
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
		Usage:              "external IPs for Services of type LoadBalancer on layer 2, with one DaemonSet",
		Version:            version(),
		HideVersion:        true,
		Writer:             stdout,
		ErrWriter:          stderr,
		ExitErrHandler:     func(*cli.Context, error) {},
		OnUsageError:       onUsageError,
		SliceFlagSeparator: ";", // a pool has commas of its own
		Commands: []*cli.Command{
			runCommand(), statusCommand(), whoCommand(), poolsCommand(), leasesCommand(), eventsCommand(), doctorCommand(),
			keyCommand(), convertCommand(), completionCommand(), versionCommand(),
		},
		EnableBashCompletion: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{err: fmt.Errorf("unknown command %q", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError
		for _, sub := range c.Subcommands {
			sub.OnUsageError = onUsageError
		}
	}
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name, flags := "", c.App.Flags
	if c.Command != nil && c.Command.Name != c.App.Name {
		flags = c.Command.Flags
		name = strings.TrimPrefix(c.Command.HelpName, c.App.Name+" ") + " "
	}
	return usageError{command: name, err: mistake(flags, err)}
}
