// Command alerts says which alerts fire on metrics that were scraped this moment, each with what to
// do, for machines without Prometheus. An alert that waits with `for:` is not among them.
//
//	curl -s http://192.168.1.11:7928/metrics >n1; curl -s http://192.168.1.12:7928/metrics >n2
//	go -C checks run ./cmd/alerts ../manifests/monitoring/prometheusrule.yaml n1 n2
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/starling-lb/starling/checks/alerts"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(1)
	}
}

// run prints a line for each alert: its name, what is the case, and what to do.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("needed: a file with a PrometheusRule, and files with metrics that are named like their nodes")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	groups, err := alerts.Read(text)
	if err != nil {
		return fmt.Errorf("rules %q: %w", args[0], err)
	}
	scrapes, err := scrapes(args[1:])
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "starling-alerts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	now := time.Now()
	query, closer, err := alerts.Query(ctx, folder, now, scrapes...)
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, g := range groups {
		for _, r := range g.Rules {
			rule, err := alerts.New(r)
			if err != nil {
				return err
			}
			firing, err := alerts.Firing(ctx, rule, now, query)
			if err != nil {
				return err
			}
			for _, a := range firing {
				fmt.Fprintf(out, "%s\t%s\t%s\n", r.Alert, a.Annotations.Get("summary"), a.Annotations.Get("action"))
			}
		}
	}
	return nil
}

// scrapes reads the files, with the labels that the PodMonitor gives.
func scrapes(files []string) ([]alerts.Scrape, error) {
	var list []alerts.Scrape
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		node := filepath.Base(f)
		list = append(list, alerts.Scrape{
			Labels: map[string]string{"job": "starling", "namespace": "starling-system", "pod": "starling-" + node, "node": node}, Metrics: text,
		})
	}
	return list, nil
}
