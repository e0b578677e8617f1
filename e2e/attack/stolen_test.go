package attack

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// TestStolenKey: who has the key tells of 500 members that no Node has the name of, and answers for
// each of them when it is probed by gossip. Nobody takes them for members: addresses stay with
// nodes, and gossip is as fast as in peace.
func TestStolenKey(t *testing.T) {
	calm(t)
	peace := crash(t, witness())
	calm(t)
	settled(t)
	moved, m := moves(t), watchMemory(t, shared.Nodes[0])
	owned := slices.Concat(ownedBy(t, announcers()[0]), ownedBy(t, announcers()[1]), ownedBy(t, announcers()[2]))
	questions := ask(t, owned, nil)
	g := haunt(t, newGossiper(t, clusterLabel(t), stolenKey(t)))
	until(t, 10*time.Second, "members that are refused", func(context.Context) error {
		if got := madeUpAt(t, shared.Nodes[0]); got < madeUp/2 {
			return fmt.Errorf("n1 tells of %d", got)
		}
		return nil
	})
	seen := newServices(t, "stolen")
	war := crash(t, witness())
	<-time.After(forgedTime) // As long as the attack is to last.
	onlyNodes(t)
	during := questions.finish()
	t.Logf("%d datagrams, %d pings answered; %d moves; at most %d MB of memory; %s; %s; %s, in peace %s",
		g.sent.Load(), g.acks.Load(), moves(t)-moved, m.peak(t)>>10, seen, during, war, peace)
	if got := moves(t) - moved; got > 0 {
		t.Errorf("%d moves", got)
	}
	if during.lost > 0 {
		t.Errorf("%s", during)
	}
	if got := g.acks.Load(); got > 0 {
		t.Errorf("%d of them were probed", got)
	}
	g.end()
	calm(t)
}

// crashed says how soon all others knew of a speaker that it crashed, and that it is back.
type crashed struct{ gone, back time.Duration }

// String is for logs.
func (c crashed) String() string {
	return fmt.Sprintf("all knew of a crash after %v, and of the return after %v", c.gone.Round(10*time.Millisecond), c.back.Round(10*time.Millisecond))
}

// newsTime is in which time all know of either by gossip.
const newsTime = 5 * time.Second

// crash kills the speaker of a node and starts it once more.
func crash(t *testing.T, n *cluster.Node) (c crashed) {
	t.Helper()
	begun := time.Now()
	if err := n.End(t.Context(), "starling", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, newsTime, "others that know of a crash", func(ctx context.Context) error { return missed(ctx, n) })
	c.gone, begun = time.Since(begun), time.Now()
	if err := n.Again("starling"); err != nil {
		t.Fatal(err)
	}
	until(t, newsTime, "a speaker that is back", joined)
	c.back = time.Since(begun)
	return c
}

// missed returns nil when no other speaker takes that of a node for alive.
func missed(ctx context.Context, n *cluster.Node) error {
	for _, other := range shared.Nodes {
		if other == n {
			continue
		}
		s, err := statusOf(ctx, other)
		if err != nil {
			return err
		}
		for _, m := range s.Members {
			if m.Name == n.Name && m.State == "alive" {
				return fmt.Errorf("%s believes in %s", other.Name, n.Name)
			}
		}
	}
	return nil
}

// without finds the members without a Node that a speaker tells of; of many it names three.
var without = regexp.MustCompile(`and (\d+) more are heard by gossip`)

// madeUpAt is how many made-up members a speaker knows, 0 if these are few.
func madeUpAt(t *testing.T, n *cluster.Node) int {
	t.Helper()
	text, err := get(t.Context(), n, n, "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	found := without.FindSubmatch(text)
	if found == nil {
		return 0
	}
	more, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return 3 + more
}
