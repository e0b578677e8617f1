package arpd

import (
	"errors"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	var b backoff
	if b.after() != nil {
		t.Error("waits although nothing failed")
	}
	failure := errors.New("failure")
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000} {
		b.note(failure, epoch)
		if got := b.until.Sub(epoch); got != want*time.Millisecond {
			t.Errorf("failure %d: pause %v, want %v", i, got, want*time.Millisecond)
		}
	}
	b.note(nil, epoch)
	if b != (backoff{}) {
		t.Errorf("after a success: %+v", b)
	}
	b.note(failure, epoch)
	if got := b.until.Sub(epoch); got != retryFirst {
		t.Errorf("begins anew with %v", got)
	}
}
