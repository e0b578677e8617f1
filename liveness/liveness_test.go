package liveness

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
)

// network is a mesh and a wire on which nobody replies.
type network struct {
	changed, replied chan struct{}

	mu      sync.Mutex // guards all following fields
	members []mesh.Member
	asked   []probe.Question
	tests   []forward.Question
	sent    []peers.Message
	got     []peers.Message
	replies []any
}

func (n *network) Members() []mesh.Member { n.mu.Lock(); defer n.mu.Unlock(); return n.members }
func (n *network) Send(m []peers.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, m...)
}
func (n *network) Changed() <-chan struct{} { return n.changed }
func (n *network) Replied() <-chan struct{} { return n.replied }

func (n *network) Replies() []any {
	n.mu.Lock()
	defer n.mu.Unlock()
	replies := n.replies
	n.replies = nil
	return replies
}

func (n *network) Messages() []peers.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	got := n.got
	n.got = nil
	return got
}

// wire sends probes where the mesh sends messages.
type wire struct{ *network }

func (w wire) Send(q []probe.Question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, q...)
}

func (w wire) Test(q []forward.Question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tests = append(w.tests, q...)
}

// gossip makes the members others.
func (n *network) gossip(members ...mesh.Member) {
	n.mu.Lock()
	n.members = members
	n.mu.Unlock()
	poke(n.changed)
}

// TestDeath: a peer that gossip declares dead is probed, and is dead when it does not reply,
// without anybody's help. Each change is said once.
func TestDeath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		segment := []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
		n := &network{changed: make(chan struct{}, 1), replied: make(chan struct{}, 1)}
		reg := prometheus.NewRegistry()
		l := New(Config{
			Peers: peers.Config{Self: "n1", Rhythms: probe.Standard()}, Mesh: n, Wire: wire{n}, Log: zerolog.Nop(), Registry: reg,
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		l.Step(peers.Self{Networks: segment, MACs: []string{"02:00:00:00:00:01"}})

		peer := mesh.Member{Name: "n2", State: mesh.Alive, Since: time.Now(), Meta: mesh.Meta{Ready: true, Segments: segment, MACs: []string{"02:00:00:00:00:02"}}}
		n.gossip(peer)
		state := func(want peers.State) {
			t.Helper()
			synctest.Wait()
			believed, _, _ := l.Believed()
			if len(believed.Peers) != 1 || believed.Peers[0].State != want {
				t.Fatalf("believes %+v, want %s", believed.Peers, want)
			}
		}
		state(peers.Alive)
		drain(l.Changed())

		n.mu.Lock()
		n.asked = nil
		n.mu.Unlock()
		peer.State, peer.Since = mesh.Dead, time.Now()
		n.gossip(peer)
		time.Sleep(time.Second)
		state(peers.Dead)
		if n.mu.Lock(); len(n.asked) == 0 {
			t.Error("nobody asked the wire")
		}
		n.mu.Unlock()
		if len(l.Changed()) != 1 {
			t.Error("the death woke nobody")
		}
		want := "# HELP starling_member_deaths_total Members that this speaker declared dead, by gossip and the wire together. Other nodes then announce their addresses.\n# TYPE starling_member_deaths_total counter\nstarling_member_deaths_total 1\n"
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "starling_member_deaths_total"); err != nil {
			t.Error(err)
		}
		stop()
		running.Wait()
	})
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// TestReturn: who wants to know of returns is given each, with the early end of a hold. Absences
// that end in a move are counted by what ended them.
func TestReturn(t *testing.T) {
	t.Parallel()
	var returns []peers.Return
	n := &network{}
	l := New(Config{Peers: peers.Config{Self: "n1", Rhythms: probe.Standard()}, Mesh: n, Wire: wire{n}, Log: zerolog.Nop(), Returned: func(r peers.Return) { returns = append(returns, r) }})
	l.note(peers.Note{Peer: "n1", What: peers.Returned}, peers.Return{})
	l.note(peers.Note{Peer: "n2", What: peers.Silent}, peers.Return{})
	l.note(peers.Note{Peer: "n1", What: peers.Released}, peers.Return{})
	if len(returns) != 2 {
		t.Errorf("%d returns, want 2", len(returns))
	}
	for _, what := range []peers.What{peers.Late, peers.Lost, peers.Late} {
		l.note(peers.Note{Peer: "n2", What: what}, peers.Return{})
	}
	if late, lost := testutil.ToFloat64(l.metrics.moved.WithLabelValues(late)), testutil.ToFloat64(l.metrics.moved.WithLabelValues(lost)); late != 2 || lost != 1 {
		t.Errorf("%v moves counted because a speaker was late and %v because its host was lost, want 2 and 1", late, lost)
	}
	if got := testutil.ToFloat64(l.metrics.silentHosts); got != 1 {
		t.Errorf("%v alarms counted, want 1", got)
	}
}

// TestReports: what the machine of package forward asks goes out by the wire, and what it finds to
// the node that is concerned; it is counted once, and ends.
func TestReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		segment := []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
		n := &network{changed: make(chan struct{}, 1), replied: make(chan struct{}, 1)}
		l := New(Config{Peers: peers.Config{Self: "n1", Rhythms: probe.Standard()}, Mesh: n, Wire: wire{n}, Log: zerolog.Nop()})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		for _, name := range []string{"n2", "n3"} {
			n.members = append(n.members, mesh.Member{Name: name, State: mesh.Alive, Since: time.Now(), Meta: mesh.Meta{Ready: true, Segments: segment}})
		}
		poke(n.changed)
		at := netip.MustParseAddrPort("198.18.64.1:80")
		l.Step(time.Now(), forward.World{Networks: segment, Ready: true, Places: []forward.Place{{At: at, Owner: "n2"}}, Nodes: []forward.Node{
			{Name: "n2", Networks: segment, MACs: []string{"n2"}, Ready: true}, {Name: "n3", Networks: segment, MACs: []string{"n3"}, Ready: true},
		}})
		answer := func(by string, lasts time.Duration) { // after 1 ms
			for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(time.Millisecond) {
				n.mu.Lock()
				for _, q := range n.tests {
					if strings.Contains(by, q.MAC) {
						n.replies = append(n.replies, forward.Reply{ID: q.ID})
						poke(n.replied)
					}
				}
				n.tests = nil
				n.mu.Unlock()
			}
		}
		answer("n2 n3", 5*time.Second)
		if len(n.sent) > 0 {
			t.Errorf("sent %+v though all answer", n.sent)
		}
		answer("n3", 4*time.Second)
		want := peers.Message{Kind: peers.Drops, About: "n2", By: "n1", To: "n2", At: at, Other: "n3"}
		if len(n.sent) < 2 || n.sent[0] != want || n.sent[1] != want {
			t.Errorf("sent %+v, want %+v again and again", n.sent, want)
		}
		answer("n2 n3", 5*time.Second)
		if last := n.sent[len(n.sent)-1]; last != (peers.Message{Kind: peers.Forwards, About: "n2", By: "n1", To: "n2"}) {
			t.Errorf("sent %+v in the end", last)
		}
		if got := testutil.ToFloat64(l.metrics.drops); got != 1 {
			t.Errorf("%v counted", got)
		}
		stop()
		running.Wait()
	})
}

// TestMemory: what is reported of a node that is gone is repeated for as long as it is believed.
func TestMemory(t *testing.T) {
	t.Parallel()
	if forward.Memory != peers.Times().DropMemory {
		t.Errorf("reported for %s, believed for %s", forward.Memory, peers.Times().DropMemory)
	}
}
