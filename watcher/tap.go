package watcher

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// clientDecoding is the cause by which client-go marks an event that it could not read to its end.
const clientDecoding = metav1.CauseType("ClientWatchDecoding")

// A tap passes the events of a watch on and notes that the API server was heard. A connection that breaks reaches us as
// an error event, for which the reflector would list everything again; the tap ends the watch instead, so that it is
// resumed. Not when it has passed nothing: then the position itself may be what cannot be read.
type tap struct {
	source watch.Interface
	stream *stream
	result chan watch.Event
	done   chan struct{}
	stop   sync.Once
}

func newTap(source watch.Interface, s *stream) *tap {
	t := &tap{source: source, stream: s, result: make(chan watch.Event), done: make(chan struct{})}
	if s.main {
		s.health.watching(+1)
	}
	s.health.reached()
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
	passed := false
	for e := range t.source.ResultChan() {
		if e.Type == watch.Error && passed && broken(e) {
			return
		}
		t.stream.health.heard()
		select {
		case t.result <- e:
			passed = true
		case <-t.done:
			return
		}
	}
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
