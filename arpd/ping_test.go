package arpd

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/bpf"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// echoOf is an echo message as the library builds it.
func echoOf(t testing.TB, kind icmp.Type, from, to netip.Addr, data string) []byte {
	t.Helper()
	var pseudo []byte
	if to.Is6() {
		pseudo = icmp.IPv6PseudoHeader(from.AsSlice(), to.AsSlice())
	}
	b, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: 7, Seq: 9, Data: []byte(data)}}).Marshal(pseudo)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pingFrame is a question of the peer.
func pingFrame(t testing.TB, from, to netip.Addr, data string) []byte {
	t.Helper()
	if to.Is6() {
		body := echoOf(t, ipv6.ICMPTypeEchoRequest, from, to, data)
		return packet.NDFrame(nodeHW, peerHW, from, to, body)
	}
	body := echoOf(t, ipv4.ICMPTypeEcho, from, to, data)
	f := packet.Ethernet(nodeHW, peerHW, packet.EtherIPv4)
	head := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 17, packet.ICMPv4, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(ip4Len+len(body)))
	head = append(append(head, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(head[10:], packet.InternetSum(head))
	return append(append(f, head...), body...)
}

func TestPing(t *testing.T) {
	four, six := pingFrame(t, peer4, vip4, "hello"), pingFrame(t, peer6, vip6, "hello")
	for _, tc := range []struct {
		name    string
		decider func(*view, []byte, int) verdict
		frame   []byte
		want    verdict
	}{
		{"an own address", (*view).ping4, four, verdict{answer: len(four), echo: true}},
		{"with padding behind it", (*view).ping4, append(with(four, 0), 0, 0, 0), verdict{answer: len(four), echo: true}},
		{"another node's", (*view).ping4, pingFrame(t, peer4, other4, ""), verdict{drop: notOwned}},
		{"being handed over", (*view).ping4, pingFrame(t, peer4, yielded4, ""), verdict{answer: 42, echo: true}},
		{"a broadcast", (*view).ping4, with(four, 0, packet.Broadcast[:]...), verdict{drop: notForUs}},
		{"from a group", (*view).ping4, with(four, 6, packet.Broadcast[:]...), verdict{drop: badSender}},
		{"our own", (*view).ping4, with(four, 6, nodeHW[:]...), verdict{drop: ownFrame}},
		{"from a VIP", (*view).ping4, pingFrame(t, other4, vip4, ""), verdict{drop: badSender}},
		{"from nowhere", (*view).ping4, pingFrame(t, netip.IPv4Unspecified(), vip4, ""), verdict{drop: badSender}},
		{"a reply", (*view).ping4, with(four, 34, echoReply), verdict{drop: notRequest}},
		{"options", (*view).ping4, with(four, 14, 0x46), verdict{drop: malformed}},
		{"a first fragment", (*view).ping4, with(four, 20, 0x20), verdict{drop: malformed}},
		{"a later fragment", (*view).ping4, with(four, 21, 1), verdict{drop: malformed}},
		{"header checksum", (*view).ping4, with(four, 22, 18), verdict{drop: badChecksum}},
		{"checksum", (*view).ping4, with(four, len(four)-1, 'x'), verdict{drop: badChecksum}},
		{"longer than the frame", (*view).ping4, with(four, 16, 1), verdict{drop: malformed}},
		{"IPv6", (*view).ping6, six, verdict{answer: len(six), echo: true}},
		{"IPv6, another node's", (*view).ping6, pingFrame(t, peer6, other6, ""), verdict{drop: notOwned}},
		{"IPv6, a group", (*view).ping6, with(six, 0, 0x33), verdict{drop: notForUs}},
		{"IPv6, from a VIP", (*view).ping6, pingFrame(t, vip6, vip6, ""), verdict{drop: badSender}},
		{"IPv6, a reply", (*view).ping6, with(six, 54, echoReply6), verdict{drop: notRequest}},
		{"IPv6, checksum", (*view).ping6, with(six, len(six)-1, 'x'), verdict{drop: badChecksum}},
		{"IPv6, longer than the frame", (*view).ping6, with(six, 18, 1), verdict{drop: malformed}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, answer := decide(tc.decider, nodeView(), tc.frame)
			if diff := cmp.Diff(tc.want, got, compare); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if got.answer > 0 {
				checkEcho(t, tc.frame, answer)
			}
		})
	}
}

// checkEcho reads the answer by the library.
func checkEcho(t testing.TB, question, answer []byte) {
	t.Helper()
	if packet.HW(answer[0:6]) != packet.HW(question[6:12]) || packet.HW(answer[6:12]) != nodeHW {
		t.Errorf("from %x to %x", answer[6:12], answer[0:6])
	}
	protocol, at := packet.ICMPv4, packet.EthLen+ip4Len
	if question[12] == 0x86 {
		protocol, at = packet.ICMPv6, packet.EthLen+packet.IP6Len
		from, to := netip.AddrFrom16([16]byte(answer[22:])), netip.AddrFrom16([16]byte(answer[38:]))
		if from.As16() != [16]byte(question[38:54]) || to.As16() != [16]byte(question[22:38]) || answer[21] != echoTTL {
			t.Errorf("from %s to %s, hop limit %d", from, to, answer[21])
		}
		if packet.Checksum(from.As16(), to.As16(), answer[at:]) != 0 {
			t.Error("wrong checksum")
		}
	} else {
		h, err := ipv4.ParseHeader(answer[packet.EthLen:])
		if err != nil {
			t.Fatal(err)
		}
		if !h.Src.Equal(question[30:34]) || !h.Dst.Equal(question[26:30]) || h.TTL != echoTTL || h.TotalLen != len(answer)-packet.EthLen || packet.InternetSum(answer[packet.EthLen:][:ip4Len]) != 0 || packet.InternetSum(answer[at:]) != 0 {
			t.Errorf("header %v, sums %x %x", h, packet.InternetSum(answer[packet.EthLen:][:ip4Len]), packet.InternetSum(answer[at:]))
		}
	}
	is, err := icmp.ParseMessage(protocol, answer[at:])
	if err != nil {
		t.Fatal(err)
	}
	was, err := icmp.ParseMessage(protocol, question[at:len(answer)])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was.Body, is.Body, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-question +answer):\n%s", diff)
	}
	if is.Type != ipv4.ICMPTypeEchoReply && is.Type != ipv6.ICMPTypeEchoReply {
		t.Errorf("type %v", is.Type)
	}
}

// FuzzPing: whatever comes in whatever length, an answer is one that the library
// reads and that goes to one station.
func FuzzPing(f *testing.F) {
	f.Add(true, pingFrame(f, peer4, vip4, "hello"))
	f.Add(false, pingFrame(f, peer6, vip6, "hello"))
	f.Fuzz(func(t *testing.T, four bool, frame []byte) {
		decider := (*view).ping6
		if four {
			decider = (*view).ping4
		}
		frame = frame[:min(len(frame), packet.FrameSize)]
		for n := range len(frame) + 1 {
			v, answer := decide(decider, nodeView(), frame[:n])
			if (v.answer > 0) == (v.drop != kept) || v.answer > n {
				t.Fatalf("%d bytes: %+v", n, v)
			}
			if v.answer > 0 {
				checkEcho(t, frame, answer)
			}
		}
	})
}

func TestPingProgram(t *testing.T) {
	for _, tc := range []struct {
		name    string
		program func(*table) []bpf.Instruction
		frame   []byte
		want    bool
	}{
		{"own", ping4Program, pingFrame(t, peer4, vip4, ""), true},
		{"another's", ping4Program, pingFrame(t, peer4, peer4, ""), false},
		{"a reply", ping4Program, with(pingFrame(t, peer4, vip4, ""), 34, echoReply), false},
		{"UDP", ping4Program, with(pingFrame(t, peer4, vip4, ""), 23, 17), false},
		{"IPv6, own", ping6Program, pingFrame(t, peer6, vip6, ""), true},
		{"IPv6, another's", ping6Program, pingFrame(t, peer6, peer6, ""), false},
		{"IPv6, a solicitation", ping6Program, multicastSolicit(t, vip6), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := packettest.Passes(t, tc.program(nodeView().table), tc.frame); got != tc.want {
				t.Errorf("passes: %v", got)
			}
		})
	}
}

// TestPingIsAskedFor: without the option nobody listens; with it, an interface
// sends so many echoes a second and no more.
func TestPingIsAskedFor(t *testing.T) {
	for _, on := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, _ := startWith(t, Config{AnswerPing: on}, newFake(t, testNIC))
			n.Set([]netip.Addr{vip4})
			synctest.Wait()
			if n.sys.sockets[fakeKey{testNIC.Index, packet.EtherIPv4}] == nil {
				if on {
					t.Error("nobody listens")
				}
				return
			}
			s := n.sys.socket(testNIC.Index, packet.EtherIPv4)
			for range 2 * echoRate {
				s.deliver(t, with(pingFrame(t, peer4, vip4, ""), 0, testNIC.MAC[:]...))
			}
			synctest.Wait()
			if sent, counted, dropped := len(s.take()), n.counter(t, "pings_answered_total", ""), n.counter(t, "dropped_total", "limited"); !on || sent != echoRate || counted != echoRate || dropped != echoRate {
				t.Errorf("on %v: %d sent, %v counted, %v over the limit", on, sent, counted, dropped)
			}
			time.Sleep(time.Second)
			if !s.deliver(t, with(pingFrame(t, peer4, vip4, ""), 0, testNIC.MAC[:]...)) {
				t.Fatal("held back")
			}
			synctest.Wait()
			if len(s.take()) != 1 {
				t.Error("not answered a second later")
			}
		})
	}
}
