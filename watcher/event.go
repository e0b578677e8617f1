package watcher

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// An Event is something to tell by kubectl describe: to the owner of a Service, or of a Node to whoever runs the cluster.
type Event struct {
	Key             Key    // of the Service; that of a Node has no namespace
	UID             string // of the Service; a Node needs none
	Warning         bool
	Reason, Message string // AddressConflict, "198.18.64.3 is used by 02:00:00:00:00:01"
	// Once names what several speakers see and one Event is to tell, however each words it and whatever Node it puts it
	// on. Spans of ten minutes by the clock have one each, so what is told shortly before and after the end of one makes
	// two. Who is first makes it; the others, and who tells it again, renew its time and words. Empty: this speaker alone tells it.
	Once string
}

// object is what the Event is about. kubectl describe looks for the Events of a Node in the namespace default and by
// the name in place of the UID, as kubelet sends them.
func (e Event) object() corev1.ObjectReference {
	if e.Key.Namespace == "" {
		return corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: e.Key.Name, UID: types.UID(e.Key.Name)}
	}
	return corev1.ObjectReference{
		APIVersion: "v1", Kind: "Service", Namespace: e.Key.Namespace, Name: e.Key.Name, UID: types.UID(e.UID),
	}
}

// namespace is where the Event itself is.
func (e Event) namespace() string { return cmp.Or(e.Key.Namespace, metav1.NamespaceDefault) }

// name is one that nobody else gives, or all who tell the same.
func (e Event) name(now time.Time) string {
	if e.Once == "" {
		return e.Key.Name + "." + strconv.FormatInt(now.UnixNano(), 16)
	}
	h := fnv.New64a()
	h.Write([]byte(e.Once)) // never fails
	return fmt.Sprintf("%s.%x.%x", component, h.Sum64(), now.Truncate(eventMemory).Unix())
}

const (
	eventQueue    = 512
	eventTimeout  = 5 * time.Second
	eventAttempts = 3
	component     = "starling"
)

// A recorder sends Events one after the other. An Event that was sent lately is counted up instead of written anew,
// and one Service or Node gets no more than a few per minute, so that nobody can make us fill the API server. What
// several tell is not counted, for nobody knows how far the others have come.
type recorder struct {
	client  *Client
	node    string
	health  *health
	metrics *metrics
	queue   chan Event
	recent  *recentEvents // used by run alone
}

func newRecorder(c *Client, node string, h *health, m *metrics) *recorder {
	return &recorder{client: c, node: node, health: h, metrics: m, queue: make(chan Event, eventQueue), recent: newRecentEvents()}
}

func (r *recorder) add(e Event) {
	select {
	case r.queue <- e:
	default:
		r.count("dropped")
	}
}

func (r *recorder) count(result string) { r.metrics.events.WithLabelValues(result).Inc() }

func (r *recorder) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.queue:
			r.deliver(ctx, e)
		}
	}
}

// deliver sends an Event or gives it up: an Event is worth a few attempts, not a queue that stands still.
func (r *recorder) deliver(ctx context.Context, e Event) {
	now := time.Now()
	if !r.recent.allow(string(e.object().UID), now) {
		r.count("limited")
		return
	}
	pause := newPause()
	for range eventAttempts {
		err := r.send(ctx, e, now)
		if err == nil || refused(err) {
			r.done(ctx, err)
			return
		}
		r.health.report(ctx, "create events", err)
		pause.wait(ctx, err)
	}
	r.count("failed")
}

// refused says whether the server will not take this Event, ever; being forbidden everywhere is a problem to be told.
func refused(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) ||
		apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

func (r *recorder) done(ctx context.Context, err error) {
	r.health.report(ctx, "create events", nil)
	if err != nil {
		r.count("failed")
	}
}

// send writes the Event, or counts it up when it was sent lately and still exists.
func (r *recorder) send(ctx context.Context, e Event, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	if s, known := r.recent.find(e, now); known {
		err := r.repeat(ctx, e, s, now)
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	return r.create(ctx, e, now)
}

func (r *recorder) repeat(ctx context.Context, e Event, s sentEvent, now time.Time) error {
	s.count++
	err := r.patch(ctx, e, s.name, map[string]any{"count": s.count, "lastTimestamp": metav1.NewTime(now)})
	if err != nil {
		return fmt.Errorf("count event %s: %w", s.name, err)
	}
	r.recent.remember(e, s, now)
	r.count("repeated")
	return nil
}

// renew shows that an Event that is there, perhaps by another speaker, is told again.
func (r *recorder) renew(ctx context.Context, e Event, name string, now time.Time) error {
	err := r.patch(ctx, e, name, map[string]any{"message": clip(e.Message), "lastTimestamp": metav1.NewTime(now)})
	if err != nil {
		return fmt.Errorf("renew event %s: %w", name, err)
	}
	r.count("known")
	return nil
}

func (r *recorder) patch(ctx context.Context, e Event, name string, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("render event %s: %w", name, err)
	}
	return r.client.core.Patch(types.MergePatchType).Namespace(e.namespace()).Resource("events").Name(name).
		Body(body).MaxRetries(0).Do(ctx).Error()
}

func (r *recorder) create(ctx context.Context, e Event, now time.Time) error {
	o := r.object(e, now)
	err := r.client.core.Post().Namespace(o.Namespace).Resource("events").Body(o).MaxRetries(0).Do(ctx).Error()
	switch {
	case e.Once != "" && apierrors.IsAlreadyExists(err):
		return r.renew(ctx, e, o.Name, now)
	case err != nil:
		return fmt.Errorf("create event for %s: %w", e.Key, err)
	case e.Once == "":
		r.recent.remember(e, sentEvent{name: o.Name, count: 1}, now)
	}
	r.count("sent")
	return nil
}

func (r *recorder) object(e Event, now time.Time) *corev1.Event {
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	at := metav1.NewTime(now)
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: e.namespace(), Name: e.name(now)},
		InvolvedObject: e.object(),
		Type:           kind, Reason: e.Reason, Message: clip(e.Message), Count: 1, FirstTimestamp: at, LastTimestamp: at,
		Source:              corev1.EventSource{Component: component, Host: r.node},
		ReportingController: component, ReportingInstance: r.node,
	}
}

// clip keeps to the API's limit of 1024 bytes for a message.
func clip(s string) string {
	const most = 1024
	if len(s) <= most {
		return s
	}
	return s[:most-3] + "..."
}
