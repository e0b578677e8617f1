package arpd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/starling-lb/starling/health"
)

// TestKernelAnswersToo is kube-proxy's IPVS mode: another interface has the VIP, here a bridge for
// want of dummies. What is found is what the kernel does: without strictARP two answers come for
// one question, with it one.
func TestKernelAnswersToo(t *testing.T) {
	p := newPair(t)
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, fence})
	p.node.Must("add "+ipvs, p.node.NL.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: ipvs}}))
	p.node.Address(ipvs, vip4.String()+"/32")
	p.node.Up(ipvs)
	p.speaker.await("the finding", func() bool { return len(p.speaker.State().Conditions) == 1 })
	if got := p.speaker.State().Conditions[0]; got.Code != health.KernelAnswers || !strings.Contains(got.Words, "eth0") {
		t.Errorf("%+v", got)
	}
	if n := p.answers(vip4, fence); n != 2 {
		t.Errorf("%d answers to one question, want the kernel's and ours", n)
	}
	p.node.Sysctl("net/ipv4/conf/all/arp_ignore", "1")
	p.node.Sysctl("net/ipv4/conf/all/arp_announce", "2")
	p.node.Down(ipvs) // an event, so that the settings are read again
	p.speaker.await("no finding", func() bool { return len(p.speaker.State().Conditions) == 0 })
	if n := p.answers(vip4, fence); n != 1 {
		t.Errorf("%d answers to one question, want ours", n)
	}
}

// answers asks for ip, then for fence, and counts the answers for ip.
func (p *pair) answers(ip, fence netip.Addr) (n int) {
	p.T.Helper()
	p.ask(ip, fence)
	p.wire.expect("the answer for "+fence.String(), func(f []byte) bool {
		if p.toPeer(ip)(f) {
			n++
		}
		return p.toPeer(fence)(f)
	})
	return n
}

// TestKernelThatIsSilent: what the kernel is set to ignore does not concern VIPs.
func TestKernelThatIsSilent(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	for _, ignore := range []string{"1", "2", "8"} {
		p.node.Sysctl("net/ipv4/conf/all/arp_ignore", ignore)
		p.answered(vip4)
	}
	p.node.Sysctl("net/ipv4/conf/all/arp_ignore", "0")
	p.node.Sysctl("net/ipv4/conf/eth0/proxy_arp", "1")
	p.node.Sysctl("net/ipv4/conf/eth0/forwarding", "1")
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, fence})
	if n := p.answers(vip4, fence); n != 1 {
		t.Errorf("%d answers beside proxy ARP", n)
	}
}
