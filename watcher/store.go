package watcher

import (
	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// A sink takes one resource's stream, in its order, from one goroutine.
type sink[V any] interface {
	put(version string, v V)
	remove(version string, k Key)
	replace(version string, all []V) // atomic: one step from what was there to this list
	position(version string)         // the stream got here without a change of ours
}

// A store is what a reflector writes into: it turns the API's objects into our own at once and
// hands them to its sink. No method returns an error, for the reflector would log it and drop the
// event.
type store[V any] struct {
	sink    sink[V]
	convert func(any) (Key, V, bool) // false: not an object of this kind
	log     zerolog.Logger
}

var (
	_ cache.ReflectorStore         = (*store[*Service])(nil)
	_ cache.ReflectorBookmarkStore = (*store[*Service])(nil)
	_ cache.TransformingStore      = (*store[*Service])(nil)
)

// kept stands in for an API object while the reflector collects a streamed list, which would
// otherwise hold every full object until the list is complete. It has the metadata that the
// reflector's own store looks at.
type kept[V any] struct {
	metav1.ObjectMeta
	key   Key
	value V
}

// Transformer converts the objects of a streamed list as they arrive.
func (s *store[V]) Transformer() cache.TransformFunc {
	return func(o any) (any, error) {
		k, v, ok := s.read(o)
		if !ok {
			return o, nil
		}
		meta := metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name, ResourceVersion: versionOf(o)}
		return &kept[V]{ObjectMeta: meta, key: k, value: v}, nil
	}
}

func (s *store[V]) read(o any) (Key, V, bool) {
	if k, ok := o.(*kept[V]); ok {
		return k.key, k.value, true
	}
	k, v, ok := s.convert(o)
	if !ok {
		s.log.Error().Type("type", o).Msg("unexpected object in the stream")
	}
	return k, v, ok
}

// Add implements cache.ReflectorStore.
func (s *store[V]) Add(o any) error { return s.Update(o) }

// Update implements cache.ReflectorStore.
func (s *store[V]) Update(o any) error {
	if _, v, ok := s.read(o); ok {
		s.sink.put(versionOf(o), v)
	}
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *store[V]) Delete(o any) error {
	if k, _, ok := s.read(o); ok {
		s.sink.remove(versionOf(o), k)
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *store[V]) Replace(list []any, version string) error {
	all := make([]V, 0, len(list))
	for _, o := range list {
		if _, v, ok := s.read(o); ok {
			all = append(all, v)
		}
	}
	s.sink.replace(version, all)
	return nil
}

// Bookmark implements cache.ReflectorBookmarkStore.
func (s *store[V]) Bookmark(version string) error {
	s.sink.position(version)
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to do.
func (s *store[V]) Resync() error { return nil }

// versionOf returns the resourceVersion of an object of the stream. A deletion carries the version
// of the deletion.
func versionOf(o any) string {
	if m, ok := o.(metav1.Object); ok {
		return m.GetResourceVersion()
	}
	return ""
}
