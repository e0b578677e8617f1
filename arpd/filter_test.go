package arpd

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"golang.org/x/net/bpf"
)

// passes runs a program without the guard, which only the kernel can run.
func passes(t testing.TB, program []bpf.Instruction, frame []byte) bool {
	t.Helper()
	return load(t, program)(frame)
}

func load(t testing.TB, program []bpf.Instruction) func([]byte) bool {
	t.Helper()
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatalf("load program: %v", err)
	}
	return func(frame []byte) bool {
		n, err := vm.Run(frame)
		if err != nil {
			t.Fatalf("run program: %v", err)
		}
		return n > 0
	}
}

func TestARPProgram(t *testing.T) {
	tab := nodeView().table
	foreign := netip.MustParseAddr("198.18.0.9")
	question := request(t, peer4, vip4)
	for name, tc := range map[string]struct {
		frame []byte
		want  bool
	}{
		"request for ours":          {question, true},
		"probe for ours":            {request(t, netip.IPv4Unspecified(), vip4), true},
		"request for one in hand":   {request(t, peer4, yielded4), true},
		"request for a watched one": {request(t, peer4, other4), false},
		"request for a stranger":    {request(t, peer4, foreign), false},
		"stranger's announcement":   {request(t, foreign, foreign), false},
		"watched one's":             {request(t, other4, other4), true},
		"our own address claimed":   {request(t, vip4, foreign), true},
		"reply for a watched one":   {arpFrame(t, broadcastHW, peerHW, arp.OperationReply, peerHW, other4, nodeHW, peer4), true},
		"a stranger's to all":       {arpFrame(t, broadcastHW, peerHW, arp.OperationReply, peerHW, foreign, nodeHW, peer4), false},
		"short":                     {question[:41], false},
		"another protocol":          {with(question, 16, 0x86, 0xdd), false},
		"long addresses":            {with(question, 18, 8), false},
		"empty":                     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := passes(t, arpProgram(tab), tc.frame); got != tc.want {
				t.Errorf("passes: %v", got)
			}
			if passes(t, arpProgram(newTable(nil)), tc.frame) {
				t.Error("passes although there is no address")
			}
		})
	}
	for _, from := range []netip.Addr{foreign, vip4, other4} {
		answer := arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, from, nodeHW, peer4)
		for name, tab := range map[string]*table{"with addresses": tab, "without": newTable(nil)} {
			if !passes(t, arpProgram(tab), answer) {
				t.Errorf("%s: an answer of %s to this station does not pass", name, from)
			}
		}
	}
}

func TestNDProgram(t *testing.T) {
	tab := nodeView().table
	foreign := netip.MustParseAddr("2001:db8::9")
	question := multicastSolicit(t, vip6)
	for name, tc := range map[string]struct {
		frame []byte
		want  bool
	}{
		"solicitation for ours":          {question, true},
		"solicitation for one in hand":   {multicastSolicit(t, yielded6), true},
		"solicitation for a watched one": {multicastSolicit(t, other6), false},
		"solicitation for a stranger":    {multicastSolicit(t, foreign), false},
		"advertisement of ours":          {advertise(t, multicastHW(allNodes.As16()), peerHW, allNodes, vip6, false), true},
		"advertisement of a watched one": {advertise(t, multicastHW(allNodes.As16()), peerHW, allNodes, other6, false), true},
		"advertisement of a stranger":    {advertise(t, multicastHW(allNodes.As16()), peerHW, allNodes, foreign, false), false},
		"hop limit 64":                   {with(question, 21, 64), false},
		"UDP":                            {with(question, 20, 17), false},
		"echo request":                   {with(question, 54, 128), false},
		"router advertisement":           {with(question, 54, 134), false},
		"short":                          {question[:77], false},
		"empty":                          {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := passes(t, ndProgram(tab), tc.frame); got != tc.want {
				t.Errorf("passes: %v", got)
			}
			if passes(t, ndProgram(newTable(nil)), tc.frame) {
				t.Error("passes although there is no address")
			}
		})
	}
	for _, from := range []netip.Addr{foreign, vip6, other6} {
		answer := advertise(t, nodeHW, peerHW, peer6, from, true)
		for name, tab := range map[string]*table{"with addresses": tab, "without": newTable(nil)} {
			if !passes(t, ndProgram(tab), answer) {
				t.Errorf("%s: an answer of %s to this station does not pass", name, from)
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
		raw, err := assemble(3, program)
		if err != nil || len(raw) > 4096 {
			t.Fatalf("%d instructions: %v", len(raw), err)
		}
	}
	arp, nd := load(t, arpProgram(tab)), load(t, ndProgram(tab))
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
