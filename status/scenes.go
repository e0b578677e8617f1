package status

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

const (
	sceneAge = 250 * time.Millisecond // a scene serves everybody for so long
	sceneMax = 5 * time.Second        // and at most so long when nothing changes, since what is recent does not stay so
)

// scenes makes the scene that everybody is shown, for many at once, so that a hundred who watch
// cost little more than one. Nothing is made when nobody asks.
type scenes struct {
	snapshot func() api.Snapshot
	views    *views

	mu    sync.Mutex // guards all following fields
	index *page.Index
	made  time.Time
}

// now is the scene of this moment, and the same one as before when nothing has changed.
func (s *scenes) now(ctx context.Context) *page.Index {
	views := s.views.now(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.index != nil && now.Sub(s.made) < sceneAge {
		return s.index
	}
	s.made = now
	scene := page.Scene{Snapshot: s.snapshot(), Views: views, At: now}
	if s.index == nil || now.Sub(s.index.At) > sceneMax || !alike(s.index.Scene, scene) {
		s.index = page.NewIndex(scene)
	}
	return s.index
}

// alike reports whether two scenes show the same, whenever they were made.
func alike(a, b page.Scene) bool {
	a.At, a.Snapshot.At = b.At, b.Snapshot.At
	return reflect.DeepEqual(a, b)
}
