package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Station is the host that a Watcher listens and asks as.
type Station struct {
	Do  func(func() error) error // Runs a function in the host's network namespace.
	NIC string
	MAC net.HardwareAddr
	IP4 netip.Addr
	IP6 netip.Addr
}

// Claim is one frame by which a host said that it has an address: an ARP request or reply with the
// address as sender, or a neighbor advertisement.
type Claim struct {
	At   time.Time // As the kernel received it.
	IP   netip.Addr
	MAC  string
	Kind string // "arp-request", "arp-reply" or "na".
}

// Watcher remembers every claim that reaches the station.
type Watcher struct {
	station Station
	socket  int
	wake    *os.File // Closed to end the reader.

	mu     sync.Mutex // Guards claims.
	claims []Claim
}

// Watch begins to listen.
func Watch(station Station) (*Watcher, error) {
	w := &Watcher{station: station}
	err := station.Do(func() error {
		link, err := net.InterfaceByName(station.NIC)
		if err != nil {
			return err
		}
		w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		// All protocols, because one socket then sees ARP and IPv6 in the order of the wire.
		return errors.Join(
			unix.SetsockoptInt(w.socket, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(w.socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.Bind(w.socket, &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: link.Index}),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", station.NIC, err)
	}
	w.wake = os.NewFile(uintptr(w.socket), "packets")
	go w.read()
	return w, nil
}

// Close stops listening.
func (w *Watcher) Close() error { return w.wake.Close() }

func swap(v uint16) uint16 { return v<<8 | v>>8 }

// read collects claims until the socket is closed.
func (w *Watcher) read() {
	conn, err := w.wake.SyscallConn()
	if err != nil {
		return
	}
	frame, extra := make([]byte, 2048), make([]byte, 256)
	for {
		var n, m int
		err := conn.Read(func(fd uintptr) bool {
			var err error
			n, m, _, _, err = unix.Recvmsg(int(fd), frame, extra, 0)
			return err != unix.EAGAIN
		})
		if err != nil {
			return
		}
		if n <= 0 {
			continue
		}
		if claim, ok := parse(frame[:n]); ok && claim.MAC != w.station.MAC.String() {
			claim.At = received(extra[:m])
			w.mu.Lock()
			w.claims = append(w.claims, claim)
			w.mu.Unlock()
		}
	}
}

// received reads the kernel's time stamp; without one the present has to do.
func received(extra []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(extra)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

// parse finds the claim in a frame; ARP probes, whose sender is 0.0.0.0, claim nothing.
func parse(frame []byte) (Claim, bool) {
	if len(frame) < 14 {
		return Claim{}, false
	}
	payload := frame[14:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		return parseARP(payload)
	case unix.ETH_P_IPV6:
		return parseNA(frame[6:12], payload)
	}
	return Claim{}, false
}

func parseARP(p []byte) (Claim, bool) {
	if len(p) < 28 || p[4] != 6 || p[5] != 4 {
		return Claim{}, false
	}
	kind := map[uint16]string{1: "arp-request", 2: "arp-reply"}[binary.BigEndian.Uint16(p[6:])]
	ip := netip.AddrFrom4([4]byte(p[14:18]))
	return Claim{IP: ip, MAC: net.HardwareAddr(p[8:14]).String(), Kind: kind}, kind != "" && !ip.IsUnspecified()
}

// parseNA reads a neighbor advertisement: IPv6 header, type 136, target, and the target's MAC as
// option 2.
func parseNA(source, p []byte) (Claim, bool) {
	if len(p) < 64 || p[6] != unix.IPPROTO_ICMPV6 || p[40] != 136 {
		return Claim{}, false
	}
	mac := source
	for options := p[64:]; len(options) >= 8 && options[1] > 0; options = options[min(len(options), 8*int(options[1])):] {
		if options[0] == 2 {
			mac = options[2:8]
		}
	}
	return Claim{IP: netip.AddrFrom16([16]byte(p[48:64])), MAC: net.HardwareAddr(mac).String(), Kind: "na"}, true
}

// Claims returns what has been heard of the address, oldest first.
func (w *Watcher) Claims(ip netip.Addr) []Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []Claim
	for _, c := range w.claims {
		if c.IP == ip {
			found = append(found, c)
		}
	}
	return found
}

// Who asks the segment for the address and returns the MAC addresses that claim it within the
// window, sorted.
func (w *Watcher) Who(ctx context.Context, window time.Duration, ip netip.Addr) ([]string, error) {
	all, err := w.WhoAll(ctx, window, []netip.Addr{ip})
	return all[ip], err
}

// WhoAll is Who for many addresses at once.
func (w *Watcher) WhoAll(ctx context.Context, window time.Duration, ips []netip.Addr) (map[netip.Addr][]string, error) {
	w.mu.Lock()
	from := len(w.claims)
	w.mu.Unlock()
	for _, ip := range ips {
		if err := w.write(ctx, question4or6(w.station, ip)); err != nil {
			return nil, fmt.Errorf("ask for %s: %w", ip, err)
		}
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(window):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	who := map[netip.Addr][]string{}
	for _, c := range w.claims[from:] {
		if slices.Contains(ips, c.IP) && !slices.Contains(who[c.IP], c.MAC) {
			who[c.IP] = append(who[c.IP], c.MAC)
			slices.Sort(who[c.IP])
		}
	}
	return who, nil
}

// write sends a frame, as soon as the queue of the device has room for it.
func (w *Watcher) write(ctx context.Context, frame []byte) error {
	for {
		_, err := w.wake.Write(frame)
		if !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Millisecond):
		}
	}
}

// Claim says to everybody that the station has the IPv4 address, as a host does that was just given
// it.
func (w *Watcher) Claim(ip netip.Addr) error {
	as := w.station
	as.IP4 = ip
	if err := w.write(context.Background(), arpRequest(as, ip)); err != nil {
		return fmt.Errorf("claim %s: %w", ip, err)
	}
	return nil
}

func question4or6(s Station, ip netip.Addr) []byte {
	if ip.Is4() {
		return arpRequest(s, ip)
	}
	return solicitation(s, ip)
}

// arpRequest is "who has ip", to everybody.
func arpRequest(s Station, ip netip.Addr) []byte {
	frame := slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, s.MAC, []byte{0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1}, s.MAC)
	own, asked := s.IP4.As4(), ip.As4()
	return slices.Concat(frame, own[:], make([]byte, 6), asked[:])
}

// solicitation is the same in IPv6: to the solicited-node group of ip.
func solicitation(s Station, ip netip.Addr) []byte {
	own, asked := s.IP6.As16(), ip.As16()
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(group[13:], asked[13:])
	icmp := slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, asked[:], []byte{1, 1}, s.MAC)
	binary.BigEndian.PutUint16(icmp[2:], checksum(own[:], group[:], icmp))
	ethernet := slices.Concat([]byte{0x33, 0x33}, group[12:], s.MAC, []byte{0x86, 0xdd})
	header := slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255}, own[:], group[:])
	return slices.Concat(ethernet, header, icmp)
}

// checksum is that of ICMPv6 (RFC 4443, 2.3) with its pseudo header.
func checksum(source, target, icmp []byte) uint16 {
	all := slices.Concat(source, target, []byte{0, 0, 0, byte(len(icmp)), 0, 0, 0, unix.IPPROTO_ICMPV6}, icmp)
	var sum uint32
	for i := 0; i+1 < len(all); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(all[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
