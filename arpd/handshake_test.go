package arpd

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/forward"
)

// tester is a node that tests others, with an address of each family.
func tester(t *testing.T, links ...netif.Link) *node {
	t.Helper()
	for i := range links {
		for _, p := range links[i].Addrs {
			links[i].Own = append(links[i].Own, p.Addr())
		}
	}
	n, _ := startWith(t, Config{Testing: true}, newFake(t, links...))
	synctest.Wait()
	return n
}

// began are the segments that an interface has sent since the last call.
func (n *node) began(t *testing.T, index int) (out []packet.Segment) {
	t.Helper()
	for _, protocol := range []uint16{packet.EtherIPv4, packet.EtherIPv6} {
		for _, f := range n.sys.socket(index, protocol).take() {
			if s, fault := packet.ParseTCP(f.frame); fault == packet.Sound {
				out = append(out, s)
			}
		}
	}
	return out
}

// accepting is the answer to a segment.
func accepting(s packet.Segment) packet.Segment {
	return packet.Segment{Dst: s.Src, Src: s.Dst, From: s.To, To: s.From, Seq: 0x80000001, Ack: s.Seq + 1, Flags: packet.SYN | packet.ACK}
}

func toVIP(id uint64, ip netip.Addr) forward.Question {
	return forward.Question{ID: id, MAC: peerHW.String(), To: netip.AddrPortFrom(ip, 443)}
}

// TestHandshake: the first segment is that of a client, what accepts it is reported and reset by
// the same station, and again if it comes again, and everything else is not ours.
func TestHandshake(t *testing.T) {
	for _, ip := range []netip.Addr{vip4, vip6} {
		synctest.Test(t, func(t *testing.T) {
			link := nic("eth0", 2, "198.18.0.1/24", "fe80::1/64", "2001:db8::1/64")
			n := tester(t, link)
			n.Test([]forward.Question{toVIP(7, ip)})
			sent := n.began(t, 2)
			if len(sent) != 1 {
				t.Fatalf("%d segments", len(sent))
			}
			syn := sent[0]
			from := netip.MustParseAddr("198.18.0.1")
			if ip.Is6() {
				from = netip.MustParseAddr("2001:db8::1")
			}
			want := packet.Segment{Dst: peerHW, Src: link.MAC, From: netip.AddrPortFrom(from, syn.From.Port()), To: netip.AddrPortFrom(ip, 443), Seq: syn.Seq, Flags: packet.SYN}
			if syn != want || syn.From.Port() < testPorts {
				t.Errorf("sent %+v, want %+v", syn, want)
			}
			of := uint16(packet.EtherIPv4)
			if ip.Is6() {
				of = packet.EtherIPv6
			}
			sock, good := n.sys.socket(2, of), accepting(syn)
			for name, edit := range map[string]func(s *packet.Segment){
				"another sequence number": func(s *packet.Segment) { s.Ack++ },
				"another address":         func(s *packet.Segment) { s.From = netip.AddrPortFrom(s.From.Addr().Next(), 443) },
				"another port":            func(s *packet.Segment) { s.From = netip.AddrPortFrom(s.From.Addr(), 80) },
				"to another address":      func(s *packet.Segment) { s.To = netip.AddrPortFrom(s.To.Addr().Next(), s.To.Port()) },
				"to another port":         func(s *packet.Segment) { s.To = netip.AddrPortFrom(s.To.Addr(), max(s.To.Port()-1, testPorts+1)) },
				"a refusal":               func(s *packet.Segment) { s.Flags = packet.SYN | packet.RST | packet.ACK },
			} {
				s := good
				edit(&s)
				if s == good {
					continue
				}
				if !sock.deliver(t, s.Frame()) {
					t.Errorf("%s: held back", name)
				}
				synctest.Wait()
				if got := n.Replies(); len(got) > 0 || len(n.began(t, 2)) > 0 {
					t.Errorf("%s is taken for the answer: %v", name, got)
				}
			}
			for range 2 {
				sock.deliver(t, good.Frame())
				synctest.Wait()
				if got := n.Replies(); len(got) != 1 || got[0] != any(forward.Reply{ID: 7, MAC: peerHW.String()}) {
					t.Errorf("replies %v", got)
				}
				want := packet.Segment{Dst: peerHW, Src: link.MAC, From: syn.From, To: syn.To, Seq: syn.Seq + 1, Flags: packet.RST}
				if got := n.began(t, 2); len(got) != 1 || got[0] != want {
					t.Errorf("reset by %+v, want %+v", got, want)
				}
			}
			time.Sleep(handshakeTime)
			sock.deliver(t, good.Frame())
			synctest.Wait()
			if got := n.Replies(); len(got) > 0 {
				t.Errorf("accepted after %s: %v", handshakeTime, got)
			}
		})
	}
}

// TestHandshakeInterfaces: by which interfaces an address is asked for.
func TestHandshakeInterfaces(t *testing.T) {
	routed := netip.MustParseAddr("203.0.113.1")
	for name, tc := range map[string]struct {
		ip   netip.Addr
		want []string // sources
	}{
		"that of its network":     {vip4, []string{"198.18.0.1"}},
		"a routed one: all":       {routed, []string{"192.0.2.1", "198.18.0.1"}},
		"a family that none has":  {netip.MustParseAddr("2001:db8:5::1"), nil},
		"the other one's network": {netip.MustParseAddr("192.0.2.100"), []string{"192.0.2.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := tester(t, nic("eth0", 2, "198.18.0.1/24"), nic("eth1", 3, "192.0.2.1/24", "fe80::1/64"))
				n.Test([]forward.Question{toVIP(1, tc.ip)})
				var got []string
				for _, s := range append(n.began(t, 2), n.began(t, 3)...) {
					got = append(got, s.From.Addr().String())
				}
				slices.Sort(got)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("sources (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestHandshakesAreBounded: more questions than there is room for are not asked, all or none of
// them.
func TestHandshakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := tester(t, nic("eth0", 2, "198.18.0.1/24"))
		many := slices.Repeat([]forward.Question{toVIP(1, vip4)}, handshakeRate-1)
		n.Test(many)
		n.Test(many[:2])
		if sent, counted, dropped := len(n.began(t, 2)), n.counter(t, "handshakes_sent_total", ""), n.counter(t, "dropped_total", "limited"); sent != len(many) || counted != float64(len(many)) || dropped != 2 {
			t.Errorf("%d sent, %v counted, %v over the limit", sent, counted, dropped)
		}
		for range 10 {
			time.Sleep(time.Second)
			n.Test(many)
		}
		if known := len(n.begun.of); known > maxHandshakes || known != len(n.begun.order) {
			t.Errorf("%d are remembered, %d in order", known, len(n.begun.order))
		}
	})
}

// TestHandshakeMalformed: what cannot be read is dropped, and what is no Ethernet address is not
// asked.
func TestHandshakeMalformed(t *testing.T) {
	h := newHandshakes(nil)
	if got := h.accepted(nodeView(), make([]byte, packet.FrameSize), 10); got.drop != malformed {
		t.Errorf("dropped as %s", got.drop)
	}
	synctest.Test(t, func(t *testing.T) {
		n := tester(t, nic("eth0", 2, "198.18.0.1/24"))
		n.Test([]forward.Question{{ID: 1, MAC: "nobody", To: netip.AddrPortFrom(vip4, 80)}})
		if got := n.began(t, 2); len(got) > 0 {
			t.Errorf("sent %+v", got)
		}
	})
}

// TestTestingIsAskedFor: without it nobody listens for connections, and none are begun.
func TestTestingIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		synctest.Wait()
		n.Test([]forward.Question{toVIP(1, vip4)})
		if n.sys.sockets[fakeKey{testNIC.Index, packet.EtherIPv4}] != nil {
			t.Error("there is a socket for IPv4")
		}
	})
}
