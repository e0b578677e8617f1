package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	replayRate = 50              // Packets a second of each that was recorded.
	replayTime = 5 * time.Second // How long they come.
)

// TestReplay: a cordoned node's speaker ends and hands over, and a stranger records what it sends
// meanwhile. When the node is back in use it sends that again: nobody believes that the node
// leaves.
func TestReplay(t *testing.T) {
	calm(t)
	settled(t)
	n := announcers()[1]
	owned := ownedBy(t, n)
	frames := farewell(t, n, owned)
	until(t, 20*time.Second, "the node's addresses are back", func(context.Context) error {
		if got := len(ownedBy(t, n)); got != len(owned) {
			return fmt.Errorf("it has %d of %d", got, len(owned))
		}
		return nil
	})
	calm(t)
	settled(t)
	moved, old := moves(t), rejectedOld(t)
	questions := ask(t, owned, nil)
	end := send(t, frames, replayRate)
	until(t, replayTime, "replays that are told from news", func(context.Context) error {
		if rejectedOld(t) == old {
			return errors.New("none was")
		}
		return nil
	})
	for begun := time.Now(); time.Since(begun) < replayTime; <-time.After(100 * time.Millisecond) {
		if err := joined(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	end()
	during := questions.finish()
	t.Logf("%d datagrams of a speaker that left, %d times a second: %d were told for old ones, %d moves; %s", len(frames), replayRate, rejectedOld(t)-old, moves(t)-moved, during)
	if got := moves(t) - moved; got > 0 || during.lost > 0 {
		t.Errorf("%d moves; %s", got, during)
	}
}

// farewell has a node hand over and come back, and returns what its speaker said to the others by
// gossip until it had ended.
func farewell(t *testing.T, n *cluster.Node, owned []netip.Addr) (frames [][]byte) {
	t.Helper()
	cordon(t, n, true)
	until(t, 10*time.Second, "a speaker that knows that its node is cordoned", func(ctx context.Context) error {
		text, err := get(ctx, n, n, "/api/v1/status")
		if err == nil && !strings.Contains(string(text), "node-cordoned") {
			err = errors.New("it does not")
		}
		return err
	})
	var recorded []func() [][]byte
	for _, other := range shared.Nodes {
		if other != n {
			recorded = append(recorded, record(t, other.Host, unix.ETH_P_IP))
		}
	}
	if err := n.End(t.Context(), "starling", unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, r := range recorded {
		all := datagrams(r(), n, shared.Client.MAC)
		frames = append(frames, all[max(0, len(all)-20):]...) // The last ones are the goodbye.
	}
	if len(frames) == 0 {
		t.Fatalf("%s said nothing", n.Name)
	}
	w, err := probe.Watch(workload.Station(witness().Host))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	until(t, 10*time.Second, "hand-over", func(ctx context.Context) error { return answered(ctx, w, owned, n) })
	cordon(t, n, false)
	if err := n.Again("starling"); err != nil {
		t.Fatal(err)
	}
	return frames
}

func cordon(t *testing.T, n *cluster.Node, on bool) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec": {"unschedulable": %v}}`, on)
	if _, err := shared.Kube.CoreV1().Nodes().Patch(t.Context(), n.Name, types.MergePatchType, patch, meta.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// rejectedOld is how many messages all speakers have dropped as old.
func rejectedOld(t *testing.T) (sum int) {
	t.Helper()
	for _, n := range shared.Nodes {
		sum += count(t, n, `starling_mesh_rejected_total{reason="old"}`)
	}
	return sum
}
