package attack

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

const (
	memoryMost = 150 << 10       // KiB that an attacked speaker may have in memory.
	floodTime  = 5 * time.Second // How long a flood lasts at least.
)

// TestPorts floods the open ports of one speaker, at the rates that once killed it and at four
// times them. It stays alive and small, other nodes and kubelet get its readiness, no question for
// its addresses goes unanswered, and a speaker that begins meanwhile joins by it.
func TestPorts(t *testing.T) {
	target := shared.Nodes[0]
	from, label := sources(t), clusterLabel(t)
	for _, tt := range []struct {
		name, refused string
		begin         func(t *testing.T, times int) *flood
	}{
		{"128 streams of 19 MB, 50 MB/s", "starling_mesh_rejected_total", func(t *testing.T, times int) *flood {
			return streams(t, from, target, label, 128*times, 50<<20*times)
		}},
		{"20000 idle connections", "starling_status_refused_total", func(t *testing.T, times int) *flood {
			return crowd(t, from, target, "/healthz", 4000*times)
		}},
		{"2000 clients that do not read", "starling_status_refused_total", func(t *testing.T, times int) *flood {
			return crowd(t, from, target, "/api/v1/status", 400*times)
		}},
	} {
		for _, times := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s, times %d", tt.name, times), func(t *testing.T) {
				calm(t)
				besiege(t, target, tt.refused, func() *flood { return tt.begin(t, times) })
			})
		}
	}
}

// besiege runs one flood.
func besiege(t *testing.T, n *cluster.Node, refused string, begin func() *flood) {
	t.Helper()
	owned := ownedBy(t, n)
	idle := ask(t, owned, nil)
	<-time.After(time.Second) // To know what is lost in peace.
	before := idle.finish()
	m := watchMemory(t, n)
	was, moved := count(t, n, refused), moves(t)

	questions, probes := ask(t, owned, nil), readiness(t, n)
	f := begin()
	begun := time.Now()
	again(t, witness())
	until(t, 20*time.Second, "a speaker that joins meanwhile", joined)
	joinedAfter := time.Since(begun).Round(time.Millisecond)
	failed := count(t, witness(), "starling_mesh_joins_failed_total")
	<-time.After(time.Until(begun.Add(floodTime))) // As long as the attack is to last.
	took := time.Since(begun)
	f.end()
	probed, during := probes.finish(), questions.finish()

	t.Logf("%d connections and %d MB in %v; at most %d MB of memory; %s (in peace %d); %s; a new speaker was seen by all after %v",
		f.opened.Load(), f.bytes.Load()>>20, took.Round(100*time.Millisecond), m.peak(t)>>10, during, before.lost, probed, joinedAfter)
	if peak := m.peak(t); peak > memoryMost {
		t.Errorf("the speaker had %d MB in memory", peak>>10)
	}
	if !slices.Equal(pids(t, n), []int{m.pid}) {
		t.Errorf("the speaker is another process now: %v was %d", pids(t, n), m.pid)
	}
	if during.lost > before.lost {
		t.Errorf("%s", during)
	}
	if probed.failed > 0 {
		t.Errorf("%s", probed)
	}
	if failed > 0 {
		t.Errorf("the new speaker failed %d times to exchange states", failed)
	}
	if got := moves(t) - moved; got > 0 {
		t.Errorf("%d moves", got)
	}
	if count(t, n, refused) == was {
		t.Errorf("nothing was refused: %s", refused)
	}
}
