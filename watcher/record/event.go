package record

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/kube"
)

// An Event is something to tell by kubectl describe: to the owner of a Service, or of a Node to
// whoever runs the cluster.
type Event struct {
	Key             lease.Key // of the Service; that of a Node has no namespace
	UID             string    // of the Service; a Node needs none
	Warning         bool
	Reason, Message string      // AddressConflict, "198.18.64.3 is used by 02:00:00:00:00:01"
	Code            health.Code // of the condition that it tells, "" of none; an annotation of the Event
	// Once names what several speakers see and one Event is to tell, however each words it and
	// whatever Node it puts it on. Spans of ten minutes by the clock have one each, so what is
	// reported shortly before and after the end of one makes two. Who is first makes it; the
	// others, and who tells it again, renew its time and words. Empty: this speaker alone tells it.
	Once string
}

// object is what the Event is about. kubectl describe looks for the Events of a Node in the
// namespace default and by the name in place of the UID, as kubelet sends them.
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
	return fmt.Sprintf("%s.%x.%x", Component, h.Sum64(), now.Truncate(Memory).Unix())
}

// Component is the field manager and the reporter as which starling writes.
const Component = "starling"

// Queue is how many Events may wait; what is over is dropped and counted.
const Queue = 512

const (
	eventTimeout  = 5 * time.Second
	eventAttempts = 3
)

// A Recorder sends Events one after the other. An Event that was sent lately is counted up instead
// of written anew, one Service or Node gets no more than a few per minute, and one namespace no
// more than some, so that nobody can make us fill the API server. What several tell is not counted,
// for nobody knows how far the others have come.
type Recorder struct {
	client *kube.Client
	node   string
	report func(ctx context.Context, namespace string, err error)
	counts *prometheus.CounterVec
	queue  chan Event
	recent *recentEvents // used by Run alone
}

// New makes a Recorder of a node, which does nothing until Run. It gives report the outcome of each
// Event, and counts by result: sent, repeated, known, limited, dropped, failed.
func New(c *kube.Client, node string, report func(ctx context.Context, namespace string, err error), counts *prometheus.CounterVec) *Recorder {
	return &Recorder{client: c, node: node, report: report, counts: counts, queue: make(chan Event, Queue), recent: newRecentEvents()}
}

// Add queues an Event. It never blocks; when too many wait, the event is dropped and counted.
func (r *Recorder) Add(e Event) {
	select {
	case r.queue <- e:
	default:
		r.count("dropped")
	}
}

func (r *Recorder) count(result string) { r.counts.WithLabelValues(result).Inc() }

// Run sends Events until ctx ends, and returns nil.
func (r *Recorder) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.queue:
			r.deliver(ctx, e)
		}
	}
}

// deliver sends an Event or gives it up: an Event is worth a few attempts, not a queue that stands
// still.
func (r *Recorder) deliver(ctx context.Context, e Event) {
	now := time.Now()
	if !r.recent.allow(e.object(), now) {
		r.count("limited")
		return
	}
	err, pause := r.send(ctx, e, now), kube.NewPause()
	for range eventAttempts - 1 {
		if err == nil || kube.OfObject(err) {
			break
		}
		pause.Wait(ctx, err)
		err = r.send(ctx, e, now)
	}
	if err != nil {
		r.count("failed")
	}
	if kube.OfObject(err) { // the server works, and who owns the namespace knows why it takes no Event
		err = nil
	}
	r.report(ctx, e.namespace(), err)
}

// send writes the Event, or counts it up when it was sent lately and still exists.
func (r *Recorder) send(ctx context.Context, e Event, now time.Time) error {
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

func (r *Recorder) repeat(ctx context.Context, e Event, s sentEvent, now time.Time) error {
	s.count++
	err := r.patch(ctx, e, s.name, map[string]any{"count": s.count, "lastTimestamp": metav1.NewTime(now)})
	if err != nil {
		return fmt.Errorf("count event %s: %w", s.name, err)
	}
	r.recent.remember(e, s, now)
	r.count("repeated")
	return nil
}

// renew shows that an Event that is there, perhaps by another speaker, is reported again.
func (r *Recorder) renew(ctx context.Context, e Event, name string, now time.Time) error {
	err := r.patch(ctx, e, name, map[string]any{"message": clip(e.Message), "lastTimestamp": metav1.NewTime(now)})
	if err != nil {
		return fmt.Errorf("renew event %s: %w", name, err)
	}
	r.count("known")
	return nil
}

func (r *Recorder) patch(ctx context.Context, e Event, name string, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("render event %s: %w", name, err)
	}
	return r.client.Core.Patch(types.MergePatchType).Namespace(e.namespace()).Resource("events").Name(name).
		Body(body).MaxRetries(0).Do(ctx).Error()
}

func (r *Recorder) create(ctx context.Context, e Event, now time.Time) error {
	o := r.object(e, now)
	err := r.client.Core.Post().Namespace(o.Namespace).Resource("events").Body(o).MaxRetries(0).Do(ctx).Error()
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

func (r *Recorder) object(e Event, now time.Time) *corev1.Event {
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	at := metav1.NewTime(now)
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: e.namespace(), Name: e.name(now), Annotations: e.annotations()},
		InvolvedObject: e.object(),
		Type:           kind, Reason: e.Reason, Message: clip(e.Message), Count: 1, FirstTimestamp: at, LastTimestamp: at,
		Source:              corev1.EventSource{Component: Component, Host: r.node},
		ReportingController: Component, ReportingInstance: r.node,
	}
}

// ConditionAnnotation names, on an Event, the code of the condition that it tells.
const ConditionAnnotation = "starling-lb.io/condition"

func (e Event) annotations() map[string]string {
	if e.Code == "" {
		return nil
	}
	return map[string]string{ConditionAnnotation: string(e.Code)}
}

// clip keeps to the API's limit of 1024 bytes for a message.
func clip(s string) string {
	const most = 1024
	if len(s) <= most {
		return s
	}
	return s[:most-3] + "..."
}
