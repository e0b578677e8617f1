package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/starling-lb/starling/e2e/cluster"
)

// tracker remembers when a watch of Services showed each address and each version.
type tracker struct {
	stream watch.Interface

	mu       sync.Mutex // Guards all following fields.
	ips      map[string]time.Time
	versions map[string]time.Time
	err      error
}

// track begins to watch; what was there before is not remembered.
func track(ctx context.Context, c *cluster.Cluster) (*tracker, error) {
	list, err := c.Kube.CoreV1().Services(namespace).List(ctx, meta.ListOptions{})
	if err != nil {
		return nil, err
	}
	stream, err := c.Kube.CoreV1().Services(namespace).Watch(ctx, meta.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, err
	}
	t := &tracker{stream: stream, ips: map[string]time.Time{}, versions: map[string]time.Time{}}
	go t.read()
	return t, nil
}

func (t *tracker) stop() { t.stream.Stop() }

func (t *tracker) read() {
	for e := range t.stream.ResultChan() {
		t.see(e, time.Now())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = fmt.Errorf("the watch of Services has ended")
}

func (t *tracker) see(e watch.Event, now time.Time) {
	s, ok := e.Object.(*core.Service)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.versions[s.ResourceVersion] = now
	if _, known := t.ips[s.Name]; !known && len(s.Status.LoadBalancer.Ingress) > 0 {
		t.ips[s.Name] = now
	}
}

// bound waits for the first address of a Service and returns when it was seen.
func (t *tracker) bound(ctx context.Context, name string) (at time.Time, err error) {
	return at, t.until(ctx, "address of "+name, func() (ok bool) { at, ok = t.ips[name]; return ok })
}

// version waits until the watch has shown that version of any Service and returns when it did.
func (t *tracker) version(ctx context.Context, version string) (at time.Time, err error) {
	return at, t.until(ctx, "version "+version, func() (ok bool) { at, ok = t.versions[version]; return ok })
}

// lastOf waits until so many Services whose names begin with the prefix have an address, and
// returns when the last one had it.
func (t *tracker) lastOf(ctx context.Context, prefix string, count int) (last time.Time, err error) {
	return last, t.until(ctx, "addresses of "+prefix, func() bool {
		n := 0
		for name, at := range t.ips {
			if strings.HasPrefix(name, prefix+"-") {
				n++
				if at.After(last) {
					last = at
				}
			}
		}
		return n >= count
	})
}

// count is how many Services have an address.
func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ips)
}

// until asks again every few milliseconds; what is measured are the times that read has noted.
func (t *tracker) until(ctx context.Context, what string, ok func() bool) error {
	return cluster.Until(ctx, 3*time.Minute, what, func(context.Context) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		switch {
		case ok():
			return nil
		case t.err != nil:
			return cluster.Final(t.err)
		}
		return fmt.Errorf("%d Services have one", len(t.ips))
	})
}
