package arpd

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/starling-lb/starling/arpd/packet"
)

// TestKernelPings: the kernel of a peer takes the answer for the one to its ping.
func TestKernelPings(t *testing.T) {
	p := newPair(t)
	p.speaker.stop()
	p.speaker = p.node.speakWith(1, Config{AnswerPing: true})
	p.speaker.Set([]netip.Addr{vip4, vip6})
	for _, tc := range []struct {
		network  string
		ip       netip.Addr
		kind     icmp.Type
		answer   icmp.Type
		protocol int
	}{
		{"ip4:icmp", vip4, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, packet.ICMPv4},
		{"ip6:ipv6-icmp", vip6, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, packet.ICMPv6},
	} {
		p.peer.do(func() error {
			c, err := net.Dial(tc.network, tc.ip.String())
			if err != nil {
				return err
			}
			defer c.Close()
			from, _ := netip.AddrFromSlice(c.LocalAddr().(*net.IPAddr).IP)
			if _, err := c.Write(echoOf(t, tc.kind, from.Unmap(), tc.ip, "hello")); err != nil {
				return err
			}
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			for b := make([]byte, packet.FrameSize); ; {
				n, _, err := c.(*net.IPConn).ReadFrom(b) // Read would leave the IPv4 header
				if err != nil {
					return err
				}
				m, err := icmp.ParseMessage(tc.protocol, b[:n])
				if echo, ok := m.Body.(*icmp.Echo); err == nil && ok && m.Type == tc.answer && string(echo.Data) == "hello" {
					return nil
				}
			}
		})
	}
}
