package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// load is what all nodes live with while nobody dies.
type load struct {
	name, title string
	half        bool // It lasts for half of the time only.
	busy        bool // As many processes spin as in calm.
	pauses      bool // One node after the other comes to a halt for a moment.
	silent      bool // Meanwhile its kernel is silent as well.
}

// A kernel answers for a host whose processes are stopped: they are starved, throttled or swapped
// out. It does not while the host itself is paused: a virtual machine that is moved or
// snapshotted.
var loads = []load{
	{name: "idle", title: "idle", half: true},
	{name: "busy", title: "busy", busy: true},
	{name: "stopped", title: "busy, processes stopped", busy: true, pauses: true},
	{name: "silent", title: "busy, nodes silent", busy: true, pauses: true, silent: true},
}

const (
	pausesEvery = 5 * time.Second        // Long enough for all to be at home again.
	asksEvery   = 200 * time.Millisecond // Who has the addresses.
)

// bear counts what leaves its home under a load.
func (d *detector) bear(ctx context.Context, l load, length time.Duration) (done loadRun, err error) {
	if err := d.settle(ctx); err != nil {
		return done, err
	}
	under := func(_ context.Context, work func() error) error { return work() }
	if l.busy {
		under = busy
	}
	if l.half {
		length /= 2
	}
	done = loadRun{Name: l.name, Moves: map[string]int{}}
	var begun, ended time.Time
	err = d.Do(fmt.Sprintf("%v %s", length, l.title), func() error {
		return under(ctx, func() error {
			return d.asking(ctx, func() (err error) {
				begun = time.Now()
				done.Pauses, err = d.pauses(ctx, l, length)
				ended = time.Now()
				return err
			})
		})
	})
	if err != nil {
		return done, err
	}
	done.Seconds = ended.Sub(begun).Seconds()
	for _, s := range d.systems {
		done.Moves[s.name] = 0
		for i := range d.c.Nodes {
			done.Moves[s.name] += departures(between(s.seen(i), begun, ended), s.settled)
		}
	}
	return done, nil
}

// asking asks all the time who has the addresses, as clients do, while work is done.
func (d *detector) asking(ctx context.Context, work func() error) error {
	ctx, stop := context.WithCancel(ctx)
	var asked error
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			if _, err := d.watcher.WhoAll(ctx, asksEvery, d.addresses()); err != nil && ctx.Err() == nil {
				asked = err
				return
			}
		}
	})
	err := work()
	stop()
	all.Wait()
	return errors.Join(err, asked)
}

// pauses lets time pass. If the load is so, one node after the other comes to a halt.
func (d *detector) pauses(ctx context.Context, l load, length time.Duration) (count int, err error) {
	if !l.pauses {
		return 0, waitFor(ctx, time.After(length))
	}
	pids := make([][]int, len(d.c.Nodes))
	for i, n := range d.c.Nodes {
		if pids[i], err = running(n); err != nil {
			return 0, err
		}
	}
	tick := time.NewTicker(pausesEvery)
	defer tick.Stop()
	for ; count < int(length/pausesEvery); count++ {
		i := count % len(d.c.Nodes)
		if err := pause(ctx, d.c.Nodes[i], pids[i], l.silent); err != nil {
			return count, err
		}
		if err := waitFor(ctx, tick.C); err != nil {
			return count, err
		}
	}
	return count, nil
}

// waitFor waits until the time has come.
func waitFor(ctx context.Context, until <-chan time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-until:
		return nil
	}
}

// running are the processes of all systems on a node.
func running(n *cluster.Node) (all []int, err error) {
	for _, program := range []string{starling.Name, "keepalived", "gobgpd", backend} {
		pids, err := n.Pids(program)
		if err != nil {
			return nil, err
		}
		if len(pids) == 0 {
			return nil, fmt.Errorf("node %s runs no %s", n.Name, program)
		}
		all = append(all, pids...)
	}
	return all, nil
}

// pause stops all processes of a node for a moment, and its link if it is to be silent.
func pause(ctx context.Context, n *cluster.Node, pids []int, silent bool) error {
	cut, heal := n.Cut, n.Heal
	if !silent {
		cut, heal = func() error { return nil }, func() error { return nil }
	}
	err := errors.Join(signalAll(pids, syscall.SIGSTOP), cut())
	if err == nil {
		err = waitFor(ctx, time.After(stopFor))
	}
	return errors.Join(err, heal(), signalAll(pids, syscall.SIGCONT))
}

func signalAll(pids []int, s syscall.Signal) error {
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil {
			errs = append(errs, fmt.Errorf("signal process %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}
