package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/speaker"
	"github.com/starling-lb/starling/status"
	"github.com/starling-lb/starling/status/text"
)

const defaultServer = "http://localhost:7928"

// printers are the output formats of commands that show a snapshot.
var printers = map[string]func(io.Writer, speaker.Snapshot) error{
	"table": func(w io.Writer, s speaker.Snapshot) error { return text.Render(w, s, time.Now()) },
	"json":  printJSON,
}

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show members, addresses with their announcer, and pools",
		Description: "Asks a speaker for its view of the whole mesh. From outside of a node:\n" +
			"kubectl -n starling-system exec ds/starling -- /starling status",
		Flags:  statusFlags(),
		Action: showStatus,
	}
}

func statusFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "server", EnvVars: env("SERVER"), Value: defaultServer, Usage: "`URL` of the speaker to ask"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "`FORMAT`: table or json"},
		&cli.DurationFlag{Name: "timeout", Value: 5 * time.Second, Usage: "how long to wait for the answer"},
	}
}

func showStatus(c *cli.Context) error {
	show, limit, err := statusConfig(c)
	if err != nil {
		return usageError{command: "status ", err: err}
	}
	ctx, cancel := context.WithTimeoutCause(c.Context, limit, fmt.Errorf("waited %s", limit))
	defer cancel()
	s, err := status.Fetch(ctx, c.String("server"))
	if err != nil {
		return hint(c.String("server"), err)
	}
	return show(c.App.Writer, s)
}

// statusConfig checks the command line; the error has one line for each mistake.
func statusConfig(c *cli.Context) (show func(io.Writer, speaker.Snapshot) error, limit time.Duration, err error) {
	var errs []error
	if c.Args().Present() {
		errs = append(errs, fmt.Errorf("unexpected argument %q", c.Args().First()))
	}
	show, ok := printers[c.String("output")]
	if !ok {
		errs = append(errs, fmt.Errorf("--output: %q is neither table nor json", c.String("output")))
	}
	limit = c.Duration("timeout")
	if limit <= 0 {
		errs = append(errs, fmt.Errorf("--timeout: %s is not a time to wait", limit))
	}
	if s := c.String("server"); !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		errs = append(errs, fmt.Errorf("--server: %q is not a URL like %s", s, defaultServer))
	}
	return show, limit, errors.Join(errs...)
}

// hint says what to do when nobody listens at the place that was meant for want of a better one.
func hint(server string, err error) error {
	if server == defaultServer && errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w\nno speaker runs here; ask another with --server http://NODE:7928", err)
	}
	return err
}

// printJSON writes the contract of /api/v1/status, indented.
func printJSON(w io.Writer, s speaker.Snapshot) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the answer as JSON: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
