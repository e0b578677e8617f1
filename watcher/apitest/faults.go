package apitest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A Request is what a client asked for.
type Request struct {
	Verb        string // get, list, watch, create, update, patch, delete
	Resource    string // services
	Subresource string // "" or status
	Namespace   string
	Name        string
	Query       url.Values
	ContentType string // of the body
	Accept      string
	Body        []byte
	UserAgent   string
}

// String returns "watch services" or "patch services/status default/web".
func (r Request) String() string {
	s := r.Verb + " " + r.Resource
	if r.Subresource != "" {
		s += "/" + r.Subresource
	}
	if r.Name != "" {
		s += " " + r.Namespace + "/" + r.Name
	}
	return s
}

type faults struct {
	before      func(*http.Request, Request) error
	epoch       int             // watches of an earlier epoch end
	torn        bool            // and end in the middle of an event
	cutAfter    int             // watches end after that many events
	held        map[string]bool // resources whose watches stand still
	noWatchList bool
	bookmarks   time.Duration
}

// Before sets a function that sees every request first: it may block, until the request's context
// ends at the latest, and refuse with an error of k8s.io/apimachinery/pkg/api/errors. nil removes
// it.
func (s *Server) Before(f func(*http.Request, Request) error) {
	s.fault(func(fs *faults) { fs.before = f })
}

// Forbid refuses requests by RBAC: each of denied is "verb resource" or "verb
// resource/subresource". None allows all.
func (s *Server) Forbid(denied ...string) {
	s.Before(func(_ *http.Request, r Request) error {
		what := r.Resource
		if r.Subresource != "" {
			what += "/" + r.Subresource
		}
		if !slices.Contains(denied, r.Verb+" "+what) {
			return nil
		}
		return apierrors.NewForbidden(schema.GroupResource{Resource: what}, r.Name,
			fmt.Errorf("User %q cannot %s resource %q", "system:serviceaccount:starling-system:starling", r.Verb, what))
	})
}

// Cut ends all open watches, as the server does with old ones.
func (s *Server) Cut() {
	s.fault(func(fs *faults) { fs.epoch, fs.torn = fs.epoch+1, false })
}

// Tear breaks the connections of all open watches in the middle of an event.
func (s *Server) Tear() {
	s.fault(func(fs *faults) { fs.epoch, fs.torn = fs.epoch+1, true })
}

// CutAfter ends every watch after n events; 0 lets them live.
func (s *Server) CutAfter(n int) {
	s.fault(func(fs *faults) { fs.cutAfter = n })
}

// Hold lets watches of a resource stand still, with a lag that grows until Release.
func (s *Server) Hold(resource string) {
	s.fault(func(fs *faults) {
		fs.held = maps.Clone(fs.held)
		if fs.held == nil {
			fs.held = map[string]bool{}
		}
		fs.held[resource] = true
	})
}

// Release ends Hold.
func (s *Server) Release(resource string) {
	s.fault(func(fs *faults) {
		fs.held = maps.Clone(fs.held)
		delete(fs.held, resource)
	})
}

// NoWatchList makes the server one that does not know streamed lists, as those before 1.32 are.
func (s *Server) NoWatchList() {
	s.fault(func(fs *faults) { fs.noWatchList = true })
}

// Bookmarks sets how often watches get one; a minute is what a real server does.
func (s *Server) Bookmarks(every time.Duration) {
	s.fault(func(fs *faults) { fs.bookmarks = every })
}

func (s *Server) fault(f func(*faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.faults)
	s.changed()
}

// Expire compacts the history: watches that resume at a version before now get 410.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.floor = s.store.version
}

// A Backup is a state of the server.
type Backup struct {
	version uint64
	objects map[id]Object
}

// Backup returns the present state.
func (s *Server) Backup() Backup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Backup{s.store.version, maps.Clone(s.store.objects)}
}

// Restore sets the server back to an earlier state, versions included, and ends all watches. What
// is written from then on has versions that others had before: see WritePast.
func (s *Server) Restore(b Backup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = &store{version: b.version, floor: b.version, made: s.store.made, objects: maps.Clone(b.objects)}
	s.faults.epoch, s.faults.torn = s.faults.epoch+1, false
	s.changed()
}

// WritePast writes what concerns nobody until the version is beyond the given one, so that it says
// nothing any more about whether the server was restored.
func (s *Server) WritePast(version uint64) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "writer"}}
	if _, there := Get(s, pod); !there {
		s.Create(pod)
	}
	for s.Version() <= version {
		Edit(s, pod, "", func(p *corev1.Pod) { p.Labels = map[string]string{"at": strconv.FormatUint(s.store.version, 10)} })
	}
}
