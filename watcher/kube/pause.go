package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Between attempts: 0.1 s growing to 2 s, each up to half longer at random, or what the server asks
// for up to MaxPause.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
	MaxPause   = 10 * time.Second
)

// A Pause is the wait between attempts.
type Pause struct{ wait.Backoff }

// NewPause begins with the shortest one.
func NewPause() *Pause {
	return &Pause{wait.Backoff{Duration: firstPause, Cap: lastPause, Factor: 2, Jitter: 0.5, Steps: 10}}
}

// Wait waits before another attempt after one that failed with an error.
func (p *Pause) Wait(ctx context.Context, err error) {
	d := p.Step()
	if seconds, asked := apierrors.SuggestsClientDelay(err); asked {
		d = min(max(d, time.Duration(seconds)*time.Second), MaxPause)
	}
	Sleep(ctx, d)
}

// Sleep reports whether ctx still lasts after a while.
func Sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
