package arpd

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
)

// updateCaptures, set in the environment, has tcpdump write the files anew.
const updateCaptures = "UPDATE_CAPTURES"

// TestCaptures holds the frames that a peer receives against testdata/*.txt, byte
// for byte. The files are what tcpdump prints of them; docs/wire.md explains them.
func TestCaptures(t *testing.T) {
	p := newPair(t)
	p.speaker.stop()
	for h, mac := range map[*host]packet.HW{p.node: nodeHW, p.peer: peerHW} {
		h.Down("eth0")
		h.Must("set MAC", h.NL.LinkSetHardwareAddr(h.Link("eth0"), mac[:]))
		h.Up("eth0")
	}
	p.node.Address("eth0", "2001:db8::1/64") // it went with the link
	p.mac, p.wire = nodeHW, p.peer.station("eth0")
	p.speaker = p.node.speak(1)
	p.peer.reach(netip.MustParseAddr("198.18.0.1"), p.mac)

	none4, group6 := netip.IPv4Unspecified(), packet.SolicitedNode(vip6)
	asked6 := netip.MustParseAddr("2001:db8::2")
	for _, tc := range []struct {
		name  string
		does  func()
		fits  []func([]byte) bool
		after func()
	}{
		{"announcement4", func() { p.speaker.Set([]netip.Addr{vip4}) }, []func([]byte) bool{isARP(packet.OpRequest, nodeHW, vip4), isARP(packet.OpReply, nodeHW, vip4)}, nil},
		{"answer4", func() { p.ask(vip4) }, []func([]byte) bool{p.toPeer(vip4)}, nil},
		{"answer4-to-probe", func() {
			p.wire.send(arpFrame(t, packet.Broadcast, peerHW, packet.OpRequest, peerHW, none4, packet.HW{}, vip4))
		}, []func([]byte) bool{p.toPeer(vip4)}, func() { p.speaker.Set(nil) }},
		{"probe4", func() { p.speaker.Probe([]netip.Addr{other4}) }, []func([]byte) bool{func(f []byte) bool { // not the one that asks for vip4 again
			return isARP(packet.OpRequest, nodeHW, none4)(f) && [4]byte(f[38:42]) == other4.As4()
		}}, func() { p.speaker.Probe(nil) }},
		{"announcement6", func() { p.speaker.Set([]netip.Addr{vip6}) }, []func([]byte) bool{isND(packet.NA, nodeHW, vip6)}, nil},
		{"answer6", func() {
			p.wire.send(solicit(t, nodeHW, peerHW, asked6, vip6, vip6, peerHW))
		}, []func([]byte) bool{p.toPeer(vip6)}, nil},
		{"answer6-to-probe", func() {
			p.wire.send(solicit(t, nodeHW, peerHW, netip.IPv6Unspecified(), group6, vip6, packet.HW{}))
		}, []func([]byte) bool{isND(packet.NA, nodeHW, vip6)}, func() { p.speaker.Set(nil) }},
		{"probe6", func() { p.speaker.Probe([]netip.Addr{other6}) }, []func([]byte) bool{isND(packet.NS, nodeHW, other6)}, nil},
	} {
		var got [][]byte
		tc.does()
		for _, fits := range tc.fits {
			p.wire.expect(tc.name, func(f []byte) bool {
				if fits(f) {
					got = append(got, slices.Clone(f))
				}
				return fits(f)
			})
		}
		if tc.after != nil {
			tc.after()
		}
		file := filepath.Join("testdata", tc.name+".txt")
		if os.Getenv(updateCaptures) != "" {
			dump(t, file, got)
		}
		if diff := cmp.Diff(dumped(t, file), got); diff != "" {
			t.Errorf("%s (-file +wire); run it with %s=1 if that is right:\n%s", file, updateCaptures, diff)
		}
	}
}

// dump has tcpdump print frames into a file.
func dump(t *testing.T, file string, frames [][]byte) {
	t.Helper()
	le := binary.LittleEndian
	pcap := le.AppendUint32(nil, 0xa1b2c3d4) // version 2.4, no zone, all bytes, Ethernet
	pcap = le.AppendUint16(le.AppendUint16(pcap, 2), 4)
	for _, n := range []uint32{0, 0, packet.FrameSize, 1} {
		pcap = le.AppendUint32(pcap, n)
	}
	for _, f := range frames {
		for _, n := range []uint32{0, 0, uint32(len(f)), uint32(len(f))} {
			pcap = le.AppendUint32(pcap, n)
		}
		pcap = append(pcap, f...)
	}
	cmd := exec.Command("tcpdump", "-nn", "-e", "-t", "-v", "-xx", "-r", "-")
	cmd.Stdin = bytes.NewReader(pcap)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("run tcpdump: %v", err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// dumped reads the frames back from what tcpdump printed.
func dumped(t *testing.T, file string) (frames [][]byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		offset, digits, ok := strings.Cut(strings.TrimSpace(line), ":  ")
		if !ok || !strings.HasPrefix(offset, "0x") {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", file, err))
		}
		if offset == "0x0000" {
			frames = append(frames, nil)
		}
		frames[len(frames)-1] = append(frames[len(frames)-1], b...)
	}
	return frames
}
