package watcher

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/starling-lb/starling/watcher/kube"
)

// Limits for an answer that does not come.
const (
	listTimeout = time.Minute      // a whole list
	openTimeout = 15 * time.Second // the first byte of a watch, or of the list that precedes it
)

// A stream keeps one resource flowing from the API server into a store. It is what the reflector
// lists and watches with, and it keeps short interruptions away from the reflector, which would
// list everything again: an established watch is resumed where it ended, if the server proves that
// it still has the same history.
type stream struct {
	resource string
	client   rest.Interface
	selector string // label selector, "" all
	only     Key    // the one object that is followed, zero all
	main     bool   // the Services: their watch is what counts as contact
	health   *apiHealth
	metrics  *metrics
	proof    proof
}

// run feeds the store until ctx ends. example is an object of the resource.
func (s *stream) run(ctx context.Context, example runtime.Object, into cache.ReflectorStore) {
	r := cache.NewReflectorWithOptions(
		&cache.ListWatch{ListWithContextFunc: s.list, WatchFuncWithContext: s.watch},
		example, into, cache.ReflectorOptions{Name: s.resource, Backoff: &kube.NewPause().Backoff},
	)
	ctx = klog.NewContext(ctx, logr.New(&logSink{log: s.health.log}))
	pause := kube.NewPause()
	for ctx.Err() == nil {
		start := time.Now()
		err := r.ListAndWatchWithContext(ctx)
		if time.Since(start) > kube.MaxPause {
			pause = kube.NewPause()
		}
		pause.Wait(ctx, err)
	}
}

// request is a LIST or WATCH of what the stream selects.
func (s *stream) request(o metav1.ListOptions) *rest.Request { return s.requestOne(o, s.only) }

// requestOne is one of a single object, or of all that the stream selects. That one object is
// selected by its name in a field selector is what a right that is limited to this name allows.
func (s *stream) requestOne(o metav1.ListOptions, only Key) *rest.Request {
	o.LabelSelector = s.selector
	if only.Name != "" {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, only.Name).String()
	}
	return s.client.Get().NamespaceIfScoped(only.Namespace, only.Namespace != "").Resource(s.resource).
		VersionedParams(&o, metav1.ParameterCodec).MaxRetries(0)
}

// list is the reflector's LIST, used where the server has no streaming lists.
func (s *stream) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	s.metrics.lists.WithLabelValues(s.resource).Inc()
	if o.Continue == "" {
		s.proof.listing()
	}
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list, err := s.request(o).Do(limited).Get()
	if err != nil && !expired(err) {
		s.health.report(ctx, "list "+s.resource, err)
	}
	if err == nil {
		s.proof.note(list)
		s.proof.stopped(true)
	}
	return list, err
}

// watch is the reflector's WATCH. It returns an error only when trying again the same way is of no
// use.
func (s *stream) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	listing := o.SendInitialEvents != nil && *o.SendInitialEvents
	pause := kube.NewPause()
	for {
		w, err := s.open(ctx, o, listing)
		if err == nil {
			return w, nil
		}
		if ctx.Err() != nil || expired(err) {
			return nil, err
		}
		if !listing || !answered(err) { // a server without streaming lists is no problem: LIST follows
			s.health.report(ctx, "watch "+s.resource, err)
		}
		if !passing(err, listing) {
			return nil, err
		}
		pause.Wait(ctx, err)
	}
}

func (s *stream) open(ctx context.Context, o metav1.ListOptions, listing bool) (watch.Interface, error) {
	position := number(o.ResourceVersion)
	from, err := s.from(ctx, position, listing)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		o.ResourceVersion = strconv.FormatUint(from, 10)
	}
	if listing {
		s.proof.listing()
	}
	s.metrics.watches.WithLabelValues(s.resource).Inc()
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(openTimeout, func() { cancel(context.DeadlineExceeded) })
	ctx, failure := kube.NotingErrors(ctx)
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
	if from == position {
		position = 0 // nothing comes that is older
	}
	return newTap(w, s, lifetime(o), position), nil
}

// lifetime is how long a watch is to last, as its request says.
func lifetime(o metav1.ListOptions) time.Duration {
	if o.TimeoutSeconds == nil {
		return 0
	}
	return time.Duration(*o.TimeoutSeconds) * time.Second
}

// answered reports whether an error is an answer of the API server.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// passing reports whether an error goes away by itself while the position stays valid. During a
// streamed list only what a plain LIST would meet as well is waited for here.
func passing(err error, listing bool) bool {
	if !answered(err) || apierrors.IsTooManyRequests(err) {
		return true
	}
	return !listing && (apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err))
}
