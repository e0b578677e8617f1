// Command bench measures starling on a real cluster of this machine and prints figures, each beside
// a reference of the same run where there is one: this machine may be slow or busy, the ratio
// tells.
//
//	go -C e2e run ./cmd/bench leases    how soon Services get addresses, and what 10,000 of them cost
//	    allocation|restart|fill         only these parts; the last one, the allocation of all of them, takes a
//	                                    quarter of an hour on two cores
//	go -C e2e run ./cmd/bench faults    how long an address is silent when its node dies or leaves, beside keepalived,
//	                                    on clusters of 3 to 20 nodes; more than an hour
//	go -C e2e run ./cmd/bench bgp       what clients behind a router notice of the same, with BIRD and FRR
//	go -C e2e run ./cmd/bench detection how often nodes that live are taken for dead, and how soon dead ones,
//	                                    beside keepalived and the BFD of GoBGP; half an hour
//	go -C e2e run ./cmd/bench --help    the options and the parts of all
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

// many is a pool of 32,768 addresses on the segment of the cluster.
var many = starling.Pool{Name: "many", Ranges: []string{"198.18.128.0/17"}}

// measure prints figures of a cluster on which starling runs.
type measure func(context.Context, *step.Printer, *cluster.Cluster) error

// part is what is measured on a cluster of its own.
type part struct {
	name    string
	nodes   int
	bare    bool     // Speakers are plain processes, there is no kubelet.
	flags   []string // More flags of such speakers.
	measure measure
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// usage is what --help prints.
const usage = `bench leases [PART...]             how soon Services get addresses
    allocation                     one Service, and 1,000 at once
    restart                        how soon a speaker that starts knows 10,000 of them
    fill                           10,000 Services at once; a quarter of an hour on two cores

bench faults [OPTION...] [PART...] how long an address is silent
    -rounds N                      of each fault (10)
    three                          silent death, SIGTERM, SIGKILL on 3 nodes, and keepalived with adverts every 1 s and 0.1 s
    planned                        a condition that says a node is drained, rolling update of all speakers on 3 nodes
    connections                    what restarts of speakers do to 1,000 connections that are held
    away                           a host that dies, or whose rules are flushed, while its speaker is there or away
    reboot                         drain, reboot and return of a node with --keep-connections, and 1,000 connections
    five                           silent death of one of 5 nodes
    gossip                         silent death of one of 3 nodes whose hosts are not watched (--wire-watch=false)
    gossip5                        the same of 5 nodes
    half                           half of 6 nodes die together
    twenty                         silent death of one of 20 nodes without kubelets
    calm      -minutes N           false deaths while all cores are busy and speakers are stopped for 300 ms (10)

bench bgp [OPTION...] [PART...]    what clients behind a router notice
    -rounds N                      of each fault (10)
    -only REGEXP                   faults whose names it fits, such as "few: silent" or "BFD", without the part thousand
    bird                           death (few; each with BFD), SIGKILL, drain, leave and rolling update (few and each), BIRD
    frr                            the same with FRR
    thousand                       how soon 1,000 paths to a dead node are withdrawn, and their memory with two routers

bench detection [OPTION...] [PART...] false moves beside the time to notice a death, with keepalived and the BFD of GoBGP
    -rounds N                      silent deaths (10)
    -minutes N                     of each load: idle (half as long), busy, busy and processes stopped, busy and nodes silent (2)
    -record FILE                   adds what is measured to that of earlier runs in the file; the table is of all
    -svg FILE                      the plot
    fast                           with --failure-detection=fast
    default                        with --failure-detection=default
    calm                           with --failure-detection=calm
`

// run is main with an exit code: 0 measured, 1 something failed, 2 cannot begin.
func run(ctx context.Context, args []string) int {
	parts, err := choose(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return 0
	}
	if err == nil {
		err = cluster.Possible()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	p := step.New(os.Stdout)
	for _, part := range parts {
		if err := bench(ctx, p, part); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
	}
	return 0
}

// choose reads the command line.
func choose(args []string) ([]part, error) {
	var command string
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	var parts []part
	o := options{rounds: 1, minutes: 1}
	flags := flag.NewFlagSet("bench "+command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch command {
	case "leases":
		parts = []part{
			{name: "allocation", nodes: 3, measure: leases},
			{name: "restart", nodes: 3, measure: restart},
			{name: "fill", nodes: 3, measure: fill},
		}
	case "faults":
		flags.IntVar(&o.rounds, "rounds", 10, "")
		flags.IntVar(&o.minutes, "minutes", 10, "")
		parts = o.parts()
	case "bgp":
		flags.IntVar(&o.rounds, "rounds", 10, "")
		flags.Func("only", "", o.disturbs)
		parts = o.bgpParts()
	case "detection":
		flags.IntVar(&o.rounds, "rounds", 10, "")
		flags.IntVar(&o.minutes, "minutes", 2, "")
		flags.StringVar(&o.record, "record", "", "")
		flags.StringVar(&o.svg, "svg", "", "")
		parts = o.detectionParts()
	case "-h", "-help", "--help", "help":
		return nil, flag.ErrHelp
	default:
		return nil, fmt.Errorf("leases, faults, bgp or detection, not %q: see --help", command)
	}
	if err := errors.Join(flags.Parse(args), o.check()); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	if o.only != nil {
		parts = slices.DeleteFunc(parts, func(p part) bool { return p.name == "thousand" }) // It has no row to choose.
	}
	return among(parts, flags.Args())
}

// among picks the parts of these names, all if there are none.
func among(parts []part, names []string) ([]part, error) {
	if len(names) == 0 {
		return parts, nil
	}
	var some []part
	for _, name := range names {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no part %q", name)
		}
		some = append(some, parts[i])
	}
	return some, nil
}

// bench makes a cluster, measures, and removes it whatever happens.
func bench(ctx context.Context, p *step.Printer, what part) (err error) {
	dir, err := os.MkdirTemp("", "starling-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools, product, err := starling.Prepare(ctx, p, dir)
	if err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: what.nodes, Bare: what.bare, Images: []string{product.Archive}, Step: p.Do})
	if err != nil {
		return err
	}
	defer func() {
		if down := c.Down(context.WithoutCancel(ctx)); err == nil {
			err = down
		}
	}()
	install := product.Install
	if what.bare {
		product.Flags = what.flags
		install = product.RunProcesses
	}
	if err := p.Do(fmt.Sprintf("starling on %d nodes", what.nodes), func() error { return install(ctx, c, many) }); err != nil {
		return err
	}
	return what.measure(ctx, p, c)
}
