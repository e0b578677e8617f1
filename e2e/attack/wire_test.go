package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

// wire opens a socket for whole frames on the interface of a host, sent ones included.
func wire(t *testing.T, h *cluster.Host) int {
	t.Helper()
	socket := -1
	err := h.Space.Do(func() error {
		link, err := net.InterfaceByName(h.NIC)
		if err != nil {
			return err
		}
		if socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // big endian
		return unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index})
	})
	if err == nil {
		err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err != nil {
		t.Fatal(err)
	}
	return socket
}

// record keeps the frames that a node receives and sends, until the function that it returns is called.
func record(t *testing.T, n *cluster.Node) (recorded func() [][]byte) {
	t.Helper()
	socket := wire(t, n.Host)
	var frames [][]byte
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer unix.Close(socket)
		buffer := make([]byte, 2048)
		for {
			if size, _, err := unix.Recvfrom(socket, buffer, 0); err == nil && len(frames) < 100_000 {
				frames = append(frames, slices.Clone(buffer[:size]))
			}
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	return func() [][]byte {
		close(end)
		<-done
		return frames
	}
}

// presence are the true replies of a node to the question whether its speaker is there, as the witness got them when it
// started. They are what a stranger on the LAN may have read.
func presence(t *testing.T, n *cluster.Node) (replies [][]byte) {
	t.Helper()
	recorded := record(t, witness())
	if err := witness().End(t.Context(), "starling", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := witness().Again("starling"); err != nil {
		t.Fatal(err)
	}
	calm(t)
	for _, f := range recorded() {
		// An ARP reply of the node, whose target is an address of 0.0.0.0/8.
		if len(f) >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && [4]byte(f[28:32]) == n.IP4.As4() && f[38] == 0 {
			replies = append(replies, f)
		}
	}
	if len(replies) == 0 {
		t.Fatalf("%s was not asked whether it is there", n.Name)
	}
	return replies
}

// forge makes replies of them that come from the stranger, in the node's name, or from the node itself, unchanged
// but for who gets them: every announcer, and all.
func forge(replies [][]byte, stranger net.HardwareAddr) (frames [][]byte) {
	to := []net.HardwareAddr{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	for _, n := range announcers() {
		to = append(to, n.MAC)
	}
	for _, r := range replies[:min(len(replies), 3)] {
		for _, mac := range to {
			again := slices.Clone(r)
			copy(again, mac)
			copy(again[32:38], mac)
			own := slices.Clone(again)
			copy(own[6:12], stranger)
			copy(own[22:28], stranger)
			frames = append(frames, own, again)
		}
	}
	return frames
}

// throw sends all frames from the attacker, twenty times a second.
func throw(ctx context.Context, socket int, frames [][]byte) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, f := range frames {
			_, _ = unix.Write(socket, f) // what cannot be sent now is sent again
		}
	}
}

// attackFromWire sends the frames until the function that it returns is called.
func attackFromWire(t *testing.T, frames [][]byte) (end func()) {
	t.Helper()
	socket := wire(t, shared.Client)
	ctx, stop := context.WithCancel(t.Context())
	var task sync.WaitGroup
	task.Go(func() { throw(ctx, socket, frames) })
	end = sync.OnceFunc(func() {
		stop()
		task.Wait()
		unix.Close(socket)
	})
	t.Cleanup(end)
	return end
}

// claim is an announcement of an address by the stranger.
func claim(ip netip.Addr, stranger net.HardwareAddr) []byte {
	return slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, stranger, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1},
		stranger, ip.AsSlice(), make([]byte, 6), ip.AsSlice())
}

// TestForgedPresence: the link of a node is cut, and a stranger goes on saying that its speaker is there: by forged replies in
// its name, by the node's own replies from before, and by claims on its addresses. These move as they do without all that.
func TestForgedPresence(t *testing.T) {
	calm(t)
	n := announcers()[2]
	frames := forge(presence(t, n), shared.Client.MAC)
	var times [2]time.Duration
	for i := range times {
		calm(t)
		settled(t)
		of := owners(t)
		owned := slices.DeleteFunc(slices.Clone(vips), func(ip netip.Addr) bool { return of[ip.String()] != n.Name })
		if len(owned) == 0 {
			t.Fatalf("%s has no address", n.Name)
		}
		end := func() {}
		if i == 1 {
			all := slices.Clone(frames)
			for _, ip := range owned {
				all = append(all, claim(ip, shared.Client.MAC))
			}
			end = attackFromWire(t, all)
		}
		times[i] = takenOver(t, n, owned)
		end()
		if i == 1 {
			t.Logf("addresses moved after %v without the stranger, after %v with it", times[0], times[1])
			reported(t, shared.Client.MAC)
		}
		if err := n.Heal(); err != nil {
			t.Fatal(err)
		}
	}
	if most := max(times[0]*6/5, 1500*time.Millisecond); times[1] > most {
		t.Errorf("addresses moved after %v, more than %v", times[1], most)
	}
	calm(t)
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
	until(t, 20*time.Second, "take-over", func(ctx context.Context) error {
		who, err := w.WhoAll(ctx, 25*time.Millisecond, owned)
		if err != nil {
			return err
		}
		for _, ip := range owned {
			if !slices.ContainsFunc(who[ip], func(text string) bool { return shared.NodeByMAC(mac(t, text)) != nil }) {
				return fmt.Errorf("%s is answered by %v", ip, who[ip])
			}
		}
		return nil
	})
	return time.Since(begun).Round(time.Millisecond)
}

// reported wants the stranger's MAC in a conflict that the announcers show.
func reported(t *testing.T, stranger net.HardwareAddr) {
	t.Helper()
	until(t, 5*time.Second, "a conflict with "+stranger.String(), func(ctx context.Context) error {
		for _, n := range announcers()[:2] {
			if text, err := get(ctx, n, "/api/v1/status"); err == nil && strings.Contains(string(text), stranger.String()) {
				return nil
			}
		}
		return errors.New("no speaker shows one")
	})
}

func mac(t *testing.T, text string) net.HardwareAddr {
	t.Helper()
	m, err := net.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
