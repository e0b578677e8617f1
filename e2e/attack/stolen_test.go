package attack

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// TestStolenKey: who has the key tells of 500 members that no Node has the name of, and answers for each of them when it is
// probed by gossip. Addresses stay with nodes. Others forget them when they fall silent, but not at once, so this is the last test.
func TestStolenKey(t *testing.T) {
	calm(t)
	settled(t)
	moved := moves(t)
	owned := slices.Concat(ownedBy(t, announcers()[0]), ownedBy(t, announcers()[1]), ownedBy(t, announcers()[2]))
	questions := ask(t, owned, nil)
	g := haunt(t, newGossiper(t, clusterLabel(t), stolenKey(t)))
	until(t, 10*time.Second, "made-up members that are probed", func(context.Context) error {
		if acks := g.acks.Load(); acks < madeUp/10 {
			return fmt.Errorf("only %d times", acks)
		}
		return nil
	})
	seen := newServices(t, "stolen")
	<-time.After(forgedTime) // As long as the attack is to last.
	during := questions.finish()
	t.Logf("%d datagrams, %d pings answered; %d moves; %s; %s", g.sent.Load(), g.acks.Load(), moves(t)-moved, seen, during)
	if got := moves(t) - moved; got > 0 {
		t.Errorf("%d moves", got)
	}
	if during.lost > 0 {
		t.Errorf("%s", during)
	}
	before := madeUpAt(t, shared.Nodes[0])
	if before < madeUp/2 {
		t.Errorf("n1 tells of %d", before)
	}
	g.end()
	<-time.After(silentTime) // How long they are silent.
	after := madeUpAt(t, shared.Nodes[0])
	t.Logf("n1 knew %d of them when they fell silent, and %d %v later", before, after, silentTime)
	if after >= before {
		t.Error("they are not forgotten")
	}
}

// silentTime is enough to forget some of them. They go one after the other, as gossip probes them.
const silentTime = 8 * time.Second

// without finds the members without a Node that a speaker tells of; of many it names three.
var without = regexp.MustCompile(`and (\d+) more take part in gossip`)

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
