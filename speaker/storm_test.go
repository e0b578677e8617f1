package speaker

import (
	"fmt"
	"testing"
	"time"
)

// TestNoStormWhenTheAPIReturns: addresses move while the API server is away, and when it is back
// nothing is written to Services, and each move is reported once. The API server of the model takes
// events also while it is away: that they are kept back meanwhile, and how many, is the watcher's
// business and tested there.
func TestNoStormWhenTheAPIReturns(t *testing.T) {
	lab(t, func(m *model) {
		const count = 20
		for i := range count {
			m.create(fmt.Sprint("web", i), nil, "n1", "n2", "n3")
			m.bound(fmt.Sprint("web", i))
		}
		m.pass(time.Minute)
		all := []string{"n1", "n2", "n3"}
		counted := func() (writes, assigned int) {
			told := len(m.told(NodeAssigned))
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.writes, told
		}
		writes, assigned := counted()
		contact := func(since func() time.Time) {
			for _, n := range all {
				m.set(n, func(b *node) { b.silent = since() })
				m.pass(700 * time.Millisecond)
			}
		}
		contact(time.Now)
		m.freeze("n2")
		m.pass(2 * time.Minute)
		m.thaw("n2")
		m.pass(time.Minute)
		_, moved := counted()
		if moved -= assigned; moved == 0 || moved > 2*count {
			t.Fatalf("%d moves told while n2 was away and came back", moved)
		}
		contact(func() time.Time { return time.Time{} })
		m.pass(5 * time.Minute)
		after, told := counted()
		if after != writes || told != assigned+moved {
			t.Errorf("%d writes, and %d more moves told when the API server was back", after-writes, told-assigned-moved)
		}
	}, "default=198.18.64.1-198.18.64.30")
}
