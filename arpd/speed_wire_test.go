package arpd

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// client is a plain blocking packet socket: it adds as little as possible to
// what it measures.
func (h *host) client(name string, kind uint16, program []bpf.Instruction) socket {
	h.T.Helper()
	s, err := linux{netif.Namespace(h.Path())}.Packet(h.Link(name).Attrs().Index, kind)
	h.Must("open client", err)
	raw, err := bpf.Assemble(program)
	h.Must("assemble", err)
	h.Must("filter", s.Filter(raw))
	h.T.Cleanup(func() { s.Close() })
	return s
}

// resident is the memory of the process in MB, after it gave back what it can.
func resident(t testing.TB) float64 {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// manyIPv4 are n addresses on the segment of the nodes, when that is a /15.
func manyIPv4(n int) []netip.Addr {
	out := make([]netip.Addr, n)
	for i := range out {
		out[i] = netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)})
	}
	return out
}

// TestTenThousand gains 10,000 addresses and counts what reaches the peer. The
// promise is two seconds; the limit here leaves room for a busy machine.
func TestTenThousand(t *testing.T) {
	p := newPair(t)
	vips := manyIPv4(10_000)
	c := p.peer.client("eth0", packet.EtherARP, []bpf.Instruction{bpf.RetConstant{Val: 0xffff}})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	was := resident(t)
	result := make(chan time.Duration)
	begin := time.Now()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		seen := make(map[[4]byte]bool, len(vips))
		b := make([]byte, packet.FrameSize)
		for len(seen) < len(vips) {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if m, d := packet.ParseARP(b[:n]); d == packet.Sound && m.Src == p.mac && m.SPA == m.TPA {
				seen[m.SPA] = true
			}
		}
		result <- time.Since(begin)
	}()
	p.speaker.Set(vips)
	set := time.Since(begin)
	select {
	case took := <-result:
		runtime.GC()
		runtime.ReadMemStats(&after)
		grown := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (1 << 20)
		t.Logf("Set took %v; the first announcement of each of %d addresses arrived within %v; heap grew by %.1f MB, resident memory by %.1f MB",
			set.Round(time.Microsecond), len(vips), took.Round(time.Millisecond), grown, resident(t)-was)
		if took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		if grown > 10 {
			t.Errorf("heap grew by %.1f MB", grown)
		}
	case <-time.After(patience):
		c.Interrupt()
		t.Fatal("not all addresses were announced")
	}
}
