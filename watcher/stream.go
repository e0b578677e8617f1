package watcher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Between attempts: 0.1 s growing to 2 s, each up to half longer at random, or what the server asks for up to maxWait.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 2 * time.Second
	maxWait   = 10 * time.Second
)

// Limits for an answer that does not come.
const (
	listTimeout  = time.Minute      // a whole list
	openTimeout  = 15 * time.Second // the first byte of a watch, or of the list that precedes it
	trustTimeout = 30 * time.Second // errors of the server, after which the position is given up
)

// A stream keeps one resource flowing from the API server into a store. It is what the reflector lists and watches
// with, and it keeps interruptions away from the reflector, which would list everything again: an established watch is
// resumed at its position for as long as it takes.
type stream struct {
	resource string
	client   rest.Interface
	selector string // label selector, "" all
	only     Key    // the one object that is followed, zero all
	main     bool   // the Services: their watch is what counts as contact
	health   *health
	metrics  *metrics
}

// run feeds the store until ctx ends. example is an object of the resource.
func (s *stream) run(ctx context.Context, example runtime.Object, into cache.ReflectorStore) {
	r := cache.NewReflectorWithOptions(
		&cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch},
		example, into, cache.ReflectorOptions{Name: s.resource, Backoff: &newPause().Backoff},
	)
	ctx = klog.NewContext(ctx, logr.New(&logSink{log: s.health.log}))
	pause := newPause()
	for ctx.Err() == nil {
		start := time.Now()
		err := r.ListAndWatchWithContext(ctx)
		if time.Since(start) > maxWait {
			pause = newPause()
		}
		pause.wait(ctx, err)
	}
}

// request is a LIST or WATCH of what the stream selects. That one object is selected by its name in a field selector is
// what a right that is limited to this name allows.
func (s *stream) request(o metav1.ListOptions) *rest.Request {
	o.LabelSelector = s.selector
	if s.only.Name != "" {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, s.only.Name).String()
	}
	return s.client.Get().NamespaceIfScoped(s.only.Namespace, s.only.Namespace != "").Resource(s.resource).
		VersionedParams(&o, metav1.ParameterCodec).MaxRetries(0)
}

// list is the reflector's LIST, used where the server has no streaming lists.
func (s *stream) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	s.metrics.lists.WithLabelValues(s.resource).Inc()
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list, err := s.request(o).Do(limited).Get()
	if err != nil && !expired(err) {
		s.health.report(ctx, "list "+s.resource, err)
	}
	return list, err
}

// watch is the reflector's WATCH. It returns an error only when trying again the same way is of no use.
func (s *stream) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	listing := o.SendInitialEvents != nil && *o.SendInitialEvents
	start, pause := time.Now(), newPause()
	for {
		w, err := s.open(ctx, o)
		if err == nil {
			return w, nil
		}
		if ctx.Err() != nil || expired(err) {
			return nil, err
		}
		if !listing || !answered(err) { // a server without streaming lists is no problem: LIST follows
			s.health.report(ctx, "watch "+s.resource, err)
		}
		if !passing(err, listing) || !listing && answered(err) && time.Since(start) > trustTimeout {
			return nil, err
		}
		pause.wait(ctx, err)
	}
}

func (s *stream) open(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if err := s.rewound(ctx, o.ResourceVersion); err != nil {
		return nil, err
	}
	s.metrics.watches.WithLabelValues(s.resource).Inc()
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(openTimeout, func() { cancel(context.DeadlineExceeded) })
	ctx, failure := notingErrors(ctx)
	w, err := s.request(o).Watch(ctx)
	if !limit.Stop() {
		err = context.Cause(ctx)
	} else if err == nil {
		err = *failure
	}
	if err != nil {
		cancel(err)
		return nil, err
	}
	s.health.clear("list "+s.resource, "watch "+s.resource)
	return newTap(w, s), nil
}

// rewound notices an API server whose history was set back, by a restored backup: it would stay silent until it has
// caught up with the version that we ask for. The answer "expired" makes the reflector list without a version.
func (s *stream) rewound(ctx context.Context, version string) error {
	from, err := strconv.ParseUint(version, 10, 64)
	if err != nil || from == 0 {
		return nil // the first list
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	head, err := s.request(metav1.ListOptions{Limit: 1}).Do(ctx).Get()
	if err != nil {
		return err
	}
	list, err := meta.ListAccessor(head)
	if err != nil {
		return err
	}
	if now, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64); err == nil && now < from {
		return apierrors.NewResourceExpired(fmt.Sprintf("%s are at version %d, we were at %d", s.resource, now, from))
	}
	return nil
}

// answered says whether an error is an answer of the API server.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// passing says whether an error goes away by itself while the position stays valid. During a streamed list only what
// a plain LIST would meet as well is waited for here.
func passing(err error, listing bool) bool {
	if !answered(err) || apierrors.IsTooManyRequests(err) {
		return true
	}
	return !listing && (apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err))
}

// A pause is the wait between attempts.
type pause struct{ wait.Backoff }

func newPause() *pause {
	return &pause{wait.Backoff{Duration: firstWait, Cap: lastWait, Factor: 2, Jitter: 0.5, Steps: 10}}
}

func (p *pause) wait(ctx context.Context, err error) {
	d := p.Step()
	if seconds, asked := apierrors.SuggestsClientDelay(err); asked {
		d = min(max(d, time.Duration(seconds)*time.Second), maxWait)
	}
	sleep(ctx, d)
}
