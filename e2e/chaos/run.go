package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
)

const (
	gossipPort = 7927            // That a firewall between nodes blocks.
	lost       = 20              // Of a hundred frames.
	repeated   = 50              // The same.
	slow       = 2 * time.Second // The longest that a request is held back.
	failing    = 50              // Of a hundred requests.
	jumped     = time.Hour
)

// What a client may notice of one fault.
const (
	MaxGap    = 1500 * time.Millisecond // Without any answer.
	MaxDouble = time.Second             // With answers of more than one host.
)

// Outcome is what one fault did to a client that asks every 5 ms by TCP.
type Outcome struct {
	Fault
	Asked, Lost int
	Gap         time.Duration // Longest time without any answer.
	Double      time.Duration // Longest time in which more than one host answered for the address.
	Began, Done time.Time     // Of what was done; the rest comes after it.
}

// TooMuch reports whether a client noticed more of the fault than it may.
func (o Outcome) TooMuch() bool { return o.Gap > MaxGap || o.Double > MaxDouble }

// Runner does a plan to a cluster.
type Runner struct {
	Cluster *cluster.Cluster
	Watcher *probe.Watcher
	IP      netip.Addr    // Of a Service with backends everywhere.
	Gate    *cluster.Gate // For plans in which the API server is slow or fails.
	Logs    string        // Folder for the logs of pods, some of which a fault deletes; "" none.

	state state
}

// Run takes one fault after the other, tells of each, and heals what is left. It returns early when
// the cluster fails.
func (r *Runner) Run(ctx context.Context, plan []Fault, tell func(Outcome)) (err error) {
	r.state = state{nodes: len(r.Cluster.Nodes), hurt: map[Fault]bool{}}
	defer func() { err = errors.Join(err, r.healAll(context.WithoutCancel(ctx))) }()
	for _, f := range plan {
		if r.Logs != "" {
			if err := r.Cluster.SavePodLogs(r.Logs); err != nil {
				return err
			}
		}
		o, err := r.one(ctx, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		tell(o)
	}
	return nil
}

// one takes a fault and watches until its rest is over.
func (r *Runner) one(ctx context.Context, f Fault) (o Outcome, err error) {
	client, err := probe.Start(probe.Config{Dial: r.Cluster.Client.Dial, Network: "tcp", Address: net.JoinHostPort(r.IP.String(), "80")})
	if err != nil {
		return o, err
	}
	watched, stop := context.WithCancel(ctx)
	double := make(chan time.Duration, 1)
	go func() { double <- Doubles(watched, r.Watcher, r.IP) }()
	o.Began = time.Now()
	err = r.do(ctx, f)
	o.Done = time.Now()
	if err == nil {
		err = wait(ctx, f.Rest)
	}
	stop()
	report := client.Stop()
	o.Fault, o.Asked, o.Lost, o.Gap, o.Double = f, report.Asked, report.Lost, report.Gap, <-double
	return o, err
}

// Doubles asks who has the address until ctx ends, and returns the longest time in which it was
// more than one.
func Doubles(ctx context.Context, watcher *probe.Watcher, ip netip.Addr) (longest time.Duration) {
	var since time.Time
	for {
		asked := time.Now()
		macs, err := watcher.Who(ctx, Window, ip)
		switch {
		case err != nil:
			return longest
		case len(macs) < 2:
			since = time.Time{}
		case since.IsZero():
			since = asked
		}
		if !since.IsZero() {
			longest = max(longest, time.Since(since))
		}
	}
}

// do breaks or heals.
func (r *Runner) do(ctx context.Context, f Fault) error {
	err := r.act(ctx, f)
	f.Rest = 0
	r.state.apply(f)
	return err
}

func (r *Runner) act(ctx context.Context, f Fault) error {
	switch f.Kind {
	case NoAPI:
		if f.Heal {
			return r.Cluster.StartAPI(ctx)
		}
		return r.Cluster.StopAPI(ctx)
	case Mute:
		var errs []error
		for _, n := range r.Cluster.Nodes {
			errs = append(errs, block(ctx, n, f.Heal))
		}
		return errors.Join(errs...)
	case SlowAPI, FailAPI:
		return r.gate(f)
	}
	n := r.Cluster.Nodes[f.Node]
	switch f.Kind {
	case Cut:
		if f.Heal {
			return n.Heal()
		}
		return n.Cut()
	case Freeze:
		if f.Heal {
			return n.Signal(starling.Name, syscall.SIGCONT)
		}
		return n.Signal(starling.Name, syscall.SIGSTOP)
	case Deaf:
		return block(ctx, n, f.Heal)
	case Loss, Repeat:
		return impair(ctx, n, f)
	case Ahead, Behind:
		return jump(ctx, n, f)
	}
	return r.end(ctx, n, f.Kind)
}

func impair(ctx context.Context, n *cluster.Node, f Fault) error {
	switch {
	case f.Heal:
		return n.EndImpair(ctx)
	case f.Kind == Loss:
		return n.Lose(ctx, lost)
	}
	return n.Repeat(ctx, repeated)
}

func jump(ctx context.Context, n *cluster.Node, f Fault) error {
	switch {
	case f.Heal:
		return starling.JumpClock(ctx, n, 0)
	case f.Kind == Ahead:
		return starling.JumpClock(ctx, n, jumped)
	}
	return starling.JumpClock(ctx, n, -jumped)
}

// gate makes the way to the API server bad, or good again.
func (r *Runner) gate(f Fault) error {
	if r.Gate == nil {
		return errors.New("there is no gate in front of the API server")
	}
	switch {
	case f.Kind == SlowAPI && f.Heal:
		r.Gate.Slow(0)
	case f.Kind == SlowAPI:
		r.Gate.Slow(slow)
	case f.Heal:
		r.Gate.Fail(0)
	default:
		r.Gate.Fail(failing)
	}
	return nil
}

func block(ctx context.Context, n *cluster.Node, heal bool) error {
	if heal {
		return n.Unblock(ctx)
	}
	return n.Block(ctx, gossipPort)
}

// end ends a speaker and waits until its successor is ready: until then the node could not answer.
func (r *Runner) end(ctx context.Context, n *cluster.Node, kind Kind) error {
	var pod string
	err := cluster.Until(ctx, cluster.PodTime, "speaker of "+n.Name, func(ctx context.Context) (err error) { // Kubernetes may just have taken it away.
		pod, err = starling.PodOn(ctx, r.Cluster, n)
		return err
	})
	if err != nil {
		return err
	}
	before, err := n.Pids(starling.Name)
	if err != nil {
		return err
	}
	var how meta.DeleteOptions
	if kind == Kill {
		if err := n.Signal(starling.Name, syscall.SIGKILL); err != nil {
			return err
		}
		// A new pod at once: of one that is killed again and again, kubelet waits longer and longer
		// with the next start.
		how = *meta.NewDeleteOptions(0)
	}
	if err := r.Cluster.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, how); err != nil {
		return err
	}
	return cluster.Until(ctx, cluster.PodTime, "successor of "+pod, func(ctx context.Context) error {
		now, err := n.Pids(starling.Name)
		if err != nil {
			return err
		}
		if len(now) == 0 || slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) }) {
			return fmt.Errorf("processes %v, before %v", now, before)
		}
		s, err := starling.StatusOf(ctx, r.Cluster, n)
		if err == nil && !s.Ready {
			err = fmt.Errorf("not ready: %q", s.Reasons)
		}
		return err
	})
}

// healAll ends what lasts.
func (r *Runner) healAll(ctx context.Context) error {
	var errs []error
	for f := range r.state.hurt {
		f.Heal = true
		errs = append(errs, r.act(ctx, f))
	}
	return errors.Join(errs...)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
