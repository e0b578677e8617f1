// Command chaos does random things to a cluster of this machine, records what is answered on the
// wire and what is written into leases, and checks the whole history afterwards.
//
//	go -C e2e run ./cmd/chaos [-seed N] [-count N]
//
// The same seed gives the same faults. It ends with 1 if something was found that must not be or
// the run failed, and names the folder of logs and history then.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/chaos"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/history"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	nodes   = 3
	backend = "echo"
	few     = "few" // The pool that Services contend for.
	stand   = 6     // Services that stay.
)

// contended are the addresses of that pool: fewer than there are Services.
func contended() []netip.Addr {
	first := netip.MustParseAddr("198.18.66.1")
	return []netip.Addr{first, first.Next(), first.Next().Next(), first.Next().Next().Next()}
}

// limits are what may be. Those of a client are the limits of the tests; those of a new or a
// released address are longer, because a speaker learns of it late when the API server fails.
func limits() history.Limits {
	return history.Limits{
		Window: chaos.Window, Double: chaos.MaxDouble, Silent: chaos.MaxGap, First: time.Minute, After: time.Minute, Early: 5 * time.Second,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main with an exit code: 0 all well, 1 something was found or failed, 2 cannot begin.
func run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "`number` that the faults follow from")
	count := flags.Int("count", 100, "`number` of faults")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil && (flags.NArg() > 0 || *count < 1) {
		err = errors.New("-seed N and -count N, at least 1, and nothing else")
	}
	if err = cmp.Or(err, cluster.Possible()); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 2
	}
	if err := whole(ctx, step.New(os.Stdout), *seed, *count); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return 0
}

// whole makes a cluster, does everything to it, and removes it.
func whole(ctx context.Context, p *step.Printer, seed uint64, count int) (err error) {
	dir, err := os.MkdirTemp("", "starling-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools, product, err := starling.Prepare(ctx, p, dir)
	if err != nil {
		return err
	}
	if err := p.Do("build starling with a clock that jumps", func() error { product, err = product.WithClock(ctx, dir); return err }); err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: nodes, Images: []string{product.Archive}, Step: p.Do})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Down(context.WithoutCancel(ctx))) }()
	gate, err := c.AddGate(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gate.Remove(context.WithoutCancel(ctx))) }()
	for _, n := range c.Nodes {
		if err := starling.JumpClock(ctx, n, 0); err != nil {
			return err
		}
	}
	pools := []starling.Pool{{Name: "default", Ranges: []string{cluster.Pool4}}, {Name: few, Ranges: []string{"198.18.66.1-198.18.66.4"}}}
	err = p.Do(fmt.Sprintf("starling on %d nodes", nodes), func() error {
		if err := product.Install(ctx, c, pools...); err != nil {
			return err
		}
		return starling.HasClock(ctx, c)
	})
	if err != nil {
		return err
	}
	logs, err := os.MkdirTemp("", "starling-logs-")
	if err != nil {
		return err
	}
	h, wrong, failed := disturbed(ctx, p, c, gate, logs, seed, count)
	found := h.Check(limits())
	for _, v := range found {
		p.Say("    %s", v)
	}
	p.Say("    %d questions, %d answers, %d writes of Services: %d violations in the history", len(h.Questions), len(h.Answers), len(h.Writes), len(found))
	if err := concluded(seed, wrong+len(found), failed, func() (string, error) { return saved(c, logs, h) }); err != nil {
		return err
	}
	return os.RemoveAll(logs)
}

// concluded is nil if nothing was wrong and nothing failed. Else it saves logs and history, and
// names their folder.
func concluded(seed uint64, wrong int, failed error, save func() (logs string, err error)) error {
	if wrong == 0 && failed == nil {
		return nil
	}
	if wrong > 0 {
		failed = errors.Join(fmt.Errorf("%d things that must not be", wrong), failed)
	}
	logs, err := save()
	return errors.Join(fmt.Errorf("seed %d (logs and history: %s): %w", seed, logs, failed), err)
}

// saved keeps the logs of the cluster in a folder, and the history beside them.
func saved(c *cluster.Cluster, to string, h history.History) (logs string, err error) {
	if logs, err = c.SaveLogs(to); err != nil {
		return logs, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return logs, err
	}
	return logs, os.WriteFile(filepath.Join(logs, "history.json"), text, 0o600)
}

// disturbed does the faults, beside Services that come and go, and counts those that a client
// noticed too much of.
func disturbed(ctx context.Context, p *step.Printer, c *cluster.Cluster, gate *cluster.Gate, logs string, seed uint64, count int) (h history.History, marked int, err error) {
	if err := workload.Everywhere(ctx, c, backend); err != nil {
		return h, 0, err
	}
	// Of a node that was cut off for long Kubernetes says that its backends are gone, and for a
	// while after it is back. And the announcer must not hand connections to the backend of a node
	// that is cut, because no speaker could help that.
	ip, err := workload.Expose(ctx, c, backend, func(s *core.Service) {
		s.Spec.PublishNotReadyAddresses, s.Spec.ExternalTrafficPolicy = true, core.ServiceExternalTrafficPolicyLocal
	})
	if err != nil {
		return h, 0, err
	}
	w, err := probe.Watch(workload.Station(c.Client))
	if err != nil {
		return h, 0, err
	}
	defer w.Close()
	if err := steady(ctx, c); err != nil {
		return h, 0, err
	}
	stay, err := standing(ctx, c)
	if err != nil {
		return h, 0, err
	}
	record, err := chaos.Record(ctx, c, w, slices.Concat(contended(), stay, []netip.Addr{ip})...)
	if err != nil {
		return h, 0, err
	}
	churning, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- chaos.Churn(churning, c, seed, backend, few) }()
	p.Say("\n  %d random faults in a row, SEED=%d; marked are those after which a client waited longer than %v,\n"+
		"  or two hosts answered for longer than %v", count, seed, chaos.MaxGap, chaos.MaxDouble)
	r := chaos.Runner{Cluster: c, Watcher: w, IP: ip, Gate: gate, Logs: logs}
	var t tally
	var away []history.Away
	err = r.Run(ctx, chaos.Plan(seed, nodes, count, chaos.More()...), func(o chaos.Outcome) {
		switch {
		case o.Kind == chaos.NoAPI && o.Heal:
			away[len(away)-1].To = o.Done
		case o.Kind == chaos.NoAPI:
			away = append(away, history.Away{From: o.Began})
		}
		mark := " "
		if t.add(o) {
			mark = "!"
		}
		p.Say("  %s %4d  %-36s %5d ms without answer, %5d ms with two, %d of %d lost", mark, t.faults, o.Fault, o.Gap.Milliseconds(), o.Double.Milliseconds(), o.Lost, o.Asked)
	})
	p.Say("    %s", t)
	if n := len(away); n > 0 && away[n-1].To.IsZero() {
		away[n-1].To = time.Now() // Run has healed it.
	}
	if err == nil {
		err = steady(ctx, c)
	}
	stop()
	err = errors.Join(err, <-ended)
	h, failed := record.Stop()
	h.Away = away
	return h, t.marked, errors.Join(err, failed)
}

// standing are addresses of Services that stay for the whole run, so that each node has some.
func standing(ctx context.Context, c *cluster.Cluster) (ips []netip.Addr, err error) {
	for i := range stand {
		name := fmt.Sprintf("stand-%d", i)
		s := workload.Service(name, backend, func(s *core.Service) { s.Spec.PublishNotReadyAddresses = true })
		if _, err := c.Kube.CoreV1().Services(workload.Namespace).Create(ctx, s, meta.CreateOptions{}); err != nil {
			return nil, fmt.Errorf("Service %s: %w", name, err)
		}
		of, err := workload.Addresses(ctx, c, name, 1)
		if err != nil {
			return nil, err
		}
		ips = append(ips, of...)
	}
	return ips, nil
}

// steady waits until every speaker is well in the eyes of all.
func steady(ctx context.Context, c *cluster.Cluster) error {
	return cluster.Until(ctx, 3*time.Minute, "speakers", func(ctx context.Context) error { return starling.Steady(ctx, c) })
}
