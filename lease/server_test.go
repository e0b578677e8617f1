package lease

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	errConflict = errors.New("conflict")
	errGone     = errors.New("gone")
)

// server is an API server as far as leases go: one total order of revisions, optimistic
// concurrency, and the one rule about types, that status.loadBalancer is wiped when a Service is no
// load balancer.
type server struct {
	services map[Key]Service
	revision int
	created  int
	careless bool // takes writes of any version, as those who read and retry do
	writes   int
}

func newServer() *server { return &server{services: make(map[Key]Service)} }

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// create enters a Service: each is a second younger than the one before.
func (a *server) create(s Service) {
	a.created++
	s.UID = "uid-" + strconv.Itoa(a.created)
	s.Created = epoch.Add(time.Duration(a.created) * time.Second)
	a.put(s)
}

func (a *server) put(s Service) {
	if s.Type != typeLoadBalancer {
		s.Ingress = nil
	}
	a.revision++
	s.Version = strconv.Itoa(a.revision)
	a.services[s.Key()] = s
}

// edit changes a Service as users and other controllers do.
func (a *server) edit(k Key, change func(*Service)) {
	s := a.services[k]
	change(&s)
	a.put(s)
}

// write takes a step.
func (a *server) write(st Step) error {
	s, ok := a.services[st.Service]
	if !ok || s.UID != st.UID {
		return errGone
	}
	if s.Version != st.Version && !a.careless {
		return errConflict
	}
	a.writes++
	a.put(applyStep(s, st))
	return nil
}

// applyStep returns a Service as a step leaves it.
func applyStep(s Service, st Step) Service {
	for k, v := range st.Annotations {
		if s.annotate(k, v); v == "" {
			s.strip(k)
		}
	}
	if st.SetIngress {
		s.Ingress, s.Writer = slices.Clone(st.Ingress), ""
	}
	return s
}

// annotate sets an annotation, and leaves the list alone that other revisions of the Service share.
func (s *Service) annotate(name, value string) {
	s.strip(name)
	s.Annotations = append(s.Annotations, [2]string{name, value})
	slices.SortFunc(s.Annotations, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
}

// strip takes an annotation away.
func (s *Service) strip(name string) {
	s.Annotations = slices.DeleteFunc(slices.Clone(s.Annotations), func(a [2]string) bool { return a[0] == name })
}

// refs are Services as tables take them.
func refs(all ...Service) []*Service {
	out := make([]*Service, len(all))
	for i, s := range all {
		out[i] = &s
	}
	return out
}

// list returns all Services, sorted.
func (a *server) list() []Service {
	return slices.SortedFunc(maps.Values(a.services), func(x, y Service) int {
		return compareKeys(x.Key(), y.Key())
	})
}

func compareKeys(a, b Key) int {
	if a.Namespace != b.Namespace {
		return slices.Compare([]byte(a.Namespace), []byte(b.Namespace))
	}
	return slices.Compare([]byte(a.Name), []byte(b.Name))
}
