package mesh

import (
	"time"

	"github.com/hashicorp/memberlist"
)

// Ping is the last probe of a member that it answered by UDP.
type Ping struct {
	RoundTrip time.Duration
	Seen      time.Time // When the answer came.
}

// pings are what memberlist calls after each probe that was answered by UDP,
// some times a second whatever the number of members. Nobody is woken by it, it
// is for those who ask, unless it disproves a condition.
type pings struct{ m *Mesh }

var _ memberlist.PingDelegate = pings{}

// AckPayload adds nothing to answers.
func (pings) AckPayload() []byte { return nil }

// NotifyPingComplete notes the round trip.
func (p pings) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	now := time.Now()
	p.m.table.pinged(n.Name, Ping{RoundTrip: rtt, Seen: now})
	p.m.ended(p.m.conditions.answered(n.Name, addrOf(n).Addr().String(), now))
}

func (t *table) pinged(name string, p Ping) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, known := t.find(name); known {
		t.members[i].ping = p
	}
}

// Pings returns the last answered probe of each member by name; members that
// have not answered one yet are left out, as is this node, which nobody asks.
func (m *Mesh) Pings() map[string]Ping {
	m.table.mu.Lock()
	defer m.table.mu.Unlock()
	out := make(map[string]Ping, len(m.table.members))
	for i := range m.table.members {
		if e := &m.table.members[i]; !e.ping.Seen.IsZero() {
			out[e.Name] = e.ping
		}
	}
	return out
}
