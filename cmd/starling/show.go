package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/status/text"
)

// shower shows an answer in the format that was asked for.
type shower struct {
	format string
	paint  text.Printer // its Now is set when something is shown
	out    io.Writer
}

// formats are the values of --output.
func formats() []string { return []string{"table", "wide", "json", "yaml"} }

// newShower reads the flags. The error has one line for each mistake.
func newShower(c *cli.Context) (shower, error) {
	s := shower{format: c.String("output"), out: c.App.Writer}
	var errs []error
	switch s.format {
	case "table", "json", "yaml":
	case "wide":
		s.paint.Wide = true
	default:
		errs = append(errs, fmt.Errorf("--output: %q is none of table, wide, json and yaml%s", s.format, didYouMean(s.format, formats())))
	}
	switch when := c.String("color"); when {
	case "auto":
		f, file := s.out.(*os.File)
		s.paint.Color = file && interactive(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	case "always":
		s.paint.Color = true
	case "never":
	default:
		errs = append(errs, fmt.Errorf("--color: %q is none of auto, always and never%s", when, didYouMean(when, valuesOf("color"))))
	}
	return s, errors.Join(errs...)
}

// show prints an answer as it came for programs, and by table for people. What a speaker of a later
// release says besides stays in it for programs.
func (s shower) show(body []byte, table func(text.Printer, io.Writer) error) error {
	switch s.format {
	case "json":
		var out bytes.Buffer
		if err := json.Indent(&out, bytes.TrimSpace(body), "", "  "); err != nil {
			return fmt.Errorf("write the answer as JSON: %w", err)
		}
		_, err := fmt.Fprintf(s.out, "%s\n", &out)
		return err
	case "yaml":
		out, err := yaml.JSONToYAML(body)
		if err != nil {
			return fmt.Errorf("write the answer as YAML: %w", err)
		}
		_, err = s.out.Write(out)
		return err
	}
	p := s.paint
	p.Now = time.Now()
	return table(p, s.out)
}

// view is a command that asks and shows.
type view struct {
	asker  asker
	shower shower
}

// newView checks a command line: flags and the number of arguments.
func newView(c *cli.Context, args int, usage string) (view, error) {
	var errs []error
	switch given := c.Args(); {
	case given.Len() < args:
		errs = append(errs, fmt.Errorf("name %s", usage))
	case given.Len() > args:
		errs = append(errs, fmt.Errorf("unexpected argument %q", given.Get(args)))
	}
	a, err := newAsker(c)
	errs = append(errs, err)
	s, err := newShower(c)
	if err := errors.Join(append(errs, err)...); err != nil {
		return view{}, usageError{command: c.Command.Name + " ", err: err}
	}
	return view{a, s}, nil
}
