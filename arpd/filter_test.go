package arpd

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// TestFilterOfRoles: questions pass for what is answered or probed, claims for all that is
// known.
func TestFilterOfRoles(t *testing.T) {
	for r, want := range map[role]struct{ asked4, asked6, claimed bool }{
		own:         {true, true, true},
		own | watch: {true, true, true},
		watch:       {false, false, true},
		tried:       {true, false, true},
		0:           {false, false, false},
	} {
		tab := newTable(map[netip.Addr]role{vip4: r, vip6: r})
		for name, tc := range map[string]struct {
			program []bpf.Instruction
			frame   []byte
			want    bool
		}{
			"request":       {arpProgram(tab), request(t, peer4, vip4), want.asked4},
			"solicitation":  {ndProgram(tab), multicastSolicit(t, vip6), want.asked6},
			"ARP claim":     {arpProgram(tab), request(t, vip4, vip4), want.claimed},
			"advertisement": {ndProgram(tab), advertise(t, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, vip6, false), want.claimed},
			"a stranger's":  {arpProgram(tab), request(t, peer4, other4), false},
		} {
			if got := packettest.Passes(t, tc.program, tc.frame); got != tc.want {
				t.Errorf("role %d, %s: passes %v", r, name, got)
			}
		}
	}
}

// TestFilterNeverHoldsBack checks with many scattered addresses, more than a
// filter has ranges for, that every one still passes and that the programs are
// ones that a kernel can load.
func TestFilterNeverHoldsBack(t *testing.T) {
	roles := make(map[netip.Addr]role)
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		r := role(1 + random.IntN(3))
		var a [16]byte
		copy(a[:], []byte{0x20, 0x01, 0x0d, 0xb8})
		for i := 8; i < 16; i++ {
			a[i] = byte(random.Uint32())
		}
		roles[netip.AddrFrom16(a)] = r
		roles[netip.AddrFrom4([4]byte{198, 18, a[14], a[15]})] = r
	}
	tab := newTable(roles)
	for _, program := range [][]bpf.Instruction{arpProgram(tab), ndProgram(tab)} {
		raw, err := packet.Assemble(3, program)
		if err != nil || len(raw) > 4096 {
			t.Fatalf("%d instructions: %v", len(raw), err)
		}
	}
	arp, nd := packettest.Load(t, arpProgram(tab)), packettest.Load(t, ndProgram(tab))
	for ip, r := range roles {
		passes, claimed := arp, func() []byte { return request(t, ip, ip) }
		asked := func() []byte { return request(t, peer4, ip) }
		if ip.Is6() {
			passes, claimed = nd, func() []byte { return advertise(t, nodeHW, peerHW, peer6, ip, true) }
			asked = func() []byte { return multicastSolicit(t, ip) }
		}
		if !passes(claimed()) {
			t.Errorf("a claim of %s (role %d) does not pass", ip, r)
		}
		if r&own != 0 && !passes(asked()) {
			t.Errorf("a question for %s does not pass", ip)
		}
	}
}
