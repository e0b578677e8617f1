package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// makeUp has so many members appear in the gossip that say they are fit.
func (m *model) makeUp(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	like := m.speakers["n1"].meta
	for i := range n {
		like.MACs = []string{fmt.Sprintf("02:00:00:00:ee:%02x", i%256)}
		m.made = append(m.made, mesh.Member{
			Name: fmt.Sprintf("x%d", i), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 9, byte(i)}), 7927), State: mesh.Alive, Since: time.Now(), Meta: like,
		})
	}
	m.gossip()
}

// TestMadeUpMembers: whoever has the gossip key and makes members up gets no address, should gossip
// take them in.
func TestMadeUpMembers(t *testing.T) {
	lab(t, func(m *model) {
		answered := func() map[string]string {
			r := map[string]string{}
			for _, name := range []string{"a", "b", "c", "d"} {
				r[name] = m.one(m.bound(name))
			}
			return r
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			m.create(name, nil, "n1", "n2", "n3")
		}
		before := answered()
		m.makeUp(500)
		m.pass(5 * time.Second)
		if diff := cmp.Diff(before, answered()); diff != "" || len(before) != 4 {
			t.Errorf("answered by (-before +after):\n%s", diff)
		}
		if got := len(m.view().Members); got != 3 {
			t.Errorf("%d members", got)
		}
	}, tenAddresses)
}

func TestAdmitted(t *testing.T) {
	t.Parallel()
	members := []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n2", State: mesh.Dead}, {Name: "n3", State: mesh.Alive}, {Name: "n4", State: mesh.Dead}}
	nodes := func(names ...string) (r []watcher.Node) {
		for _, n := range names {
			r = append(r, watcher.Node{Name: n})
		}
		return r
	}
	for _, tt := range []struct {
		name  string
		nodes []watcher.Node
		in    []string
	}{
		{"no Node is known yet", nil, []string{"n1", "n2", "n3", "n4"}},
		{"all are", nodes("n1", "n2", "n3", "n4"), []string{"n1", "n2", "n3", "n4"}},
		{"two are not", nodes("n1", "n2"), []string{"n1", "n2"}},
		{"not this one", nodes("n2", "n3"), []string{"n1", "n2", "n3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, m := range admitted(members, tt.nodes, "n1") {
				got = append(got, m.Name)
			}
			if diff := cmp.Diff(tt.in, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
