package nft

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// TestErrorsFollow: what routers say of a connection (RFC 1191, RFC 8201) goes to the node that
// knows it.
func TestErrorsFollow(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(0)
		s.dial(1)
		s.nodes[1].passes(s.pass(0, 0))
		s.at(1)
		s.dial(1)
		s.tooBig(s.clients[1]) // of a connection that the second node knows
		if n := s.passed(1); n != 0 {
			t.Errorf("%d errors are passed that are for this node", n)
		}
		s.tooBig(s.clients[0])
		for late := time.Now().Add(patience); s.passed(1) == 0; {
			if time.Now().After(late) {
				t.Fatal("an error is not passed")
			}
		}
	})
}

// tooBig says to the VIP that a packet of a connection was too big.
func (s *site) tooBig(c net.Conn) {
	s.t.Helper()
	m, network := icmp.Message{Type: ipv6.ICMPTypePacketTooBig, Body: &icmp.PacketTooBig{MTU: 1280, Data: s.reply(c)}}, "ip6:ipv6-icmp"
	if s.family.is4 {
		m, network = icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Code: 4, Body: &icmp.DstUnreach{Data: s.reply(c)}}, "ip4:icmp"
	}
	b, err := m.Marshal(nil)
	s.client.Must("encode", err)
	s.client.Must("send", s.client.Inside(func() error {
		raw, err := net.Dial(network, s.vip.String())
		if err != nil {
			return err
		}
		defer raw.Close()
		_, err = raw.Write(b)
		return err
	}))
}

// reply is the head of a packet of the connection from the VIP to the client.
func (s *site) reply(c net.Conn) []byte {
	client := c.LocalAddr().(*net.TCPAddr).AddrPort()
	size := 40
	if s.family.is4 {
		size = 20
	}
	b := make([]byte, size+20)
	copy(b[s.family.from:], s.vip.AsSlice())
	copy(b[s.family.to:], client.Addr().Unmap().AsSlice())
	binary.BigEndian.PutUint16(b[size:], port)
	binary.BigEndian.PutUint16(b[size+2:], client.Port())
	b[size+12] = 5 << 4
	if !s.family.is4 {
		b[0], b[6], b[7] = 6<<4, unix.IPPROTO_TCP, 64
		binary.BigEndian.PutUint16(b[4:], 20)
		return b
	}
	b[0], b[8], b[9] = 4<<4|5, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[10:], sum(b[:size]))
	return b
}

// sum is the checksum of an IPv4 header (RFC 1071).
func sum(b []byte) uint16 {
	var n uint32
	for i := 0; i < len(b); i += 2 {
		n += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for n>>16 > 0 {
		n = n&0xffff + n>>16
	}
	return ^uint16(n)
}
