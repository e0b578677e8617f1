package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/starling-lb/starling/metallb"
)

func convertCommand() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "turn MetalLB's configuration into starling's",
		ArgsUsage: "[FILE...]",
		Description: "Reads MetalLB's objects, or its old ConfigMap, from files or from standard input (no FILE, or -), and prints " +
			"a configuration file. Comments at its top, and standard error, say what has no counterpart. convert also " +
			"checks the Services among the objects: which of them would not keep their address? It talks to no cluster.\n\n" +
			"  m=metallb.io\n" +
			"  kubectl get -A -o yaml ipaddresspools.$m,l2advertisements.$m,bgpadvertisements.$m,bgppeers.$m,communities.$m,bfdprofiles.$m,services |\n" +
			"    starling convert > starling.yaml\n\n" +
			"Exit codes: 0 converted, 1 nothing to convert or a mistake in the input, 2 a wrong command line.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "strict", EnvVars: env("STRICT"), Usage: "fail, and print nothing, if anything was changed or has no counterpart"},
		},
		Action: convert,
	}
}

func convert(c *cli.Context) error {
	sources, err := readSources(c.App.Reader, c.Args().Slice())
	if err != nil {
		return usageError{command: "convert ", err: err}
	}
	result, err := metallb.Convert(sources...)
	for _, r := range result.Remarks {
		fmt.Fprintf(c.App.ErrWriter, "starling: %s\n", r)
	}
	switch {
	case err != nil:
		return err
	case c.Bool("strict") && len(result.Remarks) > 0:
		return fmt.Errorf("--strict: nothing printed, for the sake of the remarks above (%d)", len(result.Remarks))
	}
	text, err := result.YAML()
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write(text)
	return err
}

// readSources reads the files; none and "-" mean standard input. The error has a line for each that
// cannot be read.
func readSources(stdin io.Reader, files []string) ([]metallb.Source, error) {
	if len(files) == 0 {
		files = []string{"-"}
	}
	var sources []metallb.Source
	var errs []error
	for _, name := range files {
		data, err := readSource(stdin, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s := metallb.Source{Data: data}
		if len(files) > 1 {
			s.Name = name
		}
		sources = append(sources, s)
	}
	return sources, errors.Join(errs...)
}

// readSource reads one file, and no more of it than is refused anyway.
func readSource(stdin io.Reader, name string) ([]byte, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	} else if f, ok := stdin.(*os.File); ok && interactive(f) {
		return nil, errors.New("name a FILE, or pipe something in")
	}
	data, err := io.ReadAll(io.LimitReader(from, metallb.MaxSize+1))
	if err != nil {
		return nil, err // names the file
	}
	return data, nil
}

// interactive reports whether a person would have to type the input.
func interactive(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
