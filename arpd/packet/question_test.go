package packet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
)

func TestProbeFrames(t *testing.T) {
	four, err := packet.Probe4(nodeHW, vip4)
	if err != nil {
		t.Fatal(err)
	}
	m, d := packet.ParseARP(four)
	want := packet.ARP{Dst: packet.Broadcast, Src: nodeHW, Op: packet.OpRequest, SHA: nodeHW, TPA: vip4.As4()}
	if diff := cmp.Diff(want, m); diff != "" || d != packet.Sound {
		t.Errorf("%v (-want +got):\n%s", d, diff)
	}
	six, err := packet.Probe6(nodeHW, vip6)
	if err != nil {
		t.Fatal(err)
	}
	n, d := packet.ParseND(six)
	if d != packet.Sound || n.Kind != packet.NS || n.From != ([16]byte{}) || n.Target != vip6.As16() || n.LLA != (packet.HW{}) {
		t.Errorf("%v %+v", d, n)
	}
	if _, err := packet.Probe4(nodeHW, vip6); err == nil {
		t.Error("ARP for IPv6")
	}
}

func TestQuestionFrames(t *testing.T) {
	four, err := packet.Question4(nodeHW, peer4, peerHW, vip4)
	if err != nil {
		t.Fatal(err)
	}
	m, fault := packet.ParseARP(four)
	asked := packet.ARP{Dst: peerHW, Src: nodeHW, Op: packet.OpRequest, SHA: nodeHW, SPA: peer4.As4(), THA: peerHW, TPA: vip4.As4()}
	if diff := cmp.Diff(asked, m); diff != "" || fault != packet.Sound {
		t.Errorf("%s, question (-want +got):\n%s", fault, diff)
	}
	six, err := packet.Solicit6(nodeHW, vip6)
	if err != nil {
		t.Fatal(err)
	}
	n, fault := packet.ParseND(six)
	group := packet.SolicitedNode(vip6).As16()
	solicited := packet.ND{
		Dst: packet.Multicast(group), Src: nodeHW, From: packet.LinkLocal(nodeHW).As16(), To: group,
		Kind: packet.NS, Target: vip6.As16(), LLA: nodeHW,
	}
	if diff := cmp.Diff(solicited, n); diff != "" || fault != packet.Sound {
		t.Errorf("%s, solicitation (-want +got):\n%s", fault, diff)
	}
}

func TestLinkLocal(t *testing.T) {
	if got := packet.LinkLocal(packet.HW{0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde}).String(); got != "fe80::3656:78ff:fe9a:bcde" {
		t.Errorf("got %s", got)
	}
}

func TestQuestionOfTheOtherFamily(t *testing.T) {
	if _, err := packet.Question4(nodeHW, peer4, peerHW, vip6); err == nil {
		t.Error("ARP for IPv6")
	}
}
