package status

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// However many watch, a scene is made once, and what does not change is not made again.
func TestScenes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		owner, taken := "n1", 0
		snapshot := func() api.Snapshot {
			taken++
			return api.Snapshot{Node: "n1", At: time.Now(), VIPs: []api.VIP{{IP: "198.18.64.1", Owner: owner}}}
		}
		s := &scenes{snapshot: snapshot, views: &views{snapshot: func() api.Snapshot { return api.Snapshot{} }, port: func() string { return "" }}}
		now := func() *page.Index { return s.now(t.Context()) }

		first := now()
		for range 100 {
			if now() != first {
				t.Fatal("another scene in the same moment")
			}
		}
		if taken != 1 {
			t.Errorf("%d snapshots for one moment", taken)
		}
		time.Sleep(sceneAge)
		if now() != first || taken != 2 {
			t.Errorf("another scene although nothing changed, or %d snapshots", taken)
		}
		owner = "n2"
		time.Sleep(sceneAge)
		second := now()
		if second == first || second.Snapshot.VIPs[0].Owner != "n2" {
			t.Error("a change is not seen")
		}
		time.Sleep(sceneMax + 1)
		if third := now(); third == second || !third.At.Equal(time.Now()) {
			t.Error("what was recent stays so forever")
		}
	})
}
