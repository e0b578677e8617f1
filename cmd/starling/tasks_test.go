package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wait lets virtual time pass inside a synctest bubble.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func TestTasksStopInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []string
		tasks := newTasks()
		for _, name := range []string{"first", "second", "third"} {
			tasks.start(name, func(ctx context.Context) error {
				<-ctx.Done()
				wait(t, time.Second) // slow to end: the earlier ones must wait for it
				ended = append(ended, name)
				return nil
			})
		}
		if err := tasks.stop(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"third", "second", "first"}, ended); diff != "" {
			t.Errorf("end (-want +got):\n%s", diff)
		}
	})
}

func TestTaskFailureIsTold(t *testing.T) {
	boom := errors.New("boom")
	tasks := newTasks()
	tasks.start("quiet", func(ctx context.Context) error { <-ctx.Done(); return nil })
	tasks.start("loud", func(context.Context) error { return boom })
	if err := <-tasks.failed; !errors.Is(err, boom) || err.Error() != "loud: boom" {
		t.Errorf("failure %v", err)
	}
	if err := tasks.stop(); !errors.Is(err, boom) {
		t.Errorf("stop gives %v", err)
	}
}
