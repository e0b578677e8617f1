// Command chart prints what a Helm chart installs, for machines without helm:
//
//	go -C checks run ./cmd/chart -values my.yaml ../charts/starling | kubectl apply -f -
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/checks/chart"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("chart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	namespace := flags.String("namespace", "starling-system", "of the release")
	file := flags.String("values", "", "YAML `FILE` with values")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one folder with a chart is needed")
	}
	values := map[string]any{}
	if *file != "" {
		text, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("read values: %w", err)
		}
		if err := yaml.UnmarshalStrict(text, &values); err != nil {
			return fmt.Errorf("read values %q: %w", *file, err)
		}
	}
	objects, _, err := chart.Render(flags.Arg(0), *namespace, values)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, objects)
	return err
}
