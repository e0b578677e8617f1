package mesh

import (
	"testing"
	"time"
)

func TestPings(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(3)
		time.Sleep(5 * time.Second)
		got := nodes[0].Pings()
		if _, self := got["n1"]; self || len(got) != 2 {
			t.Fatalf("pings %v, want those of n2 and n3", got)
		}
		for name, p := range got {
			if p.RoundTrip < 400*time.Microsecond || p.RoundTrip > 2*time.Millisecond {
				t.Errorf("%s takes %s over a network of 0.2 to 0.5 ms each way", name, p.RoundTrip)
			}
			if age := time.Since(p.Seen); age > time.Second {
				t.Errorf("%s was seen %s ago", name, age)
			}
		}
		died := time.Now()
		w.net.cut(nodes[1].at.Addr(), nodes[0].at.Addr())
		w.net.cut(nodes[1].at.Addr(), nodes[2].at.Addr())
		time.Sleep(5 * time.Second)
		if seen := nodes[0].Pings()["n2"].Seen; seen.After(died.Add(time.Millisecond)) {
			t.Errorf("a member that was cut off was seen %s later", seen.Sub(died))
		}
	})
}

func TestPingsOfNobody(t *testing.T) {
	tab := newTable("n1", addrNo(1), nil, time.Now())
	tab.pinged("n2", Ping{RoundTrip: time.Second, Seen: time.Now()})
	if len(tab.members) != 1 {
		t.Errorf("a probe made a member: %v", tab.members)
	}
}
