package watcher

import (
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// clientDecoding is the cause by which client-go marks an event that it could not read to its end.
const clientDecoding = metav1.CauseType("ClientWatchDecoding")

// A tap passes the events of a watch on, notes that the API server was heard, and keeps the
// stream's proof. A connection that breaks reaches us as an error event, for which the reflector
// would list everything again; the tap ends the watch instead, so that it is resumed. Not when it
// has passed nothing: then the position itself may be what cannot be read.
type tap struct {
	source watch.Interface
	stream *stream
	asked  time.Duration // how long the watch is to last; 0 unknown
	after  uint64        // the position, if the watch began before it: see proof
	begun  time.Time
	result chan watch.Event
	done   chan struct{}
	stop   sync.Once
}

func newTap(source watch.Interface, s *stream, asked time.Duration, after uint64) *tap {
	t := &tap{
		source: source, stream: s, asked: asked, after: after, begun: time.Now(),
		result: make(chan watch.Event), done: make(chan struct{}),
	}
	if s.main {
		s.health.watching(+1)
	}
	s.health.heard()
	go t.run()
	return t
}

// ResultChan implements watch.Interface.
func (t *tap) ResultChan() <-chan watch.Event { return t.result }

// Stop implements watch.Interface.
func (t *tap) Stop() {
	t.stop.Do(func() {
		close(t.done)
		t.source.Stop()
		if t.stream.main {
			t.stream.health.watching(-1)
		}
	})
}

func (t *tap) run() {
	defer t.Stop()
	defer close(t.result)
	defer func() { t.stream.proof.stopped(t.asked > 0 && time.Since(t.begun) > t.asked-onTime) }()
	passed := false
	for e := range t.source.ResultChan() {
		if e.Type == watch.Error && passed && broken(e) {
			return
		}
		t.stream.health.heard()
		if t.known(&e) {
			continue
		}
		select {
		case t.result <- e:
			passed = true
			t.stream.proof.passed(e.Type, e.Object)
		case <-t.done:
			return
		}
	}
}

// known takes care of what comes up to the position of a watch that began before it. A bookmark
// says nothing new. A change makes the histories differ, as far as we can know, and becomes an
// error, for which the reflector lists anew.
func (t *tap) known(e *watch.Event) (skip bool) {
	if t.after == 0 || e.Type == watch.Error || versionNumber(e.Object) > t.after {
		return false
	}
	if e.Type == watch.Bookmark {
		return true
	}
	status := apierrors.NewResourceExpired(t.stream.resource + ": a change that was not known").Status()
	*e = watch.Event{Type: watch.Error, Object: &status}
	return false
}

func broken(e watch.Event) bool {
	status, ok := e.Object.(*metav1.Status)
	if !ok || status.Details == nil {
		return false
	}
	for _, c := range status.Details.Causes {
		if c.Type == clientDecoding {
			return true
		}
	}
	return false
}
