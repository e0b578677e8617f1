package arpd

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/lantest"
)

// TestDeputyAnswersWithTheMACOfTheOwner: the speaker of a node ends, and another node answers for
// its addresses. The kernel of a neighbor that has forgotten them finds the owner, which goes on
// forwarding; what it learned before stays good, though nobody answers what it asks the owner
// alone.
func TestDeputyAnswersWithTheMACOfTheOwner(t *testing.T) {
	l := newLAN(t)
	names := map[string]*host{}
	for i, name := range []string{"owner", "deputy", "client"} {
		h := newHost(t)
		l.plug(h, "eth0", netip.AddrFrom4([4]byte{198, 18, 0, byte(10 + i)}).String()+"/24", netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: byte(10 + i)}).String()+"/64")
		names[name] = h
	}
	ownerMAC, client := names["owner"].mac("eth0"), names["client"]
	client.reach(netip.MustParseAddr("198.18.0.10"), ownerMAC)
	client.reach(netip.MustParseAddr("198.18.0.11"), names["deputy"].mac("eth0"))
	vips := []netip.Addr{vip4, vip6}
	owner, deputy := names["owner"].speak(1), names["deputy"].speak(1)
	deputy.SetPeers(Peers{MACs: map[string]string{ownerMAC.String(): "n1"}})
	deputy.Assign(claims.Assignment{Watched: vips})
	owner.Assign(claims.Assignment{Own: vips})
	for _, ip := range vips {
		client.reach(ip, ownerMAC)
	}

	owner.stop()
	assign := func() { // again and again, as the loop does: a process that was starved for long answers nothing before
		deputy.Assign(claims.Assignment{Watched: vips, Absent: map[netip.Addr]string{vip4: "n1", vip6: "n1"}})
	}
	for _, ip := range vips {
		updates := client.neighbors()
		client.neighbor(ip, packet.HW{}, unix.NUD_FAILED)
		for late := time.Now().Add(patience); !client.has(ip, ownerMAC, unix.NUD_REACHABLE); {
			if time.Now().After(late) {
				t.Fatalf("%s is not at %s", ip, ownerMAC)
			}
			assign()
			client.poke(ip)
			select {
			case <-updates:
			case <-time.After(500 * time.Millisecond):
			}
		}
	}

	// A frame of the deputy has its own source: switches go on finding the owner where it is.
	wire, deputyMAC := client.station("eth0"), names["deputy"].mac("eth0")
	wire.send(arpFrame(t, packet.Broadcast, wire.mac, 1, wire.mac, netip.MustParseAddr("198.18.0.12"), packet.HW{}, vip4))
	wire.expect("the answer of the deputy", func(f []byte) bool {
		m, fault := packet.ParseARP(f)
		return fault == packet.Sound && m.Op == packet.OpReply && m.SPA == vip4.As4() && m.SHA == ownerMAC && m.Src == deputyMAC
	})

	// Nobody answers what asks the owner alone. The kernel goes on sending to it meanwhile, and
	// then asks everybody: nothing is lost.
	names["owner"].Sysctl("net/ipv4/conf/all/arp_ignore", "1")
	for _, ip := range vips {
		say := client.talk(names["owner"], ip)
		client.neighbor(ip, ownerMAC, unix.NUD_PROBE)
		for _, state := range []int{unix.NUD_PROBE, unix.NUD_REACHABLE} {
			for !client.has(ip, ownerMAC, state) {
				assign()
				say()
			}
		}
	}
}

// talk has another host take an address that it does not answer for, and returns what sends it a
// datagram and waits for the reply.
func (h *host) talk(to *host, ip netip.Addr) (say func()) {
	h.T.Helper()
	own := &netlink.Addr{IPNet: lantest.Net(netip.PrefixFrom(ip, ip.BitLen()).String()), Flags: unix.IFA_F_NODAD} // usable at once
	to.Must("add address", to.NL.AddrAdd(to.Link("lo"), own))
	var there, here net.Conn
	at := netip.AddrPortFrom(ip, 9999)
	to.do(func() (err error) { there, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); return err })
	h.do(func() (err error) { here, err = net.Dial("udp", at.String()); return err })
	h.T.Cleanup(func() { here.Close(); there.Close() })
	go func() {
		b := make([]byte, 1)
		for {
			_, from, err := there.(*net.UDPConn).ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if _, err = there.(*net.UDPConn).WriteToUDPAddrPort(b, from); err != nil {
				return
			}
		}
	}()
	exchange := func(patience time.Duration) error {
		b := make([]byte, 1)
		if err := here.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := here.Write(b); err != nil {
			return err
		}
		_, err := here.Read(b)
		return err
	}
	for late := time.Now().Add(patience); exchange(100*time.Millisecond) != nil; { // the kernel makes the route of an address later
		if time.Now().After(late) {
			h.T.Fatalf("%s is not reached", ip)
		}
	}
	return func() {
		h.T.Helper()
		if err := exchange(patience); err != nil {
			h.T.Fatalf("a datagram to %s: %v", ip, err)
		}
	}
}

// has reports whether an entry of the neighbor table is in a state.
func (h *host) has(ip netip.Addr, mac packet.HW, state int) bool {
	h.T.Helper()
	list, err := h.NL.NeighList(0, netlink.FAMILY_ALL)
	h.Must("list neighbors", err)
	return slices.ContainsFunc(list, func(n netlink.Neigh) bool {
		return n.IP.Equal(ip.AsSlice()) && string(n.HardwareAddr) == string(mac[:]) && n.State&state != 0
	})
}

// neighbor puts an entry into the table of a host.
func (h *host) neighbor(ip netip.Addr, mac packet.HW, state int) {
	h.T.Helper()
	h.Must("set entry", h.NL.NeighSet(&netlink.Neigh{
		LinkIndex: h.Link("eth0").Attrs().Index, IP: ip.AsSlice(), HardwareAddr: mac[:], State: state,
	}))
}
