package watcher

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// undecodable is how client-go reports a watch that broke off.
func undecodable() watch.Event {
	return watch.Event{Type: watch.Error, Object: apierrors.NewClientErrorReporter(500, "GET", "ClientWatchDecoding").AsObject(apierrors.NewInternalError(errFake))}
}

func TestTap(t *testing.T) {
	added := watch.Event{Type: watch.Added, Object: &corev1.Service{}}
	gone := watch.Event{Type: watch.Error, Object: &metav1.Status{Code: 410, Reason: metav1.StatusReasonExpired}}
	tests := []struct {
		name string
		in   []watch.Event
		want []watch.EventType
	}{
		{"events", []watch.Event{added, added}, []watch.EventType{watch.Added, watch.Added}},
		{"none", nil, nil},
		{"broken off", []watch.Event{added, undecodable()}, []watch.EventType{watch.Added}},
		{"broken from the start", []watch.Event{undecodable()}, []watch.EventType{watch.Error}},
		{"expired", []watch.Event{added, gone}, []watch.EventType{watch.Added, watch.Error}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newAPIHealth("h", zerolog.Nop(), func() {})
			source := watch.NewFake()
			tap := newTap(source, &stream{main: true, health: h}, 0, 0)
			if h.lastContact().IsZero() || h.open != 1 {
				t.Error("an open watch is no contact")
			}
			go func() {
				for _, e := range tt.in {
					source.Action(e.Type, e.Object)
				}
				source.Stop()
			}()
			var got []watch.EventType
			for e := range tap.ResultChan() {
				got = append(got, e.Type)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			tap.Stop()
			tap.Stop()
			if h.open != 0 {
				t.Errorf("%d watches open", h.open)
			}
		})
	}
}

// TestTapStopped: one that is stopped while it holds an event lets go of it, and of its source.
func TestTapStopped(t *testing.T) {
	source := watch.NewFake()
	tap := newTap(source, &stream{health: newAPIHealth("h", zerolog.Nop(), func() {})}, 0, 0)
	source.Add(&corev1.Service{}) // taken by the tap, which nobody reads
	tap.Stop()
	select {
	case _, open := <-tap.ResultChan():
		for open {
			_, open = <-tap.ResultChan()
		}
	case <-time.After(patience):
		t.Error("the tap does not end")
	}
	if !source.IsStopped() {
		t.Error("the source goes on")
	}
}
