package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	claimed  = 8                // Addresses that the stranger claims for itself.
	cutTime  = 3 * time.Second  // How long a link stays cut, and the attack goes on, when its addresses have moved.
	longCut  = 34 * time.Second // The same, until gossip has forgotten the node and would take an old word of it for a new one.
	wireRate = 50               // How often in a second the stranger sends all that it has.
)

// TestCut: the link of each announcer is cut, once in peace, and once while a stranger says in
// every way that its speaker is there: by forged replies in its name, by the node's own replies and
// gossip from before, and by claims on its addresses. These move as they do in peace, and stay
// where they went.
func TestCut(t *testing.T) {
	calm(t)
	said := overheard(t)
	var peace, attacked []time.Duration
	for _, n := range announcers() {
		peace = append(peace, cut(t, n, nil, 0))
	}
	for i, n := range announcers() {
		frames := append(forge(presence(said, n), shared.Client.MAC), datagrams(said, n, shared.Client.MAC)...)
		if len(presence(said, n)) == 0 || len(datagrams(said, n, shared.Client.MAC)) == 0 {
			t.Fatalf("nothing was overheard of %s", n.Name)
		}
		attacked = append(attacked, cut(t, n, frames, []time.Duration{cutTime, cutTime, longCut}[i]))
	}
	without, with := median(peace), median(attacked)
	t.Logf("addresses of a node that was cut off moved after %v, median %v; with forged replies, claims and replays after %v, median %v", peace, without, attacked, with)
	if most := max(without*6/5, without+200*time.Millisecond); with > most {
		t.Errorf("addresses moved after %v, more than %v", with, most)
	}
	calm(t)
}

// overheard are the frames that speakers sent to each other and to the witness while its speaker
// ended and began.
func overheard(t *testing.T) (frames [][]byte) {
	t.Helper()
	var recorded []func() [][]byte
	for _, n := range shared.Nodes {
		recorded = append(recorded, record(t, n.Host, unix.ETH_P_ALL))
	}
	again(t, witness())
	calm(t)
	for _, frames1 := range recorded {
		frames = append(frames, frames1()...)
	}
	return frames
}

// again ends the speaker of a node and starts it once more.
func again(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.End(t.Context(), "starling", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := n.Again("starling"); err != nil {
		t.Fatal(err)
	}
}

// cut cuts a node off, and returns how long it took until others answered for all its addresses.
// With frames a stranger sends these, and claims, for as long as the link is cut.
func cut(t *testing.T, n *cluster.Node, frames [][]byte, hold time.Duration) time.Duration {
	t.Helper()
	calm(t)
	settled(t)
	owned := ownedBy(t, n)
	if len(owned) == 0 {
		t.Fatalf("%s has no address", n.Name)
	}
	end := func() {}
	if frames != nil {
		all := frames[:min(len(frames), 60)]
		for _, ip := range owned[:min(len(owned), claimed)] {
			all = append(slices.Clip(all), claim(ip, shared.Client.MAC))
		}
		end = send(t, all, wireRate)
	}
	took := takenOver(t, n, owned)
	if frames != nil {
		a := ask(t, owned, n)
		<-time.After(hold) // As long as the attack is to last.
		s := a.finish()
		t.Logf("%s is cut off for %v and a stranger speaks in its name: %s", n.Name, hold, s)
		if s.lost > 0 {
			t.Error("some were lost")
		}
		reported(t, shared.Client.MAC)
	}
	end()
	if err := n.Heal(); err != nil {
		t.Fatal(err)
	}
	return took
}

// takenOver cuts a node off and waits until others answer for all its addresses.
func takenOver(t *testing.T, n *cluster.Node, owned []netip.Addr) time.Duration {
	t.Helper()
	w, err := probe.Watch(workload.Station(witness().Host))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := n.Cut(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Heal() }) // healed before if all went well
	begun := time.Now()
	until(t, 20*time.Second, "take-over", func(ctx context.Context) error { return answered(ctx, w, owned, n) })
	return time.Since(begun).Round(time.Millisecond)
}

// answered returns nil when a node answers for each address, with the MAC of another one than gone.
// That may be nil.
func answered(ctx context.Context, w *probe.Watcher, ips []netip.Addr, gone *cluster.Node) error {
	who, err := w.WhoAll(ctx, 25*time.Millisecond, ips)
	if err != nil {
		return err
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(who[ip], func(mac string) bool { return serves(mac, gone) }) {
			return fmt.Errorf("%s is answered by %v", ip, who[ip])
		}
	}
	return nil
}

// serves reports whether a MAC is that of a node other than gone.
func serves(text string, gone *cluster.Node) bool {
	mac, err := net.ParseMAC(text)
	if err != nil {
		return false
	}
	n := shared.NodeByMAC(mac)
	return n != nil && n != gone
}

// reported wants the stranger's MAC in a conflict that the announcers show.
func reported(t *testing.T, stranger net.HardwareAddr) {
	t.Helper()
	until(t, 5*time.Second, "a conflict with "+stranger.String(), func(ctx context.Context) error {
		for _, n := range announcers() {
			if text, err := get(ctx, n, n, "/api/v1/status"); err == nil && strings.Contains(string(text), stranger.String()) {
				return nil
			}
		}
		return errors.New("no speaker shows one")
	})
}

func median(all []time.Duration) time.Duration { return slices.Sorted(slices.Values(all))[len(all)/2] }
