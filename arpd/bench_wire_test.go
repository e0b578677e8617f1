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
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/announce"
	"github.com/starling-lb/starling/arpd/packet"
)

const (
	// askedAtOnce is how many questions are outstanding where the rate is measured.
	askedAtOnce = 64
	// askedInTurn questions make one turn of a target, askedAsOften where the
	// rate is measured.
	askedInTurn, askedAsOften = 200, 20_000
	// foreign is how many frames a second a flood has.
	foreign = 100_000
)

// target is somebody who answers for an address.
type target struct {
	name string
	mac  packet.HW
	ip   netip.Addr
	took []time.Duration
	rate []float64 // answers per second
}

// at is a quantile of what was measured: the median for 0.5.
func (t *target) at(share float64) float64 {
	slices.Sort(t.took)
	return float64(t.took[int(share*float64(len(t.took)-1))].Nanoseconds()) / 1000
}

func median(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// asker is a socket of the peer to which only answers come that are meant for it.
func (p *pair) asker() socket {
	return p.peer.client("eth0", packet.EtherARP, []bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: packet.OpReply, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 2, Size: 4}, // to this station, no announcement
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: key4([4]byte(p.wire.mac[2:])), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 0xffff},
	})
}

// interrogate sends n questions to a target, so many of them at once, and returns the
// times to the answers; with more than one at once they are those from answer to
// answer.
func (p *pair) interrogate(b *testing.B, c socket, t *target, n, atOnce int) []time.Duration {
	b.Helper()
	question := arpFrame(b, t.mac, p.wire.mac, arp.OperationRequest, p.wire.mac, peer4, packet.HW{}, t.ip)
	buf := make([]byte, packet.FrameSize)
	took := make([]time.Duration, 0, n)
	begin := time.Now()
	for sent := 0; len(took) < n; {
		for ; sent < n && sent-len(took) < atOnce; sent++ {
			if err := c.Write(question); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		took = append(took, now.Sub(begin))
		begin = now
	}
	return took
}

// crowd puts a kernel, the least C program and speakers with 1, 1,000 and 10,000
// addresses on one switch.
func crowd(b *testing.B, p *pair) []*target {
	b.Helper()
	compiler(b)
	yard := netip.MustParseAddr("198.18.0.99")
	host := newHost(b)
	p.plug(host, "eth0", "198.18.0.9/24")
	host.yardstick("eth0", yard)
	p.speaker.stop()
	targets := []*target{
		{name: "kernel", mac: p.mac, ip: netip.MustParseAddr("198.18.0.1")},
		{name: "c", mac: host.mac("eth0"), ip: yard},
	}
	for i, n := range []int{1, 1000, 10_000} {
		host := newHost(b)
		p.plug(host, "eth0", fmt.Sprintf("198.18.0.%d/24", 10+i))
		s := host.speak(1)
		vips := manyIPv4(n)
		s.Set(vips)
		for all := float64(2 * n * (1 + len(announce.Standard().Gaps))); gathered(b, s, "starling_layer2_gratuitous_sent_total") < all; {
			time.Sleep(100 * time.Millisecond) // a benchmark may: nothing else is to happen meanwhile
		}
		targets = append(targets, &target{name: fmt.Sprintf("starling-%d", n), mac: host.mac("eth0"), ip: vips[n/2]})
	}
	return targets
}

// BenchmarkAnswer measures the time from a question to its answer, one
// outstanding, and the rate with 64 of them, over a switch. All take turns, so
// that whatever else the machine does meets all alike; what counts are ratios to
// the kernel that answers for its own address.
func BenchmarkAnswer(b *testing.B) {
	p := newPair(b)
	targets := crowd(b, p)
	c := p.asker()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		for _, t := range targets {
			t.took = append(t.took, p.interrogate(b, c, t, askedInTurn, 1)...)
		}
	}
	for range 5 {
		for _, t := range targets {
			begin := time.Now()
			p.interrogate(b, c, t, askedAsOften, askedAtOnce)
			t.rate = append(t.rate, askedAsOften/time.Since(begin).Seconds())
		}
	}
	kernel := targets[0]
	for _, t := range targets {
		b.Logf("%-14s p50 %6.1f us (%.2fx kernel, %.2fx C)   p99 %6.1f us (%.2fx kernel)   %7.0f answers/s (%.2fx kernel)",
			t.name, t.at(0.5), t.at(0.5)/kernel.at(0.5), t.at(0.5)/targets[1].at(0.5), t.at(0.99), t.at(0.99)/kernel.at(0.99), median(t.rate), median(t.rate)/median(kernel.rate))
		if t != kernel {
			b.ReportMetric(t.at(0.5)/kernel.at(0.5), t.name+"-p50/kernel")
		}
		if text, ok := p.arping(t.ip); ok {
			b.Logf("%-14s arping: %s", t.name, text)
		}
	}
	p.speaker.stop()
}

// cpu is the time that the process has computed.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFlood measures what 100,000 frames a second cost that are not to be
// answered, and how much slower good answers come meanwhile.
func BenchmarkFlood(b *testing.B) {
	about := netip.MustParseAddr("198.18.0.77")
	for _, kind := range []struct {
		name  string
		frame []byte // nil: no flood
	}{
		{"none", nil},
		{"foreign", arpFrame(b, packet.Broadcast, strangerHW, arp.OperationRequest, strangerHW, peer4, packet.HW{}, about)},
		{"malformed", arpFrame(b, packet.Broadcast, strangerHW, arp.OperationRequest, packet.Broadcast, peer4, packet.HW{}, vip4)},
		{"spoofed", arpFrame(b, packet.Broadcast, strangerHW, arp.OperationRequest, strangerHW, vip4, packet.HW{}, vip4)},
	} {
		b.Run(kind.name, func(b *testing.B) {
			p := newPair(b)
			p.speaker.Set([]netip.Addr{vip4})
			c := p.asker()
			kernel := &target{mac: p.mac, ip: netip.MustParseAddr("198.18.0.1")}
			ours := &target{mac: p.mac, ip: vip4}
			sent, used := 0, time.Duration(0) // in two seconds
			if kind.frame != nil {
				second := p.flood(kind.frame, foreign)
				before := cpu(b)
				for range 2 {
					sent += second()
				}
				used = cpu(b) - before
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				for _, t := range []*target{kernel, ours} {
					t.took = append(t.took, p.interrogate(b, c, t, askedInTurn, 1)...)
				}
			}
			b.ReportMetric(float64(sent)/2, "frames/s")
			b.ReportMetric(100*used.Seconds()/2, "%core")
			b.ReportMetric(kernel.at(0.5), "kernel-p50-us")
			b.ReportMetric(ours.at(0.5), "p50-us")
			b.ReportMetric(ours.at(0.99), "p99-us")
			p.speaker.stop()
		})
	}
}
