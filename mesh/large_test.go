package mesh

import (
	"testing"
	"time"
)

// All speakers of a large cluster boot within a second.
func TestLargeMesh(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const members = 60
	inWorld(t, func(w *world) {
		begin := time.Now()
		nodes := w.cluster(members)
		t.Logf("%d members settled after %v", members, time.Since(begin))
		time.Sleep(10 * time.Second) // Rumours of the beginning have died down.

		sent := func() (n int) {
			w.net.do(func() { n = w.net.sent })
			return n
		}
		before := sent()
		time.Sleep(10 * time.Second)
		rate := (sent() - before) / members / 10
		t.Logf("%d bytes per second and member at rest", rate)
		if rate > 5000 {
			t.Errorf("%d bytes per second and member at rest, want at most 5000", rate)
		}
		for _, n := range nodes {
			if c := n.logs.count("member dead"); c > 0 {
				t.Errorf("%s saw %d deaths", n.cfg.Name, c)
			}
		}
		w.kill("n1")
		took := w.within(2*time.Second, "death seen by all", func() bool { return allSee(nodes[1:], "n1", Dead) })
		t.Log("death seen by all after", took)
	})
}
