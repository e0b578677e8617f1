package apitest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// An id is an object's place in the store.
type id struct{ resource, namespace, name string }

func idOf(o Object) id { return id{kindOf(o).resource, o.GetNamespace(), o.GetName()} }

// A change is one step of the server's history.
type change struct {
	version uint64
	event   watch.EventType
	id      id
	object  Object // as of version; never written to again
	before  Object // nil when added
}

// A store is everything the server keeps. Its methods are called with the server's lock held.
// Objects in it are never written to; they are copied on their way in and out.
type store struct {
	version uint64
	made    int // objects ever created, for uids
	objects map[id]Object
	history []change
	floor   uint64 // changes up to here are compacted: unknown to watches
}

func newStore() *store { return &store{version: 1000, objects: map[id]Object{}} }

func (s *store) record(event watch.EventType, o Object) Object {
	s.version++
	o.SetResourceVersion(strconv.FormatUint(s.version, 10))
	at := idOf(o)
	s.history = append(s.history, change{s.version, event, at, o, s.objects[at]})
	if event == watch.Deleted {
		delete(s.objects, at)
	} else {
		s.objects[at] = o
	}
	return o
}

func (s *store) get(at id) (Object, error) {
	if o, ok := s.objects[at]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(resource(at), at.name)
}

func (s *store) create(in Object) (Object, error) {
	o := in.DeepCopyObject().(Object)
	if _, ok := s.objects[idOf(o)]; ok {
		return nil, apierrors.NewAlreadyExists(resource(idOf(o)), o.GetName())
	}
	s.made++
	o.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", s.made)))
	if at := o.GetCreationTimestamp(); at.IsZero() { // a real server does not ask; tests of age do
		o.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	}
	if svc, ok := o.(*corev1.Service); ok {
		svc.Status = corev1.ServiceStatus{}
	}
	return s.record(watch.Added, o), nil
}

// update stores a new state of an object, as PUT and PATCH do. sub is "" or "status".
func (s *store) update(in Object, sub string) (Object, error) {
	at := idOf(in)
	old, err := s.get(at)
	if err != nil {
		return nil, err
	}
	o := in.DeepCopyObject().(Object)
	if err := precondition(at, old, o.GetUID(), o.GetResourceVersion()); err != nil {
		return nil, err
	}
	keepMetadata(o, old)
	separateStatus(o, old, sub)
	if err := validate(at, o); err != nil {
		return nil, err
	}
	if equality.Semantic.DeepEqual(o, old) {
		return old, nil
	}
	if o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) == 0 {
		return s.record(watch.Deleted, o), nil
	}
	return s.record(watch.Modified, o), nil
}

func (s *store) delete(at id, uid types.UID, version string) (Object, error) {
	old, err := s.get(at)
	if err != nil {
		return nil, err
	}
	if err := precondition(at, old, uid, version); err != nil {
		return nil, err
	}
	o := old.DeepCopyObject().(Object)
	if len(o.GetFinalizers()) == 0 {
		return s.record(watch.Deleted, o), nil
	}
	if o.GetDeletionTimestamp() != nil {
		return old, nil
	}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	o.SetDeletionTimestamp(&now)
	return s.record(watch.Modified, o), nil
}

func precondition(at id, old Object, uid types.UID, version string) error {
	if uid != "" && uid != old.GetUID() {
		return apierrors.NewConflict(resource(at), at.name, fmt.Errorf("uid in precondition: %s, in object: %s", uid, old.GetUID()))
	}
	if version != "" && version != old.GetResourceVersion() {
		return apierrors.NewConflict(resource(at), at.name, errors.New("the object has been modified"))
	}
	return nil
}

// keepMetadata restores what no client can change.
func keepMetadata(o, old Object) {
	o.SetUID(old.GetUID())
	o.SetResourceVersion(old.GetResourceVersion())
	o.SetCreationTimestamp(old.GetCreationTimestamp())
	o.SetDeletionTimestamp(old.GetDeletionTimestamp())
}

// separateStatus keeps a Service's spec from writes of its status and the other way round, and
// clears what another type than LoadBalancer cannot have.
func separateStatus(o, old Object, sub string) {
	svc, ok := o.(*corev1.Service)
	if !ok {
		return
	}
	was := old.(*corev1.Service)
	if sub == "status" {
		svc.Spec = *was.Spec.DeepCopy()
		setIPMode(svc)
		return
	}
	svc.Status = *was.Status.DeepCopy()
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
		svc.Spec.LoadBalancerClass = nil
	}
}

func setIPMode(svc *corev1.Service) {
	vip := corev1.LoadBalancerIPModeVIP
	for i := range svc.Status.LoadBalancer.Ingress {
		if in := &svc.Status.LoadBalancer.Ingress[i]; in.IP != "" && in.IPMode == nil {
			in.IPMode = &vip
		}
	}
}

// all returns the objects of a resource in the given namespace ("" all), sorted by name.
func (s *store) all(resource, namespace string) []Object {
	var out []Object
	for at, o := range s.objects {
		if at.resource == resource && (namespace == "" || at.namespace == namespace) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return out
}

// since returns the changes after a version; false when some of them are compacted.
func (s *store) since(version uint64) ([]change, bool) {
	if version < s.floor {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(s.history, version+1, func(c change, v uint64) int { return cmp.Compare(c.version, v) })
	return s.history[i:], true
}
