package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/history"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

// Window is how long answers to a question are waited for; then the next question is asked.
const Window = 50 * time.Millisecond

// again is how long a Recorder waits after the API server has failed.
const again = 100 * time.Millisecond

// services are those of a namespace, as the API server has them.
type services interface {
	List(context.Context, meta.ListOptions) (*core.ServiceList, error)
	Watch(context.Context, meta.ListOptions) (watch.Interface, error)
}

// Recorder writes the history of some addresses: it asks for them all the time, and follows the
// Services.
type Recorder struct {
	services services
	watcher  *probe.Watcher
	ips      []netip.Addr
	begun    time.Time
	stop     context.CancelFunc
	done     sync.WaitGroup
	version  string          // Of the newest write; "" if all Services must be listed.
	known    map[string]bool // Services that are there.

	mu        sync.Mutex // Guards all following fields.
	questions []history.Question
	writes    []history.Write
	err       error
}

// Record begins a history.
func Record(ctx context.Context, c *cluster.Cluster, w *probe.Watcher, ips ...netip.Addr) (*Recorder, error) {
	ctx, stop := context.WithCancel(ctx)
	r := &Recorder{
		services: c.Kube.CoreV1().Services(workload.Namespace), watcher: w, ips: ips, begun: time.Now(), stop: stop, known: map[string]bool{},
	}
	if err := r.list(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("record: %w", err)
	}
	r.done.Go(func() { r.ask(ctx) })
	r.done.Go(func() { r.follow(ctx) })
	return r, nil
}

// Stop ends the history and returns it. It is whole, or there is an error.
func (r *Recorder) Stop() (history.History, error) {
	r.stop()
	r.done.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	h := history.History{Questions: r.questions, Writes: r.writes, Until: time.Now()}
	for _, ip := range r.ips {
		for _, c := range r.watcher.Claims(ip) {
			if c.At.After(r.begun) {
				h.Answers = append(h.Answers, history.Answer{At: c.At, IP: c.IP, MAC: c.MAC})
			}
		}
	}
	return h, r.err
}

// ask asks for all addresses until ctx ends.
func (r *Recorder) ask(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		r.mu.Lock()
		for _, ip := range r.ips {
			r.questions = append(r.questions, history.Question{At: now, IP: ip})
		}
		r.mu.Unlock()
		if _, err := r.watcher.WhoAll(ctx, Window, r.ips); err != nil && ctx.Err() == nil {
			r.fail(err)
			return
		}
	}
}

// list takes all Services as they are now. They are all of the same moment: what one has lost, and
// another has got since the last time, was never bound to both.
func (r *Recorder) list(ctx context.Context) error {
	list, err := r.services.List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	now, gone := time.Now(), maps.Clone(r.known)
	for i := range list.Items {
		r.write(now, &list.Items[i], false)
		delete(gone, list.Items[i].Name)
	}
	for name := range gone {
		r.write(now, &core.Service{ObjectMeta: meta.ObjectMeta{Name: name}}, true)
	}
	r.version = list.ResourceVersion
	return nil
}

// follow takes every write of a Service, in the order of the API server, until ctx ends. While the
// API server is away there are none, but it must be back before the end.
func (r *Recorder) follow(ctx context.Context) {
	var failed error // The last try, if it did not succeed.
	for ctx.Err() == nil {
		changes, err := r.open(ctx)
		if err == nil {
			failed = nil
			r.take(changes)
			continue
		}
		if ctx.Err() == nil {
			failed = err
			_ = wait(ctx, again)
		}
	}
	if failed != nil {
		r.fail(fmt.Errorf("follow Services: %w", failed))
	}
}

// open begins a watch after the newest write. An API server that was started anew may not know what
// came before; then all Services are taken as they are.
func (r *Recorder) open(ctx context.Context) (watch.Interface, error) {
	if r.version == "" {
		if err := r.list(ctx); err != nil {
			return nil, err
		}
	}
	changes, err := r.services.Watch(ctx, meta.ListOptions{ResourceVersion: r.version, AllowWatchBookmarks: true})
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		r.version = ""
	}
	return changes, err
}

// take takes the writes of a watch until it ends.
func (r *Recorder) take(changes watch.Interface) {
	defer changes.Stop()
	for e := range changes.ResultChan() {
		s, ok := e.Object.(*core.Service)
		if !ok {
			r.version = "" // An error: the version is too old.
			return
		}
		r.version = s.ResourceVersion
		if e.Type != watch.Bookmark {
			r.write(time.Now(), s, e.Type == watch.Deleted)
		}
	}
}

func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
}

func (r *Recorder) write(at time.Time, s *core.Service, gone bool) {
	w := history.Write{At: at, Service: s.Name}
	if gone {
		delete(r.known, s.Name)
	} else {
		r.known[s.Name] = true
		w.Bound = bound(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, w)
}

// bound are the addresses that a Service is bound to: its lease says so, and its status shows them.
func bound(s *core.Service) (ips []netip.Addr) {
	var lease struct {
		IPs []struct {
			IP    netip.Addr `json:"ip"`
			State string     `json:"state"`
		} `json:"ips"`
	}
	if s.Spec.Type != core.ServiceTypeLoadBalancer || json.Unmarshal([]byte(s.Annotations["starling-lb.io/lease"]), &lease) != nil {
		return nil
	}
	shown, err := workload.Ingress(s)
	if err != nil {
		return nil
	}
	for _, item := range lease.IPs {
		if item.State == "bound" && slices.Contains(shown, item.IP) {
			ips = append(ips, item.IP)
		}
	}
	return ips
}
