package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/watcher"
)

// TestUnknownAnnotationIsReported: once for each edit, by one node, and not again because something
// else of the Service changes; also for a Service that holds an address by then.
func TestUnknownAnnotationIsReported(t *testing.T) {
	lab(t, func(m *model) {
		note := func(s *watcher.Service, key string) {
			s.Annotations = slices.DeleteFunc(slices.Clone(s.Annotations), func(a [2]string) bool { return a[1] == "lab" })
			if key != "" {
				s.Annotations = append(s.Annotations, [2]string{key, "lab"})
				slices.SortFunc(s.Annotations, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
			}
		}
		m.create("web", func(s *watcher.Service) { note(s, "starling-lb.io/adress-pool") }, "n1", "n2", "n3")
		m.bound("web")
		m.pass(5 * time.Second)
		m.edit("web", func(s *watcher.Service) { s.Ports = []string{"TCP/81"} })
		m.pass(5 * time.Second)
		first := "web: unknown annotation starling-lb.io/adress-pool; did you mean starling-lb.io/address-pool?"
		if diff := cmp.Diff([]string{first}, m.told("UnknownAnnotation")); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.edit("web", func(s *watcher.Service) { note(s, "") })
		m.pass(time.Second)
		m.edit("web", func(s *watcher.Service) { note(s, "starling-lb.io/loadBalancerIP") })
		m.pass(time.Second)
		m.edit("web", func(s *watcher.Service) { note(s, "starling-lb.io/adress-pool") })
		m.pass(time.Second)
		second := "web: unknown annotation starling-lb.io/loadBalancerIP; did you mean starling-lb.io/loadBalancerIPs?"
		if diff := cmp.Diff([]string{first, second, first}, m.told("UnknownAnnotation")); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.remove("web")
		m.pass(11 * time.Minute)
		for n, b := range m.speakers {
			if kept := b.speaker.unknown; len(kept) > 0 {
				t.Errorf("%s remembers %v", n, kept)
			}
		}
		m.create("web", func(s *watcher.Service) { note(s, "starling-lb.io/adress-pool") }, "n1", "n2", "n3")
		m.pass(5 * time.Second)
		if diff := cmp.Diff([]string{first, second, first, first}, m.told("UnknownAnnotation")); diff != "" {
			t.Errorf("events after it was made again (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}
