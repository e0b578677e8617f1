package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// tasks are parts of the program that run side by side and end in the reverse
// order of their start, each only after everything started later has ended.
type tasks struct {
	running []*task
	failed  chan error // the first failure
}

type task struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	err  error // set before done is closed
}

func newTasks() *tasks { return &tasks{failed: make(chan error, 1)} }

// start runs a task until stop; a task that ends before with an error ends the
// whole program.
func (t *tasks) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	k := &task{name: name, stop: cancel, done: make(chan struct{})}
	t.running = append(t.running, k)
	go func() {
		defer close(k.done)
		if err := run(ctx); err != nil {
			k.err = fmt.Errorf("%s: %w", name, err)
			select {
			case t.failed <- k.err:
			default:
			}
		}
	}()
}

// stop ends all tasks, the last one first, and joins their errors.
func (t *tasks) stop() error {
	var errs []error
	for _, k := range slices.Backward(t.running) {
		k.stop()
		<-k.done
		errs = append(errs, k.err)
	}
	return errors.Join(errs...)
}
