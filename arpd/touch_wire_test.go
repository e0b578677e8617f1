package arpd

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/starling-lb/starling/arpd/packet"
)

// longFor, set in the environment to a duration as "10m", is how long
// TestKernelStaysInTouch goes on.
const longFor = "STARLING_LONG"

// TestKernelStaysInTouch: the kernel of a peer, in a hurry to forget, resolves VIPs,
// lets the entries expire and asks again and again while it sends, and not one of
// its datagrams is lost.
func TestKernelStaysInTouch(t *testing.T) {
	lasts := 3 * time.Second
	if text := os.Getenv(longFor); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", longFor, err)
		}
	}
	p := newPair(t)
	vips := []netip.Addr{vip4, vip6}
	p.speaker.Set(vips)
	for _, family := range []string{"ipv4", "ipv6"} {
		for key, value := range map[string]string{"base_reachable_time_ms": "200", "delay_first_probe_time": "0", "retrans_time_ms": "200", "gc_stale_time": "1"} {
			p.peer.Sysctl("net/"+family+"/neigh/eth0/"+key, value)
		}
	}
	before := gathered(t, p.speaker, "starling_layer2_requests_received_total")
	arrived, lines := p.node.station("eth0"), map[netip.Addr]net.Conn{}
	for _, ip := range vips {
		p.peer.do(func() (err error) {
			lines[ip], err = net.Dial("udp", netip.AddrPortFrom(ip, 9).String())
			return err
		})
		t.Cleanup(func() { lines[ip].Close() })
	}
	sent := uint32(0)
	for end := time.Now().Add(lasts); time.Now().Before(end); sent++ {
		for _, ip := range vips {
			_, err := lines[ip].Write(binary.BigEndian.AppendUint32(nil, sent))
			p.Must("send", err)
			arrived.expect("a datagram for "+ip.String(), func(f []byte) bool { return carries(f, ip, sent) })
		}
		arrived.within(10*time.Millisecond, func([]byte) bool { return false })
	}
	questions := gathered(t, p.speaker, "starling_layer2_requests_received_total") - before
	t.Logf("%d datagrams to each address arrived, %v questions were answered", sent, questions)
	if least := 2 * lasts.Seconds(); questions < least {
		t.Errorf("%v questions in %v: the kernel did not forget", questions, lasts)
	}
}

// carries fits the datagram with a number for an address.
func carries(f []byte, ip netip.Addr, number uint32) bool {
	at, to := packet.EthLen+ip4Len, f[packet.EthLen+16:]
	if f[12] == 0x86 {
		at, to = packet.EthLen+packet.IP6Len, f[packet.EthLen+24:]
	}
	return len(f) >= at+12 && string(to[:ip.BitLen()/8]) == string(ip.AsSlice()) && binary.BigEndian.Uint32(f[at+8:]) == number
}
