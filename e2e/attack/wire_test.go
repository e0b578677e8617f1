package attack

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/cluster"
)

// everybody is the address of broadcasts.
var everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// wire opens a socket for whole frames of a protocol on the interface of a host, sent ones
// included.
func wire(t *testing.T, h *cluster.Host, protocol uint16) int {
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
		return unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: link.Index})
	})
	if err == nil {
		err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	}
	if err == nil {
		err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err != nil {
		t.Fatal(err)
	}
	return socket
}

// listen gives each frame to a function until the one that it returns is called, which closes the
// socket.
func listen(socket int, hear func(frame []byte)) (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 2048)
		for {
			if size, _, err := unix.Recvfrom(socket, buffer, 0); err == nil {
				hear(buffer[:size])
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-done
		unix.Close(socket)
	})
}

// record keeps the frames that a host receives and sends, until the function that it returns is
// called.
func record(t *testing.T, h *cluster.Host, protocol uint16) (recorded func() [][]byte) {
	t.Helper()
	var frames [][]byte
	end := listen(wire(t, h, protocol), func(f []byte) {
		if len(frames) < 100_000 {
			frames = append(frames, slices.Clone(f))
		}
	})
	return func() [][]byte {
		end()
		return frames
	}
}

// send sends all frames from the attacker, so many times a second, until the function that it
// returns is called.
func send(t *testing.T, frames [][]byte, rate int) (end func()) {
	t.Helper()
	socket := wire(t, shared.Client, unix.ETH_P_LOOPBACK) // It receives next to nothing.
	ctx, stop := context.WithCancel(t.Context())
	var task sync.WaitGroup
	task.Go(func() {
		every(ctx, time.Second/time.Duration(rate), func() {
			for _, f := range frames {
				_, _ = unix.Write(socket, f) // What cannot be sent now is sent again.
			}
		})
	})
	end = sync.OnceFunc(func() {
		stop()
		task.Wait()
		unix.Close(socket)
	})
	t.Cleanup(end)
	return end
}

// every calls a function at a pace until the context ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// isARP reports whether a frame is an ARP message of that operation: 1 asks, 2 replies.
func isARP(f []byte, operation byte) bool {
	return len(f) >= 42 && f[12] == 8 && f[13] == 6 && f[20] == 0 && f[21] == operation
}

// arp is an ARP message as short frames are sent.
func arp(to net.HardwareAddr, operation byte, from net.HardwareAddr, sender netip.Addr, target net.HardwareAddr, about netip.Addr) []byte {
	f := slices.Concat(to, from, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, operation}, from, sender.AsSlice(), target, about.AsSlice())
	return append(f, make([]byte, 60-len(f))...)
}

// claim is an announcement of an address by the stranger.
func claim(ip netip.Addr, stranger net.HardwareAddr) []byte {
	return arp(everybody, 1, stranger, ip, make(net.HardwareAddr, 6), ip)
}

// presence are the true replies among frames by which a node says that its speaker is there: their
// target is an address of 0.0.0.0/8.
func presence(frames [][]byte, n *cluster.Node) (replies [][]byte) {
	for _, f := range frames {
		if isARP(f, 2) && [4]byte(f[28:32]) == n.IP4.As4() && f[38] == 0 {
			replies = append(replies, f)
		}
	}
	return replies
}

// forge makes replies of them that come from the stranger, in the node's name, or from the node
// itself, unchanged but for who gets them: every announcer, and all.
func forge(replies [][]byte, stranger net.HardwareAddr) (frames [][]byte) {
	to := []net.HardwareAddr{everybody}
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

const gossipPort = 7927

// datagrams are those among frames that a node sent to another one's gossip, as the stranger sends
// them again: without a checksum, which the kernel would have left to the card.
func datagrams(frames [][]byte, from *cluster.Node, stranger net.HardwareAddr) (again [][]byte) {
	for _, f := range frames {
		if len(f) < 42 || f[12] != 8 || f[13] != 0 || f[14] != 0x45 || f[23] != unix.IPPROTO_UDP {
			continue
		}
		if [4]byte(f[26:30]) == from.IP4.As4() && binary.BigEndian.Uint16(f[36:]) == gossipPort {
			g := slices.Clone(f)
			copy(g[6:12], stranger)
			g[40], g[41] = 0, 0
			again = append(again, g)
		}
	}
	return again
}
