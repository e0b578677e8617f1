package arpd

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"golang.org/x/net/bpf"
)

// client is a plain blocking packet socket: it adds as little as possible to
// what it measures.
func (h *host) client(name string, kind uint16, program []bpf.Instruction) socket {
	h.t.Helper()
	s, err := linux{namespace: h.path}.Packet(h.link(name).Attrs().Index, kind)
	h.must("open client", err)
	raw, err := bpf.Assemble(program)
	h.must("assemble", err)
	h.must("filter", s.Filter(raw))
	h.t.Cleanup(func() { s.Close() })
	return s
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
	c := p.peer.client("eth0", etherARP, []bpf.Instruction{bpf.RetConstant{Val: accept}})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result := make(chan time.Duration)
	begin := time.Now()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		seen := make(map[[4]byte]bool, len(vips))
		b := make([]byte, frameSize)
		for len(seen) < len(vips) {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if m, d := parseARP(b[:n]); d == kept && m.src == p.mac && m.spa == m.tpa {
				seen[m.spa] = true
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
		t.Logf("Set took %v; the first announcement of each of %d addresses arrived within %v; heap grew by %.1f MB",
			set.Round(time.Microsecond), len(vips), took.Round(time.Millisecond), grown)
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

// BenchmarkAnswer measures the time from a question to its answer, one
// outstanding, over a switch, for the kernel's own address and for VIPs.
func BenchmarkAnswer(b *testing.B) {
	p := newPair(b)
	p.speaker.Set(nil)
	only := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arpReply, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 2, Size: 4}, // to this station, no announcement
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: key4([4]byte(p.wire.mac[2:])), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: accept},
	}
	c := p.peer.client("eth0", etherARP, only)
	b.Run("kernel", func(b *testing.B) { p.measure(b, c, netip.MustParseAddr("198.18.0.1")) })
	for _, n := range []int{1, 1000, 10_000} {
		vips := append(manyIPv4(n-1), vip4)
		b.Run(fmt.Sprintf("starling-%d", n), func(b *testing.B) {
			p.speaker.Set(vips)
			p.measure(b, c, vip4)
		})
	}
	p.speaker.Set(nil)
}

func (p *pair) measure(b *testing.B, c socket, ip netip.Addr) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	question := arpFrame(b, broadcastHW, p.wire.mac, arp.OperationRequest, p.wire.mac, peer4, hw{}, ip)
	buf := make([]byte, frameSize)
	took := make([]time.Duration, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		begin := time.Now()
		if err := c.Write(question); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-us")
}
