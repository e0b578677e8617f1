package attack

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	madeUp     = 500             // Members.
	phantom    = "n9"            // A Node without a speaker.
	forgedTime = 5 * time.Second // How long others are told of them.
	newcomers  = 12              // Services that are made meanwhile.
)

// TestPhantomAndMadeUpMembers: a Node has no speaker, and a stranger without the key replies in its
// name to each question for one; it has its address, so its host is there. It also tells of 500
// members, in plain text and encrypted with a key of its own. Nothing moves, nobody believes in any
// of them, and new addresses are answered by nodes.
func TestPhantomAndMadeUpMembers(t *testing.T) {
	calm(t)
	said := overheard(t)
	settled(t)
	at := netip.MustParseAddr("198.18.0.200")
	if err := shared.Client.Take(at); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shared.Client.GiveUp(at) })
	moved, rejected := moves(t), count(t, shared.Nodes[0], "starling_mesh_rejected_total")
	unproven := count(t, shared.Nodes[0], "starling_layer2_dropped_total")
	register(t, phantom, at)
	replies := impersonate(t, at)
	unasked := forge(presence(said, announcers()[0]), shared.Client.MAC)
	for _, f := range unasked {
		copy(f[6:], shared.Client.MAC)
		copy(f[22:], slices.Concat(shared.Client.MAC, at.AsSlice()))
		copy(f[48:], hashed(phantom))
	}
	endUnasked := send(t, unasked, wireRate)
	label := clusterLabel(t)
	crowds := []*ghosts{haunt(t, newGossiper(t, label, make([]byte, 32))), haunt(t, newGossiper(t, label, nil))}
	seen := newServices(t, "phantom")
	again(t, witness())      // It asks who is there.
	<-time.After(forgedTime) // As long as the attack is to last.
	onlyNodes(t)
	endUnasked()
	for _, g := range crowds {
		g.end()
	}
	t.Logf("%d forged replies, %d forged datagrams, of which n1 counted %d and %d; %d moves; %s", replies(), crowds[0].sent.Load()+crowds[1].sent.Load(),
		count(t, shared.Nodes[0], "starling_layer2_dropped_total")-unproven, count(t, shared.Nodes[0], "starling_mesh_rejected_total")-rejected, moves(t)-moved, seen)
	if got := moves(t) - moved; got > 0 {
		t.Errorf("%d moves", got)
	}
	if replies() == 0 {
		t.Error("nobody asked who is there")
	}
	calm(t)
}

// register makes a Node, for the time of the test.
func register(t *testing.T, name string, at netip.Addr) {
	t.Helper()
	nodes := shared.Kube.CoreV1().Nodes()
	if _, err := nodes.Create(t.Context(), &core.Node{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Delete(context.WithoutCancel(t.Context()), name, meta.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	patch := fmt.Appendf(nil, `{"status": {"addresses": [{"type": %q, "address": %q}]}}`, core.NodeInternalIP, at)
	if _, err := nodes.Patch(t.Context(), name, types.MergePatchType, patch, meta.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// hashed is a name as replies have it.
func hashed(name string) []byte {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // Cannot fail.
	return h.Sum(nil)
}

// impersonate replies to each question for speakers, as the stranger who has an address, with all
// but the proof, and says how often it did.
func impersonate(t *testing.T, at netip.Addr) (replies func() int64) {
	t.Helper()
	var sent atomic.Int64
	socket := wire(t, shared.Client, unix.ETH_P_ARP)
	t.Cleanup(listen(socket, func(f []byte) {
		if !isARP(f, 1) || len(f) < 60 || f[38] != 0 || [4]byte(f[38:42]) == [4]byte{} {
			return
		}
		about := [4]byte(f[38:42])
		about[3] |= 1 // What a speaker says that is ready.
		reply := arp(f[6:12], 2, shared.Client.MAC, at, f[6:12], netip.AddrFrom4(about))
		copy(reply[42:], slices.Concat(f[42:48], hashed(phantom), []byte("a tag..."))) // The first is the nonce.
		if _, err := unix.Write(socket, reply); err == nil {
			sent.Add(1)
		}
	}))
	return sent.Load
}

// served says how new Services fared.
type served struct {
	ips   []netip.Addr
	after time.Duration
}

// String is for logs.
func (s served) String() string {
	return fmt.Sprintf("%d new addresses were answered by nodes after %v", len(s.ips), s.after.Round(time.Millisecond))
}

// newServices makes Services for the time of the test, and wants each address to be answered by one
// node.
func newServices(t *testing.T, name string) (s served) {
	t.Helper()
	begun := time.Now()
	t.Cleanup(func() { remove(t, name, newcomers) })
	ips, err := expose(t.Context(), name, newcomers, asIs)
	if err != nil {
		t.Fatal(err)
	}
	s.ips = ips
	w, err := probe.Watch(workload.Station(witness().Host))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	until(t, 10*time.Second, "an answer for each new address", func(ctx context.Context) error { return answered(ctx, w, s.ips, nil) })
	s.after = time.Since(begun)
	return s
}

// remove deletes what expose has made.
func remove(t *testing.T, name string, size int) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for i := range size {
		err := errors.Join(
			shared.Kube.CoreV1().Services(workload.Namespace).Delete(ctx, numbered(name, i), meta.DeleteOptions{}),
			shared.Kube.DiscoveryV1().EndpointSlices(workload.Namespace).Delete(ctx, numbered(name, i), meta.DeleteOptions{}))
		if err != nil {
			t.Error(err)
		}
	}
}

// onlyNodes fails the test when a speaker takes anybody but the nodes for a member that is there.
func onlyNodes(t *testing.T) {
	t.Helper()
	if err := realMembers(t); err != nil {
		t.Error(err)
	}
}

func realMembers(t *testing.T) error {
	t.Helper()
	for _, n := range shared.Nodes {
		s, err := statusOf(t.Context(), n)
		if err != nil {
			return err
		}
		for _, m := range s.Members {
			if m.State == "alive" && shared.Node(m.Name) == nil {
				return fmt.Errorf("%s believes in %s", n.Name, m.Name)
			}
		}
	}
	return nil
}
