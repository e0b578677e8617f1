package apitest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// A Server is the API server. Its zero value is not usable: see New and Start.
type Server struct {
	codecs serializer.CodecFactory

	mu       sync.Mutex // guards all following fields
	store    *store
	faults   faults
	requests []Request
	pages    map[string]page
	wake     chan struct{} // closed and replaced at every change of store and faults

	serving  *http.Server
	listener net.Listener
	address  string // of the listener, kept over a restart
}

// New returns a server that holds the Namespace kube-system and is not listening. It is an
// http.Handler.
func New() *Server {
	s := &Server{codecs: codecs(), store: newStore(), pages: map[string]page{}, wake: make(chan struct{})}
	s.faults.bookmarks = time.Minute
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}})
	return s
}

// Start returns a server that listens on a port of 127.0.0.1 until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Listen starts, or after Stop restarts, serving on 127.0.0.1; the port stays the same.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	s.address = l.Addr().String()
	s.serve(l)
	return nil
}

// ListenPipe serves connections in memory, for tests in virtual time. The configuration leads to
// this server alone.
func (s *Server) ListenPipe() *rest.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := newPipeListener()
	s.serve(l)
	return &rest.Config{Host: "http://apitest", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }}
}

func (s *Server) serve(l net.Listener) {
	srv := &http.Server{Handler: s}
	s.serving, s.listener = srv, l
	go func() { _ = srv.Serve(l) }() // ends with Stop
}

// Stop closes the listener and all connections. The objects stay.
func (s *Server) Stop() {
	s.mu.Lock()
	srv := s.serving
	s.serving = nil
	s.mu.Unlock()
	if srv != nil {
		srv.Close()
	}
}

// Config returns how to reach a server that listens.
func (s *Server) Config() *rest.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &rest.Config{Host: "http://" + s.address}
}

// changed wakes all watches; it is called with the lock held.
func (s *Server) changed() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// Create stores an object as a client's create would, and returns it as stored. It panics on an
// error, as do Update and Delete: tests use them for what must work.
func (s *Server) Create(o Object) Object {
	return s.must(func() (Object, error) { return s.store.create(o) })
}

// Update stores a new state of an object except its status. Its uid and resourceVersion, where set,
// must be current.
func (s *Server) Update(o Object) Object {
	return s.must(func() (Object, error) { return s.store.update(o, "") })
}

// UpdateStatus stores metadata and status of an object.
func (s *Server) UpdateStatus(o Object) Object {
	return s.must(func() (Object, error) { return s.store.update(o, "status") })
}

// Delete removes an object, or marks it when it has finalizers. Only namespace and name of o
// matter.
func (s *Server) Delete(o Object) Object {
	return s.must(func() (Object, error) { return s.store.delete(idOf(o), "", "") })
}

// Edit changes an object, its status or the rest, by a function and returns the result.
func Edit[T Object](s *Server, o T, sub string, edit func(T)) T {
	return s.must(func() (Object, error) {
		old, err := s.store.get(idOf(o))
		if err != nil {
			return nil, err
		}
		next := old.DeepCopyObject().(T)
		edit(next)
		return s.store.update(next, sub)
	}).(T)
}

func (s *Server) must(f func() (Object, error)) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := f()
	if err != nil {
		panic(fmt.Sprintf("apitest: %v", err))
	}
	s.changed()
	return o.DeepCopyObject().(Object)
}

// Get returns the stored object of o's kind, namespace and name.
func Get[T Object](s *Server, o T) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.store.objects[idOf(o)]
	if !ok {
		return o, false
	}
	return got.DeepCopyObject().(T), true
}

// All returns all objects of o's kind in its namespace, or everywhere when it has none, sorted by
// name.
func All[T Object](s *Server, o T) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []T
	for _, got := range s.store.all(kindOf(o).resource, o.GetNamespace()) {
		out = append(out, got.DeepCopyObject().(T))
	}
	return out
}

// Version returns the latest resourceVersion.
func (s *Server) Version() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.version
}

// ServicesAt returns the resourceVersion of every Service, by "namespace/name", as of an earlier
// version of the server.
func (s *Server) ServicesAt(version uint64) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for _, c := range s.store.history {
		if c.version > version {
			break
		}
		if c.id.resource != "services" {
			continue
		}
		key := c.id.namespace + "/" + c.id.name
		out[key] = c.object.GetResourceVersion()
		if c.event == "DELETED" {
			delete(out, key)
		}
	}
	return out
}

// Requests returns what was asked of the server so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}
