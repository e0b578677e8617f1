package speaker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/watcher"
)

// overlapMost is how long two nodes may answer while an address moves because its Service was
// edited.
const overlapMost = 20 * time.Millisecond

// TestBetweenClusterAndLocal: where the edit of externalTrafficPolicy moves an address, the old
// node answers until it has heard the new one, so that it is never nobody's, and no longer.
func TestBetweenClusterAndLocal(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top := m.one(ip)
		for _, on := range m.others(top) {
			m.serve("web", on)
			m.one(ip)
			for i, local := range []bool{true, false, true, false} {
				want := top
				if local {
					want = on
				}
				gap, double := m.during(ip, func() {
					m.edit("web", func(s *watcher.Service) { s.Local = local })
					m.answered(ip, want)
					m.pass(5 * time.Second)
				})
				if got := m.owners(ip); !slices.Equal(got, []string{want}) {
					t.Fatalf("edit %d: %s answer, want %s", i, fmt.Sprint(got), want)
				}
				if gap > 0 || double > overlapMost {
					t.Errorf("edit %d, endpoint on %s: nobody for %s, two for %s", i, on, gap, double)
				}
			}
		}
	}, tenAddresses)
}
