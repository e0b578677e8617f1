package watcher

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// A namespace is what is kept of a Namespace.
type namespace struct {
	name   string
	labels map[string]string // never nil
}

// readNamespace is the conversion of the stream.
func readNamespace(o any) (Key, namespace, bool) {
	ns, ok := o.(*corev1.Namespace)
	if !ok {
		return Key{}, namespace{}, false
	}
	n := namespace{name: intern(ns.Name), labels: internKeys(ns.Labels)}
	if n.labels == nil {
		n.labels = map[string]string{}
	}
	return Key{Name: n.name}, n, true
}

// A namespaceSet holds the labels of all Namespaces. They decide about leases alone, and none of
// those is decided from a snapshot file; so they are not in it, and who asks too early for a
// Namespace learns that it is not known yet.
type namespaceSet struct {
	changeCounter

	labels map[string]map[string]string
	shared bool // labels was handed out: copy before the next write
}

func newNamespaceSet(changed func()) *namespaceSet {
	return &namespaceSet{changeCounter: changeCounter{changed: changed}, labels: map[string]map[string]string{}}
}

var _ sink[namespace] = (*namespaceSet)(nil)

// put ignores changes of anything but labels.
func (s *namespaceSet) put(_ string, n namespace) {
	s.update(func() bool {
		if old, ok := s.labels[n.name]; ok && maps.Equal(old, n.labels) {
			return false
		}
		s.own()[n.name] = n.labels
		return true
	})
}

func (s *namespaceSet) remove(_ string, k Key) {
	s.update(func() bool {
		_, had := s.labels[k.Name]
		if had {
			delete(s.own(), k.Name)
		}
		return had
	})
}

func (s *namespaceSet) replace(_ string, all []namespace) {
	next := make(map[string]map[string]string, len(all))
	for _, n := range all {
		next[n.name] = n.labels
	}
	s.update(func() bool {
		if maps.EqualFunc(s.labels, next, maps.Equal) {
			return false
		}
		s.labels, s.shared = next, false
		return true
	})
}

func (s *namespaceSet) position(string) {}

// own returns the map for writing.
func (s *namespaceSet) own() map[string]map[string]string {
	if s.shared {
		s.labels, s.shared = maps.Clone(s.labels), false
	}
	return s.labels
}

// snapshot returns the labels of all Namespaces, and a number that differs when they do; the map is
// never written to again.
func (s *namespaceSet) snapshot() (map[string]map[string]string, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = true
	return s.labels, s.edits
}
